"""The short last layer against the plain one: same logits, same gradients."""

import pytest
import torch
from families import encoder
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from frostline.model.anatomy import Anatomy
from frostline.model.first_token import shorten

FAMILIES = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"]


def uneven(network):
    """Every weight and bias moved at random: as they are made, biases are zero and attention is nearly flat."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(1)
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return network


def logits_and_gradients(network, batch, labels):
    network.zero_grad()
    logits = network(**batch).logits
    cross_entropy(logits, labels).backward()
    return logits.detach(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.fixture
def batch(padded_batch):
    return padded_batch


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_gradients_are_the_plain_layers(family, padded, attention, batch):
    network = uneven(encoder(family))
    network.set_attn_implementation(attention)
    if not padded:
        batch = {"input_ids": batch["input_ids"].clamp(min=5), "attention_mask": torch.ones(6, 12, dtype=torch.long)}
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    plain = logits_and_gradients(network, batch, labels)
    assert shorten(network, Anatomy.of(network))
    assert network.base_model(**batch).last_hidden_state.shape == (6, 1, 16)
    short = logits_and_gradients(network, batch, labels)
    torch.testing.assert_close(short[0], plain[0], rtol=0, atol=1e-5)
    assert short[1].keys() == plain[1].keys()
    for name, gradient in plain[1].items():
        torch.testing.assert_close(short[1][name], gradient, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_neither_keys_nor_values_are_computed_for_each_token(family):
    network = encoder(family, num_hidden_layers=1, n_layers=1)
    width, texts, length = 16, 2, 60
    batch = {"input_ids": torch.full((texts, length), 5), "attention_mask": torch.ones(texts, length, dtype=torch.long)}
    shorten(network, Anatomy.of(network))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(**batch)
    assert counter.get_total_flops() < 2 * texts * length * width * width  # of one such product; both take twice that


def test_dropout_follows_the_layers_mode(tiny_network, batch):
    network = tiny_network("bert").train()
    shorten(network, Anatomy.of(network))
    network.classifier.eval()
    torch.manual_seed(0)
    one, other = network(**batch).logits, network(**batch).logits
    assert not torch.equal(one, other)


def test_other_families_keep_their_plain_layer(tiny_network, batch):
    network = tiny_network("modernbert").eval()
    before = network(**batch).logits
    assert not shorten(network, Anatomy.of(network))
    torch.testing.assert_close(network(**batch).logits, before, rtol=0, atol=0)


def test_the_weights_keep_their_names(tiny_network):
    network = tiny_network("bert")
    names = list(network.state_dict())
    shorten(network, Anatomy.of(network))
    assert list(network.state_dict()) == names
