"""The linear layers of a mixed-precision step in a third of the kernels, for steps that are recorded.

Autocast casts each weight by itself, and each gradient back; torch sums a bias's gradient in a reduction that takes
longer than the product beside it; and products of a few hundred tokens leave most of a fast GPU idle. Here all weights
are cast at once, query, key and value are one product, gradients of weights come from their products in fp32, those of
biases are products too, and both are computed on a stream of their own beside the rest of the backward pass.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from frostline.model.kernels import FASTER, Linear

PLAIN = (nn.Linear, Linear)  # those that do nothing but multiply and add
TOGETHER = {  # attention's class → its layers of one input
    **{name: ("query", "key", "value") for name in FASTER if name.endswith("SelfAttention")},
    "DistilBertSelfAttention": ("q_lin", "k_lin", "v_lin"),
}


@dataclass(frozen=True)
class Group:
    """Layers that read the same input, and their weights (sum of n, k) and biases (sum of n,) in half precision."""

    layers: Sequence[nn.Linear]
    weight: torch.Tensor
    bias: torch.Tensor | None

    @classmethod
    def of(cls, layers: Sequence[nn.Linear], dtype: torch.dtype) -> "Group":
        """With room for the weights, which are still to be cast."""
        weight, width = layers[0].weight, sum(layer.out_features for layer in layers)
        bias = None if layers[0].bias is None else weight.new_empty(width, dtype=dtype)
        return cls(layers, weight.new_empty(width, weight.shape[1], dtype=dtype), bias)

    @property
    def sizes(self) -> list[int]:
        """Outputs of each layer."""
        return [layer.out_features for layer in self.layers]

    def alone(self, place: int) -> "Group":
        """One of the layers."""
        start = sum(self.sizes[:place])
        rows = slice(start, start + self.sizes[place])
        return Group([self.layers[place]], self.weight[rows], None if self.bias is None else self.bias[rows])

    def casts(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Where each parameter is to be cast to, and the parameter."""
        for place, layer in enumerate(self.layers):
            own = self.alone(place)
            yield own.weight, layer.weight.detach()
            if own.bias is not None:
                yield own.bias, layer.bias.detach()


class Lean:
    """Steps of `network`, whose forward pass autocast computes in `dtype`, with its linear layers as said above.

    For one device, and for gradients that nobody looks at before the whole backward pass is done.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._layers = list(together(network))
        device = next(network.parameters()).device
        self._beside = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._held: list[torch.Tensor] = []  # what the other stream may still read
        self._ones: dict[int, torch.Tensor] = {}
        self._joint: tuple[torch.Tensor | None, Sequence[torch.Tensor]] = (None, ())

    @contextmanager
    def step(self) -> Iterator[None]:
        """A block for one forward and backward pass; the gradients are there at its end."""
        groups = [Group.of(layers, self.dtype) for layers in self._layers]
        casts = [pair for group in groups for pair in group.casts()]
        if casts:
            torch._foreach_copy_(*map(list, zip(*casts, strict=True)))
        for group in groups:
            for place, layer in enumerate(group.layers):
                layer.forward = partial(self._forward, group, place)
        try:
            yield
            if self._beside is not None:
                torch.cuda.current_stream().wait_stream(self._beside)
        finally:
            for group in groups:
                for layer in group.layers:
                    del layer.forward
            self._held.clear(), self._ones.clear()
            self._joint = (None, ())

    def _forward(self, group: Group, place: int, input: torch.Tensor) -> torch.Tensor:
        """In a layer's stead: the first of a group computes all of it."""
        if place == 0:
            first, *others = self._product(group, input)
            self._joint = (input, others)
            return first
        of, outputs = self._joint
        return outputs[place - 1] if of is input else self._product(group.alone(place), input)[0]

    def _product(self, group: Group, input: torch.Tensor) -> Sequence[torch.Tensor]:
        parameters = [parameter for layer in group.layers for parameter in layer.parameters()]
        # Rows alone: for other shapes torch gives a view, which a family's own code may not change in place.
        outputs = _Product.apply(input.flatten(0, -2), self, group, *parameters)
        return [output.unflatten(0, input.shape[:-1]) for output in outputs]

    def gradients(self, group: Group, rows: torch.Tensor, input: torch.Tensor) -> None:
        """Those of a group's parameters: outputs' gradients (tokens, sum of n) and inputs (tokens, k)."""
        self._held += [rows, input]
        if self._beside is not None:
            self._beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._beside) if self._beside is not None else nullcontext():
            for layer, grad in zip(group.layers, product(rows.t(), input).split(group.sizes), strict=True):
                add(layer.weight, grad)
            if group.bias is not None:
                for layer, grad in zip(group.layers, self._sums(rows).split(group.sizes), strict=True):
                    add(layer.bias, grad)

    def _sums(self, rows: torch.Tensor) -> torch.Tensor:
        """Over all rows."""
        count = len(rows)
        if count not in self._ones:
            self._ones[count] = rows.new_ones(1, count)
        return product(self._ones[count], rows)[0]


