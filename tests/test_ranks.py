"""One run on two real processes (gloo): the same results as on one, alone and within a sweep."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from frostline.sweep import ledger

ROOT = Path(__file__).parents[1]
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


@pytest.fixture
def launch(tmp_path, small_reviews):
    def run(*overrides: str) -> subprocess.CompletedProcess:
        flags = [item for item in overrides if item.startswith("-")]
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "trunk.dir=trunk"]
        return subprocess.run(
            [sys.executable, ROOT / "train.py", *flags, *common, *(item for item in overrides if item not in flags)],
            cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=600,
        )  # fmt: skip

    return run


@pytest.fixture
def metrics(tmp_path):
    return lambda run: json.loads((tmp_path / run / "metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["none", "top1", "auto"])
def test_two_processes_train_as_one_does(launch, metrics, tmp_path, freeze):
    # Without dropout a step's gradient is the same, however many share its batch.
    options = (f"freeze={freeze}", "optimizer.lr=2e-3", "trainer.max_epochs=4", "model.dropout=0")
    one = launch(*options, "hydra.run.dir=one")
    assert one.returncode == 0, one.stderr
    two = launch(*options, *DDP, "hydra.run.dir=two")
    assert two.returncode == 0, two.stderr
    alone, shared = metrics("one"), metrics("two")
    assert shared["devices"] == 2
    assert shared["steps"] == alone["steps"]
    assert shared.get("moves") == alone.get("moves"), "each device sees the same gradients"
    assert shared["metrics"]["test/f1"] == pytest.approx(alone["metrics"]["test/f1"], abs=0.01)
    assert shared["metrics"]["test/loss"] == pytest.approx(alone["metrics"]["test/loss"], abs=1e-3)
    assert {file.name for file in (tmp_path / "two").iterdir()} == {file.name for file in (tmp_path / "one").iterdir()}
    assert two.stdout.count(f", freeze={freeze}: test F1") == 1


@pytest.mark.slow
def test_within_a_sweep_each_cell_runs_once(launch, tmp_path):
    outcome = launch("-m", "freeze=head,top1", *DDP, "hydra.sweep.dir=sweep")
    assert outcome.returncode == 0, outcome.stderr
    cells = ledger.cells(tmp_path / "sweep")
    assert {cell.name: ledger.state(cell)["attempts"] for cell in cells} == {"freeze=head": 1, "freeze=top1": 1}
    assert "[2/2] freeze=top1: F1" in outcome.stdout
    assert len(list((tmp_path / "trunk").glob("*/card.json"))) == 6


@pytest.mark.slow
def test_an_error_of_a_rank_is_one_line(launch, tmp_path):
    too_much = ("optimizer.lr=10", "optimizer.weight_decay=100")
    outcome = launch("freeze=none", *too_much, "trainer.max_epochs=2", *DDP, "hydra.run.dir=run")
    assert outcome.returncode == 1
    assert outcome.stderr.strip().splitlines()[-1].startswith("the loss is no finite number at step")
    assert "Traceback" not in outcome.stderr
    assert ledger.state(tmp_path / "run")["state"] == "failed"
