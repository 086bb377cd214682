"""TensorBoard's event files, into whose writing neither Ctrl-C nor SIGTERM breaks."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger

STOPS = (signal.SIGINT, signal.SIGTERM)


class UninterruptedTensorBoardLogger(TensorBoardLogger):
    """Lightning's, but a signal that comes while it writes is dealt with afterwards.

    Its events go through a queue to a thread. An exception that a signal raises inside the queue's lock loses the
    thread's next wake-up, or the lock: the end of the run then waits for a thread that sleeps until its next flush, two
    minutes by default, or for ever.
    """

    def log_metrics(self, *args: Any, **options: Any) -> None:
        with signals_held():
            super().log_metrics(*args, **options)

    def log_hyperparams(self, *args: Any, **options: Any) -> None:
        with signals_held():
            super().log_hyperparams(*args, **options)

    def save(self) -> None:
        with signals_held():
            super().save()

    def finalize(self, status: str) -> None:
        with signals_held():
            super().finalize(status)


@contextmanager
def signals_held() -> Iterator[None]:
    """A block after which the first signal to stop that came in it is raised; does nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: handler for number in STOPS if (handler := signal.getsignal(number)) is not None
    }  # None: not ours
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
