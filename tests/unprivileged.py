"""Locked files and folders that stay locked for root, too, as it runs tests in a container."""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

VERSION = 0x20080522  # of capget's and capset's structures, linux/capability.h
READ_AND_WRITE_ANYTHING = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def locked(paths: Sequence[Path]) -> Iterator[None]:
    """While the block runs, this thread may neither read nor write the paths."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    try:
        with _as_anybody() if paths and os.geteuid() == 0 else nullcontext():
            yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def _as_anybody() -> Iterator[None]:
    """Without root's leave to read and write whatever there is."""
    if not sys.platform.startswith("linux"):
        pytest.skip("root cannot be kept from a file here")
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    before = data[0]
    data[0] &= ~READ_AND_WRITE_ANYTHING
    if libc.capset(header, data) != 0:
        pytest.skip(f"capset: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        data[0] = before
        libc.capset(header, data)
