"""The last layer for the first token alone, where the head reads no other.

BERT's pooler and the heads of RoBERTa (and XLM-RoBERTa, CamemBERT), ELECTRA and DistilBERT read the last layer's first
token. For it the layer needs one query, one attention output and one feed-forward, and of the other tokens neither keys
nor values: see `attend`. The result is the plain layer's to rounding; the encoder's output then has length 1. Other
families keep their plain layer.
"""

from collections.abc import Callable
from types import MethodType

import torch
from torch import nn
from transformers import PreTrainedModel

from frostline.model.anatomy import Anatomy
from frostline.model.kernels import Linear

LINEAR = (nn.Linear, Linear)  # those that do nothing but multiply and add


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
    heads = attention.num_attention_heads
    query = attention.query(first) * attention.scaling
    context = attend(query, hidden, attention.key, attention.value, mask, heads, attention.dropout)
    return layer.feed_forward_chunk(layer.attention.output(context, first))


def _distilbert(layer: nn.Module, hidden: torch.Tensor, mask: torch.Tensor | None = None, **_: object):
    """(batch, length, hidden) → (batch, 1, hidden), for DistilBERT's blocks."""
    attention, first = layer.attention, hidden[:, :1]
    query = attention.q_lin(first) * attention.scaling
    context = attend(query, hidden, attention.k_lin, attention.v_lin, mask, attention.n_heads, attention.dropout)
    attended = layer.sa_layer_norm(attention.out_lin(context) + first)
    return layer.output_layer_norm(layer.ffn(attended) + attended)


def attend(
    query: torch.Tensor,
    hidden: torch.Tensor,
    key: nn.Module,
    value: nn.Module,
    mask: torch.Tensor | None,
    heads: int,
    dropout: nn.Dropout,
) -> torch.Tensor:
    """Attention of one token to all: a scaled query (batch, 1, hidden) → (batch, 1, hidden).

    For one query a product with all keys, q · (W h + b), is (Wᵀ q) · h + q · b, and the mean of all values is the value
    of the tokens' mean; so `key` and `value` multiply one vector for each head and text, not each token. Known from
    DeepSeek-V2 (arXiv 2405.04434), where it lets a model decode from compressed keys. Where `key` or `value` is more
    than a linear layer (an adapter), all keys or values are computed. `mask` is boolean or additive,
    (batch, 1, ·, length).
    """
    query = query.flatten(1).unflatten(-1, (heads, -1))  # (batch, heads, width)
    scores = _scores(query, hidden, key)
    if mask is not None:
        mask = mask[:, :, 0]
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    return _context(dropout(scores.softmax(-1)), hidden, value)


def _scores(query: torch.Tensor, hidden: torch.Tensor, key: nn.Module) -> torch.Tensor:
    """(batch, heads, width) and (batch, length, hidden) → (batch, heads, length)."""
    heads = query.shape[1]
    if type(key) not in LINEAR:
        return torch.einsum("bhw,blhw->bhl", query, key(hidden).unflatten(-1, (heads, -1)))
    readers = torch.einsum("bhw,hwd->bhd", query, key.weight.unflatten(0, (heads, -1)))
    scores = readers @ hidden.transpose(1, 2)
    if key.bias is not None:
        scores = scores + (query * key.bias.unflatten(0, (heads, -1))).sum(-1, keepdim=True)
    return scores


def _context(shares: torch.Tensor, hidden: torch.Tensor, value: nn.Module) -> torch.Tensor:
    """(batch, heads, length) and (batch, length, hidden) → (batch, 1, hidden)."""
    heads = shares.shape[1]
    if type(value) not in LINEAR:
        context = torch.einsum("bhl,blhw->bhw", shares, value(hidden).unflatten(-1, (heads, -1)))
    else:
        context = torch.einsum("bhd,hwd->bhw", shares @ hidden, value.weight.unflatten(0, (heads, -1)))
        if value.bias is not None:
            context = context + shares.sum(-1, keepdim=True) * value.bias.unflatten(0, (heads, -1))
    return context.flatten(1)[:, None]


FORWARDS: dict[str, Callable] = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra"), _bert),
    "distilbert": _distilbert,
}
