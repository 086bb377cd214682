"""Decay groups, the fused kernel, and the linear schedule."""

import pytest
import torch

from frostline.errors import InputError
from frostline.freeze.callback import apply
from frostline.freeze.policy import Top
from frostline.model.anatomy import Anatomy
from frostline.model.optim import LinearDecayAdamW, linear


def test_biases_and_norms_do_not_decay_and_frozen_parameters_are_in_no_group(tiny_network):
    network = tiny_network("bert")
    apply(Top(n=1), network, Anatomy.of(network))
    optimizer = LinearDecayAdamW(weight_decay=0.1).optimizer(network.parameters())
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in decay
        else:
            plain = name.endswith("bias") or "LayerNorm" in name
            assert decay[id(parameter)] == (0.0 if plain else 0.1), name


def test_the_fused_kernel_makes_the_same_steps_as_the_plain_one(tiny_network):
    networks = [tiny_network("bert").eval() for _ in range(2)]
    fused = LinearDecayAdamW(lr=1e-3).optimizer(networks[0].parameters())
    assert fused.defaults["fused"]
    for group in fused.param_groups:
        group["weight_decay"] = 0.0
    plain = torch.optim.AdamW(networks[1].parameters(), lr=1e-3, weight_decay=0.0, fused=False)
    ids = torch.arange(5, 13).reshape(2, 4)
    for _ in range(5):
        for network, optimizer in zip(networks, (fused, plain), strict=True):
            optimizer.zero_grad()
            network(input_ids=ids, labels=torch.tensor([0, 1])).loss.backward()
            optimizer.step()
    for ours, theirs in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_rate_falls_in_a_straight_line_to_zero():
    assert [linear(step, 4, 0) for step in range(5)] == [1.0, 0.75, 0.5, 0.25, 0.0]


def test_the_rate_rises_over_the_warm_up():
    assert [linear(step, 10, 2) for step in (0, 1, 2, 6, 10)] == [0.0, 0.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, "optimizer.lr=0: use a number above 0"),
        ({"lr": float("nan")}, "optimizer.lr=nan"),
        ({"weight_decay": -1}, "optimizer.weight_decay=-1: use a number from 0 to 100"),
        ({"warmup": 1.5}, "optimizer.warmup=1.5: use a share"),
    ],
)
def test_a_wrong_number_is_told(options, message):
    with pytest.raises(InputError, match=message):
        LinearDecayAdamW(**options)
