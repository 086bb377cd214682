"""Whether a folder can be used, found out before the work whose results it is for."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from frostline.errors import InputError, is_no_room


@contextmanager
def usable(folder: Path, option: str) -> Iterator[None]:
    """A block that reads or writes there; what the system refuses becomes an InputError that names the option."""
    try:
        yield
    except OSError as error:
        if is_no_room(error):  # told with how to make some
            raise
        why = error.strerror or type(error).__name__
        raise InputError(
            f"{option}={os.path.relpath(folder)} cannot be written ({why}): choose another folder"
        ) from error


def require_writable(folder: Path, option: str) -> None:
    """InputError unless the folder is there or can be made, and takes files."""
    with usable(folder, option):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
