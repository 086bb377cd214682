"""Encoders of many families: which parameters train, that they do, and that a kept trunk changes nothing."""

from collections.abc import Iterable

import families
import pytest
import pytorch_lightning as pl
import torch
from families import FAMILIES, cut, encoder, texts
from torch import nn
from torch.nn.functional import cross_entropy

from frostline.data.batches import BucketedBatches, loader
from frostline.errors import InputError
from frostline.freeze.callback import Freeze, apply, set_modes
from frostline.freeze.policy import Embeddings, Head, Nothing, Pattern, Policy, Top
from frostline.model.anatomy import HEAD as HEAD_PART
from frostline.model.anatomy import POOLER, Anatomy
from frostline.model.classifier import Classifier
from frostline.model.inputs import encoder_inputs
from frostline.model.optim import LinearDecayAdamW
from frostline.trunk.probe import find_cut
from frostline.trunk.split import FEATURES, NoTrunkError, Rest, trunk_outputs

# What each policy's name promises, by the first part of the parameters' names: the head, what `top1` adds to it (the
# last layer and what stands behind it), and what `embeddings` freezes.
PARTS = {
    "bert": (["classifier"], ["bert.encoder.layer.2", "bert.pooler"], ["bert.embeddings"]),
    "distilbert": (["pre_classifier", "classifier"], ["distilbert.transformer.layer.2"], ["distilbert.embeddings"]),
    "roberta": (["classifier"], ["roberta.encoder.layer.2"], ["roberta.embeddings"]),
    "xlm-roberta": (["classifier"], ["roberta.encoder.layer.2"], ["roberta.embeddings"]),
    "camembert": (["classifier"], ["roberta.encoder.layer.2"], ["roberta.embeddings"]),
    "electra": (["classifier"], ["electra.encoder.layer.2"], ["electra.embeddings", "electra.embeddings_project"]),
    "albert": (["classifier"], None, ["albert.embeddings", "albert.encoder.embedding_hidden_mapping_in"]),
    "deberta-v2": (
        ["pooler", "classifier"],
        ["deberta.encoder.layer.2"],
        ["deberta.embeddings", "deberta.encoder.rel_embeddings", "deberta.encoder.LayerNorm"],
    ),
    "mpnet": (
        ["classifier"], ["mpnet.encoder.layer.2"], ["mpnet.embeddings", "mpnet.encoder.relative_attention_bias"],
    ),
    "modernbert": (["head", "classifier"], ["model.layers.2", "model.final_norm"], ["model.embeddings"]),
    "longformer": (["classifier"], ["longformer.encoder.layer.2"], ["longformer.embeddings"]),
    "big_bird": (["classifier"], ["bert.encoder.layer.2", "bert.pooler"], ["bert.embeddings"]),
    "xlnet": (
        ["sequence_summary", "logits_proj"],
        ["transformer.layer.2"],
        ["transformer.word_embedding", "transformer.mask_emb"],
    ),
    "funnel": (["classifier"], ["funnel.encoder.blocks.1.1"], ["funnel.embeddings"]),
    "canine": (
        ["classifier"],
        ["canine.encoder.layer.2", "canine.projection", "canine.final_char_encoder", "canine.pooler"],
        ["canine.char_embeddings", "canine.initial_char_encoder", "canine.chars_to_molecules"],
    ),
    "gpt2": (["score"], ["transformer.h.2", "transformer.ln_f"], ["transformer.wte", "transformer.wpe"]),
    "llama": (["score"], ["model.layers.2", "model.norm"], ["model.embed_tokens"]),
    "qwen3": (["score"], ["model.layers.2", "model.norm"], ["model.embed_tokens"]),
    "bart": (["classification_head"], None, None),
    "xlm": (["sequence_summary"], None, None),
}  # fmt: skip
# Parameters whose names hold one of these never get a gradient: the family's classifier does not use them.
UNUSED = {
    "big_bird": ["bert.pooler"],
    "xlnet": ["mask_emb", "r_s_bias", "seg_embed"],
    "canine": ["canine.projection", "canine.final_char_encoder"],
}
# Longformer's head reads the one token with global attention, which has projections of its own.
ZERO_GRADIENT = {"longformer": [f"layer.2.attention.self.{name}.bias" for name in ("query", "key", "value")]}
ALONE = "gives a text other logits when longer ones stand beside it"
# Families that train plainly, and why; the others' trunk is kept.
PLAIN = {
    ("funnel", "head"): ALONE, ("funnel", "top1"): ALONE, ("canine", "head"): ALONE, ("canine", "top1"): ALONE,
    ("bart", "head"): "tiny bart, cut there, gives other logits than whole",
}  # fmt: skip
TOLERANCE = 1e-5  # of logits and gradients in fp32; the page says so
HEAD, TOP1, EMBEDDINGS = Head(), Top(n=1), Embeddings()


