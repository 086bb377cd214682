"""Freeze policies as pure rules: an encoder and the exact parameters that train."""

import re
from fnmatch import fnmatchcase
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frostline.errors import InputError
from frostline.freeze.policy import BitFit, Embeddings, Head, Norms, Nothing, Pattern, Top, fingerprint
from frostline.model.anatomy import Anatomy

FAMILIES = ("bert", "distilbert", "roberta", "electra", "modernbert")

# What trains under each policy, as wildcards over parameter names; everything else is frozen.
EXPECTED = {
    "bert": {
        "none": ["*"],
        "head": ["classifier.*"],
        "top1": ["classifier.*", "bert.pooler.*", "bert.encoder.layer.2.*"],
        "top2": ["classifier.*", "bert.pooler.*", "bert.encoder.layer.[12].*"],
        "embeddings": ["classifier.*", "bert.pooler.*", "bert.encoder.*"],
        "bitfit": ["classifier.*", "bert.*.bias"],
        "norms": ["classifier.*", "bert.*.LayerNorm.*"],
    },
    "distilbert": {
        "none": ["*"],
        "head": ["classifier.*", "pre_classifier.*"],
        "top1": ["classifier.*", "pre_classifier.*", "distilbert.transformer.layer.2.*"],
        "top2": ["classifier.*", "pre_classifier.*", "distilbert.transformer.layer.[12].*"],
        "embeddings": ["classifier.*", "pre_classifier.*", "distilbert.transformer.*"],
        "bitfit": ["classifier.*", "pre_classifier.*", "distilbert.*.bias"],
        "norms": ["classifier.*", "pre_classifier.*", "distilbert.*.LayerNorm.*", "distilbert.*_layer_norm.*"],
    },
    "roberta": {
        "none": ["*"],
        "head": ["classifier.*"],
        "top1": ["classifier.*", "roberta.encoder.layer.2.*"],
        "top2": ["classifier.*", "roberta.encoder.layer.[12].*"],
        "embeddings": ["classifier.*", "roberta.encoder.*"],
        "bitfit": ["classifier.*", "roberta.*.bias"],
        "norms": ["classifier.*", "roberta.*.LayerNorm.*"],
    },
    "electra": {
        "none": ["*"],
        "head": ["classifier.*"],
        "top1": ["classifier.*", "electra.encoder.layer.2.*"],
        "top2": ["classifier.*", "electra.encoder.layer.[12].*"],
        "embeddings": ["classifier.*", "electra.encoder.*"],
        "bitfit": ["classifier.*", "electra.*.bias"],
        "norms": ["classifier.*", "electra.*.LayerNorm.*"],
    },
    "modernbert": {
        "none": ["*"],
        "head": ["classifier.*", "head.*"],
        "top1": ["classifier.*", "head.*", "model.final_norm.*", "model.layers.2.*"],
        "top2": ["classifier.*", "head.*", "model.final_norm.*", "model.layers.[12].*"],
        "embeddings": ["classifier.*", "head.*", "model.final_norm.*", "model.layers.*"],
        "bitfit": None,
        "norms": ["classifier.*", "head.*", "model.*norm.*"],
    },
}
POLICIES = {
    "none": Nothing(), "head": Head(), "top1": Top(n=1), "top2": Top(n=2), "embeddings": Embeddings(),
    "bitfit": BitFit(), "norms": Norms(),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", POLICIES)
def test_exactly_the_named_parameters_train(family, name, tiny_network):
    anatomy = Anatomy.of(tiny_network(family))
    wildcards = EXPECTED[family][name]
    if wildcards is None:
        with pytest.raises(InputError, match=rf"freeze={name}: tiny {family} has no "):
            POLICIES[name].trains(anatomy)
        return
    trains = POLICIES[name].trains(anatomy)
    assert trains == {p: any(fnmatchcase(p, wildcard) for wildcard in wildcards) for p in anatomy.parameters}
    assert POLICIES[name].name == name


@pytest.mark.parametrize("family", FAMILIES)
def test_deeper_freezing_trains_a_subset(family, tiny_network):
    anatomy = Anatomy.of(tiny_network(family))
    order = [Head(), *(Top(n=n) for n in range(4)), Nothing()]
    kept = [{name for name, trains in policy.trains(anatomy).items() if trains} for policy in order]
    for deeper, shallower in pairwise(kept):
        assert deeper <= shallower
    assert kept[0] < kept[2] < kept[3] < kept[4] < kept[5]


def test_all_layers_on_top_is_all_but_the_embeddings(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert"))
    assert Top(n=3).trains(anatomy) == Embeddings().trains(anatomy)


def test_a_pattern_matches_anywhere_in_a_name(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert"))
    trains = Pattern(train=["LayerNorm", r"layer\.2\.", "^classifier"]).trains(anatomy)
    for name, trainable in trains.items():
        assert trainable == bool(re.search(r"LayerNorm|layer\.2\.|^classifier", name)), name


@pytest.mark.parametrize("n", [4, -1, True])
def test_more_layers_than_there_are_is_told_with_the_range(n, tiny_network):
    with pytest.raises(InputError, match=rf"freeze.n={n}, but tiny bert has 3 layers: use 0 to 3"):
        Top(n=n).trains(Anatomy.of(tiny_network("bert")))


def test_a_pattern_that_matches_nothing_is_told_with_names_as_they_are(tiny_network):
    with pytest.raises(InputError, match=r"'clasifier' matches no parameter of tiny bert.*bert\.embeddings"):
        Pattern(train=["clasifier"]).trains(Anatomy.of(tiny_network("bert")))


def test_the_fingerprint_tells_trainable_sets_apart(tiny_network):
    anatomy = Anatomy.of(tiny_network("bert"))
    prints = {name: fingerprint(policy.trains(anatomy)) for name, policy in POLICIES.items()}
    assert len(set(prints.values())) == len(prints)
    assert fingerprint(Pattern(train=["^classifier"]).trains(anatomy)) == prints["head"]


@pytest.fixture(scope="module")
def anatomy_of():
    """The anatomy of a tiny encoder, made once for each family and depth."""
    from frostline.model.tiny import Tiny

    @cache
    def make(family, layers):
        source = Tiny("tiny", family, layers=layers)
        return Anatomy.of(source.network(("a", "b", "c"), source.tokenizer(["some words"])))

    return make


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(family=st.sampled_from(FAMILIES), layers=st.integers(1, 5), data=st.data())
def test_every_parameter_is_ruled_once_and_deeper_freezing_trains_less(anatomy_of, family, layers, data):
    anatomy = anatomy_of(family, layers)
    names = st.sampled_from(anatomy.parameters)
    patterns = data.draw(st.lists(names.map(re.escape) | names.map(lambda name: name.split(".")[-2]), min_size=1))
    deepest_first = [Head(), *(Top(n=n) for n in range(layers + 1)), Embeddings(), Nothing()]
    policies = [*deepest_first, Pattern(train=patterns)]

    ruled = [policy.trains(anatomy) for policy in policies]

    for trains in ruled:
        assert list(trains) == list(anatomy.parameters)
        assert set(map(type, trains.values())) == {bool}
    kept = [{name for name, trainable in trains.items() if trainable} for trains in ruled]
    for deeper, shallower in pairwise(kept[: len(deepest_first)]):
        assert deeper <= shallower
    fewer = Pattern(train=patterns[: len(patterns) // 2 or 1]).trains(anatomy)
    assert {name for name, trainable in fewer.items() if trainable} <= kept[-1]
