"""Cells → sweep.csv: a row for each cell with results, a column for each figure."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from frostline.report.runs import Cell

# metrics.json's nested sections become columns of their own, `timing/fit_seconds`; F1 and its kin stay as they are.
FLAT = ("metrics",)
LEFT_OUT = ("versions", "history")


def rows(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """One flat row for each cell with results."""
    return [{**_flat(cell.results), "folder": str(cell.folder)} for cell in cells if cell.results is not None]


def _flat(results: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in results.items():
        if key in LEFT_OUT:
            continue
        if isinstance(value, dict):
            row.update({name if key in FLAT else f"{key}/{name}": item for name, item in value.items()})
        else:
            row[key] = value
    return row


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """All rows, a column for each key that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
