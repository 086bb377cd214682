"""The comparison as a table: for the terminal, Markdown, LaTeX and the page, from one list of columns."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from frostline.report.compare import Depth, Group
from frostline.report.wording import ratio

NONE = "–"


@dataclass(frozen=True)
class Column:
    """One figure of a depth; `brief` ones go to the terminal too."""

    head: str
    show: Callable[[Depth], str]
    brief: bool = True
    help: str = ""


def percent(value: float | None) -> str:
    """`98.9 %`."""
    return NONE if value is None else f"{100 * value:.1f} %"


def size(count: float | None, unit: str = "") -> str:
    """`3.7 M`, `770`, `1.2 GB`."""
    if count is None:
        return NONE
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= factor:
            return f"{count / factor:.3g} {prefix}{unit}"
    return f"{count:.0f} {unit}".rstrip()


def _number(value: float | None, shown: Callable[[float], str]) -> str:
    return NONE if value is None else shown(value)


COLUMNS = (
    Column("freeze", lambda d: d.name, help="what stays trainable"),
    Column("lr", lambda d: d.lr, help="learning rate"),
    Column("seeds", lambda d: str(len(d.cells))),
    Column("F1", lambda d: _number(d.f1, str), help="mean ± half of the 95 % interval over seeds"),
    Column("accuracy", lambda d: _number(d.accuracy, str), help="mean ± half of the 95 % interval over seeds"),
    Column("kept", lambda d: percent(d.kept), help="share of full fine-tuning's F1"),
    Column("fit s", lambda d: _number(d.fit, "{:.1f}".format), help="mean seconds of training alone"),
    Column("trunk s", lambda d: f"{d.trunk:.1f}", help="seconds that these runs paid for the trunk, in all"),
    Column("speed-up", lambda d: _number(d.speedup, ratio), help="of training alone, against freeze=none"),
    Column("with trunk", lambda d: _number(d.speedup_with_trunk, ratio), False, "the trunk's cost shared out evenly"),
    Column(
        "trainable", lambda d: size(d.trainable), help="trainable parameters (a schedule's: the mean over its steps)"
    ),
    Column("memory", lambda d: size(d.memory, "B"), help="peak memory of a run"),
)


def titles(groups: Sequence[Group]) -> list[str]:
    """What each group is called: its data set, with the model where there are several."""
    several = len({group.model for group in groups}) > 1
    return [f"{group.data}, {group.model}" if several else group.data for group in groups]


def terminal(group: Group, title: str) -> Table:
    """A rich table of one group; nothing in it is read as markup."""
    columns = [column for column in COLUMNS if column.brief]
    split = "" if group.split == "test" else " (validation: nothing was tested)"
    table = Table(
        title=Text(f"{title}{split}"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for i, column in enumerate(columns):
        table.add_column(Text(column.head), justify="right" if i else "left")
    for depth in group.depths:
        table.add_row(*(Text(column.show(depth)) for column in columns))
    return table


def markdown(groups: Sequence[Group]) -> str:
    """One Markdown table for each group."""
    parts = []
    for group, title in zip(groups, titles(groups), strict=True):
        lines = [[column.head for column in COLUMNS], ["---"] + ["---:"] * (len(COLUMNS) - 1)]
        lines += [[escaped(column.show(depth)) for column in COLUMNS] for depth in group.depths]
        split = "" if group.split == "test" else " (validation)"
        rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"**{escaped(title)}**{split}\n\n{rows}")
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def latex(groups: Sequence[Group]) -> str:
    """One LaTeX table of all groups; the document needs the package booktabs."""
    heads = [_latex(column.head) for column in COLUMNS]
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        "  \\caption{Freeze depth by data set: means over seeds, $\\pm$ half of the 95\\,\\% interval.}",
        f"  \\begin{{tabular}}{{l{'r' * (len(COLUMNS) - 1)}}}",
        "    \\toprule",
        f"    {' & '.join(heads)} \\\\",
    ]
    for group, title in zip(groups, titles(groups), strict=True):
        lines += ["    \\midrule", f"    \\multicolumn{{{len(COLUMNS)}}}{{l}}{{{_latex(title)}}} \\\\"]
        lines += [f"    {' & '.join(_latex(c.show(depth)) for c in COLUMNS)} \\\\" for depth in group.depths]
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}"])


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "±": r"$\pm$", "×": r"$\times$", "–": "--", "…": r"\ldots{}",
}  # fmt: skip


def _latex(text: str) -> str:
    return "".join(LATEX.get(letter, letter) for letter in text)
