"""Steps with few kernels give the loss and the gradients of autocast's own."""

import pytest
import torch
from families import FAMILIES, encoder

from frostline.model.anatomy import Anatomy
from frostline.model.first_token import shorten
from frostline.model.lean import Lean, together

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


def passes(network, ways=None):
    """Loss and gradients of one batch under bf16 autocast, dropout seeded."""
    device = network.device.type
    ids = torch.randint(5, 20, (4, 9), generator=torch.Generator().manual_seed(0)).to(device)
    ids[:, 4] = 3  # BART wants one end token in each text
    mask = torch.ones_like(ids)
    mask[0, -3:] = 0
    torch.manual_seed(0)
    network.zero_grad()

    def both():
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            loss = network(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 1, 0], device=device)).loss
        loss.backward()
        return loss.item()

    if ways is None:
        loss = both()
    else:
        with ways.step():
            loss = both()
    return loss, {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def assert_alike(found, expected):
    (loss, gradients), (plain_loss, plain) = found, expected
    assert loss == pytest.approx(plain_loss, abs=0.01)
    assert gradients.keys() == plain.keys()
    whole = torch.cat([gradient.flatten() for gradient in plain.values()]).norm()
    for name, gradient in plain.items():
        assert gradients[name].dtype == torch.float32
        assert (gradients[name] - gradient).norm() < 0.04 * max(gradient.norm(), 0.05 * whole), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_are_autocasts(family, device):
    network = encoder(family).to(device).train()
    assert_alike(passes(network, Lean(network, torch.bfloat16)), passes(network))
    assert not [module for module in network.modules() if "forward" in vars(module)]


@pytest.mark.parametrize("device", DEVICES)
def test_with_a_shortened_last_layer_dropout_and_a_frozen_front(device, tiny_network):
    network = tiny_network("bert", dropout=0.1).to(device).train()
    shorten(network, Anatomy.of(network))
    for name, parameter in network.named_parameters():
        parameter.requires_grad = not name.startswith(("bert.embeddings", "bert.encoder.layer.0"))
    assert_alike(passes(network, Lean(network, torch.bfloat16)), passes(network))


@pytest.mark.parametrize("family", ["roberta", "electra", "distilbert"])
def test_query_key_and_value_are_one_product(family, tiny_network):
    assert sorted(map(len, together(tiny_network(family)))).count(3) == 3


def test_but_not_where_they_are_not_called(tiny_network):
    network = tiny_network("bert")
    assert sorted(map(len, together(network))) == [1] * (3 * 3 + 2) + [3] * 3  # three layers; pooler and head
    shorten(network, Anatomy.of(network))
    assert sorted(map(len, together(network))).count(3) == 2


def test_layers_that_train_apart_are_multiplied_apart(tiny_network):
    network = tiny_network("bert")
    network.bert.encoder.layer[1].attention.self.key.weight.requires_grad = False
    assert sorted(map(len, together(network))).count(3) == 2
    assert_alike(passes(network, Lean(network, torch.bfloat16)), passes(network))
