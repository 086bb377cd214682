"""Run folders → one table: a row for each finished run."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.table import Table

from frostline.sweep import ledger

# metrics.json's nested sections become columns of their own, `timing/fit_seconds`; F1 and its kin stay as they are.
FLAT = ("metrics",)
LEFT_OUT = ("versions",)


def collect(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """One flat row for each run in the folders (sweeps, or runs) that has results."""
    rows = []
    for folder in folders:
        for run in [folder] if (folder / ledger.METRICS).exists() else ledger.cells(folder):
            results = ledger.read_json(run / ledger.METRICS)
            if results is not None:
                rows.append({**_flat(results), "folder": str(run)})
    return rows


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


def write_csv(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """All rows, a column for each key that any of them has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    partial = file.with_name(f".{file.name}")
    partial.write_text(text.getvalue(), encoding="utf-8")
    partial.replace(file)


def summary(rows: Sequence[dict[str, Any]]) -> Table:
    """Freeze depth × data set, the mean over whatever else was swept."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"], row["freeze"]), []).append(row)
    split = "test" if any("test/f1" in row for row in rows) else "val"
    table = Table(title=f"Freeze depth × data set ({split} split)")
    for name, justify in [
        ("data", "left"), ("model", "left"), ("freeze", "left"), ("runs", "right"), ("F1", "right"),
        ("accuracy", "right"), ("fit s", "right"), ("total s", "right"), ("trainable", "right"),
    ]:  # fmt: skip
        table.add_column(name, justify=justify, no_wrap=True)
    previous = None
    # Data sets in the order they came, and in each the policy that trains most first.
    order = list(dict.fromkeys(row["data"] for row in rows))
    for key, runs in sorted(groups.items(), key=lambda g: (order.index(g[0][0]), -g[1][0]["parameters/trainable"])):
        if previous not in (None, key[0]):
            table.add_section()
        previous = key[0]
        table.add_row(
            *key,
            str(len(runs)),
            _mean(runs, f"{split}/f1", ".3f"),
            _mean(runs, f"{split}/accuracy", ".3f"),
            _mean(runs, "timing/fit_seconds", ".1f"),
            _mean(runs, "timing/total_seconds", ".1f"),
            _mean(runs, "parameters/trainable", ",.0f"),
        )
    return table


def _mean(runs: Sequence[dict[str, Any]], key: str, style: str) -> str:
    values = [run[key] for run in runs if key in run]
    return format(mean(values), style) if values else "–"