def refused(family: str, policy: Policy) -> bool:
    """Whether the policy does not fit the family."""
    return PARTS[family][{HEAD: 0, TOP1: 1, EMBEDDINGS: 2}.get(policy, 0)] is None


def pairs(*policies: Policy, fitting: bool = True) -> list:
    """Every family with every policy that fits it, or with those that do not."""
    return [
        pytest.param(family, policy, id=f"{family}-{policy.name}")
        for family in FAMILIES
        for policy in policies
        if refused(family, policy) != fitting
    ]


def starting_with(parts: list[str], names: Iterable[str]) -> set[str]:
    """The parameters that belong to one of these modules, or are one."""
    return {name for name in names if any(f"{name}.".startswith(f"{part}.") for part in parts)}


def test_every_family_is_in_the_table():
    assert PARTS.keys() == FAMILIES.keys()


@pytest.mark.parametrize(("family", "policy"), pairs(HEAD, TOP1, EMBEDDINGS))
def test_exactly_these_parameters_train(family, policy):
    names = {name for name, _ in encoder(family).named_parameters()}
    head, top, embeddings = PARTS[family]
    if policy == EMBEDDINGS:
        expected = names - starting_with(embeddings, names)
    else:
        expected = starting_with(head if policy == HEAD else [*head, *top], names)
    trains = policy.trains(Anatomy.of(encoder(family)))
    assert {name for name, trainable in trains.items() if trainable} == expected
    assert trains.keys() == names


@pytest.mark.parametrize(("family", "policy"), pairs(HEAD, TOP1, EMBEDDINGS, fitting=False))
def test_a_policy_that_does_not_fit_is_refused_with_what_was_found_and_what_fits(family, policy):
    found = {
        "albert": "the 3 layers of tiny albert share the weights of albert.encoder.albert_layer_groups.0",
        "bart": "tiny bart has no layers to be found: the config says 3 layers, and the module lists are "
        "model.encoder.layers (3), model.decoder.layers (3)",
        "xlm": "tiny xlm has no layers to be found: the config says 3 layers, and the module lists are "
        "transformer.attentions (3), transformer.layer_norm1 (3), transformer.ffns (3), transformer.layer_norm2 (3)",
    }  # fmt: skip
    with pytest.raises(InputError) as refusal:
        policy.trains(Anatomy.of(encoder(family)))
    assert str(refusal.value).startswith(f"freeze={policy.name}: {found[family]}")
    assert "use freeze=head" in str(refusal.value)
    assert ("freeze=pattern" in str(refusal.value)) == (family != "albert")


@pytest.mark.parametrize(("family", "policy"), pairs(HEAD, TOP1, EMBEDDINGS, Nothing()))
def test_a_step_moves_what_trains_and_nothing_else(family, policy, tmp_path, caplog):
    network = encoder(family)
    trains = policy.trains(Anatomy.of(network))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    batches = loader(texts(family), BucketedBatches(texts(family).lengths, batch_size=8, seed=0))
    trainer = pl.Trainer(
        max_steps=1, callbacks=[Freeze(policy)], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Classifier(network, LinearDecayAdamW(lr=1e-2, weight_decay=0.1)), batches)
    unused = {name for name in trains if any(part in name for part in UNUSED.get(family, []))}
    still = unused | {name for name in trains if any(part in name for part in ZERO_GRADIENT.get(family, []))}
    moved = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name, trainable in trains.items() if trainable} - still
    told = [record.message for record in caplog.records if "without a gradient" in record.message]
    assert bool(told) == any(trains[name] for name in unused)


