"""Whole runs with the trunk kept and without: the same results, one pass, and words where it does not apply."""

import errno
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostline import frozen
from frostline.data.batches import TokenizedTexts
from frostline.model.tiny import Tiny
from frostline.sweep import ledger
from frostline.trunk import keep as filling
from frostline.trunk.cache import Store


@pytest.fixture
def metrics(tmp_path):
    return lambda run: json.loads((tmp_path / run / "metrics.json").read_text())


@pytest.fixture
def keep(tmp_path):
    return f"trunk.dir={tmp_path}/trunk"


def entries(tmp_path):
    return {entry.folder.name for entry, _ in Store(tmp_path / "trunk").entries()}


@pytest.mark.parametrize("freeze", ["head", "top1", "top2"])
def test_kept_in_fp32_it_trains_as_without(freeze, train, keep, metrics):
    options = (f"freeze={freeze}", "optimizer.lr=2e-3", "trainer.max_epochs=3")
    assert train(*options, keep, "trunk.dtype=fp32", "hydra.run.dir=kept").status == 0
    assert train(*options, "trunk=none", "hydra.run.dir=plain").status == 0
    kept, plain = metrics("kept")["metrics"], metrics("plain")["metrics"]
    assert kept == pytest.approx(plain, abs=1e-4)
    assert metrics("kept")["timing"]["trunk_seconds"] > 0
    assert metrics("plain")["timing"]["trunk_seconds"] == 0


@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-4), ("fp16", 5e-3)])
def test_the_first_fifty_losses_are_the_plain_runs(dtype, tolerance, train, keep, tmp_path):
    """Dropout included: the rest draws the same random numbers behind kept outputs."""
    options = ("freeze=top2", "optimizer.lr=1e-3", "trainer.max_epochs=7", "trainer.log_every_n_steps=1", "test=false")
    assert train(*options, keep, f"trunk.dtype={dtype}", "hydra.run.dir=kept").status == 0
    assert train(*options, "trunk=none", "hydra.run.dir=plain").status == 0
    kept, plain = (losses(tmp_path / run / "tensorboard")[:50] for run in ("kept", "plain"))
    assert len(kept) == 50
    assert kept == pytest.approx(plain, abs=tolerance)
    assert max(plain) - min(plain) > 0.01


def losses(folder: Path) -> list[float]:
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return [event.value for event in reader.Scalars("train/loss")]


def test_held_on_the_device_it_trains_as_from_the_file(train, keep, metrics, monkeypatch):
    """On a GPU small entries are held there; a CPU stands in for it."""
    found = []
    for run, room in {"file": 0, "held": 10**9}.items():
        monkeypatch.setattr(frozen, "room_to_hold", lambda device, room=room: found.append(room) or room)
        assert train("freeze=top1", keep, "optimizer.lr=2e-3", f"hydra.run.dir={run}").status == 0
    assert found == [0, 0, 0, 10**9, 10**9, 10**9]  # train, validation and test of each
    assert metrics("held")["metrics"] == metrics("file")["metrics"]


