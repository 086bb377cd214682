"""A whole training step as one CUDA graph: one launch instead of more than a thousand.

Short texts in small batches keep a fast GPU waiting for Python to launch the next kernel. A graph is recorded once for
each shape of batch and replayed from then on (https://pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from frostline.errors import one_line
from frostline.model.classifier import Classifier
from frostline.model.lean import Lean

log = logging.getLogger(__name__)

Batch = dict[str, torch.Tensor]
Work = Callable[[], torch.Tensor]  # a step on tensors that stay where they are → its loss

WORTH_STEPS = 200  # recording a shape takes some ten plain steps, and there are about a dozen shapes
TOLERANCE = 0.02  # of a loss near 1, in bf16: a tensor read from where it no longer is misses by far more


class Recorder:
    """Makes CUDA graphs that share memory, for no two of them run at a time."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        """Record `work`, which is not done meanwhile; what is returned does it."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            loss = work()

        def replay() -> torch.Tensor:
            graph.replay()
            return loss

        return replay


@dataclass(frozen=True)
class Recorded:
    """A step recorded for batches of one shape: it reads `batch`, whose tensors are its own."""

    batch: Batch
    replay: Work

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss of a batch, whose step is taken."""
        for name, tensor in self.batch.items():
            tensor.copy_(batch[name])
        return self.replay()


class Graphs:
    """Takes training steps on batches of `batch_size` texts by graphs: forward and backward pass, clipping, AdamW.

    Given such a batch it returns the loss, with nothing left to do: no gradients, the parameters stepped. Of other
    batches (an epoch's last one) it is `classifier.loss`, and the step is Lightning's. So is the first step, which
    makes the optimizer's state, and the first after a change of what trains or behind another trunk, which ends all
    graphs. A graph is recorded when its shape first comes, and tried against the plain loss of the same batch under the
    same dropout. The first one that cannot be recorded, or gives another loss, ends it: a line says why, and all that
    follows is plain. torch's random state is after a recording what it was before: a run that goes on from a
    checkpoint has the dropout that it would have had. Without `lean` the linear layers are autocast's own.
    """

    def __init__(
        self,
        classifier: Classifier,
        batch_size: int,
        recorder: Callable[[], Callable[[Work], Work]] = Recorder,
        lean: bool = True,
    ) -> None:
        self.classifier, self.batch_size, self.recorder, self.lean = classifier, batch_size, recorder, lean
        self.refused: str | None = None
        self._recorded: dict[tuple, Recorded] = {}
        self._made_for: tuple = ()

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss, a scalar; without a gradient where the step is taken."""
        if self.refused or len(batch["labels"]) != self.batch_size:
            return self.classifier.loss(batch)
        parameters = self.classifier.network.parameters()
        now = (self.classifier.rest, self._optimizer, *(parameter.requires_grad for parameter in parameters))
        if now != self._made_for:
            self._begin(batch["labels"].device)
            self._made_for = now
            return self.classifier.loss(batch)
        used = needed(batch)
        shape = tuple((name, tensor.shape) for name, tensor in used.items())
        if shape not in self._recorded and not self._add(shape, used):
            return self.classifier.loss(batch)
        # Not blocking: from a few bytes of pageable memory the driver copies before it returns.
        self._rates.copy_(torch.tensor([group["lr"] for group in self._optimizer.param_groups]), non_blocking=True)
        return self._recorded[shape](used)

    def _begin(self, device: torch.device) -> None:
        """Forget all graphs, and make what those to come read besides a batch."""
        self._recorded.clear()
        if not self._optimizer.defaults["fused"]:
            self._refuse("its optimizer's step is not fused, with this precision or clipping")
            return
        self._record = self.recorder()
        self._rates = torch.zeros(len(self._optimizer.param_groups), device=device)
        self._idle = torch.zeros((), device=device)
        mixed = autocast(device.type)
        self._lean = Lean(self.classifier.network, mixed["dtype"]) if self.lean and mixed["enabled"] else None

    def _add(self, shape: tuple, batch: Batch) -> bool:
        """Record a shape; returns whether it can be used."""
        sample = with_a_gap(batch)
        try:
            plain, norm = self._rehearsed(sample, nullcontext())
            lean, lean_norm = self._rehearsed(sample, self._ways())
            recorded = self._made({name: tensor.clone() for name, tensor in batch.items()})
            self._idle.fill_(1)
            with same_dropout(batch):
                fast = recorded(sample).item()
            self._idle.zero_()
        except Exception as error:  # whatever an encoder does that a graph cannot hold; too little memory
            return self._refuse(one_line(error))
        for name, found, expected in (
            ("a loss", lean, plain), ("a norm of the gradients", lean_norm, norm), ("a loss", fast, plain)
        ):  # fmt: skip
            if not abs(found - expected) <= TOLERANCE * max(1.0, abs(expected)):
                return self._refuse(f"they give {name} of {found:.4f}, plain steps {expected:.4f}")
        self._recorded[shape] = recorded
        return True

    def _rehearsed(self, batch: Batch, ways: AbstractContextManager[None]) -> tuple[float, float]:
        """Loss and norm of the gradients; what libraries make at a shape's first time is there afterwards."""
        with same_dropout(batch), apart(batch):
            loss = self._passes(batch, ways)
            parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
            norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            self._optimizer.zero_grad()
        return loss.item(), norm.item()

    def _ways(self) -> AbstractContextManager[None]:
        """How linear layers are computed in what is recorded."""
        return nullcontext() if self._lean is None else self._lean.step()

    def _made(self, batch: Batch) -> Recorded:
        """The step on this batch's own tensors, recorded."""

        def step() -> torch.Tensor:
            loss = self._passes(batch, self._ways())
            classifier, trainer = self.classifier, self.classifier.trainer
            classifier.configure_gradient_clipping(
                self._optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm
            )
            with reading(self._optimizer, self._rates.unbind(), self._idle):
                self._optimizer.step()
            self._optimizer.zero_grad()
            return loss

        with same_dropout(batch):
            return Recorded(batch, self._record(step))

    def _passes(self, batch: Batch, ways: AbstractContextManager[None]) -> torch.Tensor:
        """Forward and backward; the loss, detached."""
        device = batch["labels"].device.type
        with ways:
            # A graph would read the casts that autocast keeps, which are gone by the time it is replayed.
            with torch.autocast(device, cache_enabled=False, **autocast(device)):
                loss = self.classifier.loss(batch)
            with torch.autocast(device, enabled=False):
                loss.backward()
        return loss.detach()

    @property
    def _optimizer(self) -> Optimizer:
        return self.classifier.trainer.optimizers[0]

    def _refuse(self, why: str) -> bool:
        log.warning(f"No CUDA graphs for this encoder, its kernels are launched one at a time: {why}")
        self.refused = why
        self._recorded.clear()
        return False


def needed(batch: Batch) -> Batch:
    """What of a batch its loss depends on: no index, and no mask but for tokens."""
    used = {name: tensor for name, tensor in batch.items() if name != "index"}
    if "kept" in batch and batch["kept"].ndim == 2 and "input_ids" not in batch:
        used["attention_mask"] = batch["attention_mask"][:, :1]  # batches of all lengths are then of one shape
    return used


@contextmanager
def reading(optimizer: Optimizer, rates: Sequence[torch.Tensor], idle: torch.Tensor) -> Iterator[None]:
    """Within, a fused step takes each group's rate from a tensor, and where `idle` is 1 does nothing.

    A recorded step does so ever after. `idle` is what torch's GradScaler calls `found_inf`.
    """
    before = [{name: group[name] for name in ("lr", "capturable")} for group in optimizer.param_groups]
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group.update(lr=rate, capturable=True)
    optimizer.found_inf = idle
    try:
        yield
    finally:
        del optimizer.found_inf
        for group, own in zip(optimizer.param_groups, before, strict=True):
            group.update(own)


def autocast(device: str) -> dict[str, Any]:
    """Whether it is on, and its dtype."""
    return {"enabled": torch.is_autocast_enabled(device), "dtype": torch.get_autocast_dtype(device)}


def with_a_gap(batch: Batch) -> Batch:
    """The batch with one token hidden: where none is, an encoder may take a path that no graph records."""
    mask = batch["attention_mask"].clone()
    mask[0, -1] = 0
    return {**batch, "attention_mask": mask}


def same_dropout(batch: Batch) -> AbstractContextManager[None]:
    """A block after which torch's random state is what it was before."""
    device = batch["labels"].device
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


@contextmanager
def apart(batch: Batch) -> Iterator[None]:
    """On a GPU, a block on a stream of its own, as a recording is: no autograd node is bound to the usual one."""
    device = batch["labels"].device
    if device.type != "cuda":
        yield
        return
    usual, own = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    own.wait_stream(usual)
    with torch.cuda.stream(own):
        yield
    usual.wait_stream(own)
