"""Runs and sweeps killed with real signals, and what going on makes of them."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from processes import Process

from frostline.sweep import ledger

Command = Process | subprocess.Popen
RUN = "hydra.run.dir=run"
# Some two hundred steps of a few milliseconds, a checkpoint after each.
LONG = (
    "data.batch_size=4", "trainer.max_epochs=6", "optimizer.lr=1e-3", "trainer.checkpoint_minutes=0",
    "trainer.log_every_n_steps=1",
)  # fmt: skip


@pytest.fixture
def launch(tmp_path: Path, small_reviews: Path, commands) -> Callable[..., Command]:
    """Start `python train.py` in `tmp_path` as a process of its own, on the tiny encoder, caches apart."""

    def start(*overrides: str, new_interpreter: bool = False) -> Command:
        flags = [item for item in overrides if item.startswith("-")]
        keys = {item.partition("=")[0] for item in overrides}
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "trunk.dir=trunk"]
        common = [item for item in common if item.partition("=")[0] not in keys]
        rest = [item for item in overrides if item not in flags]
        if new_interpreter:
            command = [sys.executable, ROOT / "train.py", *flags, *common, *rest]
            return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return commands.start("train.py", *flags, *common, *rest, cwd=tmp_path)

    return start


def finish(process: Command) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def kill_when(process: Command, happened: Callable[[], bool], sign: int = signal.SIGKILL) -> bool:
    """Send a signal once something has happened; False where the process ended before it did."""
    while process.poll() is None:
        if happened():
            process.send_signal(sign)
            process.communicate(timeout=60)
            return True
        time.sleep(0.001)
    process.communicate()
    return False


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def same_results(one: Path, other: Path) -> None:
    """Every figure, every prediction and every weight, digit for digit."""
    assert metrics(one)["metrics"] == metrics(other)["metrics"]
    assert metrics(one)["history"] == metrics(other)["history"]
    assert metrics(one)["steps"] == metrics(other)["steps"]
    for file in ("predictions.parquet", "model/model.safetensors"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["none", "top1"])
def test_a_run_killed_at_random_moments_of_its_fit_ends_as_one_never_killed(launch, tmp_path, freeze):
    whole = launch(f"freeze={freeze}", *LONG, "hydra.run.dir=whole")
    assert finish(whole)[0] == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    rng = random.Random(freeze)
    for _ in range(3):
        process = launch(f"freeze={freeze}", *LONG, RUN)
        began = last.stat().st_mtime_ns if last.exists() else 0
        patience = rng.uniform(0.05, 0.4)

        def fitting(began=began, patience=patience) -> bool:
            if not last.exists() or last.stat().st_mtime_ns == began:
                return False
            time.sleep(patience)
            return True

        assert kill_when(process, fitting)
        assert ledger.state(tmp_path / "run")["state"] == "interrupted"
        assert "killed" in ledger.state(tmp_path / "run")["reason"]
    status, out, err = finish(launch(f"freeze={freeze}", *LONG, RUN))
    assert status == 0, err
    assert "Attempt 4; the one before is interrupted: its process ended without a word" in out
    assert "Going on from step" in out
    assert ledger.state(tmp_path / "run")["attempts"] == 4
    same_results(tmp_path / "whole", tmp_path / "run")
    assert not last.exists()


LARGER = (
    "freeze=top1", "data=demo_reviews", "data.path=null", "data.train=1500", "data.test=300", "model.hidden=128",
    "model.layers=6", "optimizer.lr=1e-3", "trainer.max_epochs=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def never_killed(commands, tmp_path_factory) -> Path:
    """The folder of a run of LARGER."""
    home = tmp_path_factory.mktemp("never_killed")
    common = ("model=tiny", "callbacks=none", "trunk.dir=trunk", "hydra.run.dir=run")
    outcome = commands.run("train.py", *common, *LARGER, cwd=home)
    assert outcome.status == 0, outcome.err
    return home / "run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "new"),
    [
        pytest.param(lambda home: any((home / "trunk").glob("*.partial-*/values.bin")), False, id="filling the trunk"),
        pytest.param(lambda home: (home / "run/checkpoints/.last.ckpt.partial").exists(), True, id="a checkpoint"),
        pytest.param(lambda home: (home / "run" / "model.partial").exists(), False, id="writing the model"),
        pytest.param(lambda home: (home / "run" / "model").exists(), False, id="writing predictions"),
        pytest.param(lambda home: (home / "run" / "metrics.json").exists(), False, id="after the results"),
    ],
)
def test_a_kill_while_writing_leaves_nothing_half_written(launch, never_killed, tmp_path, moment, new):
    """Once in new interpreters, whose hash seeds differ."""
    assert kill_when(launch(*LARGER, RUN, new_interpreter=new), lambda: moment(tmp_path)), "the moment was missed"
    status, _, err = finish(launch(*LARGER, RUN, new_interpreter=new))
    assert status == 0, err
    assert ledger.state(tmp_path / "run")["state"] == "finished"
    left = [file.name for file in (tmp_path / "trunk").iterdir() if "partial" in file.name]
    assert not left
    same_results(never_killed, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_and_sigterm_end_cleanly_and_say_how_to_go_on(launch, commands, tmp_path, sign, status):
    process = launch("freeze=top1", *LONG, RUN)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    while not last.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sign)
    code, _, err = finish(process)
    assert code == status
    assert ledger.state(tmp_path / "run")["state"] == "interrupted"
    assert "Traceback" not in err
    line = err.strip().splitlines()[-1]
    assert line.startswith("Interrupted. To go on from here: python ")
    command = line.partition("python ")[2].split()
    again = commands.run(*command, cwd=tmp_path)
    assert again.status == 0, again.err
    assert "Going on from step" in again.out


def test_a_finished_run_is_not_run_again(train, tmp_path):
    assert train("freeze=head", RUN).status == 0
    before = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    outcome = train("freeze=head", RUN)
    assert outcome.status == 0
    assert outcome.out.strip() == "run is finished; for another run choose another hydra.run.dir=…"
    after = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert {file for file in before if before[file] != after.get(file)} <= {tmp_path / "run" / "train.log"}


def test_what_is_shown_or_kept_may_differ_what_decides_may_not(train, tmp_path):
    assert train("freeze=head", RUN).status == 0
    shown = train("freeze=head", RUN, "print_parameters=true", "trainer.log_every_n_steps=1", "trunk.dir=elsewhere")
    assert shown.status == 0
    for other in ("seed=1", "optimizer.lr=1e-3", "trunk.dtype=fp32", "data.batch_size=8"):
        outcome = train("freeze=head", RUN, other)
        assert outcome.status == 1
        assert outcome.err.strip() == "run already holds another run: choose an empty folder with hydra.run.dir=…"


def test_data_are_known_by_their_content(train, tmp_path, small_reviews):
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in small_reviews.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert train("freeze=head", RUN).status == 0
    assert train("freeze=head", RUN, f"data.path={copy}").status == 0
    (copy / "outputs").mkdir()
    (copy / "outputs" / "metrics.json").write_text("{}")  # results that land beside the data are not data
    assert train("freeze=head", RUN, f"data.path={copy}").status == 0
    (copy / "train.csv").write_text((copy / "train.csv").read_text() + '"One more.",negative\n')
    assert train("freeze=head", RUN, f"data.path={copy}").status == 1


def test_a_checkpoint_that_cannot_be_read_is_told_and_the_run_starts_anew(train, tmp_path):
    assert train("freeze=head", RUN, "keep_checkpoints=true").status == 0
    (tmp_path / "run" / "metrics.json").unlink()
    (tmp_path / "run" / "checkpoints" / "last.ckpt").write_bytes(b"not a checkpoint")
    outcome = train("freeze=head", RUN)
    assert outcome.status == 0, outcome.err
    assert "last.ckpt cannot be read" in outcome.out
    assert metrics(tmp_path / "run")["steps"] == 8


def test_two_processes_never_write_into_one_folder(launch, tmp_path):
    first = launch("freeze=top1", *LONG, RUN)
    while not (tmp_path / "run" / "state.json").exists():
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # lest it end before the second one begins
    status, _, err = finish(launch("freeze=top1", *LONG, RUN))
    first.send_signal(signal.SIGCONT)
    assert status == 1
    assert err.strip().endswith("run is being run by another process: wait for its end, or stop it")
    assert finish(first)[0] == 0


def test_a_loss_that_is_no_number_is_caught_at_its_step_and_the_rerun_retries_that_cell_alone(train, tmp_path):
    sweep = ("-m", "freeze=top1", "optimizer.lr=1e-3,10", "optimizer.weight_decay=100", "hydra.sweep.dir=sweep")
    outcome = train(*sweep)
    assert outcome.status == 1
    failed = tmp_path / "sweep" / "optimizer.lr=10"
    reason = ledger.state(failed)["reason"]
    assert reason.startswith("the loss is no finite number at step 4: lower optimizer.lr")
    assert f"optimizer.lr=10: failed: {reason}" in outcome.err
    assert "1 of 2 cells did not finish" in outcome.err
    assert "Traceback" not in outcome.err
    again = train(*sweep)
    assert again.status == 1
    assert "[1/2] optimizer.lr=0.001: F1" in again.out
    assert again.out.count("done before") == 1
    assert ledger.state(tmp_path / "sweep" / "optimizer.lr=0.001")["attempts"] == 1
    assert ledger.state(failed)["attempts"] == 2


def test_fail_fast_starts_no_further_cell(train, tmp_path):
    outcome = train("-m", "freeze=top", "freeze.n=9,1,2", "sweep.fail_fast=true", "hydra.sweep.dir=sweep")
    assert outcome.status == 1
    assert [folder.name for folder in ledger.cells(tmp_path / "sweep")] == ["freeze.n=9"]
    assert "3 of 3 cells did not finish (sweep.fail_fast=true ended it)." in outcome.err
    again = train("-m", "freeze=top", "freeze.n=9,1,2", "hydra.sweep.dir=sweep")
    assert "1 of 3 cells did not finish." in again.err


def test_a_sweep_can_be_widened_in_its_folder_but_not_changed(train, tmp_path):
    sweep = ("-m", "freeze=head,top1", "hydra.sweep.dir=sweep")
    assert train(*sweep, "seed=1,2").status == 0
    wider = train(*sweep, "seed=1,2,3")
    assert wider.status == 0
    assert wider.out.count("done before") == 4
    assert len(ledger.cells(tmp_path / "sweep")) == 6
    changed = train(*sweep, "seed=1,2", "trainer.max_epochs=2")
    assert changed.status == 1
    assert changed.err.strip() == (
        "sweep already holds another sweep (trainer.max_epochs=1 there, 2 here): "
        "give the same options, or choose an empty folder with hydra.sweep.dir=…"
    )


def test_a_dry_run_shows_cells_states_and_sizes_and_runs_nothing(train, tmp_path):
    sweep = ("-m", "freeze=none,head,top1", "hydra.sweep.dir=sweep", "trunk.dir=trunk")
    outcome = train(*sweep, "sweep.dry_run=true")
    assert outcome.status == 0, outcome.err
    assert not (tmp_path / "sweep").exists()
    assert not (tmp_path / "trunk").exists()
    rows = {line.split("│")[1].strip(): line for line in outcome.out.splitlines() if "freeze=" in line and "│" in line}
    assert "not started" in rows["freeze=none"]
    assert "No trunk for freeze=none: the embeddings train, so no part" in outcome.out
    assert "0 of 3 splits" in rows["freeze=head"]
    promised = outcome.out.strip().splitlines()[-1]
    assert promised.startswith("The trunk cache will grow by ")
    assert promised.endswith("(6 entries).")
    assert train(*sweep).status == 0
    size = sum(file.stat().st_size for file in (tmp_path / "trunk").glob("*/values.bin"))
    assert f"grow by {size / 1e6:.1f} MB" in promised or f"grow by {size / 1e3:.1f} KB" in promised
    after = train(*sweep, "sweep.dry_run=true")
    assert after.out.count("finished") == 3
    assert after.out.count("3 of 3 splits") == 2
    assert after.out.strip().splitlines()[-1] == "The trunk cache will grow by 0 B (0 entries)."


@pytest.mark.slow
def test_a_sweep_killed_five_times_ends_in_the_table_of_one_never_killed(launch, tmp_path):
    axes = (
        "-m", "freeze=none,head,top1", "data=demo_reviews,demo_topics", "data.path=null", "++data.train=300",
        "++data.test=60", "++data.validation=60", "seed=1,2", "optimizer.lr=1e-3", "trainer.checkpoint_minutes=0.001",
    )  # fmt: skip
    assert finish(launch(*axes, "hydra.sweep.dir=whole", "trunk.dir=other"))[0] == 0
    rng = random.Random(5)
    sweep = tmp_path / "sweep"
    finished: dict[Path, int] = {}
    for _ in range(5):
        process = launch(*axes, "hydra.sweep.dir=sweep")
        known = len(list(sweep.glob("*/state.json")))
        wanted = min(11, known + 1)
        delay = rng.uniform(0, 0.5)  # about a cell's time, so that five kills leave some cells

        def under_way(wanted=wanted, delay=delay) -> bool:
            if len(list(sweep.glob("*/state.json"))) < wanted:
                return False
            time.sleep(delay)
            return True

        assert kill_when(process, under_way)
        for file in sweep.glob("*/metrics.json"):
            finished.setdefault(file, file.stat().st_mtime_ns)
    status, _, err = finish(launch(*axes, "hydra.sweep.dir=sweep"))
    assert status == 0, err
    assert finished
    assert all(file.stat().st_mtime_ns == written for file, written in finished.items()), "a finished cell ran again"
    tables = [list(csv.DictReader((tmp_path / name / "sweep.csv").open())) for name in ("whole", "sweep")]
    assert len(tables[0]) == 12
    figures = ("cell", "test/f1", "test/accuracy", "test/loss", "val/f1", "steps", "parameters/trainable")
    one, other = ([{key: row[key] for key in figures} for row in table] for table in tables)
    assert one == other
