"""The state of each run folder: running, finished, failed or interrupted; and who may write into it."""

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from frostline.errors import InputError
from frostline.secrets import redacted

log = logging.getLogger(__name__)

STATE, METRICS, LOCK = "state.json", "metrics.json", ".hydra/run.lock"
RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"
KILLED = "its process ended without a word (killed, or out of memory)"
LOCK_SECONDS = 2.0  # longer than a reader's look at the lock takes


def write(file: Path, text: str) -> None:
    """Write a text file in one step: a reader sees the old file or the new one, never a part."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file in one step, without secrets."""
    write(file, json.dumps(redacted(content), indent=2, ensure_ascii=False) + "\n")


def read_json(file: Path) -> dict[str, Any] | None:
    """The file's content, or None where there is no such file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def record(folder: Path, state: str, reason: str | None = None, **facts: object) -> None:
    """Set a run's state, with the reason for a failure or an interruption; earlier `facts` are kept."""
    earlier = {key: value for key, value in (read_json(folder / STATE) or {}).items() if key in ("id", "attempts")}
    now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "pid": os.getpid(), "host": socket.gethostname()}
    write_json(folder / STATE, {"state": state, "reason": reason, **earlier, **facts, **now})


def state(folder: Path) -> dict[str, Any] | None:
    """What was recorded last, or None for a folder that holds no run; a run whose process died is interrupted."""
    found = read_json(folder / STATE)
    if isinstance(found, dict) and found.get("state") == RUNNING and not _held(folder):
        found = {**found, "state": INTERRUPTED, "reason": KILLED}
    return found


def cells(sweep: Path) -> list[Path]:
    """The run folders of a sweep, by name."""
    return sorted(file.parent for file in sweep.glob(f"*/{STATE}"))


def require_same(folder: Path, identity: str, option: str) -> None:
    """InputError where the folder holds a run with other settings; `option` names what chooses another folder."""
    found = read_json(folder / STATE)
    if found and found.get("id") != identity:
        raise InputError(f"{folder} already holds another run: choose an empty folder with {option}=…")


@contextmanager
def claim(folder: Path, identity: str, option: str) -> Iterator[dict[str, Any] | None]:
    """Hold the folder for the run with this id: nobody else writes into it meanwhile.

    Gives the results of a run that is finished already, else None. Raises InputError, having written nothing, where
    the folder holds another run or another process is at it. The system frees the hold when the process dies.
    """
    require_same(folder, identity, option)
    before = state(folder) or {}
    lock = FileLock(folder / LOCK)
    (folder / LOCK).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise InputError(f"{folder} is being run by another process: wait for its end, or stop it") from None
    try:
        results = read_json(folder / METRICS)  # written last, and in one step
        if results is None:
            attempts = before.get("attempts", 0)
            if attempts:
                log.info(f"Attempt {attempts + 1}; the one before is {before['state']}: {before['reason']}.")
            record(folder, RUNNING, id=identity, attempts=attempts + 1)
        elif before.get("state") != FINISHED:
            record(folder, FINISHED)
        yield results
    finally:
        lock.release()


def _held(folder: Path) -> bool:
    """Whether a living process holds the folder."""
    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
