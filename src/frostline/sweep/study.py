"""The rules of a depth study: which learning rates a depth tries, and which of them it is tested at."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from frostline.errors import InputError

FOR_ALL, BY_DEPTH = "hydra.sweeper.learning_rates", "hydra.sweeper.by_depth"
DEFAULT = "default"


@dataclass(frozen=True)
class Grid:
    """Learning rates to try, smallest first, and the option that gives them."""

    option: str
    rates: tuple[float, ...]


def grid(depth: str, for_all: object, by_depth: Mapping[str, object], depths: Collection[str]) -> Grid:
    """What a depth tries: `for_all` where that is given, else its own entry in `by_depth`, else the `default` there.

    InputError for an entry that is no depth in `depths` (nor top1, top2, …), for a depth without rates, and for what is
    not a positive number.
    """
    known = {*depths, DEFAULT}
    for name in by_depth:
        if name not in known and not re.fullmatch(r"top\d+", str(name)):
            raise InputError(f"{BY_DEPTH}.{name}: there is no freeze={name}: use one of {', '.join(sorted(known))}")
    if for_all is not None:
        return _grid(FOR_ALL, for_all)
    entry = depth if by_depth.get(depth) is not None else DEFAULT
    if by_depth.get(entry) is None:
        raise InputError(f"{BY_DEPTH} has nothing for freeze={depth}: add {BY_DEPTH}.{depth}=[1e-4,1e-3]")
    return _grid(f"{BY_DEPTH}.{entry}", by_depth[entry])


def _grid(option: str, given: object) -> Grid:
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    numbers = [rate for rate in listed if isinstance(rate, int | float) and not isinstance(rate, bool)]
    if not numbers or len(numbers) < len(listed) or not all(0 < rate < math.inf for rate in numbers):
        raise InputError(f"{option}={given}: give positive numbers, such as [1e-4,1e-3]")
    return Grid(option, tuple(sorted({float(rate) for rate in numbers})))


@dataclass(frozen=True)
class Choice:
    """What a grid gave a cell on validation: rate → F1, NaN for a rate that failed."""

    cell: str
    option: str
    scores: Mapping[float, float]

    @property
    def rate(self) -> float | None:
        """The best rate, of equals the smallest; None where all failed."""
        finished = {rate: score for rate, score in self.scores.items() if not math.isnan(score)}
        return min(finished, key=lambda rate: (-finished[rate], rate), default=None)

    @property
    def edge(self) -> str | None:
        """`largest` or `smallest` where the best may lie outside of what was tried."""
        ends = {max(self.scores): "largest", min(self.scores): "smallest"} if len(self.scores) > 1 else {}
        return ends.get(self.rate)

    def line(self) -> str:
        """The choice in one line, with a warning at the grid's edge."""
        if self.rate is None:
            return f"{self.cell}: every learning rate failed, so it is not tested"
        tried = ", ".join(f"{rate:g}: {score:.3f}" for rate, score in self.scores.items())
        line = f"{self.cell}: learning rate {self.rate:g} (validation F1 at {tried})"
        return f"{line}; the best is the {self.edge} tried: widen {self.option}" if self.edge else line

    def record(self) -> dict[str, object]:
        """For `depth_study.json`."""
        scores = {f"{rate:g}": None if math.isnan(score) else score for rate, score in self.scores.items()}
        return {"cell": self.cell, "scores": scores, "rate": self.rate, "edge": self.edge}
