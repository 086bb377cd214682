"""The last layer for the first token alone, where the head reads no other.

BERT's pooler and the heads of RoBERTa (and XLM-RoBERTa, CamemBERT), ELECTRA and DistilBERT read the last layer's first
token. For it the layer needs the keys and values of all tokens, but one query, one attention output and one
feed-forward. The result is the plain layer's to rounding; the encoder's output then has length 1. Other families keep
their plain layer.
"""

from collections.abc import Callable
from types import MethodType

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from frostline.model.anatomy import Anatomy


def shorten(network: PreTrainedModel, anatomy: Anatomy) -> bool:
    """Give the last layer its first-token forward, in place; returns whether the family has one.

    Parameters, modules and their names stay as they are, so weights are saved and loaded as before.
    """
    forward = FORWARDS.get(network.config.model_type)
    if forward is None or not anatomy.layers or getattr(network.config, "is_decoder", False):
        return False
    last = network.get_submodule(anatomy.layers[-1])
    last.forward = MethodType(forward, last)
    return True


def _bert(layer: nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None = None, *_: object, **__: object):
    """(batch, length, hidden) → (batch, 1, hidden), for layers with BERT's names."""
    attention, first = layer.attention.self, hidden[:, :1]
    projections = attention.query(first), attention.key(hidden), attention.value(hidden)
    context = _attend(*projections, mask, attention.num_attention_heads, attention.scaling, attention.dropout)
    return layer.feed_forward_chunk(layer.attention.output(context, first))


def _distilbert(layer: nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None = None, **_: object):
    """(batch, length, hidden) → (batch, 1, hidden), for DistilBERT's blocks."""
    attention, first = layer.attention, hidden[:, :1]
    projections = attention.q_lin(first), attention.k_lin(hidden), attention.v_lin(hidden)
    context = _attend(*projections, mask, attention.n_heads, attention.scaling, attention.dropout)
    attended = layer.sa_layer_norm(attention.out_lin(context) + first)
    return layer.output_layer_norm(layer.ffn(attended) + attended)


def _attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    heads: int,
    scale: float,
    dropout: nn.Dropout,
) -> torch.Tensor:
    """Attention of the first token to all: (batch, 1, hidden). `mask` is boolean or additive, (batch, 1, ·, length)."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    context = F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=None if mask is None else mask[:, :, :1],
        dropout_p=dropout.p if dropout.training else 0.0,
        scale=scale,
    )
    return context.transpose(1, 2).flatten(2)


FORWARDS: dict[str, Callable] = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra"), _bert),
    "distilbert": _distilbert,
}
