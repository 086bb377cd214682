"""glibc shares what is freed among all threads, and hands it out again."""

import platform
import subprocess
import sys

import pytest

THREADS_ALLOCATE = """
import ctypes, threading

from frostline.startup import quick_imports

with quick_imports():
    import torch

together = threading.Barrier(4)  # so that no thread's arena is free for another

def work():
    together.wait()
    made = [ctypes.create_string_buffer(10_000) for _ in range(100)]
    together.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL("libc.so.6")
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_threads_of_imports_and_ours_share_one_arena():
    done = subprocess.run([sys.executable, "-c", THREADS_ALLOCATE], capture_output=True, text=True, check=True)
    assert done.stdout.count("<heap nr=") == 1
