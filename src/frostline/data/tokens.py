"""From texts to token ids: how long a text may be, and the tokenizer's pass over every split."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from transformers import PreTrainedTokenizerBase

from frostline.data.batches import TokenizedTexts

if TYPE_CHECKING:
    from datasets import Dataset  # half a second, which predictions do without

UNLIMITED = 2**31 - 1  # tokens; a tokenizer without a limit says 10**30, which its own truncation cannot take


def most_tokens(tokenizer: PreTrainedTokenizerBase, max_positions: int | None) -> int:
    """The most tokens a text may have, special ones included; `max_positions` None: the encoder sets no limit."""
    return min(tokenizer.model_max_length, max_positions or UNLIMITED, UNLIMITED)


def tokenized(
    splits: Mapping[Hashable, tuple["Dataset", np.ndarray]],
    tokenizer: PreTrainedTokenizerBase,
    columns: Sequence[str],
    max_length: int,
) -> dict[Hashable, TokenizedTexts]:
    """Token ids of each (texts, labels), cut at `max_length`; `datasets` keeps them for the next run."""
    encoding = {"tokenizer": tokenizer, "columns": columns, "max_length": max_length}
    # A first call puts a tokenizer that others used before into the state that `datasets` finds in its cache.
    kinds = _encode({column: ["a"] for column in columns}, **encoding, token_types=True)
    encoding["token_types"] = any(map(any, kinds.get("token_type_ids", [])))  # all 0 is every encoder's default
    found = {}
    for name, (data, labels) in splits.items():
        tokens = data.map(_encode, batched=True, fn_kwargs=encoding, remove_columns=data.column_names)
        found[name] = TokenizedTexts.from_arrow(tokens.with_format("arrow")[:], labels, tokenizer)
    return found


def _encode(
    rows: dict, tokenizer: PreTrainedTokenizerBase, columns: list[str], max_length: int, token_types: bool
) -> dict:
    return dict(
        tokenizer(
            *(rows[column] for column in columns),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=token_types and "token_type_ids" in tokenizer.model_input_names,
        )
    )
