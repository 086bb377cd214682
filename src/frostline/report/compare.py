"""Cells → one comparison of depths for each data set and model: the figures that tables and pictures show."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from frostline.report.bootstrap import interval
from frostline.report.runs import Cell, printable, rate

FULL = "none"  # the policy that freezes nothing: full fine-tuning


@dataclass(frozen=True)
class Spread:
    """A mean over seeds and half of its 95 % interval (None: one seed)."""

    mean: float
    half: float | None
    count: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread | None":
        """None where there is no value."""
        known = [value for value in values if value is not None]
        return cls(fmean(known), interval(known), len(known)) if known else None

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.half is None else f"{self.mean:.3f} ± {self.half:.3f}"


@dataclass(frozen=True)
class Depth:
    """One freeze depth on one data set at its best setting; a figure is None where no cell told it.

    `fit` is a run's mean seconds; `trunk` what all its cells paid, `share` what each would pay if the trunk's whole
    cost were shared out evenly (a schedule, whose trunk serves no other run, pays its own); `kept`, `speedup` and
    `speedup_with_trunk` are ratios to full fine-tuning.
    """

    name: str
    cells: tuple[Cell, ...]
    settings: int
    f1: Spread | None
    accuracy: Spread | None
    fit: float | None
    trunk: float
    share: float
    kept: float | None = None
    speedup: float | None = None
    speedup_with_trunk: float | None = None

    @property
    def trainable(self) -> float:
        """Trainable parameters, a mean over seeds: schedules may move at other steps with another seed."""
        return fmean(cell.parameters("trainable") or 0 for cell in self.cells)

    @property
    def trained_share(self) -> float | None:
        """The part of all parameters that trains."""
        total = self.cells[0].parameters("total")
        return self.trainable / total if total else None

    @property
    def lr(self) -> str:
        rates = dict.fromkeys(rate(cell.lr) or "–" for cell in self.cells)
        return ", ".join(rates)

    @property
    def memory(self) -> float | None:
        return max((cell.peak_bytes for cell in self.cells if cell.peak_bytes is not None), default=None)

    @property
    def seconds(self) -> float | None:
        """A run's training seconds with its share of the trunk."""
        return None if self.fit is None else self.fit + self.share


@dataclass(frozen=True)
class Group:
    """The depths that one data set and model were tried with, most trainable parameters first.

    `split` is `test`, or `val` where nothing was tested; `rates` is the validation F1 by depth and learning rate, where
    several were tried.
    """

    data: str
    model: str
    split: str
    depths: tuple[Depth, ...]
    cells: tuple[Cell, ...]
    rates: dict[str, dict[float, Spread]] = field(default_factory=dict)

    @property
    def full(self) -> Depth | None:
        return next((depth for depth in self.depths if depth.name == FULL), None)

    @property
    def trunk_seconds(self) -> float:
        return sum(cell.seconds("trunk") or 0 for cell in self.cells)

    @property
    def best_cell(self) -> Cell | None:
        """The tested cell with the best validation F1."""
        tested = [cell for cell in self.cells if cell.tested and cell.metric("val/f1") is not None]
        return max(tested, key=lambda cell: cell.metric("val/f1"), default=None)


def groups(cells: Iterable[Cell]) -> tuple[list[Group], list[str]]:
    """One group for each data set and model among the cells with results, and a line for each cell left out."""
    kept, notes = without_repeats([cell for cell in cells if cell.results is not None])
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in kept:
        found.setdefault((cell.data, cell.model), []).append(cell)
    return [_group(data, model, members) for (data, model), members in found.items()], notes


def without_repeats(cells: Sequence[Cell]) -> tuple[list[Cell], list[str]]:
    """The later one of cells with the same identity, or the same data, model, depth, setting and seed."""
    notes = []
    for same in (_identity, _place):
        latest: dict[object, Cell] = {}
        for cell in sorted(cells, key=lambda cell: cell.time):
            if same(cell) in latest:
                older = latest[same(cell)]
                notes.append(f"{printable(older.folder)} was run again: {printable(cell.folder)} counts in its place.")
            latest[same(cell)] = cell
        chosen = {cell.folder for cell in latest.values()}
        cells = [cell for cell in cells if cell.folder in chosen]
    return list(cells), notes


