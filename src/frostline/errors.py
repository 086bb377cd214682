"""The one exception that a user's slip raises."""

from frostline.secrets import redact


class InputError(Exception):
    """Something given is wrong; the message is one line: what was given, what is allowed, how to fix it."""


def one_line(error: BaseException) -> str:
    """The message of an error on a single line, without secrets, with its type where it is not ours."""
    text = redact(" ".join(str(error).split()))
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"
