"""Linear layers, attention, embeddings and dropout for CPUs on which torch's own fall behind: AMD with AVX-512.

torch multiplies fp32 matrices with MKL, which there reaches half the rate of oneDNN, the other library that torch
brings. The products stay fp32; they differ from MKL's in the order of their sums. For dropout, see `dropout.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from transformers.activations import GELUActivation

from frostline.errors import InputError
from frostline.model.dropout import ATTENTION, Dropout, attend_with_dropout

CHOICES = ("auto", "torch", "amd")
CACHE_LINE = 16  # in fp32 numbers
SAME_SETS = 512  # where a row is a multiple of so many, a column's numbers all want the same few places in the cache


def choose(choice: str) -> str:
    """`torch` or `amd`; `auto` decides by the processor alone, so that a machine always decides alike."""
    if choice not in CHOICES:
        raise InputError(f"kernels={choice}: use one of {', '.join(CHOICES)}")
    available = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if choice == "amd" and not available:
        raise InputError("kernels=amd, but this torch was built without oneDNN: use kernels=torch")
    if choice == "auto":
        amd = _vendor() == "AuthenticAMD" and torch.backends.cpu.get_cpu_capability() == "AVX512"
        choice = "amd" if available and amd and torch.backends.mkl.is_available() else "torch"
    return choice


def use(choice: str, network: nn.Module) -> str:
    """Let the linear layers and dropouts of `network` compute as chosen, in place; returns what was chosen.

    Parameters, modules and their names stay as they are, so weights are saved and loaded as before.
    """
    chosen = choose(choice)
    if chosen == "amd":
        for module in network.modules():
            module.__class__ = replacement(type(module))
        if getattr(getattr(network, "config", None), "_attn_implementation", None) == "sdpa":
            network.set_attn_implementation(ATTENTION)
    return chosen


def used(network: nn.Module) -> str:
    """What `use` chose for `network`."""
    return "amd" if any(isinstance(module, Linear) for module in network.modules()) else "torch"


@contextmanager
def by_columns(network: nn.Module) -> Iterator[None]:
    """Within, weights that oneDNN multiplies lie in memory column by column, as it reads them in a forward pass.

    Else it turns them at each product. Worth it where many forward passes see the same weights: the trunk takes 5 %
    less time on a machine whose oneDNN reaches 215 GFLOP/s. The values stay as they are; afterwards the very tensors
    of before are back. A second copy of these weights is kept meanwhile.
    """
    layers = [module for module in network.modules() if isinstance(module, Linear)]
    weights = {layer.weight for layer in layers if layer.weight.device.type == "cpu"}
    before = [(weight, weight.data) for weight in weights]
    try:
        for weight in weights:
            weight.data = weight.data.t().contiguous().t()
        yield
    finally:
        for weight, data in before:
            weight.data = data


class Linear(nn.Linear):
    """A linear layer whose fp32 products on a CPU, forward and backward, are oneDNN's; elsewhere a plain one."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.is_ours(input):
            return super().forward(input)
        # Rows alone: for other shapes oneDNN gives a view, which a family's own code may not change in place.
        return _Linear.apply(input.flatten(0, -2), self.weight, self.bias).unflatten(0, input.shape[:-1])

    def is_ours(self, input: torch.Tensor) -> bool:
        """Whether oneDNN multiplies this input."""
        here = input.device.type == "cpu" and input.ndim >= 2 and not torch.is_autocast_enabled("cpu")
        return here and input.dtype == self.weight.dtype == torch.float32


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(input, weight)
        return _product(input, weight, bias)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        for_input, for_weight, for_bias = ctx.needs_input_grad
        to_input = _product(grad, weight.t()) if for_input else None
        if not for_weight:
            # The rows' sum as a product, which takes half the time of torch's own sum.
            return to_input, None, grad.new_ones(len(grad)) @ grad if for_bias else None
        columns = _turned(grad)  # as oneDNN wants its first matrix; and sums along them take a quarter
        # Dense rows: oneDNN takes transposed matrices as they are, but on spread rows it is ten times slower.
        to_weight = _product(columns, input.contiguous().t())
        return to_input, to_weight, columns.sum(1) if for_bias else None


