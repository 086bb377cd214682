"""A classification head that comes with the weights: kept where it knows the data's labels, else made anew."""

import copy
from collections.abc import Collection, Sequence

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from frostline.model.anatomy import HEAD, Anatomy

SHOWN = 4  # labels in a message


def fit_head(
    network: PreTrainedModel, missing: Collection[str], known: Sequence[str], labels: Sequence[str]
) -> str | None:
    """Make the head one for `labels`; says what became of the one that came with the weights, None if none did.

    `missing` are the parameters that the weights lack, `known` the labels that the head was trained for. The same
    labels in another order keep their weights: their rows are put into the data's order.
    """
    anatomy = Anatomy.of(network)
    head = [name for name in anatomy.parameters if anatomy.group(name) == HEAD]
    if not head or any(name in missing for name in head):
        return None
    if sorted(known) != sorted(labels):
        _renew(network, anatomy)
        return (
            f"{anatomy.model_name} comes with a head for {_listed(known)}; the data's labels are {_listed(labels)}: "
            "a fresh head takes its place."
        )
    if list(known) != list(labels):
        _reorder(network, head, [list(known).index(label) for label in labels])
    return f"{anatomy.model_name} comes with a head for these labels ({', '.join(labels[:SHOWN])}): it is kept."


@torch.no_grad()
def _renew(network: PreTrainedModel, anatomy: Anatomy) -> None:
    """Random weights in the head, by the family's own rule."""
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if own and anatomy.group(name) == HEAD:
            for parameter in own:
                parameter._is_hf_initialized = False  # transformers leaves loaded weights alone
            network._init_weights(module)


@torch.no_grad()
def _reorder(network: PreTrainedModel, head: Sequence[str], order: Sequence[int]) -> None:
    """Put the labels' rows into another order; they are where one label more would make the head larger."""
    config = copy.deepcopy(network.config)
    config.num_labels = len(order) + 1
    with torch.device("meta"):
        larger = AutoModelForSequenceClassification.from_config(config)
    for name in head:
        parameter = network.get_parameter(name)
        for dim, size in enumerate(larger.get_parameter(name).shape):
            if size != parameter.shape[dim]:
                parameter.copy_(parameter.index_select(dim, torch.tensor(order)))


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more} more" if more > 0 else "")
