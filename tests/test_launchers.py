"""The same cells through every launcher, in real processes: same metrics, one trunk fill, failures that stay alone."""

import csv
import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from processes import Outcome, Process

from frostline.sweep import ledger

FOUR_CELLS = ("freeze=head,top1", "seed=1,2")
PARALLEL = ("joblib", "submitit_local", "submitit_slurm", "ray")

COUNTING = '''
"""A trunk cache that leaves a line for every entry that a process starts to fill."""
import os
import signal
from dataclasses import dataclass
from functools import cached_property
from frostline.trunk.cache import Store, default_folder
from frostline.trunk.keep import Cache

class CountingStore(Store):
    def create(self, key, plan):
        with open(os.environ["FILLS"], "a") as stream:
            stream.write(f"{key} {os.getpid()}\\n")
        return super().create(key, plan)

@dataclass(frozen=True)
class Counting(Cache):
    @cached_property
    def store(self):
        return CountingStore(default_folder())
'''

# Slurm's commands as far as submitit uses them, on this machine; submitit moves its script once sbatch has it.
SBATCH = """#!/bin/sh
for script in "$@"; do :; done
copy=$(dirname "$0")/submitted.sh
cp "$script" "$copy"
last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$script")
export SLURM_JOB_NUM_NODES=1 SLURM_NNODES=1 SLURM_NTASKS=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
export SLURM_JOB_ID=77 SLURM_ARRAY_JOB_ID=77 SLURM_JOB_NODELIST=localhost SLURM_JOB_NAME=train
for task in $(seq 0 "${last:-0}"); do
    SLURM_ARRAY_TASK_ID=$task sh "$copy" > /dev/null 2>&1 &
done
echo "Submitted batch job 77"
"""
SRUN = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do
    case $1 in
        --output|--error) shift 2 ;;
        *) shift ;;
    esac
done
exec "$@"
"""
SACCT = """#!/bin/sh
echo 'JobID|State|NodeList'
"""


@pytest.fixture
def launch(tmp_path, small_reviews, commands):
    """`python train.py -m` on the tiny encoder in a process of its own, its caches and locks in `tmp_path`."""

    def run(*overrides: str, environment: dict[str, str] | None = None) -> Outcome:
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "logger=none"]
        env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **(environment or {})}
        return commands.run("train.py", "-m", *common, *overrides, cwd=tmp_path, env=env, timeout=300)

    return run


@pytest.fixture
def slurm(tmp_path) -> Path:
    """A folder with stand-ins for Slurm's commands."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    for name, script in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT}.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


def on_path(slurm: Path, launcher: str = "submitit_slurm") -> dict[str, str]:
    return {"PATH": f"{slurm}{os.pathsep}{os.environ['PATH']}"} if launcher == "submitit_slurm" else {}


def metrics(sweep: Path) -> dict[str, dict]:
    return {folder.name: ledger.read_json(folder / ledger.METRICS)["metrics"] for folder in ledger.cells(sweep)}


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory, small_reviews, commands) -> dict[str, dict]:
    """The four cells' metrics as the basic launcher has them."""
    folder = tmp_path_factory.mktemp("basic")
    command = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "logger=none", *FOUR_CELLS]
    outcome = commands.run("train.py", "-m", *command, f"hydra.sweep.dir={folder}", cwd=folder)
    assert outcome.status == 0, outcome.err
    return metrics(folder)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PARALLEL)
