"""How memory is asked for and given back, and the peak of one run."""

import contextlib
import ctypes
import gc
import os
import resource
import sys
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def prepare() -> None:
    """At a run's start: free what the run before it left, and let allocations cost little."""
    give_back()
    keep_freed()
    keep_few_kernels()


def keep_freed() -> None:
    """Let glibc use freed memory again instead of returning it to the system.

    By default a tensor of some megabytes is mapped anew each time, and the system clears it page by page: in full
    fine-tuning on a CPU a fifth of the time. All threads share what is free: by default what one of them frees only
    threads get again. Does nothing where the C library is another.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def give_back() -> None:
    """Free what an earlier run in this process left: models in reference cycles, mapped caches, kept blocks."""
    gc.collect()
    give_back_freed()


def give_back_freed() -> None:
    """Return what `keep_freed` keeps, which takes milliseconds: for the end of work that takes much memory."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


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
