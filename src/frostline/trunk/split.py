"""Cuts a classifier in two at a boundary: a frozen trunk, which gives a text the same output for ever, and the rest.

Both halves are the classifier's own modules; nothing is copied, so training the rest trains the classifier.
"""

import copy
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import ModelOutput

from frostline.model.anatomy import EMBEDDINGS, ENCODER, HEAD, Anatomy
from frostline.model.inputs import encoder_inputs

FEATURES = "features"  # the boundary behind the base model: one vector a text, which is what the head reads

Boundary = int | str  # before layer k (k layers are frozen), or FEATURES


class NoTrunkError(Exception):
    """A policy or an encoder has no frozen part worth keeping; the message says why in one clause."""


def boundary(trains: dict[str, bool], anatomy: Anatomy) -> Boundary:
    """Where the frozen prefix ends; NoTrunkError where there is none, or where it is the embeddings alone."""
    training = {anatomy.group(name) for name, trainable in trains.items() if trainable}
    if training == {HEAD}:
        return FEATURES
    if ENCODER in training:
        raise NoTrunkError(f"the layers of {anatomy.model_name} are not known, so it is not cut inside")
    if EMBEDDINGS in training:
        raise NoTrunkError("the embeddings train, so no part's output stays the same")
    frozen = 0
    while frozen < anatomy.layer_count and f"layer.{frozen}" not in training:
        frozen += 1
    if frozen == 0:
        raise NoTrunkError("layer 0 trains, and the embeddings alone are computed as fast as read")
    if anatomy.shares_layers:
        raise NoTrunkError(f"the layers of {anatomy.model_name} share their weights, so it is not cut between them")
    return frozen


def boundary_of(name: str, anatomy: Anatomy) -> Boundary | None:
    """The boundary of a policy by its name (`head`, `top2`); None where the name does not tell."""
    if name == "head":
        return FEATURES if anatomy.base else None
    top = re.fullmatch(r"top(\d+)", name)
    layer = anatomy.layer_count - int(top[1]) if top and not anatomy.shares_layers else 0
    return layer if layer > 0 else None


def shown(at: Boundary) -> str:
    """A boundary in words."""
    return "the whole encoder" if at == FEATURES else f"embeddings and {at} layer{'s' if at > 1 else ''}"


# What a head may read of the base model's output: (output, mask) → (batch, hidden).
READINGS: dict[str, Callable[[ModelOutput, torch.Tensor], torch.Tensor]] = {
    "pooler": lambda output, mask: output.pooler_output,
    "first": lambda output, mask: output.last_hidden_state[:, 0],
    "last": lambda output, mask: output.last_hidden_state[torch.arange(len(mask), device=mask.device), _last(mask)],
    "mean": lambda output, mask: (output.last_hidden_state * mask[..., None]).sum(1) / mask.sum(1, keepdim=True),
}