def _identity(cell: Cell) -> object:
    return cell.results.get("id") or cell.folder


def _place(cell: Cell) -> object:
    return cell.data, cell.model, cell.depth, cell.setting, str(cell.seed), cell.tested


def _group(data: str, model: str, cells: list[Cell]) -> Group:
    tested = [cell for cell in cells if cell.tested]
    split = "test" if tested else "val"
    sharing = [cell for cell in cells if not cell.moves]
    trunk = sum(cell.seconds("trunk") or 0 for cell in sharing)
    share = trunk / max(1, sum(_freezes(cell) for cell in sharing))
    by_depth: dict[str, list[Cell]] = {}
    for cell in tested or cells:
        by_depth.setdefault(cell.depth, []).append(cell)
    depths = [_depth(name, members, split, share) for name, members in by_depth.items()]
    full = next((depth for depth in depths if depth.name == FULL), None)
    depths = [_beside(depth, full) for depth in depths]
    depths.sort(key=lambda depth: (-depth.trainable, depth.name))
    return Group(data, model, split, tuple(depths), tuple(cells), _rates(cells))


def _freezes(cell: Cell) -> bool:
    return bool(cell.parameters("frozen")) if cell.parameters("frozen") is not None else cell.depth != FULL


def _depth(name: str, cells: list[Cell], split: str, share: float) -> Depth:
    """A depth at the setting with the best mean validation F1: never chosen by test results."""
    settings: dict[object, list[Cell]] = {}
    for cell in cells:
        settings.setdefault(cell.setting, []).append(cell)
    chosen = max(settings.values(), key=lambda members: (_validation(members), len(members)))
    chosen.sort(key=lambda cell: str(cell.seed).zfill(12))
    fits = [cell.seconds("fit") for cell in chosen if cell.seconds("fit") is not None]
    own = fmean(cell.seconds("trunk") or 0 for cell in chosen)
    return Depth(
        name=name,
        cells=tuple(chosen),
        settings=len(settings),
        f1=Spread.of(cell.metric(f"{split}/f1") for cell in chosen),
        accuracy=Spread.of(cell.metric(f"{split}/accuracy") for cell in chosen),
        fit=fmean(fits) if fits else None,
        trunk=sum(cell.seconds("trunk") or 0 for cell in chosen),
        share=own if chosen[0].moves else share if _freezes(chosen[0]) else 0.0,
    )


def _validation(cells: Iterable[Cell]) -> float:
    spread = Spread.of(cell.metric("val/f1") for cell in cells)
    return spread.mean if spread else -1.0


def _beside(depth: Depth, full: Depth | None) -> Depth:
    """The depth with its ratios to full fine-tuning."""
    if full is None:
        return depth
    ratios = {
        "kept": _ratio(depth.f1 and depth.f1.mean, full.f1 and full.f1.mean),
        "speedup": _ratio(full.fit, depth.fit),
        "speedup_with_trunk": _ratio(full.seconds, depth.seconds),
    }
    return replace(depth, **ratios)


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _rates(cells: Sequence[Cell]) -> dict[str, dict[float, Spread]]:
    """Mean validation F1 by depth and learning rate: of the untested cells of a grid, else of the tested ones."""
    found: dict[str, dict[float, list[float | None]]] = {}
    for depth in dict.fromkeys(cell.depth for cell in sorted(cells, key=lambda c: -(c.parameters("trainable") or 0))):
        members = [cell for cell in cells if cell.depth == depth and cell.lr is not None]
        for cell in [cell for cell in members if not cell.tested] or members:
            found.setdefault(depth, {}).setdefault(cell.lr, []).append(cell.metric("val/f1"))
    spreads = {
        depth: {lr: spread for lr, values in sorted(by_lr.items()) if (spread := Spread.of(values))}
        for depth, by_lr in found.items()
    }
    return spreads if len({cell.lr for cell in cells}) > 1 else {}


def to_pair(found: Iterable[Group]) -> list[Cell]:
    """The cells whose test predictions a report needs: those of the table, and the best by validation."""
    cells = [cell for group in found if group.split == "test" for depth in group.depths for cell in depth.cells]
    cells += [group.best_cell for group in found if group.best_cell]
    return list({cell.folder: cell for cell in cells}.values())
