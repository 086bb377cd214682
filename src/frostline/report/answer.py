"""One comparison → its verdicts: which depth is enough, with what probability, or what it would take to tell."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from frostline.report import bootstrap
from frostline.report.compare import Depth, Group
from frostline.report.predictions import Predictions
from frostline.report.runs import Cell

SEED = 0
ENOUGH, WORSE, OPEN = "enough", "worse", "open"
# Why there is no verdict at all.
UNTESTED, ALONE, UNPAIRED, APART, UNLEARNED = "untested", "alone", "unpaired", "apart", "unlearned"


@dataclass(frozen=True)
class Verdict:
    """One depth against the best: mean difference in F1, and the probability that it is at most the margin lower.

    `seeds` were compared, in pairs where `paired`. `more_seeds` (to be added) or else `enough_texts` (in all) would
    settle an open one; inf where no number would, None where one seed tells nothing about seeds.
    """

    depth: Depth
    difference: float
    probability: float
    seeds: int
    paired: bool
    more_seeds: float | None = None
    enough_texts: float | None = None

    @property
    def status(self) -> str:
        if self.probability >= bootstrap.CONFIDENCE:
            return ENOUGH
        return WORSE if self.probability <= 1 - bootstrap.CONFIDENCE else OPEN


@dataclass(frozen=True)
class Answer:
    """What one comparison says: `best` by mean F1, a verdict on every other depth, cheapest first.

    `missing` says why there is no verdict; `apart` names depths that were tested on other texts than the rest and
    `without` those that left no predictions: neither is compared. `constant` names depths all of whose runs give every
    test text the same label.
    """

    group: Group
    margin: float
    best: Depth | None
    verdicts: tuple[Verdict, ...] = ()
    missing: str | None = None
    texts: int = 0
    apart: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()

    @property
    def candidates(self) -> list[Verdict]:
        """The verdicts on depths with fewer trainable parameters than the best, fewest first."""
        return [verdict for verdict in self.verdicts if verdict.depth.trainable < self.best.trainable]

    @property
    def chosen(self) -> Depth | None:
        """The depth with the fewest trainable parameters that is sure enough; None where that cannot be told."""
        if self.missing:
            return None
        enough = next((verdict.depth for verdict in self.candidates if verdict.status == ENOUGH), None)
        return enough or (None if self.open else self.best)

    @property
    def open(self) -> list[Verdict]:
        """The candidates that cannot be told yet and would be cheaper than what is sure."""
        sure = next((v.depth.trainable for v in self.candidates if v.status == ENOUGH), math.inf)
        return [verdict for verdict in self.candidates if verdict.status == OPEN and verdict.depth.trainable < sure]


def answer(group: Group, predictions: Mapping[Path, Predictions], margin: float) -> Answer:
    """Compare every depth of the group with its best by a paired bootstrap over test texts and seeds.

    A depth is enough where the probability of an F1 at most `margin` lower is 0.95 or more, worse where it is 0.05 or
    less, open between them.
    """
    by_mean = [depth for depth in group.depths if depth.f1]
    best = max(by_mean, key=lambda depth: (depth.f1.mean, -depth.trainable), default=None)
    if group.split != "test":
        return Answer(group, margin, best, missing=UNTESTED)
    if len(by_mean) < 2:
        return Answer(group, margin, best, missing=ALONE)
    found, apart = same_texts(group, predictions)
    without = tuple(depth.name for depth in group.depths if depth.name not in {*found, *apart})
    paired = [depth for depth in by_mean if depth.name in found]
    if len(paired) < 2:
        return Answer(group, margin, best, missing=APART if apart else UNPAIRED, apart=apart, without=without)
    left_out = {"apart": apart, "without": without}
    same = {name: all(_one_label(predictions[cell.folder]) for cell in cells.values()) for name, cells in found.items()}
    constant = tuple(name for name, always in same.items() if always)
    if len(constant) == len(found):
        return Answer(group, margin, best, missing=UNLEARNED, constant=constant, **left_out)
    best = max(paired, key=lambda depth: (depth.f1.mean, -depth.trainable))
    verdicts, texts = _verdicts(best, paired, found, predictions, margin)
    return Answer(group, margin, best, verdicts, texts=texts, constant=constant, **left_out)


def _one_label(run: Predictions) -> bool:
    return bool((run.predicted == run.predicted[0]).all())


def same_texts(
    group: Group, predictions: Mapping[Path, Predictions]
) -> tuple[dict[str, dict[str, Cell]], tuple[str, ...]]:
    """Each depth's cells by seed on the test set that most depths (then cells) share, and the depths without one."""
    having = [(depth, cell) for depth in group.depths for cell in depth.cells if cell.folder in predictions]
    sets = {cell.folder: predictions[cell.folder].test_set for _, cell in having}
    depths = Counter(test_set for _, test_set in {(depth.name, sets[cell.folder]) for depth, cell in having})
    cells = Counter(sets.values())
    shared = max(cells, key=lambda test_set: (depths[test_set], cells[test_set]), default=None)
    found: dict[str, dict[str, Cell]] = {}
    for depth, cell in having:
        if sets[cell.folder] == shared:
            found.setdefault(depth.name, {})[str(cell.seed)] = cell
    apart = dict.fromkeys(depth.name for depth, _ in having if depth.name not in found)
    if len(found) < 2:  # nothing is shared: all stand apart
        apart = dict.fromkeys(depth.name for depth, _ in having) if apart else {}
    return found, tuple(apart)


