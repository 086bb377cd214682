"""The one exception that a user's slip raises."""

from omegaconf import MissingMandatoryValue


class InputError(Exception):
    """Something given is wrong; the message is one line: what was given, what is allowed, how to fix it."""


def one_line(error: BaseException) -> str:
    """The message of an error on a single line, with its type where it is not ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def slip(error: Exception) -> Exception:
    """The user's slip behind an error: Hydra wraps what a constructor raises, and has its own for a missing value."""
    if isinstance(error, MissingMandatoryValue):
        return InputError(f"{error.full_key} is not given: set {error.full_key}=…")
    found: BaseException | None = error
    while found is not None and not isinstance(found, InputError):
        found = found.__cause__
    return found or error
