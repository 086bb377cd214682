"""The report as one HTML page that asks nothing of the network; whatever comes from data is escaped by jinja2."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment
from markupsafe import Markup

from frostline.report import bootstrap
from frostline.report.answer import ENOUGH, OPEN, WORSE, Answer, Verdict
from frostline.report.compare import Group
from frostline.report.drawing import Picture
from frostline.report.formats import COLUMNS, NONE, percent, size
from frostline.report.runs import Cell, printable, rate
from frostline.report.wording import probability

if TYPE_CHECKING:
    from frostline.report.assemble import Report

VERDICTS = {ENOUGH: "enough", WORSE: "too low", OPEN: "cannot be told yet"}
CELL_HEADS = ("cell", "state", "data", "model", "freeze", "lr", "seed", "validation F1", "test F1", "fit s", "total s")


def page(report: "Report") -> str:
    """The whole page."""
    source = files("frostline.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((source / "page.html.j2").read_text(encoding="utf-8"))
    return template.render(
        css=Markup((source / "page.css").read_text(encoding="utf-8")),
        title=", ".join(printable(folder.resolve().name) for folder in report.folders),
        folders=[printable(folder) for folder in report.folders],
        facts=facts(report),
        answers=[_answer(*item) for item in zip(report.answers, report.sentences, report.names, strict=True)],
        notes=report.notes,
        problems=report.problems,
        heads=[(column.head, column.help) for column in COLUMNS],
        tables=[_table(*item) for item in zip(report.answers, report.names, strict=True)],
        pictures=_sections(report.pictures),
        rates=[_rates(group, name) for group, name in zip(report.groups, report.names, strict=True) if group.rates],
        cell_heads=CELL_HEADS,
        cells=[_cell(cell) for cell in sorted(report.cells, key=lambda cell: str(cell.folder))],
        verdicts=[_verdicts(*item) for item in zip(report.answers, report.names, strict=True) if item[0].verdicts],
        margin=f"{report.margin:g}",
        resamples=f"{bootstrap.RESAMPLES:,}",
        confidence=f"{bootstrap.CONFIDENCE:g}",
        versions=versions(report.cells),
        devices=sorted({cell.device for cell in report.cells if cell.results and cell.device}),
    )


def facts(report: "Report") -> list[str]:
    """What the report is made of, in a few words each."""
    done = [cell for cell in report.cells if cell.results]
    depths = {depth.name for group in report.groups for depth in group.depths}
    latest = max((cell.time for cell in done), default="").replace("T", " ")
    return [
        f"{len(done)} of {len(report.cells)} cells have results",
        _plural(len({group.data for group in report.groups}), "data set"),
        _plural(len(depths), "freeze depth"),
        _plural(len({str(cell.seed) for cell in done}), "seed"),
        *([f"latest result {printable(latest)}"] if latest else []),
    ]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _answer(answer: Answer, sentence: str, name: str) -> dict:
    """One data set's sentence, and what part of the encoder trains at the depth it names."""
    chosen = answer.chosen
    share = chosen.trained_share if chosen else None
    total = chosen.cells[0].parameters("total") if chosen else None
    told = {"name": name, "sentence": sentence.replace("F1 ", "F1\N{NO-BREAK SPACE}"), "share": None}
    if share is None:
        return told
    return {
        **told,
        "share": f"{100 * share:.3f}",
        "trains": f"freeze={chosen.name} trains {percent(share)} of {size(total)} parameters",
    }


def _table(answer: Answer, name: str) -> dict:
    group = answer.group
    rows = [
        {"chosen": depth is answer.chosen, "cells": [column.show(depth) for column in COLUMNS]}
        for depth in group.depths
    ]
    trunk = None
    if group.trunk_seconds:
        trunk = f"The trunk took {group.trunk_seconds:.1f} s in all, paid by the cells that came first."
    return {"name": name, "rows": rows, "validation": group.split != "test", "trunk": trunk}


def _sections(pictures: Iterable[Picture]) -> list[tuple[str, list]]:
    """Pictures with their markup, by data set."""
    sections: dict[str, list] = {}
    for picture in pictures:
        sections.setdefault(picture.about, []).append((picture, Markup(picture.svg)))
    return list(sections.items())


def _rates(group: Group, name: str) -> dict:
    """Validation F1 by depth and learning rate; the best of each depth marked."""
    columns = sorted({lr for by_rate in group.rates.values() for lr in by_rate})
    rows = []
    for depth, by_rate in group.rates.items():
        best = max(spread.mean for spread in by_rate.values())
        found = [by_rate.get(lr) for lr in columns]
        rows.append((depth, [(str(s) if s else NONE, bool(s) and s.mean == best) for s in found]))
    return {"name": name, "columns": [rate(lr) for lr in columns], "rows": rows}


def _cell(cell: Cell) -> dict:
    values = [NONE] * (len(CELL_HEADS) - 2)
    if cell.results:
        scores = [_shown(cell.metric(name), ".3f") for name in ("val/f1", "test/f1")]
        seconds = [_shown(cell.seconds(phase), ".1f") for phase in ("fit", "total")]
        seed = NONE if cell.seed is None else printable(cell.seed)
        values = [cell.data, cell.model, cell.depth, rate(cell.lr) or NONE, seed, *scores, *seconds]
    return {"name": cell.name, "state": cell.state, "reason": cell.reason, "values": values}


def _verdicts(answer: Answer, name: str) -> dict:
    rows = [_verdict(verdict) for verdict in answer.verdicts]
    return {"name": name, "best": answer.best.name, "texts": f"{answer.texts:,}", "rows": rows}


def _verdict(verdict: Verdict) -> list[str]:
    seeds = f"{verdict.seeds}{'' if verdict.paired else ', not paired'}"
    shown = [f"{verdict.difference:+.3f}", probability(verdict.probability), seeds, VERDICTS[verdict.status]]
    return [verdict.depth.name, *shown]


def _shown(value: float | None, style: str) -> str:
    return NONE if value is None else format(value, style)


def versions(cells: tuple[Cell, ...]) -> list[tuple[str, str]]:
    """Each package and the versions that the cells ran with."""
    found: Mapping[str, dict[str, None]] = {}
    for cell in cells:
        for package, version in (cell.versions if cell.results else {}).items():
            found.setdefault(package, {})[version] = None
    return [(package, ", ".join(numbers)) for package, numbers in found.items()]
