"""The table of freeze policies, from the comments of their yaml files.

python -m frostline.freeze.catalogue README.md        (writes it between the page's two markers)
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from frostline.errors import InputError

FOLDER = Path("conf/freeze")
BEGIN, END = "<!-- policies -->", "<!-- /policies -->"
FIELDS = ("Trains", "When", "Source")
ORDER = ("none", "embeddings", "top", "head", "bitfit", "norms", "lora", "gradual", "progressive", "auto", "pattern")


def table(folder: Path) -> str:
    """A Markdown row for each policy: its name, what trains, when to use it, its source."""
    files = sorted(folder.glob("*.yaml"), key=lambda file: (_place(file.stem), file.stem))
    rows = [(_shown(file.stem, files), *fields) for file in files if (fields := _fields(file))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(["| `freeze=` | what trains | when to use it | source |", "| --- | --- | --- | --- |", *lines])


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


def _shown(name: str, files: Sequence[Path]) -> str:
    """A policy's name; `top` with the depths that have a name of their own."""
    if name != "top":
        return f"`{name}`"
    depths = [f"`{file.stem}`" for file in files if re.fullmatch(r"top\d+", file.stem)]
    return " ".join([*depths, "`top freeze.n=…`"])


def _fields(file: Path) -> tuple[str, ...]:
    """What the file's comments say under each of FIELDS; nothing where it points to another file."""
    said = dict(re.findall(r"^# (\w+): (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE))
    return tuple(_linked(said[field]) for field in FIELDS) if set(FIELDS) <= set(said) else ()


def _linked(text: str) -> str:
    """`arXiv 1801.06146` as a link."""
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def updated(page: str, rows: str) -> str:
    """The page with `rows` between its markers; InputError where it has none."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"the page has no {BEGIN} … {END}: put both where the table belongs")
    return f"{head}{BEGIN}\n{rows}\n{END}{tail}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table into pages from the command line."""
    cli = argparse.ArgumentParser(prog="python -m frostline.freeze.catalogue", description=__doc__.splitlines()[0])
    cli.add_argument("pages", nargs="+", type=Path, help=f"Markdown files with {BEGIN} and {END}")
    cli.add_argument("--folder", type=Path, default=FOLDER, help="the yaml files (default: %(default)s)")
    options = cli.parse_args(arguments)
    try:
        for page in options.pages:
            page.write_text(updated(page.read_text(encoding="utf-8"), table(options.folder)), encoding="utf-8")
    except (InputError, OSError) as error:
        sys.exit(f"{page}: {error}")


if __name__ == "__main__":
    main()
