"""What a model's folder must hold before it is worth training: whole weights, and a tokenizer that goes with them."""

from collections.abc import Mapping

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frostline.errors import InputError


def require_tokenizer(tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """InputError for a tokenizer without words: transformers makes an empty one where a folder has no files of it."""
    if len(tokenizer) <= len(set(tokenizer.all_special_ids)):
        raise InputError(
            f"{source} has no tokenizer: add the tokenizer's files, such as tokenizer.json and tokenizer_config.json"
        )


def require_sound(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, loading: Mapping[str, object], source: str
) -> None:
    """InputError where the encoder's weights are not all there, not all numbers, or too few for the tokenizer.

    `loading` is what `from_pretrained` tells with `output_loading_info`: what it does not find it makes up at random.
    """
    encoder = f"{network.base_model_prefix}."
    for key, what in (("missing_keys", "lacks"), ("mismatched_keys", "has in another shape")):
        names = [each if isinstance(each, str) else each[0] for each in loading[key]]
        names = sorted(name for name in names if name.startswith(encoder) and "pool" not in name)
        if names:
            raise InputError(
                f"{source}: model.safetensors {what} {len(names)} of the encoder's parameters that config.json asks "
                f"for (such as {names[0]}): put the config.json and the weights of one model into the folder"
            )
    for name, parameter in network.named_parameters():
        bad = int((~torch.isfinite(parameter)).sum())
        if bad:
            raise InputError(
                f"{source}: {bad:,} of the {parameter.numel():,} numbers in {name} are NaN or infinite: "
                "save or download the weights anew"
            )
    _require_room(network, tokenizer, source)


def _require_room(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, source: str) -> None:
    """InputError where the tokenizer gives a token that the embedding has no row for."""
    try:
        embedding = network.get_input_embeddings()
    except NotImplementedError:  # characters are hashed, not looked up
        return
    if not isinstance(embedding, torch.nn.Embedding):
        return
    highest = max(tokenizer.get_vocab().values())
    if highest >= embedding.num_embeddings:
        raise InputError(
            f"{source}: the tokenizer's tokens go up to {highest:,}, but the embedding has "
            f"{embedding.num_embeddings:,} rows: put the tokenizer and the weights of one model into the folder"
        )
