"""The long campaign (`make torture`): kills at random moments, hundreds of cells, a million rows."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from conftest import ROOT
from test_faults import all_whole

from frostline.sweep import ledger

pytestmark = [pytest.mark.torture, pytest.mark.timeout(7200)]
KILLS = 50


def start(folder: Path, *arguments: object) -> subprocess.Popen:
    """`python train.py`, what it says going to the end of `folder`/out.txt."""
    command = [sys.executable, str(ROOT / "train.py"), *map(str, arguments), "callbacks=none"]
    with (folder / "out.txt").open("a") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=folder)


def said(folder: Path) -> str:
    return (folder / "out.txt").read_text()[-3000:]


def results(sweep: Path) -> dict[str, tuple]:
    """Of each cell: its metrics, its test predictions, its weights."""
    return {
        cell.name: (
            ledger.read_json(cell / ledger.METRICS)["metrics"],
            (cell / "predictions.parquet").read_bytes(),
            (cell / "model" / "model.safetensors").read_bytes(),
        )
        for cell in ledger.cells(sweep)
    }


def test_fifty_kills(small_reviews, tmp_path, record_property):
    """A sweep's life, from its start to its report, over and over until it was killed fifty times.

    A kill comes within the first half of the shortest time that a whole one took; what goes on reaches the rest.
    """
    command = [
        "-m", "model=tiny", "data=files", f"data.path={small_reviews}", "freeze=none,head,top1", "trunk.dir=trunk",
        "trainer.max_epochs=3", "trainer.checkpoint_minutes=0.0001", "optimizer.lr=1e-3",
    ]  # fmt: skip
    began = time.perf_counter()
    assert start(tmp_path, *command, "hydra.sweep.dir=whole").wait() == 0, said(tmp_path)
    life, expected, rng = time.perf_counter() - began, results(tmp_path / "whole"), random.Random(0)
    kills, lives, files, states = 0, 0, 0, dict.fromkeys(("no cell yet", "running", "finished", "report"), 0)
    while kills < KILLS:
        sweep = tmp_path / f"life{lives}"
        shutil.rmtree(tmp_path / "trunk", ignore_errors=True)
        while True:
            began, fresh = time.perf_counter(), not sweep.exists()
            process = start(tmp_path, *command, f"hydra.sweep.dir={sweep}")
            if kills == KILLS or _ended(process, rng.uniform(0, life / 2)):
                break
            process.kill()
            process.wait()
            kills += 1
            files += len(all_whole(sweep))
            states[_moment(sweep)] += 1
        process.wait()
        life = min(life, time.perf_counter() - began) if fresh else life  # the first one may have met a busy machine
        assert process.returncode == 0, said(tmp_path)
        assert results(sweep) == expected
        lives += 1
    record_property("kills survived", kills)
    record_property("sweeps that ended as one never killed", f"{lives} of {lives}")
    record_property("files read after the kills, half-written", f"{files:,}, 0")
    record_property("state at the kill", states)


def _ended(process: subprocess.Popen, seconds: float) -> bool:
    """Whether the process ends within so much time."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.poll() is not None


def _moment(sweep: Path) -> str:
    states = [ledger.state(cell)["state"] for cell in ledger.cells(sweep)]
    if states.count("finished") == 3:
        return "report"
    return "running" if "interrupted" in states else "finished" if states else "no cell yet"


@pytest.mark.parametrize("count", [2, 4, 8])
def test_processes_on_one_cache(count, small_reviews, tmp_path, record_property):
    command = ["model=tiny", "data=files", f"data.path={small_reviews}", "freeze=top1", f"trunk.dir={tmp_path}/trunk"]
    runs = [start(tmp_path, *command, f"hydra.run.dir={tmp_path}/{name}") for name in range(count)]
    assert [run.wait() for run in runs] == [0] * count, said(tmp_path)
    found = [ledger.read_json(tmp_path / str(name) / ledger.METRICS)["metrics"] for name in range(count)]
    assert all(metrics == found[0] for metrics in found)
    entries = list((tmp_path / "trunk").glob("*/values.bin"))
    assert len(entries) == 3
    record_property("processes on one cache, fills", f"{count}, {len(entries) // 3}")