def _product(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """(…, k) and (n, k) → (…, n), each of any strides."""
    return torch.ops.mkldnn._linear_pointwise.default(rows, weight, bias, "none", [], "")


def _turned(rows: torch.Tensor) -> torch.Tensor:
    """(m, n) → (n, m), contiguous; on all cores, where torch's own way takes one."""
    count, width = rows.shape
    if width % SAME_SETS == 0:
        rows = rows.new_empty(count, width + CACHE_LINE)[:, :width].copy_(rows)
    columns = rows.new_empty(width, count)
    columns[None].copy_(rows.t()[None])  # as if it had three dimensions: of two, torch copies a block at a time
    return columns


def _is_one_product(dense: nn.Module, input: torch.Tensor) -> bool:
    """Whether a layer does nothing but oneDNN's product here: no gradients, and no adapter in its place."""
    return not torch.is_grad_enabled() and type(dense) is Linear and dense.is_ours(input)


class _Intermediate(nn.Module):
    """In front of a BERT-like layer's first feed-forward half: without gradients, GELU comes with the product."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        dense = self.dense
        if type(self.intermediate_act_fn) is not GELUActivation or not _is_one_product(dense, hidden_states):
            return super().forward(hidden_states)
        rows = hidden_states.flatten(0, -2)
        out = torch.ops.mkldnn._linear_pointwise.default(rows, dense.weight, dense.bias, "gelu", [], "none")
        return out.unflatten(0, hidden_states.shape[:-1])


class Embedding(nn.Embedding):
    """An embedding whose gradient on a CPU is one tensor for all steps, cleared only where the last one was not 0.

    To clear all of it, 47 MB for BERT's vocabulary at width 384, takes some 3 % of a step of full fine-tuning. A
    gradient may be scaled in place, but not added to where it is 0, as ranks do with each other's: there it is torch's.
    """

    _kept: torch.Tensor | None = None  # the gradient's memory
    _owners = 0  # of that memory, while no gradient is in use
    _rows: torch.Tensor | None = None  # where it may not be 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        rare = self.max_norm is not None or self.scale_grad_by_freq or self.sparse
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        here = alone and type(self.weight) is nn.Parameter and self.weight.device.type == "cpu"
        if rare or not here or not self.weight.requires_grad or not torch.is_grad_enabled() or _owners is None:
            return super().forward(input)
        return _Embedding.apply(self.weight, input, self)

    def gradient(self, input: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
        """The weight's, of this input and its output's gradient: in the kept memory, unless one is in use there."""
        rows, grad = input.flatten(), grad.flatten(0, -2)
        if self.padding_idx is not None:
            others = rows != self.padding_idx
            rows, grad = rows[others], grad[others]
        if self._kept is None or self._kept.shape != self.weight.shape:
            self._kept, self._rows = torch.zeros_like(self.weight), rows[:0]
            self._owners = _owners(self._kept.untyped_storage()._cdata)
        if _owners(self._kept.untyped_storage()._cdata) > self._owners:
            return torch.zeros_like(self.weight).index_add_(0, rows, grad)
        kept = self._kept.index_fill_(0, self._rows, 0).index_add_(0, rows, grad)
        self._rows = rows.clone()  # the batch may be written over
        return kept.detach()  # another tensor on the same memory, which autograd then need not copy


# How many tensors and the like hold a storage; where torch does not tell any more, nothing is kept.
_owners = getattr(torch._C, "_storage_Use_Count", None)


class _Embedding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: torch.Tensor, input: torch.Tensor, embedding: Embedding) -> torch.Tensor:
        ctx.input, ctx.embedding = input, embedding
        return F.embedding(input, weight)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return ctx.embedding.gradient(ctx.input, grad), None, None


class _SelfAttention(nn.Module):
    """In front of a BERT-like layer's attention to itself: query, key and value from one product."""

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        past_key_values: object = None,
        **options: object,
    ) -> tuple[torch.Tensor, None]:
        parts = self.query, self.key, self.value
        if past_key_values is not None or not self._is_ours(parts, hidden_states, attention_mask):
            return super().forward(hidden_states, attention_mask, past_key_values, **options)
        batch, length = hidden_states.shape[:2]
        joint = _Linear.apply(hidden_states.flatten(0, 1), _joint_weight(parts), torch.cat([p.bias for p in parts]))
        packed = joint.view(batch, length, 3, self.num_attention_heads, -1).permute(2, 0, 3, 1, 4)
        if self.training and 0 < self.dropout.p < 1:
            context = attend_with_dropout(packed.contiguous(), attention_mask, self.scaling, self.dropout.p)
        else:
            context = F.scaled_dot_product_attention(*packed, attention_mask, scale=self.scaling).transpose(1, 2)
        return context.reshape(batch, length, -1), None

    def _is_ours(self, parts: Sequence[nn.Module], hidden: torch.Tensor, mask: torch.Tensor | None) -> bool:
        """Whether this is plain attention of linear layers that train together or not at all."""
        plain = self.config._attn_implementation == ATTENTION and not self.is_causal
        alike = all(type(part) is Linear and part.bias is not None for part in parts)
        if not plain or not alike or hidden.ndim != 3 or not self.query.is_ours(hidden):
            return False
        together = len({(part.weight.requires_grad, part.bias.requires_grad) for part in parts}) == 1
        return together and (mask is None or mask.dtype == torch.bool)


def _joint_weight(parts: Sequence[nn.Linear]) -> torch.Tensor:
    """The layers' weights as one, (sum of n, k), by columns where theirs are."""
    weights = [part.weight for part in parts]
    if weights[0].is_contiguous():
        return torch.cat(weights)
    return torch.cat([weight.t() for weight in weights], 1).t()


class _Output(nn.Module):
    """In front of what ends a BERT-like half layer: without gradients and dropout, the sum comes with the product."""

    def forward(self, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
        dense = self.dense
        if self.dropout.training or not _is_one_product(dense, hidden_states):
            return super().forward(hidden_states, input_tensor)
        rows, before = hidden_states.flatten(0, -2), input_tensor.flatten(0, -2)
        out = torch.ops.mkldnn._linear_pointwise.binary(rows, before, dense.weight, dense.bias, "add")
        return self.LayerNorm(out.unflatten(0, hidden_states.shape[:-1]))


FASTER = {
    family + half: before
    for family in ("Bert", "Roberta", "XLMRoberta", "Camembert", "Electra")
    for half, before in {
        "SelfAttention": _SelfAttention,
        "SelfOutput": _Output,
        "Intermediate": _Intermediate,
        "Output": _Output,
    }.items()
}
REPLACED: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: Linear, nn.Dropout: Dropout, nn.Embedding: Embedding}


@cache
def replacement(kind: type[nn.Module]) -> type[nn.Module]:
    """The class that stands in for a module's own; the same where there is nothing to win."""
    if kind.__name__ in FASTER and kind.__module__.startswith("transformers."):  # by name, to import no family in vain
        return type(kind.__name__, (FASTER[kind.__name__], kind), {})
    return REPLACED.get(kind, kind)


def _vendor() -> str | None:
    """What the processor calls its maker, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), None)
