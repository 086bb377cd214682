"""What an error means to the user: a slip of theirs, a full disk, too little memory. Nothing here imports torch."""

import re
from collections.abc import Iterator
from pathlib import Path

from hydra.errors import InstantiationException
from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf

from frostline.errors import InputError, is_no_room

# How Hydra tells that a class has no such argument.
UNKNOWN_OPTION = re.compile(r"got an unexpected keyword argument '(\w+)'.*full_key: ([\w.]+)", re.DOTALL)
# The last three are oneDNN's, which tells no reason.
NO_MEMORY = (
    "out of memory", "can't allocate memory", "Unable to allocate", "bad_alloc", "could not create a memory",
    "could not create a primitive", "could not execute a primitive",
)  # fmt: skip


def slip(error: Exception) -> Exception:
    """The user's slip behind an error: Hydra wraps what a constructor raises, and has its own for a missing value."""
    if isinstance(error, MissingMandatoryValue):
        return InputError(f"{error.full_key} is not given: set {error.full_key}=…")
    if isinstance(error, InstantiationException) and (unknown := UNKNOWN_OPTION.search(str(error))):
        return InputError(f"{unknown[2]}.{unknown[1]} is no option of {unknown[2]}: leave it out")
    return next((cause for cause in _causes(error) if isinstance(cause, InputError)), error)


def told(error: Exception, cfg: DictConfig, folder: Path, to_go_on: str) -> Exception:
    """An error of a run in `folder` as one the user can act on, where it is one; `to_go_on` is the command for that."""
    found = slip(error)
    if isinstance(found, InputError):
        return found
    for cause in _causes(error):
        if is_no_room(cause):
            where = getattr(cause, "filename", None) or folder
            return InputError(f"no room is left on the disk of {where}: make room, then go on with: {to_go_on}")
        if _is_no_memory(cause):
            size = OmegaConf.select(cfg, "data.batch_size")
            smaller = f"data.batch_size={size // 2}, " if isinstance(size, int) and size > 1 else ""
            return InputError(
                f"out of memory with data.batch_size={size}: try {smaller}a smaller data.max_length, "
                "or a freeze that trains fewer layers"
            )
    return error


def _is_no_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
