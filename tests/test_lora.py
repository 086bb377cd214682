"""LoRA: which adapters are made, that they merge without a trace, and what is said where it cannot work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from frostline.errors import InputError
from frostline.freeze.callback import apply
from frostline.freeze.lora import Lora
from frostline.model.anatomy import Anatomy
from frostline.model.first_token import shorten

FAMILIES = ("bert", "distilbert", "roberta", "electra", "modernbert")
ROOT = Path(__file__).parents[1]


def prepared(network, policy):
    policy.prepare(network, Anatomy.of(network))
    return Anatomy.of(network)


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_and_head_train_and_merge_without_a_trace(family, tiny_network, padded_batch):
    network = tiny_network(family).eval()
    names, plain = list(network.state_dict()), network(**padded_batch).logits
    shorten(network, Anatomy.of(network))
    policy = Lora(r=4)
    anatomy = prepared(network, policy)
    trains = apply(policy, network, anatomy)
    assert {anatomy.group(name) for name, trainable in trains.items() if trainable} == {
        "layer.0", "layer.1", "layer.2", "head",
    }  # fmt: skip
    assert all("lora_" in name or anatomy.group(name) == "head" for name, trainable in trains.items() if trainable)
    torch.testing.assert_close(network.eval()(**padded_batch).logits, plain, rtol=0, atol=1e-5)

    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    moved = network(**padded_batch).logits
    assert not torch.allclose(moved, plain, atol=1e-5)
    policy.finish(network)
    assert sorted(network.state_dict()) == sorted(names)
    torch.testing.assert_close(network(**padded_batch).logits, moved, rtol=0, atol=1e-5)


def test_targets_choose_the_modules(tiny_network):
    found = {}
    for targets in ("all-linear", "attention", [r"query", r"value"]):
        network = tiny_network("bert")
        anatomy = prepared(network, Lora(targets=targets))
        found[str(targets)] = {name.split(".lora_")[0] for name in anatomy.parameters if "lora_" in name}
    assert len(found["all-linear"]) == 3 * 6
    assert len(found["attention"]) == 3 * 4
    assert {name.rsplit(".", 1)[1] for name in found["['query', 'value']"]} == {"query", "value"}


def test_gpt2s_transposed_matrices_merge_too(padded_batch):
    config = GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=30, pad_token_id=0)
    network = GPT2ForSequenceClassification(config).eval()
    policy = Lora(r=2)
    prepared(network, policy)
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    moved = network.eval()(**padded_batch).logits
    policy.finish(network)
    torch.testing.assert_close(network(**padded_batch).logits, moved, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 0}, "freeze.r=0: use a whole number from 1"),
        ({"alpha": -1}, "freeze.alpha=-1: use a number above 0"),
        ({"dropout": 1.0}, r"freeze.dropout=1\.0: use a number from 0"),
        ({"targets": "some"}, "freeze.targets=some: use one of all-linear, attention"),
    ],
)
def test_a_wrong_option_is_told(options, message):
    with pytest.raises(InputError, match=message):
        Lora(**options)


def test_a_target_that_is_no_regular_expression_is_told(tiny_network):
    with pytest.raises(InputError, match=r"freeze\.targets: 'quer\(' is not a regular expression"):
        prepared(tiny_network("bert"), Lora(targets=["quer("]))


def test_targets_that_match_nothing_are_told_with_names_as_they_are(tiny_network):
    with pytest.raises(InputError, match=r"matches nothing in tiny bert: .* called like bert\.encoder\.layer\.0"):
        prepared(tiny_network("bert"), Lora(targets=["q_proj"]))


def test_a_run_leaves_merged_weights_that_need_no_peft(train, tmp_path):
    outcome = train("freeze=lora", "optimizer.lr=1e-2", "trainer.max_epochs=2", "hydra.run.dir=run")
    assert outcome.status == 0, outcome.err
    assert "No trunk is kept for freeze=lora: its adapters train in every layer" in outcome.out
    model = tmp_path / "run" / "model"
    assert not any("lora" in name for name in load_file(model / "model.safetensors"))
    counts = json.loads((tmp_path / "run" / "metrics.json").read_text())["parameters"]
    assert 0 < counts["trainable"] < counts["total"] / 4
    code = (
        "import runpy, sys; sys.modules['peft'] = None\n"
        f"sys.argv = ['predict.py', '{tmp_path}/run', 'It was good.']\n"
        "runpy.run_path('predict.py', run_name='__main__')"
    )
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert alone.returncode == 0, alone.stderr
    AutoModelForSequenceClassification.from_pretrained(model)


def test_predictions_are_the_merged_models(train, tmp_path):
    import pyarrow.parquet as pq
    from transformers import pipeline

    assert train("freeze=lora", "optimizer.lr=1e-2", "hydra.run.dir=run").status == 0
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pandas().head(10)
    classify = pipeline("text-classification", model=str(tmp_path / "run" / "model"), top_k=None)
    for answer, (_, row) in zip(classify(list(table.text)), table.iterrows(), strict=True):
        for choice in answer:
            assert choice["score"] == pytest.approx(row[f"probability/{choice['label']}"], abs=1e-5)


def test_without_peft_it_is_one_line(train, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)  # what Python finds where it is not installed
    outcome = train("freeze=lora", "hydra.run.dir=run")
    assert outcome.status == 1
    assert outcome.err.strip() == "freeze=lora needs peft: pip install '.[lora]' in the project's folder"
