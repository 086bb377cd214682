"""Whether a folder can be written, found out before the work whose results it is for."""

import os
import tempfile
from pathlib import Path

from frostline.errors import InputError


def require_writable(folder: Path, option: str) -> None:
    """InputError, which names the option that gives it, unless the folder is there or can be made, and takes files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InputError(
            f"{option}={os.path.relpath(folder)} cannot be written ({why}): choose another folder"
        ) from error
