"""What of a batch goes into an encoder."""

import torch

NAMES = ("input_ids", "attention_mask", "token_type_ids")


def encoder_inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch without its labels and positions."""
    return {name: batch[name] for name in NAMES if batch.get(name) is not None}
