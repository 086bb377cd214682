"""Rich tables as plain text, for the terminal and for train.log alike."""

import io
import logging
import shutil
import sys

from rich.console import Console, RenderableType


def rendered(what: RenderableType, least: int = 100) -> str:
    """The lines that a terminal of `least` columns or more would show, without colours."""
    stream = io.StringIO()
    width = max(least, shutil.get_terminal_size().columns)
    Console(file=stream, width=width, color_system=None).print(what)
    return stream.getvalue()


class LogFile(logging.FileHandler):
    """A log that a full disk costs some lines; Python's own would show a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


class BelowError(logging.Filter):
    """Keeps errors off standard output: they go to standard error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR
