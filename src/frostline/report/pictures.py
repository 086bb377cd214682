"""The report's pictures: quality against time, depth × data set, validation curves, confusion matrices."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from frostline.report.answer import Answer
from frostline.report.compare import Depth, Group
from frostline.report.drawing import HEAT, INK, PAPER, SERIES, Picture, axes, picture, short, style
from frostline.report.labels import placed
from frostline.report.predictions import Predictions

WIDTH, HEIGHT = 4.6, 3.3  # inches; a phone shows them at about this size
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (2, 2)))
LIGHTEST_GAP = 0.2  # F1 below the column's best that is no longer coloured
MOST_CLASSES = 30


def front(depths: Sequence[Depth]) -> list[Depth]:
    """The Pareto front: no other depth is at once as fast and better, or as good and faster. Fastest first."""
    ordered = sorted(depths, key=lambda depth: (depth.seconds, -depth.f1.mean))
    return [d for i, d in enumerate(ordered) if all(d.f1.mean > before.f1.mean for before in ordered[:i])]


def quality_time(answer: Answer, key: str, name: str) -> Picture | None:
    """F1 against a run's training seconds, the Pareto front marked."""
    group = answer.group
    depths = [depth for depth in group.depths if depth.f1 and depth.seconds]
    if not depths:
        return None
    best = front(depths)
    with style(key):
        figure, plot = axes(WIDTH, HEIGHT, (0.62, 0.55, 0.15, 0.12))
        _time_axis(plot, depths)
        plot.step([d.seconds for d in best], [d.f1.mean for d in best], where="post", color=HEAT, linewidth=1.2)
        for depth in depths:
            half = depth.f1.half or 0
            plot.errorbar(
                depth.seconds, depth.f1.mean, [[min(half, depth.f1.mean)], [min(half, 1 - depth.f1.mean)]], fmt="o",
                color=HEAT, markersize=7, markerfacecolor=HEAT if depth in best else PAPER, elinewidth=1, capsize=3,
            )  # fmt: skip
        plot.set_ylabel(f"{_split(group)} F1")
        plot.set_xlabel("seconds a run, with its share of the trunk (log scale)")
        plot.grid(axis="y")
        plot.set_axisbelow(True)
        placed(plot, [(d.seconds, d.f1.mean, short(d.name)) for d in depths])
        names = ", ".join(depth.name for depth in best)
        text = (
            f"Mean F1 of each depth against the seconds that one run trains. On the Pareto front, fastest first: "
            f"{names}. Filled points are on the front, hollow ones are not; bars are 95 % intervals over seeds."
        )
        rows = [(d.name, f"{d.seconds:.1f}", str(d.f1), "yes" if d in best else "no") for d in depths]
        head = ("freeze", "seconds a run", "F1", "on the front")
        return picture(key, "Quality against time", name, text, figure, head, rows)


def _time_axis(plot: Axes, depths: Sequence[Depth]) -> None:
    """A logarithmic axis with plain numbers, wide enough for labels beside the points."""
    seconds = [depth.seconds for depth in depths]
    low, high = min(seconds), max(seconds)
    room = max((high / low) ** 0.15, 1.25)
    plot.set_xscale("log")
    plot.set_xlim(low / room, high * room**1.3)
    plot.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 4 else MaxNLocator(5, steps=[1, 2, 5, 10]))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    halves = [depth.f1.half or 0 for depth in depths]
    bottom = min(depth.f1.mean - half for depth, half in zip(depths, halves, strict=True))
    top = max(depth.f1.mean + half for depth, half in zip(depths, halves, strict=True))
    pad = max(0.12 * (top - bottom), 0.01)
    plot.set_ylim(max(0, bottom - pad), min(1.02, top + pad))


def heat_map(answers: Sequence[Answer], names: Sequence[str], key: str) -> Picture | None:
    """F1 of every depth on every data set; a column's colour says how far below its best a depth is."""
    scores = {(d.name, i): d.f1.mean for i, a in enumerate(answers) for d in a.group.depths if d.f1}
    sizes = {d.name: d.trainable for answer in answers for d in answer.group.depths}
    depths = sorted({depth for depth, _ in scores}, key=lambda depth: (-sizes[depth], depth))
    if len(scores) < 2:
        return None
    best = {i: max(f1 for (_, j), f1 in scores.items() if j == i) for i in range(len(answers)) if any(
        j == i for _, j in scores)}  # fmt: skip
    chosen = {(answer.chosen.name, i) for i, answer in enumerate(answers) if answer.chosen}
    with style(key):
        left = 0.3 + 0.075 * max(len(short(depth)) for depth in depths)
        width = max(WIDTH, left + 0.15 + 1.1 * len(answers))
        figure, plot = axes(width, 0.35 + 0.42 * len(depths), (left, 0.05, 0.15, 0.3))
        for (depth, column), f1 in scores.items():
            row, at_best = depths.index(depth), f1 == best[column]
            _tile(plot, column, row, 1 - math.sqrt(min((best[column] - f1) / LIGHTEST_GAP, 1)))
            plot.text(column, row, f"{f1:.3f}", ha="center", va="center", weight="bold" if at_best else "normal")
            if (depth, column) in chosen:
                plot.add_patch(Rectangle((column - 0.46, row - 0.42), 0.92, 0.84, fill=False, edgecolor=INK, lw=1.6))
        _ticks(plot, [short(name, 20) for name in names], [short(depth) for depth in depths])
        text = "Mean F1; the stronger the colour, the nearer to its column's best. Bold: the best. Framed: the answer."
        rows = [
            (depth, *(f"{scores[depth, i]:.3f}" if (depth, i) in scores else "–" for i in range(len(answers))))
            for depth in depths
        ]
        return picture(key, "F1 by depth and data set", "", text, figure, ("freeze", *names), rows)