def test_three_hundred_cells_in_one_process(small_reviews, tmp_path, record_property):
    common = ["model=tiny", "data=files", f"data.path={small_reviews}", "trunk.dir=trunk", "hydra.sweep.dir=sweep"]
    sweep = start(tmp_path, "-m", *common, "seed=range(0,100)", "freeze=none,head,top1")  # depth by depth in turn
    anonymous, handles, seconds = {}, {}, {}
    while sweep.poll() is None:
        done = len(list((tmp_path / "sweep").glob("*/metrics.json")))
        if done and done not in anonymous:
            anonymous[done], handles[done], seconds[done] = _usage(sweep.pid)
        time.sleep(0.05)
    assert sweep.returncode == 0, said(tmp_path)
    early, late = _median(anonymous, 20, 26), _median(anonymous, 290, 299)
    assert late <= 1.1 * early
    files = _median(handles, 20, 40), _median(handles, 260, 299)
    assert files[1] <= files[0] + 1
    rate = {cell: (seconds[cell] - seconds[cell - 30]) / 30 for cell in seconds if cell - 30 in seconds}
    first, last = _median(rate, 50, 100), _median(rate, 250, 300)
    assert last <= 1.15 * first
    began = time.perf_counter()
    subprocess.run([sys.executable, ROOT / "report.py", tmp_path / "sweep"], check=True, capture_output=True)
    record_property("cells in one process", 300)
    record_property("anonymous memory after 20 and 295 cells", f"{early / 1e6:.0f} MB, {late / 1e6:.0f} MB")
    record_property("open files, cells 20 to 40 and 260 to 299", f"{files[0]:.0f}, {files[1]:.0f}")
    record_property("CPU seconds a cell, cells 20 to 100 and 220 to 300", f"{first:.2f}, {last:.2f}")
    record_property("report over 300 cells", f"{time.perf_counter() - began:.1f} s")


def _median(by_cell: dict[int, float], first: int, last: int) -> float:
    return median(value for cell, value in by_cell.items() if first <= cell <= last)


def _usage(pid: int) -> tuple[int, int, float]:
    """Anonymous bytes, open files, CPU seconds of a process."""
    process = Path(f"/proc/{pid}")
    lines = (process / "status").read_text().splitlines()
    line = next((line for line in lines if line.startswith("RssAnon")), "RssAnon: 0")  # none where it has just ended
    ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
    cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return int(line.split()[1]) * 1024, len(list((process / "fd").iterdir())), cpu


def test_a_million_rows(tmp_path, record_property):
    from frostline.data.demo_text import generate

    texts = generate("reviews", 0, {"train": 2000})["train"]
    with (tmp_path / "many.csv").open("w") as stream:
        stream.write("text,label\n")
        for number in range(1_000_000):
            text, label = texts[number % len(texts)]
            stream.write(f'"{number} {text}",{label}\n')
    began = time.perf_counter()
    run = start(
        tmp_path, "model=tiny", "data=files", "data.path=many.csv", "trainer.max_steps=50", "data.batch_size=256",
        "test=false", "hydra.run.dir=run",
    )  # fmt: skip
    peak = 0
    while run.poll() is None:
        peak = max(peak, _usage(run.pid)[0])
        time.sleep(0.2)
    assert run.returncode == 0, said(tmp_path)
    found = ledger.read_json(tmp_path / "run" / ledger.METRICS)
    assert sum(found["examples"].values()) == 1_000_000
    assert peak < 2 * 2**30
    seconds = time.perf_counter() - began
    record_property("rows of one CSV", "1,000,000")
    record_property("peak anonymous memory", f"{peak / 2**20:,.0f} MiB")
    record_property("setup: rows per second", f"{1_000_000 / found['timing']['setup_seconds']:,.0f}")
    record_property("whole run", f"{seconds:.0f} s")