@pytest.mark.parametrize(("family", "policy"), pairs(HEAD, TOP1))
def test_a_kept_trunk_changes_nothing_or_is_not_kept_and_why(family, policy):
    way = cut(family, policy)
    assert isinstance(way, str) == ((family, policy.name) in PLAIN), way
    if isinstance(way, str):
        assert PLAIN[family, policy.name] in way
        return
    network, batch = encoder(family), texts(family)[[0, 1, 2, 5, 7]]
    anatomy = Anatomy.of(network)
    apply(policy, network, anatomy)
    rest = Rest(network, anatomy, way.rest.at, way.habits)
    kept = trunk_outputs(network, anatomy, [rest.at], batch, way.habits)[rest.at]
    plain = logits_and_gradients(network, network(**encoder_inputs(batch)).logits, batch["labels"])
    behind = logits_and_gradients(network, rest(kept, **encoder_inputs(batch)), batch["labels"])
    assert behind.keys() == plain.keys()
    for name, values in plain.items():
        torch.testing.assert_close(behind[name], values, rtol=0, atol=TOLERANCE, msg=name)


def logits_and_gradients(network: nn.Module, logits: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The logits and each parameter's gradient of their loss."""
    network.zero_grad()
    cross_entropy(logits, labels).backward()
    gradients = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients}


def test_no_part_below_the_boundary_depends_on_one_above():
    """What is kept must not change while the rest trains, not through a bias that all layers share either."""
    for family in FAMILIES:
        network = encoder(family)
        anatomy = Anatomy.of(network)
        for number, layer in enumerate(anatomy.layers):
            above = [POOLER, HEAD_PART, *(f"layer.{i}" for i in range(number + 1, len(anatomy.layers)))]
            for name, parameter in network.named_parameters():
                parameter.requires_grad = anatomy.group(name) in above
            seen = []
            hook = network.get_submodule(layer).register_forward_hook(lambda *given: seen.append(given[-1]))  # noqa: B023
            network(**encoder_inputs(texts(family)[[0, 1]]))
            hook.remove()
            hidden = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
            assert not hidden.requires_grad, (family, layer)


def test_an_encoder_that_is_not_understood_trains_by_patterns(tmp_path):
    network = encoder("xlm")
    trains = apply(Pattern(train=["ffns.2", "sequence_summary"]), network, Anatomy.of(network))
    assert {name for name, trainable in trains.items() if trainable} == starting_with(
        ["transformer.ffns.2", "sequence_summary"], trains
    )


def test_a_text_that_says_which_kind_of_attention_comes_next_is_no_trunk():
    """BigBird goes from sparse to full attention at the first short text, and stays there."""
    network = encoder("big_bird", attention_type="block_sparse", block_size=16)
    with pytest.raises(
        NoTrunkError, match=r"tiny big_bird changes its bert\.attention_type by the length of the texts"
    ):
        find_cut(network, Anatomy.of(network), 2, [], texts("big_bird"))


def test_modernberts_mean_over_tokens_is_kept_too():
    network = encoder("modernbert", classifier_pooling="mean")
    assert find_cut(network, Anatomy.of(network), FEATURES, [], texts("modernbert")).habits.reading == "mean"


def test_one_dropout_for_all_parts_is_on_where_all_of_them_train():
    network = encoder("xlnet")
    anatomy = Anatomy.of(network)
    for policy, expected in ((TOP1, False), (Nothing(), True)):
        apply(policy, network, anatomy)
        set_modes(network, anatomy)
        assert network.transformer.dropout.training == expected
        assert network.transformer.layer[2].rel_attn.dropout.training


def test_the_page_is_what_these_encoders_say():
    page = families.PAGE.read_text()
    assert families.page(page) == page, "run python tests/families.py --write"
