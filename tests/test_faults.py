"""Full disks, too little memory, a cache that is damaged or vanishes: real ones, and what the user is told."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from conftest import ROOT
from safetensors.torch import load_file

from frostline.sweep import ledger

DISK_KB = 6000


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A disk of its own with six megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", folder], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def leave(disk: Path, kilobytes: int) -> Path:
    """Fill a disk but for some kilobytes; returns the file to delete for making room."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes((DISK_KB - kilobytes) * 1024))
    return ballast


READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda file: json.loads(file.read_text()),
    ".yaml": lambda file: yaml.safe_load(file.read_text()),
    ".parquet": pq.read_table,
    ".ckpt": lambda file: torch.load(file, weights_only=True),
    ".safetensors": load_file,
}


def all_whole(folder: Path) -> list[Path]:
    """Read every file of a run or a sweep that a reader could meet; returns them."""
    files = [file for file in folder.rglob("*") if file.suffix in READERS and ".partial" not in str(file)]
    for file in files:
        READERS[file.suffix](file)
    return files


@pytest.fixture
def plain(train, tmp_path) -> dict:
    """What a run on a disk with room gives."""
    assert train("freeze=none", "trainer.max_epochs=2", "hydra.run.dir=plain").status == 0
    return ledger.read_json(tmp_path / "plain" / ledger.METRICS)["metrics"]


def test_a_run_on_a_full_disk_says_so_leaves_nothing_half_written_and_goes_on(train, plain, disk):
    told = set()
    for kilobytes in (4, 250, 600, 1000, 1600):
        ballast = leave(disk, kilobytes)
        run = disk / f"run{kilobytes}"
        command = ("freeze=none", "trainer.max_epochs=2", f"hydra.run.dir={run}")
        outcome = train(*command)
        all_whole(run)
        if outcome.status:
            assert len(outcome.err.splitlines()) == 1, outcome.err
            assert "no room is left on the disk" in outcome.err, outcome.err
            told.add((run / "checkpoints" / "last.ckpt").exists())
            if (found := ledger.state(run)) is not None:
                assert found["state"] in (ledger.FAILED, ledger.INTERRUPTED)
        ballast.unlink()
        assert train(*command).status == 0
        assert ledger.read_json(run / ledger.METRICS)["metrics"] == plain
        subprocess.run(["rm", "-r", run], check=True)
    assert told == {False, True}  # before the first checkpoint, and after it


def test_a_full_disk_while_the_trunk_is_filled(train, disk, tmp_path):
    ballast = leave(disk, 60)
    command = ("freeze=top1", f"trunk.dir={disk}", "hydra.run.dir=run")
    outcome = train(*command, "trunk.budget=1GB")
    assert outcome.status == 1
    assert "no room for the trunk's outputs" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert [file.name for file in disk.iterdir() if file.is_dir()] == []  # no entry, and no part of one
    ballast.unlink()
    assert train(*command).status == 0
    assert all_whole(tmp_path / "run")


SHORT_OF_MEMORY = """
import resource, runpy, sys
import frostline.train
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 300_000_000,) * 2)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.slow
def test_too_little_memory_is_told_with_the_batch_size_to_try(tmp_path):
    rows = [f"{'good' if i % 2 else 'bad'} {'word ' * 400},{i % 2}" for i in range(1024)]
    (tmp_path / "long.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, str(ROOT / "train.py"), "model=tiny", "data=files", "callbacks=none",
         f"data.path={tmp_path / 'long.csv'}", "data.batch_size=512", "hydra.run.dir=run"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "out of memory with data.batch_size=512: try data.batch_size=256, a smaller data.max_length, "
        "or a freeze that trains fewer layers"
    ]
    assert ledger.state(tmp_path / "run")["state"] == ledger.FAILED


@pytest.mark.slow
def test_a_cache_that_is_deleted_under_a_running_sweep_is_filled_again(train, commands, small_reviews, tmp_path):
    common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "trunk.dir=trunk"]
    axes = ["-m", "freeze=head,top1", "seed=1,2", "trainer.max_epochs=3"]
    sweep = commands.start("train.py", *axes, *common, "hydra.sweep.dir=deleted", cwd=tmp_path)
    trunk = tmp_path / "trunk"
    moments = [
        lambda: list(trunk.glob("*.partial-*/values.bin")),  # while it is being filled
        lambda: (tmp_path / "deleted" / "freeze=head,seed=1" / "metrics.json").exists(),
        lambda: (tmp_path / "deleted" / "freeze=top1,seed=1" / "checkpoints" / "last.ckpt").exists(),
    ]
    for moment in moments:
        while sweep.poll() is None and not moment():
            time.sleep(0.0005)
        shutil.rmtree(trunk, ignore_errors=True)
    out, err = sweep.communicate(timeout=300)
    assert sweep.returncode == 0, err
    assert "was deleted while it was being filled: it is filled again" in out
    assert train(*axes, "hydra.sweep.dir=whole").status == 0
    for cell in ledger.cells(tmp_path / "whole"):
        found = ledger.read_json(tmp_path / "deleted" / cell.name / ledger.METRICS)
        assert found["metrics"] == ledger.read_json(cell / ledger.METRICS)["metrics"]


def test_a_clock_that_runs_backwards_spoils_no_figure(train, monkeypatch, tmp_path):
    now = [time.time()]

    def backwards() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", backwards)
    assert train("freeze=top1", "trunk.dir=trunk", "trainer.checkpoint_minutes=0", "hydra.run.dir=run").status == 0
    timing = ledger.read_json(tmp_path / "run" / ledger.METRICS)["timing"]
    assert all(0 <= seconds < 600 for name, seconds in timing.items() if name.endswith("_seconds"))
