"""What a user may name as a model: a run's folder, its `model/`, or a sweep's, which stands for its best run."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from frostline.errors import InputError
from frostline.report import runs
from frostline.report.runs import Cell


@dataclass(frozen=True)
class Found:
    """A folder of weights; `folder` is the run, or what was named; `choice` a line on how a sweep's run was chosen."""

    model: Path
    folder: Path
    choice: str | None = None


def find(folder: Path) -> Found:
    """The model that `folder` stands for; InputError where there is none, or no saying which."""
    if model := model_in(folder):
        return Found(model, folder)
    cells = trained_cells(folder)
    sets = sorted({cell.data for cell in cells})
    if len(sets) > 1:
        named = ", ".join(str(best(cell for cell in cells if cell.data == name).folder) for name in sets)
        raise InputError(f"{folder} holds runs on {' and '.join(sets)}: name one of them, such as the best: {named}")
    chosen = best(cells)
    line = f"{chosen.folder}: the best of {len(cells)} runs by validation F1 ({chosen.metric('val/f1') or 0:.3f})"
    return Found(chosen.folder / "model", chosen.folder, line)


def model_in(folder: Path) -> Path | None:
    """The folder of the weights: `folder` itself or its `model/`."""
    return next((place for place in (folder / "model", folder) if (place / "config.json").is_file()), None)


def trained_cells(folder: Path) -> list[Cell]:
    """The finished runs in a sweep's folder that kept their model; InputError where there are none."""
    if not folder.exists():
        raise InputError(f"{folder} does not exist: give a run folder, such as outputs/2026-11-23/15-00-00")
    try:
        cells = runs.read([folder])[0]
    except InputError:
        cells = []
    found = [cell for cell in cells if cell.results and (cell.folder / "model" / "config.json").is_file()]
    if not found:
        what = f"none of its {len(cells)} runs has a model yet" if cells else "no model/config.json, no config.json"
        raise InputError(f"{folder} holds no model ({what}): give a finished run's folder, or its model/ folder")
    return found


def best(cells: Iterable[Cell]) -> Cell:
    """The run with the highest validation F1; of equal ones the first by name."""
    return max(cells, key=lambda cell: -1.0 if (f1 := cell.metric("val/f1")) is None else f1)