def _last(mask: torch.Tensor) -> torch.Tensor:
    """The place of each text's last token."""
    return (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(1)


@dataclass(frozen=True)
class Habits:
    """How a family's modules hand on what they compute, as `probe.py` finds it out; the defaults are BERT's."""

    reading: str | None = None  # one of READINGS; None: "pooler", or "first" where there is none
    returns: int = 0  # how many outputs a layer gives as a tuple; 0: a tensor alone
    texts_second: bool = False  # a layer's output is (length, texts, hidden), as XLNet's
    # The code around the layers wants to see the token ids: it runs as it is, embeddings included.
    with_ids: bool = False


BERTS = Habits()
Batch = dict[str, torch.Tensor]
Hook = Callable[[nn.Module, tuple, object], None]  # as register_forward_hook takes them


class _ReachedError(Exception):
    """Ends a trunk's forward pass where its last boundary is."""


@contextmanager
def trunk_pass(
    network: PreTrainedModel, anatomy: Anatomy, boundaries: Sequence[Boundary], habits: Habits = BERTS
) -> Iterator[Callable[[Batch], dict[Boundary, torch.Tensor]]]:
    """Within, a function that gives what each boundary gets for a batch, from one forward pass in eval mode.

    (batch, length, hidden) before a layer; (batch, hidden) for FEATURES. Several threads may call it at once, where the
    network's own modules keep nothing of a batch.
    """
    now = threading.local()  # the attention mask of the batch that this thread is at, and what was found for it
    inner = [b for b in boundaries if b != FEATURES]
    stop = max(inner) if len(inner) == len(boundaries) else None

    def catch(at: int) -> Hook:
        def hook(module: nn.Module, args: tuple, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            hidden = hidden.transpose(0, 1) if habits.texts_second else hidden
            now.found[at] = hidden[:, : now.mask.shape[1]]  # some families pad on the right to their attention's window
            if at == stop:
                raise _ReachedError

        return hook

    def read(module: nn.Module, args: tuple, output: ModelOutput) -> None:
        default = "first" if getattr(output, "pooler_output", None) is None else "pooler"
        now.found[FEATURES] = READINGS[habits.reading or default](output, now.mask)
        raise _ReachedError

    hooks = {anatomy.layers[b - 1]: catch(b) for b in inner}
    with hooked(network, {**hooks, anatomy.base: read} if FEATURES in boundaries else hooks) as run:

        def outputs(batch: Batch) -> dict[Boundary, torch.Tensor]:
            now.mask, now.found = batch["attention_mask"], {}
            run(batch)
            return now.found

        yield outputs


def trunk_outputs(
    network: PreTrainedModel,
    anatomy: Anatomy,
    boundaries: Sequence[Boundary],
    batch: Batch,
    habits: Habits = BERTS,
) -> dict[Boundary, torch.Tensor]:
    """`trunk_pass` for a single batch."""
    with trunk_pass(network, anatomy, boundaries, habits) as outputs:
        return outputs(batch)


def base_output(network: PreTrainedModel, anatomy: Anatomy, batch: Batch) -> ModelOutput:
    """What the base model hands to the head, which may ask it for more than a plain call does, as Longformer's."""
    found = []

    def keep(module: nn.Module, args: tuple, output: ModelOutput) -> None:
        found.append(output)
        raise _ReachedError

    with hooked(network, {anatomy.base: keep}) as run:
        run(batch)
    return found[0]


@contextmanager
def hooked(network: PreTrainedModel, hooks: dict[str, Hook]) -> Iterator[Callable[[Batch], torch.Tensor | None]]:
    """Within, the network is in eval mode, with a hook on each named module's output.

    The function that it gives returns a batch's logits, or None where a hook ended the forward pass.
    """

    @torch.no_grad()  # which is each thread's own
    def run(batch: Batch) -> torch.Tensor | None:
        try:
            return network(**encoder_inputs(batch)).logits
        except _ReachedError:
            return None

    handles = [network.get_submodule(name).register_forward_hook(hook) for name, hook in hooks.items()]
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        yield run
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode


class Rest:
    """What is behind a boundary: kept trunk outputs → logits, through the classifier's own modules and code.

    A shallow copy of the classifier in which each frozen layer, or the base model, gives what was kept and computes
    nothing. The modules before the layers are left out where the family's habits allow. Not a module itself, so that
    holding one does not register the parameters twice.
    """

    def __init__(self, network: PreTrainedModel, anatomy: Anatomy, at: Boundary, habits: Habits = BERTS) -> None:
        self.at, self.habits = at, habits
        self._kept: torch.Tensor | None = None
        self._network = _shallow(network)
        if at == FEATURES:
            _own(self._network, anatomy.base).forward = self._as_output
        for layer in [] if at == FEATURES else anatomy.layers[:at]:
            _own(self._network, layer).forward = self._as_layer
        if at != FEATURES and not habits.with_ids:
            base = _own(self._network, anatomy.base)
            holder = anatomy.layers[0].removeprefix(f"{anatomy.base}.").split(".")[0]
            for i, name in enumerate(list(base._modules)[: list(base._modules).index(holder)]):
                base._modules[name] = nn.Identity() if i else _GivenEmbeddings()
        self._twins = [module for module in self._network.modules() if "original" in module.__dict__]

    def __call__(
        self,
        kept: torch.Tensor,
        attention_mask: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """(batch, length, hidden), or (batch, hidden) where one vector a text is kept → logits (batch, labels).

        `input_ids` and `token_type_ids` are for families that want to see them.
        """
        self._kept = kept
        for twin in self._twins:
            twin.__dict__["training"] = twin.original.training
        try:
            return self._network(**self._inputs(kept, attention_mask, input_ids, token_type_ids)).logits
        finally:
            self._kept = None

    def _inputs(
        self, kept: torch.Tensor, mask: torch.Tensor, ids: torch.Tensor | None, types: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        if self.at == FEATURES:  # some heads count tokens: there is one
            return {"input_ids": mask.new_zeros(len(kept), 1)}
        if self.habits.with_ids:
            return encoder_inputs({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})
        if kept.ndim == 2:
            return {"inputs_embeds": kept[:, None]}
        return {"inputs_embeds": kept, "attention_mask": mask}

    def _as_layer(self, *args: torch.Tensor, **named: torch.Tensor) -> torch.Tensor | tuple:
        """What a frozen layer gives: the kept hidden states, in the form in which the family's layers give them."""
        kept = self._kept[:, None] if self._kept.ndim == 2 else self._kept
        length = (args[0] if args else named["hidden_states"]).shape[0 if self.habits.texts_second else 1]
        if length > kept.shape[1]:  # padded by the family's own code; the mask hides it
            kept = nn.functional.pad(kept, (0, 0, 0, length - kept.shape[1]))
        kept = kept.transpose(0, 1) if self.habits.texts_second else kept
        return (kept, *[None] * (self.habits.returns - 1)) if self.habits.returns else kept

    def _as_output(self, *_: object, **__: object) -> "_Output":
        """What the base model gives: one vector a text, wherever the head looks for it."""
        return _Output(last_hidden_state=self._kept[:, None], pooler_output=self._kept)


class _Output(BaseModelOutputWithPooling):
    """A base model's output, whatever the family's is called: what was not kept is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _GivenEmbeddings(nn.Module):
    """Stands where the embeddings were: hands on what comes in their place."""

    def forward(
        self, *args: torch.Tensor | None, inputs_embeds: torch.Tensor | None = None, **_: object
    ) -> torch.Tensor:
        return args[1] if inputs_embeds is None else inputs_embeds


def _shallow(module: nn.Module) -> nn.Module:
    """The same module with attributes and a list of children of its own, which can then be exchanged."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    twin.__dict__["original"] = module  # past nn.Module's own bookkeeping: it is no child
    return twin


def _own(root: nn.Module, path: str) -> nn.Module:
    """A shallow copy of the module at `path` in its place below `root`, itself one, with copies all the way down."""
    module = root
    for name in path.split("."):
        if "original" not in module._modules[name].__dict__:
            module._modules[name] = _shallow(module._modules[name])
        module = module._modules[name]
    return module