@pytest.mark.parametrize("freeze", ["head", "top1"])
def test_a_batch_a_core_keeps_what_all_cores_on_one_batch_keep(freeze, train, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for families, run in ((frozenset(), "together"), (filling.A_BATCH_A_CORE, "apart")):
            monkeypatch.setattr(filling, "A_BATCH_A_CORE", families)
            monkeypatch.setattr(filling, "FILL_TEXTS_A_CORE", 2)
            monkeypatch.setattr(filling, "FILL_TEXTS_ON_CPU", 2)
            assert train(f"freeze={freeze}", f"trunk.dir={run}", "trunk.dtype=fp32", "test=false").status == 0
    finally:
        torch.set_num_threads(threads)
    together, apart = (
        {entry.folder.name: np.array(entry.values) for entry, _ in Store(tmp_path / run).entries()}
        for run in ("together", "apart")
    )
    assert together.keys() == apart.keys()
    for name, values in together.items():
        assert np.abs(values).max() > 0
        np.testing.assert_array_equal(apart[name], values)


def test_padded_to_few_lengths_it_keeps_the_same(train, tmp_path, monkeypatch):
    lengths = {}
    for run, count in {"many": 48, "few": 1}.items():
        with monkeypatch.context() as patch:
            patch.setattr(filling, "FILL_LENGTHS", count)
            patch.setattr(filling, "FILL_TEXTS_A_CORE", 2)
            patch.setattr(TokenizedTexts, "__getitem__", noting(lengths.setdefault(run, set())))
            options = ("freeze=top1", "kernels=amd", "trunk.dtype=fp32", "test=false")
            assert train(*options, f"trunk.dir={run}", f"hydra.run.dir={run}-run").status == 0
    assert len(lengths["few"]) < len(lengths["many"])
    many, few = ({e.folder.name: np.array(e.values) for e, _ in Store(tmp_path / run).entries()} for run in lengths)
    assert many.keys() == few.keys()
    for name, values in many.items():
        np.testing.assert_allclose(few[name], values, atol=1e-5)


def noting(lengths: set[int]):
    """A batch's making that also notes the batch's length."""
    make = TokenizedTexts.__getitem__

    def made(texts, positions):
        batch = make(texts, positions)
        lengths.add(batch["input_ids"].shape[1])
        return batch

    return made


def test_a_second_run_reads_what_the_first_kept_and_gives_the_same_digits(train, keep, metrics, tmp_path):
    for run in ("cold", "warm"):
        assert train("freeze=top1", keep, "optimizer.lr=2e-3", f"hydra.run.dir={run}").status == 0
        found = entries(tmp_path)
        assert len(found) == 3  # train, validation, test
    assert metrics("cold")["metrics"] == metrics("warm")["metrics"]
    assert train("freeze=top1", keep, "seed=7", "optimizer.lr=1e-3", "hydra.run.dir=other").status == 0
    assert entries(tmp_path) == found, "another seed or rate needs nothing new"
    assert train("freeze=top1", keep, "data.max_length=12", "hydra.run.dir=shorter").status == 0
    assert len(entries(tmp_path)) == 6


def test_the_order_of_a_sweeps_depths_does_not_matter(train, metrics, tmp_path):
    """A run that has trained its top layer must not keep that layer's output for a run that has it frozen."""
    for sweep, depths in {"shallow": "top1,head", "deep": "head,top1"}.items():
        where = (f"trunk.dir={tmp_path}/{sweep}-trunk", f"hydra.sweep.dir={sweep}")
        assert train("-m", f"freeze={depths}", "optimizer.lr=2e-3", *where).status == 0
    for cell in ("freeze=head", "freeze=top1"):
        assert metrics(f"shallow/{cell}")["metrics"] == metrics(f"deep/{cell}")["metrics"]


def test_a_damaged_entry_is_made_anew_with_one_line(train, keep, metrics, tmp_path):
    assert train("freeze=top1", keep, "hydra.run.dir=a").status == 0
    for file in (tmp_path / "trunk").glob("*/values.bin"):
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)
    outcome = train("freeze=top1", keep, "hydra.run.dir=b")
    assert outcome.status == 0
    assert outcome.err.count("is damaged: it is made anew") == 3
    assert metrics("a")["metrics"] == metrics("b")["metrics"]


def test_a_sweep_fills_every_boundary_in_one_pass(train, keep, tmp_path):
    outcome = train("-m", "freeze=none,head,top1,top2", "seed=1,2", keep, "hydra.sweep.dir=sweep")
    assert outcome.status == 0, outcome.err
    assert len(entries(tmp_path)) == 9  # three boundaries of three splits
    seconds = {
        folder.name: json.loads((folder / "metrics.json").read_text())["timing"]["trunk_seconds"]
        for folder in ledger.cells(tmp_path / "sweep")
    }
    assert set(seconds) == {f"freeze={f},seed={s}" for f in ("none", "head", "top1", "top2") for s in (1, 2)}
    first = "freeze=head,seed=1"
    assert all(seconds[first] > spent for name, spent in seconds.items() if name != first)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["freeze=none"], "No trunk is kept for freeze=none: the embeddings train"),
        (["freeze=embeddings"], "No trunk is kept for freeze=embeddings: layer 0 trains"),
        (["freeze=pattern", "freeze.train=[layer.0,classifier]"], "layer 0 trains"),
        (["freeze=top1", "freeze.trunk_dropout=true"], "freeze.trunk_dropout makes a frozen layer's output differ"),
        (["freeze=top1", "trunk.budget=1KB"], "over trunk.budget (1.0 KB), so it is computed anew at each step"),
    ],
)
def test_where_it_does_not_apply_the_run_says_why_and_trains_plainly(options, reason, train, keep, metrics):
    outcome = train(*options, keep, "hydra.run.dir=run")
    assert outcome.status == 0, outcome.err
    assert reason in outcome.out
    assert metrics("run")["timing"]["trunk_seconds"] == 0


