"""predict.py: one sentence, several, and what it says when something is wrong."""

import re
import shutil

import pytest
import torch
from made_models import write_model

from frostline.predict import Predictor


@pytest.fixture
def run(tmp_path):
    return write_model(tmp_path / "run")


def test_the_label_the_logits_and_every_probability_are_printed(train, command):
    assert train("hydra.run.dir=run", "optimizer.lr=3e-3", "trainer.max_epochs=5").status == 0
    outcome = command("predict.py", "run", "It's bad, I = sure", "Not bad at all")
    assert outcome.status == 0, outcome.err
    first, second = outcome.out.strip().split("\n\n")
    for block, text in ((first, "It's bad, I = sure"), (second, "Not bad at all")):
        lines = block.splitlines()
        assert lines[0] == text
        shares = {m[1]: float(m[2]) for m in re.finditer(r"(\w+) +logit +[+-]\d+\.\d+ +probability (\d\.\d+)", block)}
        assert set(shares) == {"negative", "positive"}
        assert sum(shares.values()) == pytest.approx(1, abs=2e-4)
        assert lines[1].strip() == f"→ {max(shares, key=shares.get)}"


def test_a_model_folder_needs_nothing_else(run, command, tmp_path):
    shutil.move(run / "model", tmp_path / "moved")
    shutil.rmtree(run)
    assert command("predict.py", tmp_path / "moved", "Not bad at all").status == 0


def test_a_text_is_judged_alike_alone_and_in_company(run):
    predictor = Predictor(run, "cpu")
    texts = ["Good.", "The plot never moves, but the acting is fine and the music stays with you.", "Bad."] * 15
    together = predictor.predict(texts)
    assert [p.text for p in together] == texts
    for text, found in list(zip(texts, together, strict=True))[:3]:
        alone = predictor.predict([text])[0]
        assert alone.label == found.label
        assert alone.logits == pytest.approx(found.logits, abs=1e-5)


def test_a_text_longer_than_the_model_allows_is_cut(run):
    assert Predictor(run, "cpu").predict(["word " * 5000])[0].label in ("negative", "positive")


def test_an_encoder_that_is_not_understood_predicts_all_the_same(run, monkeypatch):
    text = "The movie was superb, and we said so."
    expected = Predictor(run, "cpu").predict([text])[0]
    network = Predictor(run, "cpu").network
    monkeypatch.setattr(type(network), "base_model_prefix", "nowhere")
    found = Predictor(run, "cpu").predict([text])[0]
    assert found.logits == pytest.approx(expected.logits, abs=1e-5)


def test_wrong_input_is_one_line(run, command, tmp_path):
    (tmp_path / "empty").mkdir()
    shutil.copytree(run / "model", tmp_path / "pickled", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(Predictor(run, "cpu").network.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    for arguments, message in [
        (("nowhere", "text"), "nowhere does not exist: give a run folder"),
        (("empty", "text"), "empty holds no model"),
        (("pickled", "text"), "no file named model.safetensors"),
        ((run, "  "), "text 1 is empty"),
        ((run, "text", "--pair", ""), "--pair is empty"),
        ((run,), "nothing to label: give texts in quotes, or --file FILE --out FILE, or - for standard input"),
        ((run, "text", "--device", "abacus"), "abacus"),
        ((run, "text", "--device", "cuda:99"), "cuda:99"),
    ]:
        outcome = command("predict.py", *arguments)
        assert outcome.status == 1
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
        assert outcome.out == ""
