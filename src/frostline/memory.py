"""What a run's memory begins with, and its peak."""

import contextlib
import gc
import os
import resource
import sys
from pathlib import Path

import torch

from frostline import heap


def prepare() -> None:
    """At a run's start: free what the run before it left, and let few kernels be kept."""
    give_back()
    keep_few_kernels()


def give_back() -> None:
    """Free what an earlier run in this process left: models in reference cycles, mapped caches, kept blocks."""
    gc.collect()
    heap.give_back_freed()


def keep_few_kernels() -> None:
    """Let oneDNN keep the kernels that it made for the latest shapes alone, unless the environment says otherwise.

    Each takes up to half a megabyte and a millisecond to make, every length of batch brings twelve, and oneDNN's own
    limit is 1024 of them. To be called before the first one is made. So many are enough for sixteen lengths; with half
    of them training takes a tenth longer, for making them again and again.
    """
    for cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):  # the second is torch's own, in front of it
        os.environ.setdefault(cache, "256")


def reset_peak(device: torch.device) -> None:
    """Forget earlier peaks, so that each cell of a sweep in one process tells its own."""
    if device.type == "cuda":
        torch.cuda.init()  # else the allocator knows no device
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # not Linux, or not allowed: the peak is then the process's own
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Bytes at the peak: allocated on the GPU, or resident in this process on the CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