class _Product(torch.autograd.Function):
    """A group's outputs for one input, (tokens, n) each, in half precision; parameters' gradients go past autograd."""

    @staticmethod
    def forward(ctx, input: torch.Tensor, lean: Lean, group: Group, *_: nn.Parameter) -> tuple[torch.Tensor, ...]:
        ctx.lean, ctx.group, ctx.full = lean, group, input.dtype == torch.float32
        input = input.to(lean.dtype)
        ctx.save_for_backward(input)
        outputs = F.linear(input, group.weight, group.bias)
        return outputs.split(group.sizes, -1) if len(group.layers) > 1 else (outputs,)

    @staticmethod
    def backward(ctx, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (input,) = ctx.saved_tensors
        rows = torch.cat(grads, -1) if len(grads) > 1 else grads[0]
        if any(ctx.needs_input_grad[1:]):
            ctx.lean.gradients(ctx.group, rows, input)
        to_input = None
        if ctx.needs_input_grad[0]:
            to_input = product(rows, ctx.group.weight) if ctx.full else rows @ ctx.group.weight
        return to_input, *[None] * (len(ctx.needs_input_grad) - 1)


def together(network: nn.Module) -> Iterator[list[nn.Linear]]:
    """The plain linear layers of `network`, those that read the same input in one list.

    Only where their family is known to leave what it gets of them as it is. A module whose forward pass is not its
    class's own may use weights without calling their layers: none of these lists there.
    """
    seen: set[nn.Module] = set()
    odd = {part for module in network.modules() if "forward" in vars(module) for part in module.modules()}
    for module in network.modules():
        if names := TOGETHER.get(type(module).__name__):
            layers = [getattr(module, name) for name in names]
            if module not in odd and all(type(layer) in PLAIN for layer in layers) and alike(layers):
                seen.update(layers)
                yield layers
    for module in network.modules():
        if type(module) in PLAIN and "forward" not in vars(module) and module not in seen and alike([module]):
            yield [module]


def alike(layers: Sequence[nn.Linear]) -> bool:
    """Whether fp32 layers of one input can be multiplied together, and train together or not at all."""
    kinds = {(p.requires_grad, p.dtype) for layer in layers for p in layer.parameters()}
    biases = {layer.bias is None for layer in layers}
    return len(kinds) == len(biases) == 1 and layers[0].weight.dtype == torch.float32


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(m, k) and (k, n) in half precision → (m, n) in fp32, straight from the product's own sums."""
    return torch.mm(a, b, out_dtype=torch.float32) if a.device.type == "cuda" else a.float() @ b.float()


def add(parameter: nn.Parameter, gradient: torch.Tensor) -> None:
    """To what a parameter's gradient is so far."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
