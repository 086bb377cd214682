"""Activation checkpointing: the same training for less memory, with a frozen bottom too."""

import json

import pytest
import torch
from torch.nn.functional import cross_entropy

from frostline.errors import InputError
from frostline.freeze.callback import apply, set_modes
from frostline.freeze.policy import Nothing, Top
from frostline.model import activations
from frostline.model.anatomy import Anatomy


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
@pytest.mark.parametrize("policy", [Nothing(), Top(n=2)], ids=lambda policy: policy.name)
def test_loss_and_gradients_are_those_without(family, policy, tiny_network, padded_batch):
    labels, found = torch.tensor([0, 1, 1, 0, 1, 0]), []
    for checkpointing in (False, True):
        network = tiny_network(family)
        anatomy = Anatomy.of(network)
        apply(policy, network, anatomy)
        set_modes(network, anatomy)
        if checkpointing:
            activations.checkpoint(network)
        torch.manual_seed(0)
        loss = cross_entropy(network(**padded_batch).logits, labels)
        loss.backward()
        found.append((loss, {name: p.grad for name, p in network.named_parameters() if p.grad is not None}))
    (plain, gradients), (loss, others) = found
    assert torch.equal(loss, plain)
    assert gradients.keys() == others.keys()
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)


def test_the_backward_pass_still_ends_at_the_frozen_bottom(tiny_network, padded_batch):
    network = tiny_network("bert")
    apply(Top(n=1), network, Anatomy.of(network))
    activations.checkpoint(network)
    hidden = []
    network.bert.encoder.layer[2].register_forward_pre_hook(lambda layer, args: hidden.append(args[0]))
    network(**padded_batch)
    assert not hidden[0].requires_grad


def test_less_is_kept_for_the_backward_pass(tiny_network, padded_batch):
    sizes = []
    for checkpointing in (False, True):
        network = tiny_network("bert").train()
        if checkpointing:
            activations.checkpoint(network)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            network(**padded_batch)
        sizes.append(sum(kept))
    assert sizes[1] < sizes[0] / 2


def test_an_encoder_that_cannot_is_told(tiny_network):
    network = tiny_network("bert")
    network.supports_gradient_checkpointing = False
    with pytest.raises(InputError, match=r"trainer\.gradient_checkpointing=true, but Bert\w+ does not"):
        activations.checkpoint(network)


@pytest.mark.parametrize("options", [("freeze=none",), ("freeze=top2", "trunk=none"), ("freeze=gradual",)])
def test_a_run_gives_the_same_digits(options, train, tmp_path):
    for run, flag in (("plain", "false"), ("less", "true")):
        outcome = train(*options, "optimizer.lr=1e-3", f"trainer.gradient_checkpointing={flag}", f"hydra.run.dir={run}")
        assert outcome.status == 0, outcome.err
    plain, less = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("plain", "less"))
    assert less["metrics"] == plain["metrics"]
    assert less["history"] == plain["history"]
