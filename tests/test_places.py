"""Which GPU a cell gets, with real processes and locks, and no GPU."""

import signal
import subprocess
import sys
import time

import pytest

from frostline import machine, places

HOLD = """
import sys, time
from pathlib import Path
from frostline.places import lease
names, rounds, wait, folder = sys.argv[1].split(","), int(sys.argv[2]), sys.argv[3] == "wait", Path(sys.argv[4])
with lease(names, rounds, wait, folder) as index:
    print(index, flush=True)
    sys.stdin.read()
"""
JOBLIB = {"_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher", "n_jobs": 4}
BASIC = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}
LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher", "cpus_per_task": 1}
RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"}


@pytest.fixture
def hold(tmp_path):
    """Start a process that holds a place until its input is closed."""
    started = []

    def start(names="gpu-0,gpu-1", rounds=1, wait="wait"):
        command = [sys.executable, "-c", HOLD, names, str(rounds), wait, str(tmp_path)]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """Pretend that CUDA shows these GPUs; locks go to a folder of the test's own."""
    monkeypatch.setattr(places, "_warm", [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lambda names: monkeypatch.setenv("CUDA_VISIBLE_DEVICES", names)


def test_processes_side_by_side_get_a_gpu_each_and_the_third_waits_its_turn(hold):
    first, second = hold(), hold()
    indices = [process.stdout.readline() for process in (first, second)]
    assert sorted(indices) == ["0\n", "1\n"]
    third = hold()
    time.sleep(1)
    second.stdin.close()
    assert second.wait() == 0
    assert third.stdout.readline() == indices[1]


def test_a_killed_process_frees_its_gpu(hold):
    first = hold("gpu-0")
    assert first.stdout.readline() == "0\n"
    second = hold("gpu-0")
    first.send_signal(signal.SIGKILL)
    assert second.stdout.readline() == "0\n"


def test_without_waiting_a_gpu_is_shared(hold):
    first = hold("gpu-0")
    first.stdout.readline()
    assert hold("gpu-0", wait="share").stdout.readline() == "0\n"


def test_no_gpu_gets_a_second_cell_before_each_has_a_first(tmp_path):
    def taken(names):
        return places.lease(names, 2, False, tmp_path)

    names = ["gpu-0", "gpu-1"]
    with taken(names) as one, taken(names) as two, taken(names) as three, taken(names) as four:
        assert {one, two} == {0, 1}
        assert {three, four} == {0, 1}


def test_the_next_cell_of_a_process_goes_where_the_last_one_was(gpus):
    gpus("0,1,2")
    with places.place(BASIC, "auto", 1) as beside:
        assert beside == 0
        with places.place(BASIC, "auto", 1) as first:
            assert first == 1
    with places.place(BASIC, "auto", 1) as again:
        assert again == 1


@pytest.mark.parametrize(
    ("launcher", "visible", "accelerator", "devices", "index"),
    [
        (BASIC, "4,5", "auto", 1, 0),
        (JOBLIB, "4,5", "gpu", 1, 0),
        (JOBLIB, "4,5", "cpu", 1, None),
        (JOBLIB, "4", "auto", 1, None),
        (JOBLIB, "4,5", "auto", 2, None),
        (RAY, "3", "auto", 1, None),
        (JOBLIB, "", "auto", 1, None),
        (LOCAL, "4", "auto", 1, 0),
        (LOCAL, "", "auto", 1, None),
    ],
)
def test_a_gpu_is_leased_where_there_is_a_choice(launcher, visible, accelerator, devices, index, gpus):
    gpus(visible)
    with places.place(launcher, accelerator, devices) as found:
        assert found == index


def test_submitits_local_cells_take_turns_on_the_cores(gpus, monkeypatch, hold, tmp_path):
    gpus("")
    monkeypatch.setattr(machine, "cores", lambda: 1)
    with places.place(LOCAL, "auto", 1):
        locks = [file.name for file in tmp_path.rglob("*.lock")]
        assert locks == ["cpu-0.0.lock"]


@pytest.mark.parametrize(
    ("visible", "names"),
    [("2,3", ["2", "3"]), ("", []), ("-1", []), ("0,-1,1", ["0"]), ("GPU-8a,GPU-9b", ["GPU-8a", "GPU-9b"])],
)
def test_cuda_visible_devices_are_read_as_cuda_does(visible, names, gpus):
    gpus(visible)
    assert machine.gpus() == names


@pytest.mark.parametrize(
    ("cores", "gpus_", "at_once", "each"),
    [(2, "", 2, 1), (1, "", 1, 1), (8, "", 2, 4), (64, "", 16, 4), (16, "0,1,2,3", 4, 4), (2, "0,1,2,3", 4, 1)],
)
def test_cells_share_cores_and_gpus(cores, gpus_, at_once, each, gpus, monkeypatch):
    gpus(gpus_)
    monkeypatch.setattr(machine, "cores", lambda: cores)
    assert (machine.cells_at_once(), machine.cores_per_cell()) == (at_once, each)


def test_joblibs_negative_numbers_count_from_the_cores(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    assert [machine.side_by_side({**JOBLIB, "n_jobs": n}) for n in (3, -1, -2, -20)] == [3, 8, 7, 1]
