"""A training step's forward and backward pass as CUDA graphs: one launch each instead of hundreds.

Short texts in small batches keep a fast GPU waiting for Python to launch the next kernel. A graph is recorded once for
each shape of batch and replayed from then on (https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import nn

from frostline.errors import one_line
from frostline.model.classifier import Classifier

log = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]
Replay = Callable[..., torch.Tensor]  # a batch's tensors → its loss, through a graph

WORTH_STEPS = 200  # recording a shape takes some ten eager steps, and there are about a dozen shapes
TOLERANCE = 0.02  # of a loss near 1, in bf16: a tensor read from where it no longer is misses by far more
UNUSED = ("index",)  # what of a batch no loss depends on


class Step(nn.Module):
    """The loss of a batch as a module over its tensors, in the order of `names`: what can be recorded."""

    def __init__(self, network: nn.Module, loss: Callable[[Batch], torch.Tensor], names: Sequence[str]) -> None:
        super().__init__()
        self.network = network  # for its parameters, whose gradients a graph gives
        self.loss = loss
        self.names = names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """A scalar."""
        return self.loss(dict(zip(self.names, tensors, strict=True)))


def record(step: Step, tensors: tuple[torch.Tensor, ...]) -> Replay:
    """CUDA graphs of a step's forward and backward pass for tensors of these shapes."""
    device = tensors[0].device.type
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    # A graph would read the casts that autocast keeps, which are gone by the time it is replayed.
    with torch.autocast(device, dtype=dtype, enabled=enabled, cache_enabled=False):
        return torch.cuda.make_graphed_callables(step, tensors, allow_unused_input=True)


class Graphs:
    """The loss of batches of `batch_size` texts by graphs; of other batches (an epoch's last one) by `classifier.loss`.

    A graph is recorded when its shape first comes, and tried against the plain loss of the same batch under the same
    dropout. All are dropped when other parameters train than before, or behind another trunk. The first one that cannot
    be recorded, or gives another loss, ends it: a line says why, and all that follows is plain. torch's random state is
    after a recording what it was before, so a run that goes on from a checkpoint ends in the same digits.
    """

    def __init__(
        self,
        classifier: Classifier,
        batch_size: int,
        record: Callable[[Step, tuple[torch.Tensor, ...]], Replay] = record,
    ) -> None:
        self.classifier, self.batch_size, self.record = classifier, batch_size, record
        self.refused: str | None = None
        self._replays: dict[tuple, Replay] = {}
        self._made_for: tuple = ()

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss, a scalar."""
        if self.refused or len(batch["labels"]) != self.batch_size:
            return self.classifier.loss(batch)
        now = (self.classifier.rest, *(p.requires_grad for p in self.classifier.network.parameters()))
        if now != self._made_for:
            self._replays.clear()
            self._made_for = now
        used = {name: tensor for name, tensor in batch.items() if name not in UNUSED}
        shape = tuple((name, tensor.shape) for name, tensor in used.items())
        if shape not in self._replays and not self._add(shape, used):
            return self.classifier.loss(batch)
        return self._replays[shape](*used.values())

    def _add(self, shape: tuple, batch: Batch) -> bool:
        """Record a shape; returns whether it can be used."""
        step = Step(self.classifier.network, self.classifier.loss, tuple(batch))
        sample = tuple(with_a_gap(batch).values())
        try:
            with same_dropout(batch):
                replay = self.record(step, tuple(tensor.clone() for tensor in batch.values()))
            with same_dropout(batch):
                fast = replay(*sample).item()
            with same_dropout(batch):
                plain = self.classifier.loss(dict(zip(batch, sample, strict=True))).item()
        except Exception as error:  # whatever an encoder does that a graph cannot hold; too little memory
            return self._refuse(one_line(error))
        if not abs(plain - fast) <= TOLERANCE * max(1.0, abs(plain)):
            return self._refuse(f"they give a loss of {fast:.4f}, plain steps {plain:.4f}")
        self._replays[shape] = replay
        return True

    def _refuse(self, why: str) -> bool:
        log.warning(f"No CUDA graphs for this encoder, its kernels are launched one at a time: {why}")
        self.refused = why
        self._replays.clear()
        return False


def with_a_gap(batch: Batch) -> Batch:
    """The batch with one token hidden: where none is, an encoder may take a path that no graph records."""
    mask = batch["attention_mask"].clone()
    mask[0, -1] = 0
    return {**batch, "attention_mask": mask}


def same_dropout(batch: Batch) -> AbstractContextManager[None]:
    """A block after which torch's random state is what it was before."""
    device = batch["labels"].device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])
