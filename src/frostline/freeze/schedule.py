"""Schedules: policies whose trainable set moves while a run goes on, by rules that are pure.

At any moment a schedule stands at a depth: 0 trains the head alone, k what `topk` trains, one more than there are
layers everything. The depth follows from the step and, for `Auto`, from what it saw of the gradients, which is
checkpointed: so a run that goes on from a checkpoint moves as one that was never stopped.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from frostline import options
from frostline.errors import InputError
from frostline.freeze.policy import Head, Nothing, Policy, Top
from frostline.model.anatomy import EMBEDDINGS, Anatomy

UNITS = ("epochs", "steps")


@dataclass(frozen=True)
class Moment:
    """How far a run is: optimizer steps behind it, of `steps` in all, `epoch_steps` in each epoch."""

    step: int
    steps: int
    epoch_steps: int

    @property
    def starts_epoch(self) -> bool:
        return self.step % self.epoch_steps == 0

    @property
    def epoch_end(self) -> "Moment":
        """The epoch's last step, or the run's."""
        last = (self.step // self.epoch_steps + 1) * self.epoch_steps - 1
        return replace(self, step=min(last, self.steps - 1))


@dataclass(frozen=True)
class Seen:
    """What `Auto` keeps: its depth, and each layer's gradient norm, bottom up, summed over the interval and before it.

    `before` holds the means of the interval before this one; it is empty until there was one.
    """

    depth: int
    sums: tuple[float, ...] = ()
    count: int = 0
    before: tuple[float, ...] = ()

    def with_step(self, norms: Sequence[float]) -> "Seen":
        """One more optimizer step's norms."""
        sums = self.sums or (0.0,) * len(norms)
        return replace(self, sums=tuple(a + b for a, b in zip(sums, norms, strict=True)), count=self.count + 1)


@dataclass(frozen=True, kw_only=True)
class Schedule(Policy):
    """A policy whose depth moves. What it may train at some time is in the optimizer from the start.

    `pristine`: what it has frozen was never trained.
    """

    pristine: ClassVar[bool] = False

    @abstractmethod
    def depth(self, moment: Moment, layers: int) -> int:
        """How deep the training reaches at a moment: 0 (the head) to `layers` + 1 (everything)."""

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        anatomy.require_head(self.name)
        anatomy.require_layers(self.name, each=True)
        return Nothing().trains(anatomy)

    @property
    def no_trunk(self) -> str | None:
        return super().no_trunk or "its boundary moves, so each epoch looks for a trunk of its own"


def at_depth(depth: int, layers: int) -> Policy:
    """The policy that stays where a schedule stands."""
    if depth == 0:
        return Head()
    return Nothing() if depth > layers else Top(n=depth)


@dataclass(frozen=True, kw_only=True)
class Gradual(Schedule):
    """From the head downwards, one part more every so often (Howard and Ruder's gradual unfreezing, arXiv 1801.06146).

    `every` counts `unit`s; None spreads the parts evenly over the run.
    """

    every: float | None = None
    unit: str = "epochs"
    name = "gradual"
    pristine = True

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise InputError(f"freeze.unit={self.unit}: use one of {', '.join(UNITS)}")
        options.check(vars(self), "freeze")

    def depth(self, moment: Moment, layers: int) -> int:
        interval = moment.steps / (layers + 2)
        if self.every is not None:
            interval = self.every * (moment.epoch_steps if self.unit == "epochs" else 1)
        return min(layers + 1, int(moment.step / interval))


@dataclass(frozen=True, kw_only=True)
class Progressive(Schedule):
    """From the bottom upwards, each part at its own time (FreezeOut, Brock et al., arXiv 1706.04983).

    The embeddings freeze after the share `start` of all steps, the last layer would at the end, those between in even
    steps; each part's learning rate falls to zero by then.
    """

    start: float = 0.3
    name = "progressive"

    def __post_init__(self) -> None:
        options.check(vars(self), "freeze")

    def depth(self, moment: Moment, layers: int) -> int:
        frozen = sum(moment.step >= round(end * moment.steps) for end in self._ends(layers))
        return layers + 1 - frozen

    def _ends(self, layers: int) -> list[float]:
        """When the embeddings and all layers but the last freeze."""
        return [self.start + (1 - self.start) * part / layers for part in range(layers)]

    def ends(self, anatomy: Anatomy) -> dict[str, float]:
        parts = [EMBEDDINGS, *(f"layer.{i}" for i in range(anatomy.layer_count - 1))]
        return dict(zip(parts, self._ends(anatomy.layer_count), strict=True))


@dataclass(frozen=True, kw_only=True)
class Auto(Schedule):
    """The boundary moves up behind front layers whose gradients have settled (AutoFreeze, arXiv 2102.01386).

    `checks` times an epoch, each layer's change is how much the mean norm of its gradients differs from the interval
    before, as a share of that. The frontmost layers whose change is within the lowest `percentile` percent of those
    that train are frozen; the embeddings go with the first of them, the last layer always trains.
    """

    percentile: float = 50
    checks: int = 4
    name = "auto"

    def __post_init__(self) -> None:
        options.check(vars(self), "freeze")

    @property
    def no_graphs(self) -> str | None:
        return "freeze=auto looks at the gradients, which a recorded step keeps to itself"

    def depth(self, moment: Moment, layers: int) -> int:
        """Where it begins; from then on `Seen.depth` counts."""
        return layers + 1

    def checks_at(self, moment: Moment) -> bool:
        """Whether an interval ends before this step."""
        place = moment.step % moment.epoch_steps
        return moment.step > 0 and place in {round(i * moment.epoch_steps / self.checks) for i in range(self.checks)}

    def looked(self, seen: Seen) -> Seen:
        """At an interval's end: the depth from there on, and a new interval."""
        if seen.count == 0:
            return seen
        means = tuple(total / seen.count for total in seen.sums)
        depth = self._moved(seen.depth, means, seen.before) if seen.before else seen.depth
        return Seen(depth=depth, before=means)

    def _moved(self, depth: int, means: Sequence[float], before: Sequence[float]) -> int:
        layers = len(means)
        first = max(0, layers - depth)  # the frontmost layer that trains
        changes = [abs(b - a) / b if b else 0.0 for a, b in zip(means[first:], before[first:], strict=True)]
        limit = percentile(changes, self.percentile)
        settled = 0
        while settled < len(changes) - 1 and changes[settled] <= limit:
            settled += 1
        return depth if settled == 0 else layers - first - settled


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` percent of the values do not exceed, between them in a straight line."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
