"""Dropout on a CPU, alone and within attention: vectorised random numbers, of which one byte an element is kept.

torch draws them one by one on other processors than Intel's, and keeps four bytes for each until the backward pass.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

LEVELS = 2**16  # a random number of 16 bits decides about each element
ATTENTION = "frostline_cpu"


class Dropout(nn.Dropout):
    """Dropout whose random numbers on a CPU come from NumPy's SFC64, seeded each time by torch's own generator.

    So torch's seed and random state decide all, as with torch's own. `p` counts in steps of 1/65536.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or not 0 < self.p < 1 or self.inplace or input.device.type != "cpu":
            return super().forward(input)
        return _Dropout.apply(input, drawn(input.shape, self.p), self.p)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input: torch.Tensor, stays: torch.Tensor, p: float) -> torch.Tensor:
        ctx.stays, ctx.p = stays, p
        return dropped(input, stays, p)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        return dropped(grad, ctx.stays, ctx.p), None, None


def _limit(p: float) -> int:
    """Below which of the LEVELS an element is dropped."""
    return min(max(1, round(p * LEVELS)), LEVELS - 1)


def drawn(shape: Sequence[int], p: float) -> torch.Tensor:
    """Which elements stay (1) or not (0), each with probability 1 - `p`: uint8, from the next seed by torch's own."""
    count = math.prod(shape)
    seed = int(torch.randint(2**63 - 1, ()))
    raw = np.random.SFC64(seed).random_raw(-(-count // 4)).view(np.uint16)[:count]
    return torch.from_numpy((raw >= _limit(p)).view(np.uint8).reshape(shape))


def dropped(values: torch.Tensor, stays: torch.Tensor, p: float) -> torch.Tensor:
    """`values` where they stay, times what keeps the mean; else 0."""
    return (values * stays).mul_(LEVELS / (LEVELS - _limit(p)))  # by bytes: a quarter of the time that booleans take


class _Attention(torch.autograd.Function):
    """softmax(q kᵀ · scale, where `mask`) → dropout → · v, keeping the softmax and what stays for the backward pass.

    (3, batch, heads, length, width): query, key and value in one → (batch, heads, length, width).
    """

    @staticmethod
    def forward(
        ctx, packed: torch.Tensor, mask: torch.Tensor | None, scale: float, stays: torch.Tensor, p: float
    ) -> torch.Tensor:
        query, key, value = packed
        scores = torch.matmul(query, key.transpose(-1, -2)).mul_(scale)
        if mask is not None:
            scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
        shares = scores.softmax(-1)
        ctx.save_for_backward(packed, shares)
        ctx.scale, ctx.stays, ctx.p = scale, stays, p
        return torch.matmul(dropped(shares, stays, p), value)

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        packed, shares = ctx.saved_tensors
        query, key, value = packed
        grad = grad.contiguous()
        to_packed = torch.empty_like(packed)
        torch.matmul(dropped(shares, ctx.stays, ctx.p).transpose(-1, -2), grad, out=to_packed[2])
        to_shares = dropped(torch.matmul(grad, value.transpose(-1, -2)), ctx.stays, ctx.p)
        to_scores = torch._softmax_backward_data(to_shares, shares, -1, shares.dtype).mul_(ctx.scale)
        torch.matmul(to_scores, key, out=to_packed[0])
        torch.matmul(to_scores.transpose(-1, -2), query, out=to_packed[1])
        return to_packed, None, None, None, None


def attend_with_dropout(packed: torch.Tensor, mask: torch.Tensor | None, scale: float, dropout: float) -> torch.Tensor:
    """Query, key and value in one, (3, batch, heads, length, width), contiguous → (batch, length, heads, width)."""
    shape = packed.shape[1:-1]
    stays = drawn((*shape, shape[-1]), dropout)
    return _Attention.apply(packed, mask, scale, stays, dropout).transpose(1, 2).contiguous()


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """What `transformers` calls for (batch, heads, length, width) tensors; its own `sdpa` where there is no dropout."""
    plain = (
        not dropout
        or query.device.type != "cpu"
        or query.dtype != torch.float32
        or not query.shape == key.shape == value.shape
    )
    causal = attention_mask is None and getattr(module, "is_causal", True)
    boolean = attention_mask is None or attention_mask.dtype == torch.bool
    if plain or causal or not boolean or options.get("position_bias") is not None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **options
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend_with_dropout(torch.stack((query, key, value)), attention_mask, scale, dropout), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