def _tile(plot: Axes, column: int, row: int, strength: float) -> None:
    """One coloured field: at half strength at most, so that text on it stays readable in light and dark."""
    box = Rectangle((column - 0.48, row - 0.45), 0.96, 0.9, facecolor=HEAT, alpha=0.04 + 0.46 * strength, linewidth=0)
    plot.add_patch(box)


def _ticks(plot: Axes, columns: Sequence[str], rows: Sequence[str], slant: bool = False) -> None:
    """Names along the top and the left of a field of tiles."""
    plot.set_xlim(-0.5, len(columns) - 0.5)
    plot.set_ylim(len(rows) - 0.5, -0.5)
    plot.xaxis.tick_top()
    plot.set_xticks(range(len(columns)), columns, **({"rotation": 45, "ha": "left"} if slant else {}))
    plot.set_yticks(range(len(rows)), rows)
    plot.tick_params(length=0)
    for spine in plot.spines.values():
        spine.set_visible(False)


def curves(group: Group, key: str, name: str) -> Picture | None:
    """Validation F1 by epoch, the mean over seeds, a line for each depth; None where no run has two epochs."""
    lines = {depth.name: _curve(depth) for depth in group.depths}
    lines = {depth: curve for depth, curve in lines.items() if curve}
    if not lines or max(map(len, lines.values())) < 2:
        return None
    with style(key):
        figure, plot = axes(WIDTH, HEIGHT, (0.62, 0.5, 0.85, 0.12))
        for i, (_, curve) in enumerate(lines.items()):
            plot.plot(
                list(curve), list(curve.values()), color=SERIES[i % len(SERIES)], marker=MARKERS[i % len(MARKERS)],
                linestyle=DASHES[i % len(DASHES)], markersize=4.5, linewidth=1.6,
            )  # fmt: skip
        plot.set(xlabel="epoch", ylabel="validation F1")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        plot.grid(axis="y")
        ends = [(list(curve)[-1], list(curve.values())[-1], short(depth, 12)) for depth, curve in lines.items()]
        placed(plot, ends, beside=True)
        text = "Validation F1 after each epoch, the mean over seeds, a line for each freeze depth, named at its end."
        epochs = sorted({epoch for curve in lines.values() for epoch in curve})
        head = ("freeze", *(f"epoch {epoch:g}" for epoch in epochs))
        rows = [(d, *(f"{curve[e]:.3f}" if e in curve else "–" for e in epochs)) for d, curve in lines.items()]
        return picture(key, "Validation F1 while training", name, text, figure, head, rows)


def _curve(depth: Depth) -> dict[float, float]:
    """Mean F1 by epoch over the runs that reached it."""
    histories = [cell.history("val/f1") for cell in depth.cells]
    epochs = sorted({epoch for history in histories for epoch in history})
    return {epoch: fmean(history[epoch] for history in histories if epoch in history) for epoch in epochs}


def confusion(group: Group, predictions: Mapping[Path, Predictions], key: str, name: str) -> Picture | None:
    """The confusion matrix of the cell with the best validation F1; None without predictions or with many labels."""
    cell = group.best_cell
    found = predictions.get(cell.folder) if cell else None
    if found is None or len(found.names) > MOST_CLASSES:
        return None
    classes = len(found.names)
    counts = np.bincount(found.labels * classes + found.predicted, minlength=classes**2).reshape(classes, classes)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with style(key):
        names = [short(label, 14) for label in found.names]
        room = 0.25 + 0.075 * max(map(len, names))
        step = 0.62 if classes < 8 else 0.46
        slant = classes > 4 or max(map(len, names)) > 9
        above = 0.45 + (room * 0.72 if slant else 0.1)
        width = max(WIDTH * 0.75, room + 0.35 + classes * step + (room * 0.5 if slant else 0))
        figure, plot = axes(width, above + 0.1 + classes * step * 0.8, (room + 0.2, 0.1, 0.15, above))
        if slant:
            plot.set_anchor("W")
        for row in range(classes):
            for column in range(classes):
                _tile(plot, column, row, shares[row, column])
                plot.text(column, row, f"{counts[row, column]:,}", ha="center", va="center")
        _ticks(plot, names, names, slant)
        plot.xaxis.set_label_position("top")
        plot.set(xlabel="predicted", ylabel="label")
        text = (
            f"Test texts by label (rows) and prediction (columns) for freeze={cell.depth}, seed {cell.seed}, the run "
            f"with the best validation F1. {_share(counts)} of {counts.sum():,} are right."
        )
        rows = [(label, *(f"{count:,}" for count in counts[i])) for i, label in enumerate(found.names)]
        return picture(key, "Confusion matrix", name, text, figure, ("label \\ predicted", *found.names), rows)


def _share(counts: np.ndarray) -> str:
    return f"{counts.trace() / counts.sum():.1%}".replace("%", " %")


def _split(group: Group) -> str:
    return "test" if group.split == "test" else "validation"


def draw(answers: Sequence[Answer], names: Sequence[str], predictions: Mapping[Path, Predictions]) -> list[Picture]:
    """All pictures that the runs give, data set by data set under one overview."""
    found = [heat_map(answers, names, "heat")]
    for i, (answer, name) in enumerate(zip(answers, names, strict=True)):
        found += [
            quality_time(answer, f"time{i}", name),
            curves(answer.group, f"curves{i}", name),
            confusion(answer.group, predictions, f"confusion{i}", name),
        ]
    return [one for one in found if one is not None]
