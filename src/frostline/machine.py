"""What this machine has for cells that run side by side, found without importing torch."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from itertools import takewhile
from typing import Any

CORES_PER_CELL = 4  # more threads than that help a small batch little


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_devices() -> str | None:
    """CUDA_VISIBLE_DEVICES, None where nobody set it."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def gpus() -> list[str]:
    """The visible NVIDIA GPUs by the names CUDA_VISIBLE_DEVICES gives them, or else by number."""
    visible = visible_devices()
    if visible is None:
        return [str(number) for number in range(_installed_gpus())]
    return list(takewhile(lambda name: name not in ("", "-1"), map(str.strip, visible.split(","))))  # as CUDA reads it


@cache
def _installed_gpus() -> int:
    if shutil.which("nvidia-smi") is None:
        return 0
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def cells_at_once() -> int:
    """How many cells run well side by side: one a GPU; without a GPU two, or more where each has four cores."""
    return len(gpus()) or max(min(cores(), 2), cores() // CORES_PER_CELL)


def cores_per_cell() -> int:
    """An equal share of the cores for each of `cells_at_once`."""
    return max(1, cores() // cells_at_once())


def side_by_side(launcher: Mapping[str, Any]) -> int | None:
    """How many cells a Hydra launcher, given by its config, has at work here; None where it starts them all at once."""
    kind = str(launcher["_target_"]).rpartition(".")[2]
    if kind == "LocalLauncher":  # submitit's
        return None
    if kind == "JoblibLauncher":
        jobs = launcher.get("n_jobs", -1)
        return jobs if jobs > 0 else max(1, cores() + 1 + jobs)
    return 1
