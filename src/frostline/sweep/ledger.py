"""The state of each run folder: running, finished, failed or interrupted."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STATE, METRICS = "state.json", "metrics.json"
RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one step: a reader sees the old file or the new one, never a part."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(file)


def record(folder: Path, state: str, reason: str | None = None) -> None:
    """Set a run's state, with the reason for a failure or an interruption."""
    content = {"state": state, "reason": reason, "time": time.strftime("%Y-%m-%dT%H:%M:%S"), "pid": os.getpid()}
    write_json(folder / STATE, content)


def read_json(file: Path) -> dict[str, Any] | None:
    """The file's content, or None where there is no such file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def state(folder: Path) -> dict[str, Any] | None:
    """What `record` wrote last, or None for a folder that holds no run."""
    return read_json(folder / STATE)


def cells(sweep: Path) -> list[Path]:
    """The run folders of a sweep, by name."""
    return sorted(file.parent for file in sweep.glob(f"*/{STATE}"))
