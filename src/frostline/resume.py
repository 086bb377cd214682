"""What lets a run that was stopped go on as if it had not been: last.ckpt, written often, with every random state."""

import logging
import os
import random
import shutil
import time
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import is_zipfile

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint

from frostline.errors import InputError

log = logging.getLogger(__name__)

CHECKPOINTS, BEST, LAST = "checkpoints", "best.ckpt", "last.ckpt"


class BestCheckpoint(ModelCheckpoint):
    """The best epoch's weights by validation F1, as `best.ckpt`; in a folder of another name it goes on, too."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            dirpath=folder, filename=BEST.removesuffix(".ckpt"), monitor="val/f1", mode="max", save_weights_only=True,
            enable_version_counter=False, auto_insert_metric_name=False,
        )  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        score, own = state_dict["best_model_score"], Path(self.dirpath, BEST)
        if score is None:
            return  # no epoch had ended
        held = torch.load(own, weights_only=True, mmap=True)["validation"]["val/f1"] if own.exists() else None
        if held != score:
            log.warning(
                f"The best epoch so far (validation F1 {score:.3f}) is not in a {BEST} beside the checkpoint: "
                "the best from here on counts."
            )
            return
        here = {"best_model_path": str(own), "kth_best_model_path": str(own), "best_k_models": {str(own): score}}
        super().load_state_dict({**state_dict, **here, "dirpath": self.dirpath})


def take_best_along(checkpoint: Path, folder: Path) -> None:
    """Copy the `best.ckpt` beside a checkpoint that a user names into this run's own folder for them."""
    best = checkpoint.parent / BEST
    if best.is_file() and best.parent.resolve() != folder.resolve():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{BEST}.{os.getpid()}"  # each device's process brings its own
        shutil.copyfile(best, fresh)
        fresh.replace(folder / BEST)


class LastCheckpoint(Checkpoint):
    """Writes `file` at each epoch's end and every `minutes` inside one.

    With Lightning's own state it holds the loader's place within the epoch and the random states of torch, NumPy and
    Python, in a form that torch's `weights_only` loading takes; a run that goes on from it sees the texts and draws the
    numbers that an uninterrupted one would.
    """

    def __init__(self, file: Path, minutes: float) -> None:
        self.file = file
        self.seconds = 60 * minutes
        self._written = time.monotonic()
        self._trainer: pl.Trainer | None = None
        self._restored: dict[str, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._written = time.monotonic()
        self._trainer = trainer
        if self._restored is not None:
            # Lightning restores the loader's place, too, but not where the schedule asked for its length before.
            trainer.train_dataloader.load_state_dict(self._restored["loader"])
        states = self._restored["random"] if self._restored else []
        if trainer.global_rank < len(states):
            set_random_state(states[trainer.global_rank])
        elif trainer.global_rank > 0:  # dropout of its own
            torch.manual_seed(trainer.global_step * trainer.world_size + trainer.global_rank)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        due = time.monotonic() - self._written >= self.seconds
        if trainer.world_size > 1:
            due = trainer.strategy.broadcast(due)
        # After an epoch's last batch validation comes first, and then the epoch's own checkpoint.
        if due and not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            self._write(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.file)
        self._written = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        states = [random_state()]
        if (ranks := self._trainer.world_size) > 1:
            own, states = states[0], [None] * ranks
            torch.distributed.all_gather_object(states, own)
        return {"random": states, "loader": self._trainer.train_dataloader.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._restored = state_dict


def random_state() -> dict[str, Any]:
    """The states of all generators that training may draw from, as tensors, numbers and tuples."""
    kind, keys, *place = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), *place),
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put `random_state()` back."""
    torch.set_rng_state(state["torch"].cpu())
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([part.cpu() for part in state["cuda"]])
    kind, keys, *place = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *place))
    random.setstate(state["python"])


def require_fits(file: Path, classifier: pl.LightningModule) -> None:
    """InputError unless a checkpoint that a user names can be gone on from by this run: whole, its own kind and size.

    Nothing but tensors and plain values is read from it: a pickle could run code.
    """
    another = "give a last.ckpt of a run with the same model and labels"
    try:
        held = torch.load(file, weights_only=True, mmap=is_zipfile(file))
    except Exception as error:  # zip, pickle and torch have many ways to say that a file is damaged
        if isinstance(error, UnpicklingError) and "GLOBAL" in str(error):
            raise InputError(f"resume={file} holds more than numbers, which could run code: {another}") from error
        why = " ".join(str(error).split())[:80]
        raise InputError(f"resume={file} is damaged or no checkpoint ({why}): {another}") from error
    if not isinstance(held, dict) or not {"state_dict", "loops"} <= set(held):
        raise InputError(f"resume={file} is no checkpoint of a run: {another}")
    if "optimizer_states" not in held:
        raise InputError(f"resume={file} holds weights alone, as best.ckpt does: {another}")
    shapes = {name: tuple(tensor.shape) for name, tensor in held["state_dict"].items()}
    ours = {name: tuple(tensor.shape) for name, tensor in classifier.state_dict().items()}
    differ = sorted(name for name in {*shapes, *ours} if shapes.get(name) != ours.get(name))
    if differ:
        sizes = [each.get(differ[0], "absent") for each in (shapes, ours)]
        raise InputError(
            f"resume={file} is of another model or other labels ({differ[0]} is {sizes[0]} there, {sizes[1]} here): "
            f"{another}"
        )


def checkpoint_to_go_on_from(file: Path) -> tuple[Path, int] | None:
    """`file` and the optimizer steps behind it; None where there is none, or (told) none that can be read."""
    if not file.exists():
        return None
    try:
        step = torch.load(file, weights_only=True, mmap=True)["global_step"]
    except Exception as error:
        log.warning(f"{file} cannot be read ({' '.join(str(error).split())[:80]}): the run starts anew.")
        return None
    log.info(f"Going on from step {step:,} ({file}).")
    return file, step