def test_the_plan_is_told_before_filling(train, keep, tmp_path):
    outcome = train("freeze=top2", keep, "hydra.run.dir=run")
    line = next(line for line in outcome.out.splitlines() if line.startswith("Trunk:"))
    assert "embeddings and 1 layer, frozen, computed once for 200 texts and kept" in line
    assert str(tmp_path / "trunk") in line


def test_wrong_options_are_one_line(train):
    wrong = [
        ("trunk.dtype=int3", "trunk.dtype=int3: use one of fp16, fp32"),
        ("trunk.budget=lots", "trunk.budget=lots is not a size"),
    ]
    for number, (option, message) in enumerate(wrong):
        outcome = train("freeze=top1", option, f"hydra.run.dir={number}")
        assert outcome.status == 1
        assert message in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1


def test_a_full_disk_is_one_line_and_leaves_no_half_entry(train, keep, tmp_path, monkeypatch):
    def full(descriptor, start, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    outcome = train("freeze=top1", keep, "hydra.run.dir=run")
    assert outcome.status == 1
    assert re.search(rf"^no room for the trunk's outputs \([\d.]+ KB\) in {tmp_path}/trunk: make room", outcome.err)
    assert len(outcome.err.strip().splitlines()) == 1
    assert [file.name for file in (tmp_path / "trunk").iterdir() if file.suffix != ".lock"] == []


def test_what_fp16_cannot_hold_is_told(train, keep, tiny_network, tmp_path):
    network = tiny_network("bert")
    with torch.no_grad():
        network.bert.encoder.layer[0].output.LayerNorm.weight.mul_(1e6)
    network.save_pretrained(tmp_path / "loud")
    Tiny("tiny", "bert").tokenizer(["a few words"]).save_pretrained(tmp_path / "loud")
    loud = ("model=bert_base", f"model.name_or_path={tmp_path}/loud", "freeze=top2", keep)
    outcome = train(*loud, "hydra.run.dir=half")
    assert outcome.status == 1
    assert "which fp16 cannot hold: use trunk.dtype=fp32, or trunk=none" in outcome.err
    assert train(*loud, "trunk.dtype=fp32", "hydra.run.dir=single").status == 0


def test_predictions_of_a_run_with_a_trunk_are_its_model_folders(train, keep, tmp_path):
    import pyarrow.parquet as pq
    from transformers import pipeline

    assert train("freeze=top1", keep, "trunk.dtype=fp32", "optimizer.lr=3e-3", "hydra.run.dir=run").status == 0
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pandas()
    classify = pipeline("text-classification", model=str(tmp_path / "run" / "model"), top_k=None)
    for answer, (_, row) in zip(classify(list(table.text)), table.iterrows(), strict=True):
        for choice in answer:
            assert choice["score"] == pytest.approx(row[f"probability/{choice['label']}"], abs=1e-4)


@pytest.mark.slow
def test_processes_side_by_side_fill_an_entry_once(commands, small_reviews, tmp_path):
    """Real processes that start together on one empty cache: each entry is written once, and all agree."""
    command = (
        "train.py", "model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "freeze=top1", "seed=3",
        f"trunk.dir={tmp_path}/trunk",
    )  # fmt: skip
    runs = [commands.start(*command, f"hydra.run.dir={tmp_path}/{name}", cwd=tmp_path) for name in "abc"]
    watched: dict[str, set[int]] = {}
    while any(run.poll() is None for run in runs):
        for partial in (tmp_path / "trunk").glob("*.partial-*"):
            key, _, pid = partial.name.partition(".partial-")
            watched.setdefault(key, set()).add(int(pid))
        time.sleep(0.001)
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert all(len(writers) == 1 for writers in watched.values())
    found = [json.loads((tmp_path / name / "metrics.json").read_text())["metrics"] for name in "abc"]
    assert found[0] == found[1] == found[2]
    assert len(entries(tmp_path)) == 3
    assert not list((tmp_path / "trunk").glob("*.partial-*"))
