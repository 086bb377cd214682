"""Cutting a classifier at a boundary: trunk, then rest, gives what the whole gives."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from frostline.freeze.callback import apply, set_modes
from frostline.freeze.policy import Embeddings, Head, Nothing, Pattern, Top
from frostline.model.anatomy import Anatomy
from frostline.model.first_token import shorten
from frostline.model.inputs import encoder_inputs
from frostline.trunk.split import FEATURES, Habits, NoTrunkError, Rest, boundary, boundary_of, trunk_outputs

FAMILIES = ("bert", "distilbert", "roberta", "electra", "modernbert")


@pytest.fixture
def batch(padded_batch):
    return {**padded_batch, "labels": torch.tensor([0, 1, 1, 0, 1, 0])}


@pytest.mark.parametrize("policy", [Top(n=1), Top(n=2), Head()], ids=lambda policy: policy.name)
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_are_the_whole_classifiers(family, short, policy, tiny_network, batch):
    network = tiny_network(family)
    anatomy = Anatomy.of(network)
    if short:
        shorten(network, anatomy)
    apply(policy, network, anatomy)
    network.eval()
    at = boundary(policy.trains(anatomy), anatomy)

    cross_entropy(network(batch["input_ids"], batch["attention_mask"]).logits, batch["labels"]).backward()
    plain = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    kept = trunk_outputs(network, anatomy, [at], batch)[at]
    assert not kept.requires_grad
    cross_entropy(Rest(network, anatomy, at)(kept, batch["attention_mask"]), batch["labels"]).backward()
    cut = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert cut.keys() == plain.keys()
    for name in plain:
        torch.testing.assert_close(cut[name], plain[name], rtol=0, atol=1e-5, msg=name)


def test_one_pass_gives_every_boundary_what_a_pass_of_its_own_gives(tiny_network, batch):
    network = tiny_network("bert")
    anatomy = Anatomy.of(network)
    boundaries = [1, 2, 3, FEATURES]
    together = trunk_outputs(network, anatomy, boundaries, batch)
    for at in boundaries:
        torch.testing.assert_close(together[at], trunk_outputs(network, anatomy, [at], batch)[at], rtol=0, atol=0)
    assert together[FEATURES].shape == (6, 32)
    assert together[2].shape == (6, 12, 32)


def test_the_trunk_runs_without_dropout_and_leaves_modes_as_they_were(tiny_network, batch):
    network = tiny_network("bert").train()
    network.dropout.eval()
    anatomy = Anatomy.of(network)
    one, other = (trunk_outputs(network, anatomy, [2], batch)[2] for _ in range(2))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert network.bert.encoder.layer[0].training
    assert not network.dropout.training


def test_the_rest_has_the_classifiers_own_dropout(tiny_network, batch):
    network = tiny_network("bert")
    anatomy = Anatomy.of(network)
    apply(Top(n=1), network, anatomy)
    set_modes(network, anatomy)
    rest, kept = Rest(network, anatomy, 2), trunk_outputs(network, anatomy, [2], batch)[2]
    torch.manual_seed(0)
    cut = rest(kept, batch["attention_mask"])
    torch.manual_seed(0)
    whole = network(batch["input_ids"], batch["attention_mask"]).logits
    torch.testing.assert_close(cut, whole, rtol=0, atol=1e-5)
    assert not torch.equal(cut, rest(kept, batch["attention_mask"]))


def test_the_rest_is_in_the_mode_that_the_classifier_is_in(batch):
    """OPT leaves layers out at random in train mode: here all of them, always."""
    from transformers import OPTConfig, OPTForSequenceClassification

    config = OPTConfig(
        vocab_size=20, hidden_size=16, word_embed_proj_dim=16, ffn_dim=32, num_hidden_layers=2, num_attention_heads=2,
        layerdrop=1.0, dropout=0.0, attention_dropout=0.0, pad_token_id=0, init_std=0.3,
    )  # fmt: skip
    network = OPTForSequenceClassification(config).eval()
    inputs = encoder_inputs(batch)
    rest = Rest(network, Anatomy.of(network), 1, Habits(with_ids=True))
    kept = trunk_outputs(network, Anatomy.of(network), [1], batch)[1]
    for mode in (True, False):
        network.train(mode)
        torch.testing.assert_close(rest(kept, **inputs), network(**inputs).logits, rtol=0, atol=1e-5)


def test_cutting_changes_nothing_of_the_whole(tiny_network, batch):
    network = tiny_network("bert").eval()
    names, before = list(network.state_dict()), network(batch["input_ids"]).logits
    for at in (1, 2, FEATURES):
        Rest(network, Anatomy.of(network), at)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(batch["input_ids"]).logits, before, rtol=0, atol=0)


def test_boundaries_of_policies(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert"))
    for policy, expected in [(Head(), FEATURES), (Top(n=0), 3), (Top(n=1), 2), (Top(n=2), 1)]:
        assert boundary(policy.trains(anatomy), anatomy) == expected
        assert boundary_of(policy.name, anatomy) == expected
    assert boundary(Pattern(train=["layer.2", "classifier"]).trains(anatomy), anatomy) == 2
    for policy in (Nothing(), Embeddings(), Top(n=3), Pattern(train=["layer.0.*bias"])):
        with pytest.raises(NoTrunkError):
            boundary(policy.trains(anatomy), anatomy)
        assert boundary_of(policy.name, anatomy) is None
