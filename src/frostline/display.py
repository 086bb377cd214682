"""Rich tables as plain text, for the terminal and for train.log alike."""

import io
import logging
import shutil

from rich.console import Console, RenderableType


def rendered(what: RenderableType, least: int = 100) -> str:
    """The lines that a terminal of `least` columns or more would show, without colours."""
    stream = io.StringIO()
    width = max(least, shutil.get_terminal_size().columns)
    Console(file=stream, width=width, color_system=None).print(what)
    return stream.getvalue()


class BelowError(logging.Filter):
    """Keeps errors off standard output: they go to standard error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno < logging.ERROR
