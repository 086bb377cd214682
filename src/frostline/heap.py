"""What the C library, where it is glibc, does with memory that was freed. Nothing here imports torch."""

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8  # glibc's malloc.h


def keep_freed() -> None:
    """Let glibc use freed memory again instead of returning it to the system.

    By default a tensor of some megabytes is mapped anew each time, and the system clears it page by page: in full
    fine-tuning on a CPU a fifth of the time. All threads that are yet to start share one arena, the main thread's: by
    default what one of them frees only some of them get again. Does nothing where the C library is another.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_ARENA_MAX, 1)


def give_back_freed() -> None:
    """Return what `keep_freed` keeps, which takes milliseconds: for the end of work that takes much memory."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