def _verdicts(
    best: Depth,
    depths: list[Depth],
    cells: Mapping[str, Mapping[str, Cell]],
    predictions: Mapping[Path, Predictions],
    margin: float,
) -> tuple[tuple[Verdict, ...], int]:
    """A verdict on each depth but the best, fewest trainable parameters first, and the number of test texts."""
    rng = np.random.default_rng(SEED)
    runs = [predictions[cell.folder] for depth in depths for cell in cells[depth.name].values()]
    labels, predicted, classes = runs[0].labels, np.stack([run.predicted for run in runs]), len(runs[0].names)
    whole = bootstrap.f1(np.ones((1, len(labels)), np.float32), labels, predicted, classes)
    scores = np.concatenate([whole, bootstrap.resampled_f1(labels, predicted, classes, rng)])
    ends = np.cumsum([len(cells[depth.name]) for depth in depths])[:-1]
    by_depth = {
        depth.name: dict(zip(cells[depth.name], part.T, strict=True))
        for depth, part in zip(depths, np.split(scores, ends, axis=1), strict=True)
    }
    others = sorted((d for d in depths if d is not best), key=lambda d: (d.trainable, d.name))
    at_best = by_depth[best.name]
    return tuple(_verdict(d, by_depth[d.name], at_best, rng, margin, len(labels)) for d in others), len(labels)


def _verdict(
    depth: Depth,
    scores: Mapping[str, np.ndarray],
    best: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    margin: float,
    texts: int,
) -> Verdict:
    """`scores` and `best` are F1 by seed: on the whole test set, then on each resample."""
    common = [seed for seed in scores if seed in best]
    if common:
        parts = [np.stack([scores[seed] - best[seed] for seed in common], axis=1)]
    else:  # other seeds: each side is resampled by itself
        parts = [np.stack(list(scores.values()), axis=1), -np.stack(list(best.values()), axis=1)]
    difference = float(sum(part[0].mean() for part in parts))
    probability = bootstrap.probability(sum(bootstrap.mean_over_seeds(part[1:], rng) for part in parts), margin)
    seeds = min(part.shape[1] for part in parts)
    verdict = Verdict(depth, difference, probability, seeds, paired=bool(common))
    if verdict.status != OPEN or seeds < 2:
        return verdict
    found = [bootstrap.variances(part) for part in parts]
    by_texts, by_seeds = (sum(variance) for variance in zip(*found, strict=True))
    distance = difference + margin
    needed = bootstrap.enough_seeds(distance, by_texts, by_seeds)
    enough = bootstrap.enough_texts(distance, by_texts, by_seeds, seeds, texts) if math.isinf(needed) else None
    return replace(verdict, more_seeds=max(1.0, needed - seeds), enough_texts=enough)
