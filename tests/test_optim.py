"""Decay groups, the fused kernel, and the linear schedule."""

import pytest
import torch

from frostline.errors import InputError
from frostline.freeze.callback import apply
from frostline.freeze.policy import Top
from frostline.model.anatomy import Anatomy
from frostline.model.optim import LinearDecayAdamW, Part, clip_within_step, linear, parts


def test_biases_and_norms_do_not_decay_and_frozen_parameters_are_in_no_group(tiny_network):
    network = tiny_network("bert")
    apply(Top(n=1), network, Anatomy.of(network))
    optimizer = LinearDecayAdamW(weight_decay=0.1).optimizer([Part(list(network.parameters()))])
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in decay
        else:
            plain = name.endswith("bias") or "LayerNorm" in name
            assert decay[id(parameter)] == (0.0 if plain else 0.1), name


def test_the_fused_kernel_makes_the_same_steps_as_the_plain_one(tiny_network):
    networks = [tiny_network("bert").eval() for _ in range(2)]
    fused = LinearDecayAdamW(lr=1e-3).optimizer([Part(list(networks[0].parameters()))])
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


@pytest.mark.parametrize("size", [100.0, 1e-4])
def test_clipped_within_the_step_it_is_the_step_after_clipping(tiny_network, size):
    stepped = []
    for within in (False, True):
        network = tiny_network("bert")
        optimizer = LinearDecayAdamW(lr=1e-3).optimizer([Part(list(network.parameters()))])
        rng = torch.Generator().manual_seed(0)
        for _ in range(3):
            for parameter in network.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=rng) * size
            if within:
                clip_within_step(optimizer, 1.0)
            else:
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        stepped.append(optimizer.state_dict()["state"])
    for plain, clipped in zip(*(state.values() for state in stepped), strict=True):
        for name, value in plain.items():
            torch.testing.assert_close(clipped[name], value, rtol=1e-5, atol=1e-9)


def test_each_depth_below_the_head_has_its_share_of_the_rate(tiny_network):
    network = tiny_network("bert")
    found = parts(network, Anatomy.of(network), {})
    optimizer = LinearDecayAdamW(lr=1e-3, layer_decay=0.5, weight_decay=0.1).optimizer(found)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in network.named_parameters():
        depth = {"classifier": 0, "bert.pooler": 1, "bert.encoder.layer.2": 1, "bert.encoder.layer.1": 2,
                 "bert.encoder.layer.0": 3, "bert.embeddings": 4}  # fmt: skip
        below = next(depth[part] for part in depth if name.startswith(part))
        assert rates[id(parameter)] == pytest.approx(1e-3 * 0.5**below), name
    decaying = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    assert decaying == {id(p) for p in network.parameters() if p.ndim >= 2}


def test_one_rate_for_all_is_two_groups(tiny_network):
    network = tiny_network("bert")
    assert len(LinearDecayAdamW().optimizer(parts(network, Anatomy.of(network), {})).param_groups) == 2


def test_a_part_may_reach_zero_before_the_others(tiny_network):
    network = tiny_network("bert")
    recipe = LinearDecayAdamW(lr=1.0)
    optimizer = recipe.optimizer(parts(network, Anatomy.of(network), {"embeddings": 0.5}))
    schedule = recipe.schedule(optimizer, steps=4)
    rates = []
    for _ in range(4):
        rates.append({round(rate, 6) for rate in schedule.get_last_lr()})
        optimizer.step(), schedule.step()
    assert rates == [{1.0}, {0.75, 0.5}, {0.5, 0.0}, {0.25, 0.0}]


def test_without_a_gradient_a_parameter_neither_moves_nor_decays(tiny_network):
    network = tiny_network("bert")
    optimizer = LinearDecayAdamW(lr=0.1, weight_decay=0.5).optimizer([Part(list(network.parameters()))])
    ids = torch.arange(5, 13).reshape(2, 4)
    network(input_ids=ids, labels=torch.tensor([0, 1])).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    frozen = network.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    before = frozen.clone()
    network(input_ids=ids, labels=torch.tensor([0, 1])).loss.backward()
    optimizer.step()
    assert torch.equal(frozen, before)
    assert optimizer.state[frozen]["step"] == 1


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
        ({"layer_decay": 0}, "optimizer.layer_decay=0: use a number above 0, up to 1"),
        ({"layer_decay": 1.2}, "optimizer.layer_decay=1.2"),
        ({"layer_decay": True}, "optimizer.layer_decay=true: use a number"),
        ({"warmup": 1.5}, "optimizer.warmup=1.5: use a share"),
    ],
)
def test_a_wrong_number_is_told(options, message):
    with pytest.raises(InputError, match=message):
        LinearDecayAdamW(**options)
