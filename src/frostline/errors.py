"""The one exception that a user's slip raises, and what is read off others."""

import errno
import os

from frostline.secrets import redact

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
# safetensors has the system's words and no number; the others are torch's, whose writer tells no reason.
NO_ROOM_WORDS = (*map(os.strerror, NO_ROOM), "file write failed", "unexpected pos")


class InputError(Exception):
    """Something given is wrong; the message is one line: what was given, what is allowed, how to fix it."""


def not_installed(what: str, packages: str, extra: str) -> InputError:
    """The error for what needs packages of an extra, with the command that installs it."""
    return InputError(f"{what} needs {packages}: pip install '.[{extra}]' in the project's folder")


def one_line(error: BaseException) -> str:
    """The message of an error on a single line, without secrets, with its type where it is not ours."""
    text = redact(" ".join(str(error).split()))
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def is_no_room(error: BaseException) -> bool:
    """Whether a disk or a quota is full."""
    return getattr(error, "errno", None) in NO_ROOM or any(words in str(error) for words in NO_ROOM_WORDS)
