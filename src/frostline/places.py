"""A GPU of its own for each of the cells that run side by side, as a lock file that the system frees on death."""

import getpass
import logging
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from frostline import machine

log = logging.getLogger(__name__)

ON_GPU = ("auto", "gpu", "cuda")
LOOK_AGAIN_SECONDS = 0.5
_warm: list[int] = []  # the places this process held, the latest first: its memory on a GPU is there already


@contextmanager
def place(launcher: Mapping[str, Any], accelerator: str, devices: object) -> Iterator[int | None]:
    """Hold a place for one cell while the block runs; gives its GPU's index among the visible ones, None without.

    `launcher` is Hydra's config of it. Ray and Slurm show a cell its own GPU alone: nothing is left to choose. Joblib
    and the basic launcher share the GPUs out; submitit's local one starts all cells at once, so they wait their turn.
    """
    at_once = machine.side_by_side(launcher)
    gpus = machine.gpus() if accelerator in ON_GPU else []
    if devices != 1 or (len(gpus) < 2 and at_once is not None):
        yield None
    elif gpus:
        rounds = math.ceil((at_once or 1) / len(gpus))
        with lease([f"gpu-{name}" for name in gpus], rounds, wait=at_once is None) as index:
            yield index
    else:
        turns = max(1, machine.cores() // (launcher.get("cpus_per_task") or machine.cores_per_cell()))
        with lease([f"cpu-{number}" for number in range(turns)], 1, wait=True):
            yield None


@contextmanager
def lease(names: Sequence[str], rounds: int, wait: bool, folder: Path | None = None) -> Iterator[int]:
    """Hold one of the named places while the block runs; gives its index.

    A place has room for `rounds` holders, and no place gets a second before each has a first. Where all are taken, it
    waits for one, or shares one without holding it. The locks are this user's, for the whole machine.
    """
    folder = folder or Path(tempfile.gettempdir()) / f"frostline-{getpass.getuser()}"
    folder.mkdir(parents=True, exist_ok=True)
    held = _take(names, rounds, folder)
    if held is None and wait:
        log.info(f"Waiting for one of {', '.join(names)}: other cells are on them.")
        while held is None:
            time.sleep(LOOK_AGAIN_SECONDS)
            held = _take(names, rounds, folder)
    if held is None:
        yield os.getpid() % len(names)
        return
    index, lock = held
    if index in _warm:
        _warm.remove(index)
    _warm.insert(0, index)
    try:
        yield index
    finally:
        lock.release()


def _take(names: Sequence[str], rounds: int, folder: Path) -> tuple[int, FileLock] | None:
    """A free place, one this process was on before if it can be had."""
    order = sorted(range(len(names)), key=lambda index: _warm.index(index) if index in _warm else len(_warm))
    for turn in range(rounds):
        for index in order:
            lock = FileLock(folder / f"{re.sub('[^A-Za-z0-9-]', '_', names[index])}.{turn}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return index, lock
    return None