def test_the_same_cells_give_the_same_metrics_through_every_launcher(launcher, launch, slurm, one_by_one, tmp_path):
    cells, expected = FOUR_CELLS, one_by_one
    if launcher.startswith("submitit"):  # each cell is a process of its own, so two show what four would
        cells, end = ("freeze=head,top1", "seed=2"), ",seed=2"
        expected = {name.removesuffix(end): one_by_one[name] for name in one_by_one if name.endswith(end)}
    outcome = launch(f"launcher={launcher}", *cells, "hydra.sweep.dir=sweep", environment=on_path(slurm, launcher))
    assert outcome.status == 0, outcome.out + outcome.err
    assert metrics(tmp_path / "sweep") == expected
    assert "Curves: tensorboard --logdir sweep" in outcome.out
    assert len(list(csv.DictReader((tmp_path / "sweep" / "sweep.csv").open()))) == len(expected) >= 2
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("launcher", PARALLEL)
def test_a_failed_cell_leaves_the_others_alone(launcher, launch, slurm, tmp_path):
    cells = ("freeze=top", "freeze.n=9,1", "hydra.sweep.dir=sweep")
    outcome = launch(f"launcher={launcher}", *cells, environment=on_path(slurm, launcher))
    assert outcome.status == 1, outcome.out + outcome.err
    states = {folder.name: ledger.state(folder)["state"] for folder in ledger.cells(tmp_path / "sweep")}
    assert states == {"freeze.n=9": "failed", "freeze.n=1": "finished"}
    assert "freeze.n=9, but tiny bert has 3 layers: use 0 to 3" in outcome.err
    assert "1 of 2 cells did not finish." in outcome.err
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.slow
def test_cells_side_by_side_fill_the_trunk_cache_once(launch, tmp_path):
    (tmp_path / "counting_cache.py").write_text(COUNTING)
    fills = tmp_path / "fills.txt"
    outcome = launch(
        "launcher=joblib",
        "hydra.launcher.n_jobs=4",
        "trunk._target_=counting_cache.Counting",
        *FOUR_CELLS,
        "hydra.sweep.dir=sweep",
        environment={"PYTHONPATH": str(tmp_path), "FILLS": str(fills)},
    )
    assert outcome.status == 0, outcome.out + outcome.err
    keys = [line.split()[0] for line in fills.read_text().splitlines()]
    entries = {card.parent.name for card in (tmp_path / "cache" / "frostline" / "trunk").glob("*/card.json")}
    assert sorted(keys) == sorted(entries)  # every entry once
    assert len(entries) == 6  # three splits, kept for two depths
    pids = {ledger.state(folder)["pid"] for folder in ledger.cells(tmp_path / "sweep")}
    assert len(pids) == 4


@pytest.fixture
def composed(commands, tmp_path):
    """A launcher's configuration on a machine with two GPUs."""

    def compose(launcher: str, *overrides: str) -> dict:
        options = (f"launcher={launcher}", *overrides, "--cfg", "hydra", "--resolve")
        env = {**os.environ, "CUDA_VISIBLE_DEVICES": "4,5"}
        outcome = commands.run("train.py", *options, cwd=tmp_path, env=env)
        assert outcome.status == 0, outcome.err
        return yaml.safe_load(outcome.out)["hydra"]["launcher"]

    return compose


def test_slurm_is_asked_for_a_gpu_and_cores_for_each_cell(composed):
    launcher = composed("submitit_slurm", "hydra.launcher.partition=gpu")
    wanted = {"partition": "gpu", "gpus_per_node": 1, "cpus_per_task": 8, "timeout_min": 720, "max_num_timeout": 5}
    assert {key: launcher[key] for key in wanted} == wanted


@pytest.mark.slow
def test_the_script_for_slurm_asks_for_them(launch, slurm, tmp_path):
    options = ("hydra.launcher.partition=gpu", "hydra.launcher.gpus_per_node=2", "hydra.sweep.dir=sweep")
    outcome = launch("launcher=submitit_slurm", "freeze=head,top1", *options, environment=on_path(slurm))
    assert outcome.status == 0, outcome.err
    asked = [line for line in (slurm / "submitted.sh").read_text().splitlines() if line.startswith("#SBATCH")]
    for option in ("--partition=gpu", "--gpus-per-node=2", "--cpus-per-task=8", "--array=0-1%2", "--time=720"):
        assert f"#SBATCH {option}" in asked


def test_each_preset_gives_a_cell_its_share_of_this_machine(composed):
    assert composed("joblib")["n_jobs"] == 2  # CUDA_VISIBLE_DEVICES names two
    assert composed("ray")["ray"]["remote"]["num_gpus"] == 1
    assert "export CUDA_VISIBLE_DEVICES=4,5" in composed("submitit_local")["setup"]


@pytest.mark.parametrize(
    ("choice", "extra"),
    [("launcher=joblib", "joblib"), ("launcher=submitit_local", "submitit"), ("launcher=submitit_slurm", "submitit"),
     ("launcher=ray", "ray"), ("sweeper=optuna", "optuna")],
)  # fmt: skip
def test_a_missing_plugin_is_told_in_one_line_with_what_installs_it(choice, extra, train, monkeypatch):
    monkeypatch.setattr("frostline.sweep.presets._missing", lambda plugin: True)
    outcome = train("-m", "freeze=head,top1", choice)
    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1
    assert f"pip install '.[{extra}]'" in outcome.err


