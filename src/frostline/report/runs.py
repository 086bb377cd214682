"""Run folders as they lie on disk → cells: state and results."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from frostline.errors import InputError, one_line
from frostline.sweep import ledger

# What a cell's name may hold besides its setting: told elsewhere in metrics.json, or without influence on quality.
NOT_A_SETTING = re.compile(
    r"(data|model|freeze|freeze\.(n|train)|seed|optimizer\.lr|data\.(batch_size|max_length|path)|model\.name_or_path"
    r"|model\.describe|test|experiment|logger|callbacks|kernels|print_parameters|keep_checkpoints|trunk|trunk\..*"
    r"|hydra\..*|sweep\..*)"
)


@dataclass(frozen=True)
class Cell:
    """One run folder; `results` is metrics.json's content, None where the run has not finished or it is unreadable."""

    folder: Path
    state: str
    reason: str | None = None
    time: str = ""
    results: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return printable(self.folder.name)

    @property
    def data(self) -> str:
        return printable(self.results["data"])

    @property
    def model(self) -> str:
        return printable(self.results["model"])

    @cached_property
    def depth(self) -> str:
        """The freeze policy's name; a pattern's regular expressions belong to it."""
        name = printable(self.results["freeze"])
        given = self._overrides.get("freeze.train")
        return f"{name} {given}" if name == "pattern" and given else name

    @property
    def seed(self) -> object:
        return self.results.get("seed")

    @property
    def lr(self) -> float | None:
        return number(self.results.get("lr"))

    @property
    def tested(self) -> bool:
        return self.metric("test/f1") is not None

    @cached_property
    def setting(self) -> tuple[tuple[str, str], ...]:
        """What else was chosen for this cell, apart from data, model, depth and seed."""
        known = {"lr": rate(self.lr), "batch size": self.results.get("batch_size")}
        known["max length"] = self.results.get("max_length")
        rest = {key: value for key, value in self._overrides.items() if not NOT_A_SETTING.fullmatch(key)}
        return tuple((key, str(value)) for key, value in {**known, **rest}.items() if value is not None)

    @cached_property
    def _overrides(self) -> dict[str, str]:
        """The overrides in the cell's name; a comma inside a value is not followed by `key=`."""
        parts = re.split(r",(?=[+~]*[\w./@-]+=)", printable(self.results.get("cell") or ""))
        return {key.lstrip("+~"): value for key, _, value in (part.partition("=") for part in parts) if value}

    def metric(self, name: str) -> float | None:
        return number(self.results["metrics"].get(name))

    def seconds(self, phase: str) -> float | None:
        return number(self._section("timing").get(f"{phase}_seconds"))

    def parameters(self, which: str) -> float | None:
        return number(self._section("parameters").get(which))

    @property
    def moves(self) -> bool:
        """Whether what trains moved on the way."""
        return bool(self.results.get("moves"))

    @property
    def peak_bytes(self) -> float | None:
        return number(self._section("memory").get("peak_bytes"))

    @property
    def device(self) -> str | None:
        found = self._section("memory").get("device")
        return printable(found) if found else None

    @property
    def versions(self) -> dict[str, str]:
        return {printable(key): printable(value) for key, value in self._section("versions").items()}

    def history(self, metric: str) -> dict[float, float]:
        """A validation metric by epoch."""
        entries = self.results.get("history")
        entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        points = [(number(entry.get("epoch")), number(entry.get(metric))) for entry in entries]
        return {epoch: value for epoch, value in points if epoch is not None and value is not None}

    def _section(self, name: str) -> dict[str, Any]:
        found = self.results.get(name)
        return found if isinstance(found, dict) else {}


def number(value: object) -> float | None:
    """A finite number as it is, None for anything else."""
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if fine else None


def printable(value: object) -> str:
    """Text without what no file format takes: control characters, lone surrogates, line ends."""
    text = " ".join(str(value).split())
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)


def rate(lr: float | None) -> str | None:
    """A learning rate as people write it: 2e-5, 0.05."""
    if lr is None:
        return None
    if 0 < lr < 0.01:
        mantissa, _, exponent = f"{lr:.2e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{lr:g}"


def read(folders: Iterable[Path]) -> tuple[list[Cell], list[str]]:
    """Every cell in the folders (sweeps, runs, or folders of those), and a line for each thing that is wrong."""
    cells: dict[Path, Cell] = {}
    problems = []
    for folder in folders:
        try:
            found = run_folders(folder)
        except InputError as error:
            problems.append(str(error))
            continue
        for run in found:
            if run.resolve() not in cells:
                cells[run.resolve()], wrong = _cell(run)
                problems += wrong
    return list(cells.values()), problems


def run_folders(folder: Path) -> list[Path]:
    """The run folders in `folder`, itself included, by name; InputError where there are none."""
    try:
        if not folder.is_dir():
            what = "is not a folder" if folder.exists() else "does not exist"
            raise InputError(f"{folder} {what}: give a sweep's folder, such as multirun/2026-11-23/15-00-00")
        found = _search(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    if not found:
        raise InputError(f"{folder} holds no run (no state.json, no metrics.json): give a sweep's folder")
    return found


def _search(folder: Path) -> list[Path]:
    """Run folders at any depth; what is inside a run is not looked at."""
    if any((folder / name).is_file() for name in (ledger.STATE, ledger.METRICS)):
        return [folder]
    inner = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return [run for entry in inner if not entry.is_symlink() for run in _search(entry)]


def _cell(folder: Path) -> tuple[Cell, list[str]]:
    """One run folder; what is unreadable in it is left out and told in a line."""
    problems = []
    state, results = {}, None
    try:
        state = ledger.state(folder) or {}
        if not isinstance(state, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError) as error:
        problems.append(f"{printable(folder)}: state.json cannot be read ({short(error)})")
        state = {}
    try:
        results = ledger.read_json(folder / ledger.METRICS)
        _check(results)
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{printable(folder)}: left out, its metrics.json cannot be read ({short(error)})")
        results = None
    known = printable(state.get("state") or (ledger.FINISHED if results else "unknown"))
    if results is None and known == ledger.FINISHED and not problems:
        problems.append(f"{printable(folder)}: left out, it is marked as finished but has no metrics.json")
    if known == ledger.FAILED:
        results = None
    reason = state.get("reason")
    return Cell(folder, known, printable(reason) if reason else None, str(state.get("time") or ""), results), problems


def _check(results: object) -> None:
    """ValueError where metrics.json is not what a run writes."""
    if results is None:
        return
    if not isinstance(results, dict):
        raise ValueError("it is not an object")
    wrong = [key for key in ("data", "model", "freeze") if not isinstance(results.get(key), str)]
    if wrong or not isinstance(results.get("metrics"), dict):
        raise ValueError(f"no {(wrong or ['metrics'])[0]} in it")
    for name in ("test/f1", "val/f1"):
        if name in results["metrics"] and number(results["metrics"][name]) is None:
            raise ValueError(f"its {name} is {results['metrics'][name]}")


def short(error: BaseException) -> str:
    """What an error says, without its type, on part of a line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error).partition(": ")[2]
    return printable(text or one_line(error))[:160]
