"""Activation checkpointing: less memory for more time, by computing a layer again in the backward pass."""

from transformers import PreTrainedModel

from frostline.errors import InputError


def checkpoint(network: PreTrainedModel) -> None:
    """Keep of each trainable layer its input alone; InputError where the encoder does not support it.

    The reentrant kind gives no gradients behind a frozen bottom, and the usual remedy (inputs that require gradients)
    runs the backward pass through the frozen layers, too: the kind used here needs neither.
    """
    if not network.supports_gradient_checkpointing:
        raise InputError(
            f"trainer.gradient_checkpointing=true, but {type(network).__name__} does not support it: leave it out"
        )
    enable = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    network.disable_input_require_grads()