@pytest.mark.slow
def test_optuna_looks_for_the_best_validation_f1(launch, tmp_path):
    outcome = launch(
        "sweeper=optuna", "launcher=joblib", "freeze=head", "test=false",
        "optimizer.lr=tag(log,interval(1e-4,1e-1))", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2",
        "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert outcome.status == 0, outcome.out + outcome.err
    found = [ledger.read_json(folder / ledger.METRICS) for folder in ledger.cells(tmp_path / "sweep")]
    assert len(found) == 4
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    top = max(found, key=lambda results: results["metrics"]["val/f1"])
    assert best["best_value"] == top["metrics"]["val/f1"]
    assert best["best_params"]["optimizer.lr"] in [
        results["lr"] for results in found if results["metrics"]["val/f1"] == best["best_value"]
    ]


@pytest.mark.slow
def test_optuna_tries_the_same_values_again(launch, tmp_path):
    for sweep in ("one", "two"):
        launch(
            "sweeper=optuna", "freeze=head", "test=false", "optimizer.lr=interval(1e-4,1e-1)",
            "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={sweep}",
        )  # fmt: skip
    names = [[folder.name for folder in ledger.cells(tmp_path / sweep)] for sweep in ("one", "two")]
    assert names[0] == names[1]
    assert len(names[0]) == 2


@pytest.mark.slow
def test_optuna_goes_on_after_a_failed_cell(launch, tmp_path):
    outcome = launch(
        "sweeper=optuna", "hydra.sweeper.n_trials=6", "freeze=top", "freeze.n=8,9,1", "hydra.sweep.dir=sweep"
    )
    assert outcome.status == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert "freeze.n=9, but tiny bert has 3 layers: use 0 to 3" in outcome.err
    best = yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())
    assert best["best_params"] == {"freeze.n": 1}


@pytest.mark.slow
def test_optuna_with_failed_cells_alone_ends_in_plain_words(launch):
    outcome = launch("sweeper=optuna", "hydra.sweeper.n_trials=4", "freeze=top", "freeze.n=8,9")
    assert outcome.status == 1
    assert "Every trial failed, so there is no best one." in outcome.err
    assert "cells did not finish." in outcome.err
    assert "Traceback" not in outcome.out + outcome.err


def test_optunas_grid_is_refused_for_hydras_own(train):
    outcome = train("-m", "sweeper=optuna", "hydra/sweeper/sampler=grid", "freeze=head,top1")
    assert outcome.status == 1
    assert outcome.err.strip() == "hydra/sweeper/sampler=grid: every combination is what sweeper=basic tries; use that"


LONG_CELLS = ("freeze=none", "seed=1,2", "trainer.max_epochs=30", "hydra.sweep.dir=sweep")


@pytest.fixture
def launched(tmp_path, small_reviews, commands):
    """Start two cells of thirty epochs through a launcher; returns the sweep once the first has a checkpoint."""

    def start(launcher: str) -> Process:
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "logger=none"]
        sweep = commands.start(
            "train.py", "-m", f"launcher={launcher}", *common, *LONG_CELLS, cwd=tmp_path, start_new_session=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        )  # fmt: skip
        while not (tmp_path / "sweep" / "seed=1" / "checkpoints" / "last.ckpt").exists():
            assert sweep.poll() is None, sweep.communicate()
            time.sleep(0.05)
        return sweep

    return start


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_killed_worker_ends_its_cells_not_the_sweep(launcher, launch, launched, tmp_path):
    sweep, victim = launched(launcher), tmp_path / "sweep" / "seed=1"
    os.kill(ledger.state(victim)["pid"], signal.SIGKILL)
    _, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 1
    assert "Traceback" not in err
    assert "The launcher gave up" in err
    assert "seed=1: interrupted: its process ended without a word" in err
    assert "hydra.sweep.dir=sweep runs these alone" in err

    again = launch(f"launcher={launcher}", *LONG_CELLS)
    assert again.status == 0, again.err
    assert len(metrics(tmp_path / "sweep")) == 2
    assert ledger.state(victim)["attempts"] == 2


@pytest.mark.slow
def test_ctrl_c_ends_cells_side_by_side_and_says_how_to_go_on(launched, tmp_path):
    sweep = launched("joblib")
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does
    _, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 130
    assert "Traceback" not in err
    told = [line for line in err.splitlines() if "To go on from here: python " in line]
    assert told
    assert all(line.endswith("hydra.sweep.dir=sweep") for line in told)
    states = {cell.name: ledger.state(cell)["state"] for cell in ledger.cells(tmp_path / "sweep")}
    assert set(states.values()) == {ledger.INTERRUPTED}
