"""One run on two real processes (gloo): the same results as on one, alone and within a sweep."""

import json
import os
import signal
import time

import pytest
import torch
from processes import Outcome
from safetensors.torch import load_file

from frostline.sweep import ledger

TWO = ("trainer.accelerator=cpu", "trainer.devices=2")
DDP, FSDP = ("trainer=ddp", *TWO), ("trainer=fsdp", *TWO)


@pytest.fixture
def launch(tmp_path, small_reviews, commands):
    def run(*overrides: str) -> Outcome:
        flags = [item for item in overrides if item.startswith("-")]
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "trunk.dir=trunk"]
        rest = [item for item in overrides if item not in flags]
        return commands.run("train.py", *flags, *common, *rest, cwd=tmp_path)

    return run


@pytest.fixture
def metrics(tmp_path):
    return lambda run: json.loads((tmp_path / run / "metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("freeze", "devices"), [("none", DDP), ("top1", DDP), ("auto", DDP), ("none", FSDP), ("top1", FSDP)],
    ids=["none", "top1", "auto", "none in shards", "top1 in shards"],
)  # fmt: skip
def test_two_processes_train_as_one_does(launch, metrics, tmp_path, freeze, devices):
    # Without dropout a step's gradient is the same, however many share its batch.
    options = (f"freeze={freeze}", "optimizer.lr=2e-3", "trainer.max_epochs=4", "model.dropout=0")
    one = launch(*options, "hydra.run.dir=one")
    assert one.status == 0, one.err
    two = launch(*options, *devices, "hydra.run.dir=two")
    assert two.status == 0, two.err
    alone, shared = metrics("one"), metrics("two")
    assert shared["devices"] == 2
    assert shared["steps"] == alone["steps"]
    assert shared.get("moves") == alone.get("moves"), "each device sees the same gradients"
    assert shared["metrics"]["test/f1"] == pytest.approx(alone["metrics"]["test/f1"], abs=0.01)
    assert shared["metrics"]["test/loss"] == pytest.approx(alone["metrics"]["test/loss"], abs=1e-3)
    assert {file.name for file in (tmp_path / "two").iterdir()} == {file.name for file in (tmp_path / "one").iterdir()}
    assert two.out.count(f", freeze={freeze}: test F1") == 1


@pytest.mark.slow
def test_within_a_sweep_each_cell_runs_once(launch, tmp_path):
    outcome = launch("-m", "freeze=head,top1", *DDP, "hydra.sweep.dir=sweep")
    assert outcome.status == 0, outcome.err
    cells = ledger.cells(tmp_path / "sweep")
    assert {cell.name: ledger.state(cell)["attempts"] for cell in cells} == {"freeze=head": 1, "freeze=top1": 1}
    assert "[2/2] freeze=top1: F1" in outcome.out
    assert len(list((tmp_path / "trunk").glob("*/card.json"))) == 6


@pytest.mark.slow
def test_an_error_of_a_rank_is_one_line(launch, tmp_path):
    too_much = ("optimizer.lr=10", "optimizer.weight_decay=100")
    outcome = launch("freeze=none", *too_much, "trainer.max_epochs=2", *DDP, "hydra.run.dir=run")
    assert outcome.status == 1
    assert outcome.err.strip().splitlines()[-1].startswith("the loss is no finite number at step")
    assert "Traceback" not in outcome.err
    assert ledger.state(tmp_path / "run")["state"] == "failed"


@pytest.mark.slow
def test_what_is_trained_in_shards_goes_on_after_a_kill(launch, metrics, commands, small_reviews, tmp_path):
    options = ("freeze=top2", "optimizer.lr=2e-3", "trainer.max_epochs=6", *FSDP)
    whole = launch(*options, "hydra.run.dir=whole")
    assert whole.status == 0, whole.err
    common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none"]
    killed = commands.start("train.py", *common, *options, "hydra.run.dir=killed", cwd=tmp_path, start_new_session=True)
    while not (tmp_path / "killed" / "checkpoints" / "last.ckpt").exists():
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    on = launch(*options, "hydra.run.dir=killed")
    assert on.status == 0, on.err
    assert "Going on from step" in on.out
    assert metrics("killed")["history"] == metrics("whole")["history"]
    assert metrics("killed")["metrics"] == metrics("whole")["metrics"]
    weights = [load_file(tmp_path / run / "model" / "model.safetensors") for run in ("killed", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize(
    ("freeze", "says"),
    [
        ("auto", "changes what trains on the way, which the devices' strategy cannot follow: use trainer=ddp"),
        ("lora", "changes the network after training, in shards it cannot: use trainer=ddp"),
    ],
)
def test_what_cannot_be_done_in_shards_is_told(launch, freeze, says):
    outcome = launch(f"freeze={freeze}", *FSDP, "hydra.run.dir=run")
    assert outcome.status == 1
    assert says in outcome.err
    assert "Traceback" not in outcome.err
