"""A run or a sweep → who is asked about a sentence: for each data set, the best run of every freeze depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from frostline.predict.folders import best, model_in, trained_cells
from frostline.report import runs
from frostline.report.formats import size
from frostline.report.predictions import FILE
from frostline.report.runs import Cell
from frostline.report.wording import training

EXAMPLES, EXAMPLE_LENGTH = 6, 300
Example = tuple[str, ...]  # a text, or a pair's two


@dataclass(frozen=True)
class Judge:
    """One trained classifier; `cell` is its run, None for a `model/` folder without one."""

    name: str
    model: Path
    device: str
    cell: Cell | None = None

    @cached_property
    def predictor(self):
        """The classifier in memory."""
        from frostline.predict.predictor import Predictor

        return Predictor(self.model, self.device)

    @property
    def about(self) -> str:
        """What of the encoder it trained, in words."""
        return f"trains {training(self.cell.depth)}" if self.cell else ""

    @property
    def cost(self) -> list[tuple[str, str]]:
        """What its training took and gave: names and figures."""
        if self.cell is None:
            return []
        fit, trunk, f1 = self.cell.seconds("fit"), self.cell.seconds("trunk"), self.cell.metric("test/f1")
        time = "–" if fit is None else f"{fit:.1f} s" + (f" + {trunk:.1f} s trunk" if (trunk or 0) >= 0.05 else "")
        quality = ("test F1", f1) if f1 is not None else ("validation F1", self.cell.metric("val/f1"))
        return [
            ("training", time),
            (quality[0], "–" if quality[1] is None else f"{quality[1]:.3f}"),
            ("trainable parameters", size(self.cell.parameters("trainable"))),
        ]


@dataclass(frozen=True)
class Bench:
    """Everyone who can be asked about one data set's texts, the deepest trained first, and texts to begin with."""

    data: str
    judges: tuple[Judge, ...]
    examples: tuple[Example, ...]

    @property
    def pairs(self) -> bool:
        """Whether the texts come in pairs."""
        return any(len(example) == 2 for example in self.examples)


def benches(folder: Path, device: str = "auto") -> list[Bench]:
    """One for each data set in the folder; InputError where it holds no model."""
    if model := model_in(folder):
        return [_alone(folder, model, device)]
    cells = trained_cells(folder)
    return [_bench([cell for cell in cells if cell.data == data], device) for data in sorted({c.data for c in cells})]


def _alone(folder: Path, model: Path, device: str) -> Bench:
    run = model.parent if model.name == "model" else model
    try:
        cell = next(cell for cell in runs.read([run])[0] if cell.results)
    except StopIteration:
        return Bench(folder.name, (Judge(folder.name, model, device),), ())
    return Bench(cell.data, (Judge(cell.depth, model, device, cell),), _examples([cell]))


def _bench(cells: Sequence[Cell], device: str) -> Bench:
    """The best run by validation F1 of each model and depth."""
    several = len({cell.model for cell in cells}) > 1
    kinds = dict.fromkeys((cell.model, cell.depth) for cell in cells)
    chosen = [best(cell for cell in cells if (cell.model, cell.depth) == kind) for kind in kinds]
    chosen.sort(key=lambda cell: (-(cell.parameters("trainable") or 0), cell.name))
    judges = [
        Judge(f"{cell.model} {cell.depth}" if several else cell.depth, cell.folder / "model", device, cell)
        for cell in chosen
    ]
    return Bench(cells[0].data, tuple(judges), _examples(chosen))


def _examples(cells: Sequence[Cell]) -> tuple[Example, ...]:
    """Test texts, half of them such that the runs disagree about, where they were tested on the same texts."""
    tables = [pq.read_table(file) for cell in cells if (file := cell.folder / FILE).is_file()]
    if not tables:
        return ()
    columns = [column for column in ("text", "text_pair") if column in tables[0].column_names]
    texts = list(zip(*(tables[0][column].to_pylist() for column in columns), strict=True))
    guesses = [t["prediction"].to_pylist() for t in tables if t.num_rows == len(texts)]
    short = [i for i, text in enumerate(texts) if sum(map(len, text)) <= EXAMPLE_LENGTH]
    disputed = [i for i in short if len({column[i] for column in guesses}) > 1]
    agreed = [i for i in short if i not in set(disputed)]
    chosen = _spread(disputed, EXAMPLES // 2)
    return tuple(texts[i] for i in [*chosen, *_spread(agreed, EXAMPLES - len(chosen))])


def _spread(places: Sequence[int], count: int) -> list[int]:
    """So many of the places, evenly over them."""
    return [places[i * len(places) // count] for i in range(count)] if len(places) > count else list(places)
