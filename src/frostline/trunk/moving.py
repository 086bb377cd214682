"""A trunk behind a boundary that moves: what stays frozen through an epoch is computed once before it."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import Dataset

from frostline.data.batches import TokenizedTexts
from frostline.data.text import TextData
from frostline.freeze.callback import Freeze, moment
from frostline.freeze.schedule import at_depth
from frostline.timing import Clock
from frostline.trunk.keep import Cache, Trunk, open_trunk
from frostline.trunk.kept import KeptTexts

log = logging.getLogger(__name__)

SPLITS = {"train": "trunk", "validation": "validation"}  # split → the phase that filling counts as


class Texts(Dataset):
    """A split's texts, as token ids or, while `kept` is set, as what a trunk gave for them."""

    def __init__(self, tokens: TokenizedTexts) -> None:
        self.tokens = tokens
        self.kept: KeptTexts | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def labels(self) -> np.ndarray:
        return self.tokens.labels

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    def __getitem__(self, positions: list[int]) -> dict[str, torch.Tensor]:
        return (self.tokens if self.kept is None else self.kept)[positions]


class MovingTrunk(pl.Callback):
    """Follows the boundary of a schedule: before an epoch, what is frozen all through it is run once for each text.

    That costs about the forward passes that the epoch would have spent on it, so it pays from its first epoch on, and
    in each later one with the same boundary is free. An epoch that `max_steps` cuts short is not worth a pass: it goes
    on with what is there. Entries of trained layers are of no use to another run and are removed.
    """

    def __init__(self, freeze: Freeze, data: TextData, cache: Cache, about: Mapping[str, str], clock: Clock) -> None:
        self.freeze, self.clock, self.about = freeze, clock, about
        self.cache = replace(cache, also=())
        self._texts = {split: Texts(data.tokens(split)) for split in SPLITS}
        for split, texts in self._texts.items():
            data.replace(split, texts)
        self._depth: int | None = None  # training reaches this deep where the trunk ends; None: plain training
        self._ready: int | None = None  # the depth whose trunk is in use in this process
        self._trunk: Trunk | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if moment(trainer).starts_epoch:
            self.on_train_epoch_start(trainer, pl_module)
        else:  # going on inside an epoch, which began with this trunk
            self._use(self._depth, trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._use(self._wanted(trainer), trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._release(pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"depth": self._depth}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._depth = state_dict["depth"]

    def _wanted(self, trainer: pl.Trainer) -> int | None:
        """The depth behind which the coming epoch's trunk ends."""
        now, depth = moment(trainer), self.freeze.depth_through_epoch(trainer)
        if now.steps - now.step >= now.epoch_steps:
            return depth
        return self._depth if self._depth is not None and depth <= self._depth else None

    def _use(self, depth: int | None, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._depth = depth
        if depth == self._ready:
            return
        self._release(pl_module)
        self._ready = depth
        if depth is None:
            return
        splits = [texts.tokens for texts in self._texts.values()]
        policy = at_depth(depth, self.freeze.anatomy.layer_count)
        trunk = open_trunk(
            self.cache, pl_module.network, self.freeze.anatomy, policy, splits, pl_module.device, self.about
        )
        epoch = f"Epoch {trainer.current_epoch + 1}"
        if isinstance(trunk, str):
            log.info(f"{epoch}: no trunk is kept: {trunk}.")
            return
        log.info(f"{epoch}: {trunk.describe(splits)}")
        for split, texts in self._texts.items():
            with self.clock.phase(SPLITS[split]):
                texts.kept = trunk.outputs(texts.tokens)
        self._trunk, pl_module.rest = trunk, trunk.rest

    def _release(self, pl_module: pl.LightningModule) -> None:
        """Go back to token ids and the whole network; the cache keeps only what other runs can use."""
        for texts in self._texts.values():
            texts.kept = None
        if self._trunk is not None and not self.freeze.policy.pristine:
            for texts in self._texts.values():
                for key in self._trunk.keys(texts.tokens).values():
                    self.cache.store.remove(key)
        self._trunk = self._ready = pl_module.rest = None
