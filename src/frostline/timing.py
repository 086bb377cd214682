"""Where a run's seconds go: every second belongs to exactly one phase."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO

PHASES = ("setup", "trunk", "fit", "validation", "checkpoint", "test", "results")


class Clock:
    """A stopwatch with phases; one is running at any time, so the phases add up to the total.

    `started`, a reading of `time.perf_counter`, is where `setup` begins.
    """

    def __init__(self, started: float) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self._phase = "setup"
        self._since = started

    def switch(self, phase: str) -> str:
        """End the running phase and start `phase`; returns the ended one."""
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()  # work still queued belongs to the phase that queued it
        now = time.perf_counter()
        self.seconds[self._phase] += now - self._since
        ended, self._phase, self._since = self._phase, phase, now
        return ended

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Run a block as `name`, then go back to the phase before."""
        before = self.switch(name)
        try:
            yield
        finally:
            self.switch(before)

    def add(self, seconds: dict[str, float]) -> None:
        """Count the phases of an earlier part of the same run."""
        for phase, value in seconds.items():
            self.seconds[phase] += value

    def report(self) -> dict[str, float]:
        """Seconds of each phase so far and their sum, as metrics.json names them."""
        self.switch(self._phase)
        parts = {f"{phase}_seconds": round(seconds, 3) for phase, seconds in self.seconds.items()}
        return {**parts, "total_seconds": round(sum(parts.values()), 3)}


class PhaseTimer(pl.Callback):
    """Tells the clock when training and validation begin and end; a run that goes on counts what came before."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._before_fit = self._before_validation = "setup"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_fit = self.clock.switch("fit")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.clock.switch(self._before_fit)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before_validation = self.clock.switch("validation")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.clock.switch(self._before_validation)

    def state_dict(self) -> dict[str, float]:
        self.clock.report()
        return dict(self.clock.seconds)

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self.clock.add(state_dict)


class TimedCheckpointIO(TorchCheckpointIO):
    """Lightning's own checkpoint files, written to a partial name and renamed, the time counted as `checkpoint`.

    Lightning's own writing builds the file twice in memory first.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        with self.clock.phase("checkpoint"):
            file = Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.partial")
            try:
                torch.save(checkpoint, partial)
                partial.replace(file)
            finally:
                partial.unlink(missing_ok=True)
