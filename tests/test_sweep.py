"""Sweeps: names, progress, the table, failed cells, and the exit status."""

import csv
import json
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostline.sweep import ledger
from frostline.sweep.hooks import duration, seconds_left
from frostline.sweep.names import cell_name

SWEEP = "hydra.sweep.dir=sweep"


def test_a_sweep_ends_in_a_table_a_csv_and_a_folder_for_each_cell(train, tmp_path):
    outcome = train("-m", "freeze=head,top1", "seed=1,2", SWEEP)
    assert outcome.status == 0, outcome.err
    names = {f"freeze={freeze},seed={seed}" for freeze in ("head", "top1") for seed in (1, 2)}
    assert {folder.name for folder in ledger.cells(tmp_path / "sweep")} == names
    for name in names:
        found = json.loads((tmp_path / "sweep" / name / "metrics.json").read_text())
        assert found["cell"] == name
        reader = EventAccumulator(str(tmp_path / "sweep" / name / "tensorboard"))
        reader.Reload()
        assert reader.Scalars("test/f1")
    rows = list(csv.DictReader((tmp_path / "sweep" / "sweep.csv").open()))
    assert {(row["freeze"], row["seed"]) for row in rows} == {
        ("head", "1"),
        ("head", "2"),
        ("top1", "1"),
        ("top1", "2"),
    }
    for row in rows:
        found = json.loads((tmp_path / "sweep" / row["cell"] / "metrics.json").read_text())
        assert float(row["test/f1"]) == found["metrics"]["test/f1"]
        assert int(row["parameters/trainable"]) == found["parameters"]["trainable"]
    assert "[1/4] freeze=head,seed=1: F1" in outcome.out
    assert "left" in next(line for line in outcome.out.splitlines() if line.startswith("[3/4]"))
    assert "[4/4]" in outcome.out
    assert re.search(r"^ top1 +2e-5 +2 +0\.\d{3} ± ", outcome.out, re.M)
    assert re.search(r"^On files .*\.$", outcome.out, re.M)
    assert (tmp_path / "sweep" / "report.html").exists()


def test_the_time_left_counts_each_depth_by_its_own_cost():
    took = {Path("freeze=none,seed=1"): 60.0, Path("freeze=none,seed=2"): 80.0, Path("freeze=head,seed=1"): 4.0}
    assert seconds_left([Path("freeze=head,seed=2"), Path("freeze=head,seed=3")], took) == 8
    assert seconds_left([Path("freeze=none,seed=3")], took) == 70
    assert seconds_left([Path("freeze=top1,seed=1")], took) == 48


def test_the_command_line_takes_the_place_of_an_experiments_own_axes(train, tmp_path):
    outcome = train(
        "-m", "experiment=demo", "model=tiny", "data=demo_topics", "data.path=null", "data.train=60", "data.test=20",
        "data.validation=20", "trainer.max_epochs=1", "freeze=head,top1", SWEEP,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert {folder.name for folder in ledger.cells(tmp_path / "sweep")} == {"freeze=head", "freeze=top1"}
    assert "[2/2] freeze=top1: F1" in outcome.out


def test_a_failed_cell_is_told_the_others_go_on_and_the_status_is_1(train, tmp_path):
    outcome = train("-m", "freeze=top", "freeze.n=1,9", "seed=1", SWEEP)
    assert outcome.status == 1
    states = {f.name: ledger.state(f)["state"] for f in ledger.cells(tmp_path / "sweep")}
    assert states == {"freeze.n=1": "finished", "freeze.n=9": "failed"}
    assert "freeze.n=9, but tiny bert has 3 layers: use 0 to 3" in outcome.err
    assert outcome.err.strip().splitlines()[-1] == (
        "1 of 2 cells did not finish. The same command with hydra.sweep.dir=sweep runs these alone."
    )
    assert "Traceback" not in outcome.out + outcome.err
    assert len(list(csv.DictReader((tmp_path / "sweep" / "sweep.csv").open()))) == 1


def test_a_failure_on_the_way_does_not_hide_in_the_order(train, tmp_path):
    outcome = train("-m", "freeze=top", "freeze.n=9,1", SWEEP)
    assert outcome.status == 1
    assert "[1/2] freeze.n=9: failed" in outcome.out
    assert "[2/2] freeze.n=1: F1" in outcome.out


def test_a_folder_of_another_sweep_is_left_alone(train, tmp_path):
    assert train("-m", "freeze=head", SWEEP).status == 0
    before = {file: file.read_bytes() for file in (tmp_path / "sweep").rglob("*") if file.is_file()}
    outcome = train("-m", "freeze=top1", SWEEP)
    assert outcome.status == 1
    assert outcome.err.strip() == (
        "sweep already holds another sweep (another freeze=…): "
        "give the same options, or choose an empty folder with hydra.sweep.dir=…"
    )
    assert {file: file.read_bytes() for file in (tmp_path / "sweep").rglob("*") if file.is_file()} == before


def test_a_folder_of_another_run_is_left_alone(train, tmp_path):
    assert train("freeze=head", "hydra.run.dir=run").status == 0
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    outcome = train("freeze=top1", "hydra.run.dir=run")
    assert outcome.status == 1
    assert outcome.err.strip() == "run already holds another run: choose an empty folder with hydra.run.dir=…"
    assert {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()} == before


def test_a_plain_override_is_its_own_name():
    assert cell_name("data=ag_news,freeze=top2") == "data=ag_news,freeze=top2"


@pytest.mark.parametrize(("seconds", "text"), [(4.4, "4 s"), (125, "2 min 5 s"), (4350, "1 h 12 min")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    file = tmp_path / "metrics.json"
    ledger.write_json(file, {"whole": 1})
    with pytest.raises(TypeError):
        ledger.write_json(file, {"cannot be written": object()})
    assert json.loads(file.read_text()) == {"whole": 1}
    assert [f.name for f in tmp_path.iterdir()] == ["metrics.json"]
