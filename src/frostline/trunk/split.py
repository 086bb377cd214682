"""Cuts a classifier in two at a boundary: a frozen trunk, which gives a text the same output for ever, and the rest.

Both halves are the classifier's own modules; nothing is copied, so training the rest trains the classifier.
"""

import copy
import re
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from frostline.model.anatomy import EMBEDDINGS, HEAD, Anatomy
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
    if EMBEDDINGS in training:
        raise NoTrunkError("the embeddings train, so no part's output stays the same")
    frozen = 0
    while frozen < anatomy.layer_count and f"layer.{frozen}" not in training:
        frozen += 1
    if frozen == 0:
        raise NoTrunkError("layer 0 trains, and the embeddings alone are computed as fast as read")
    return frozen


def boundary_of(name: str, anatomy: Anatomy) -> Boundary | None:
    """The boundary of a policy by its name (`head`, `top2`); None where the name does not tell."""
    if name == "head":
        return FEATURES
    top = re.fullmatch(r"top(\d+)", name)
    layer = anatomy.layer_count - int(top[1]) if top else 0
    return layer if layer > 0 else None


def shown(at: Boundary) -> str:
    """A boundary in words."""
    return "the whole encoder" if at == FEATURES else f"embeddings and {at} layer{'s' if at > 1 else ''}"


class _ReachedError(Exception):
    """Ends a trunk's forward pass where its last boundary is."""


@torch.no_grad()
def trunk_outputs(
    network: PreTrainedModel, anatomy: Anatomy, boundaries: Sequence[Boundary], batch: dict[str, torch.Tensor]
) -> dict[Boundary, torch.Tensor]:
    """What each boundary gets for a batch, from one forward pass in eval mode.

    (batch, length, hidden) before a layer; (batch, hidden) for FEATURES.
    """
    found: dict[Boundary, torch.Tensor] = {}
    layers = network.get_submodule(anatomy.layers)
    base = network.get_submodule(anatomy.base)
    inner = [b for b in boundaries if b != FEATURES and b < len(layers)]
    stop = max(inner) if len(inner) == len(boundaries) else None

    def catch(at: int):
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            found[at] = args[0] if args else kwargs["hidden_states"]
            if at == stop:
                raise _ReachedError

        return hook

    def catch_last(module: nn.Module, args: tuple, output: torch.Tensor) -> None:
        found[len(layers)] = output

    handles = [layers[b].register_forward_pre_hook(catch(b), with_kwargs=True) for b in inner]
    if len(layers) in boundaries:
        handles.append(layers[-1].register_forward_hook(catch_last))
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        output = base(**encoder_inputs(batch))
        if FEATURES in boundaries:
            found[FEATURES] = _features(output)
    except _ReachedError:
        pass
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
    return found


def _features(output: BaseModelOutputWithPooling) -> torch.Tensor:
    pooled = getattr(output, "pooler_output", None)
    return output.last_hidden_state[:, 0] if pooled is None else pooled


class Rest:
    """What is behind a boundary: kept trunk outputs → logits, through the classifier's own modules and code.

    A shallow copy of the classifier in which the modules before the boundary are stand-ins. Not a module itself, so
    that holding one does not register the parameters twice.
    """

    def __init__(self, network: PreTrainedModel, anatomy: Anatomy, at: Boundary) -> None:
        self.at = at
        self._network = _shallow(network)
        if at == FEATURES:
            self._network._modules[anatomy.base] = _GivenFeatures(hasattr(network.base_model, "pooler"))
            return
        base = _shallow(network.get_submodule(anatomy.base))
        self._network._modules[anatomy.base] = base
        inner = anatomy.layers.removeprefix(f"{anatomy.base}.")
        before = list(base._modules)[: list(base._modules).index(inner.split(".")[0])]
        for i, name in enumerate(before):
            base._modules[name] = nn.Identity() if i else _GivenHidden()
        _cut_layers(base, inner, at)

    def __call__(self, kept: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(batch, length, hidden), or (batch, hidden) where one vector a text is kept → logits (batch, labels)."""
        if self.at == FEATURES:
            return self._network(inputs_embeds=kept).logits
        if kept.ndim == 2:
            return self._network(inputs_embeds=kept[:, None]).logits
        return self._network(inputs_embeds=kept, attention_mask=attention_mask).logits


def _shallow(module: nn.Module) -> nn.Module:
    """The same module with a list of children of its own, which can then be exchanged."""
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    return twin


def _cut_layers(base: nn.Module, path: str, at: int) -> None:
    """Leave the layers from `at` on, in a chain of shallow copies down to the list."""
    *holders, name = path.split(".")
    module = base
    for holder in holders:
        module._modules[holder] = _shallow(module._modules[holder])
        module = module._modules[holder]
    module._modules[name] = nn.ModuleList(list(module._modules[name])[at:])


class _GivenHidden(nn.Module):
    """Stands where the embeddings were: hands on the kept hidden states, which come in as `inputs_embeds`."""

    def forward(
        self, *args: torch.Tensor | None, inputs_embeds: torch.Tensor | None = None, **_: object
    ) -> torch.Tensor:
        return args[1] if inputs_embeds is None else inputs_embeds


class _GivenFeatures(nn.Module):
    """Stands where the base model was: hands on one vector a text, where the head looks for it."""

    def __init__(self, has_pooler: bool) -> None:
        super().__init__()
        self.has_pooler = has_pooler

    def forward(self, *_: object, inputs_embeds: torch.Tensor, **__: object) -> BaseModelOutputWithPooling:
        pooled = inputs_embeds if self.has_pooler else None
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds[:, None], pooler_output=pooled)
