"""Run folders → the report: table and answer for the terminal, report.html, sweep.csv, Markdown, LaTeX, TensorBoard."""

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from frostline.errors import InputError

MARGIN = 0.01
FORMATS = ("html", "markdown", "latex", "csv")
PAGE, CSV = "report.html", "sweep.csv"


@dataclass(frozen=True)
class Report:
    """What the cells in some folders say; `notes` is what a reader should know, `problems` what could not be read.

    `answers` has one entry for each data set and model, `names` what they are called.
    """

    folders: tuple[Path, ...]
    cells: tuple
    answers: tuple
    predictions: dict
    margin: float
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def groups(self) -> list:
        return [answer.group for answer in self.answers]

    @cached_property
    def names(self) -> list[str]:
        from frostline.report.formats import titles

        return titles(self.groups)

    @cached_property
    def sentences(self) -> list[str]:
        from frostline.report.wording import sentence

        several = len({group.model for group in self.groups}) > 1
        return [sentence(answer, several) for answer in self.answers]

    @cached_property
    def pictures(self) -> list:
        from frostline.report.pictures import draw

        return draw(self.answers, self.names, self.predictions)

    def text(self) -> str:
        """The tables, the answer and the notes for the terminal."""
        from frostline.display import rendered
        from frostline.report.formats import terminal

        tables = [rendered(terminal(g, n), 120) for g, n in zip(self.groups, self.names, strict=True)]
        lines = ["\n".join(line.rstrip() for line in table.splitlines()).rstrip() for table in tables]
        return "\n\n".join([*lines, "\n".join(self.sentences), *(["\n".join(self.notes)] if self.notes else [])])

    def markdown(self) -> str:
        """The answer, the tables and the notes."""
        return "\n\n".join(self.markdown_parts().values())

    def markdown_parts(self) -> dict[str, str]:
        """The same by name; no notes where there are none."""
        from frostline.report.formats import escaped, markdown

        answer, notes = "\n\n".join(map(escaped, self.sentences)), "\n".join(f"- {escaped(n)}" for n in self.notes)
        return {"answer": answer, "table": markdown(self.groups), **({"notes": notes} if notes else {})}

    def latex(self) -> str:
        from frostline.report.formats import latex

        return latex(self.groups)

    def csv(self) -> str:
        from frostline.report.table import as_csv, rows

        return as_csv(rows(self.cells))

    def html(self) -> str:
        from frostline.report.page import page

        return page(self)


def build(folders: Sequence[Path], margin: float = MARGIN) -> Report:
    """Read the folders (sweeps, runs, or folders of those) and compare; InputError where no cell has results."""
    from frostline.report import compare, notes, predictions, runs
    from frostline.report.answer import answer

    if not 0 <= margin < 1:
        raise InputError(f"margin={margin:g}: give a difference in F1 from 0 to below 1, such as 0.01")
    cells, problems = runs.read(folders)
    if not any(cell.results for cell in cells):
        raise InputError("\n".join([*problems, *([_unfinished(cells)] if cells else [])]))
    groups, repeats = compare.groups(cells)
    found, unreadable = predictions.read_all(compare.to_pair(groups))
    answers = tuple(answer(group, found, margin) for group in groups)
    known = [*_progress(cells), *repeats, *notes.notes(answers)]
    return Report(tuple(folders), tuple(cells), answers, found, margin, tuple(known), tuple(problems + unreadable))


def write(folders: Sequence[Path], out: Path, margin: float = MARGIN) -> Report:
    """Write report.html, sweep.csv and the TensorBoard run report/ into `out`; returns what they show.

    InputError where no cell has results or `out` cannot be written.
    """
    from frostline.report import events

    report = build(folders, margin)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        replace(out / PAGE, report.html())
        replace(out / CSV, report.csv())
        events.write(out, report.markdown_parts(), report.pictures)
    return report


def replace(file: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old one or the new one, never a part."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}: choose another place with --out") from error


def _progress(cells: Sequence) -> list[str]:
    """How many cells have results, and what the others are."""
    done = sum(cell.results is not None for cell in cells)
    if done == len(cells):
        return []
    return [f"{done} of {len(cells)} cells have results; {_states(cells)}. What they would add is missing here."]


def _states(cells: Sequence) -> str:
    states = Counter(cell.state for cell in cells if cell.results is None)
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def _unfinished(cells: Sequence) -> str:
    reason = next((f" ({cell.name}: {cell.reason})" for cell in cells if cell.reason), "")
    return f"none of {len(cells)} cells has results yet: {_states(cells)}{reason}"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    cli = argparse.ArgumentParser(
        prog="report.py",
        description="How deep to freeze, from the run folders of one or more sweeps, finished or half-way: the table "
        "and the answer, and a page with pictures (report.html, beside it sweep.csv and a TensorBoard run, report/).",
        epilog="python report.py multirun/2026-11-23/15-00-00 --margin 0.02",
    )
    cli.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="a sweep's folder, a run's, or one of those")
    cli.add_argument("--margin", type=float, default=MARGIN, help="how much lower an F1 may be (default: %(default)s)")
    cli.add_argument("--format", choices=FORMATS, default="html", help="html (default), or one of the others to print")
    cli.add_argument("--out", type=Path, help="html: the folder to write into (default: the first DIR); else a file")
    return cli.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry: exit status 1, and a line for each thing that is wrong, where nothing can be reported."""
    options = parse(arguments)
    try:
        _run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


def _run(options: argparse.Namespace) -> None:
    if options.format == "html":
        out = options.out or next((folder for folder in options.folders if folder.is_dir()), options.folders[0])
        report = write(options.folders, out, options.margin)
        print(report.text())
        print(f"\nThe page: {out / PAGE} · every cell: {out / CSV} · tensorboard --logdir {out}")
    else:
        report = build(options.folders, options.margin)
        content = getattr(report, options.format)().rstrip("\n") + "\n"
        if options.out is None:
            sys.stdout.write(content)
        else:
            with _writing(options.out):
                replace(options.out, content)
    for problem in report.problems:
        print(problem, file=sys.stderr)
