"""Matplotlib figures → pictures that go inside a page: SVG coloured by the page, and PNG for TensorBoard."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# What figures are drawn with; on a page each becomes a CSS variable, so that light and dark have their own.
INK, FAINT, GRID, PAPER, HEAT = "#1b2227", "#56626b", "#d4dade", "#fefefe", "#0b6aa8"
# Okabe and Ito's palette for colour-blind readers, darkened to 3:1 on white.
SERIES = ("#0072b2", "#d05a00", "#00805c", "#b0508a", "#8a6500", "#3d5a80", "#5f5f5f")
VARIABLES = {INK: "ink", FAINT: "faint", GRID: "grid", PAPER: "paper", HEAT: "heat"} | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES)
}
PNG_DPI = 144
REM_PER_INCH = 6.8  # how large a page may show them
XLINK = "{http://www.w3.org/1999/xlink}"


@dataclass(frozen=True)
class Picture:
    """A picture, what it shows in words, and its figures as a table; `about` is the data set, empty for all of them."""

    key: str
    title: str
    about: str
    description: str
    svg: str
    png: bytes
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@contextmanager
def style(key: str) -> Iterator[None]:
    """Text stays text, `$` is no formula, and the same figure gives the same SVG."""
    options = {
        "svg.fonttype": "none", "svg.hashsalt": key, "text.parse_math": False, "font.family": "DejaVu Sans",
        "font.size": 9, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.linewidth": 0.8,
        "xtick.color": FAINT, "ytick.color": FAINT, "xtick.labelcolor": INK, "ytick.labelcolor": INK,
        "axes.spines.top": False, "axes.spines.right": False, "grid.color": GRID, "grid.linewidth": 0.8,
    }  # fmt: skip
    with matplotlib.rc_context(options), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # a label in a script that this font lacks
        yield


def axes(width: float, height: float, box: tuple[float, float, float, float]) -> tuple[Figure, Axes]:
    """A figure in inches with one plot; `box` is the room left, below, right and above it, in inches."""
    left, below, right, above = box
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    place = (left / width, below / height, (width - left - right) / width, (height - below - above) / height)
    return figure, figure.add_axes(place, facecolor="none")


def picture(
    key: str,
    title: str,
    about: str,
    description: str,
    figure: Figure,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> Picture:
    """Both forms of a figure; to be called inside `style(key)`."""
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, facecolor="none")
    figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    markup = inline(svg.getvalue(), key, f"{title}: {about}" if about else title, description)
    return Picture(key, title, about, description, markup, png.getvalue(), tuple(columns), tuple(map(tuple, rows)))


def inline(svg: bytes, key: str, title: str, description: str) -> str:
    """Matplotlib's SVG as part of a page: labelled, coloured by CSS variables, ids its own, no namespaces."""
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag.rpartition("}")[2] in ("metadata", "style")]:
            parent.remove(child)
    used = set()
    for element in root.iter():
        _plain(element, key, used)
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
    width = float(root.get("viewBox").split()[2]) / 72
    root.set("style", f"max-width: {REM_PER_INCH * width:.1f}rem")
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{key}-title {key}-text")
    for place, (tag, name, text) in enumerate([("title", "title", title), ("desc", "text", description)]):
        element = ET.Element(tag, {"id": f"{key}-{name}"})
        element.text = text
        root.insert(place, element)
    return ET.tostring(root, encoding="unicode")


def _plain(element: ET.Element, key: str, used: set[str]) -> None:
    """Rewrite an element's tag and attributes; `used` gathers the ids that something points at."""
    element.tag = element.tag.rpartition("}")[2]
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        if name == "id":
            value = f"{key}-{value}"
        elif name in (f"{XLINK}href", "href"):
            name, value = "href", f"#{key}-{value[1:]}"
            used.add(value[1:])
        else:
            used.update(f"{key}-{target}" for target in re.findall(r"url\(#([^)]+)\)", value))
            value = re.sub(r"url\(#", f"url(#{key}-", value)
            value = re.sub(r"#[0-9a-f]{6}\b", lambda m: _variable(m[0]), value)
            value = re.sub(r"font: (.*?)'DejaVu Sans'[^;]*", r"font: \1var(--sans)", value)
        element.set(name, value)


def _variable(colour: str) -> str:
    return f"var(--{VARIABLES[colour]})" if colour in VARIABLES else colour


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def short(text: str, longest: int = 18) -> str:
    """A label that fits; the picture's table holds it whole."""
    return text if len(text) <= longest else text[: longest - 1] + "…"
