"""The command line: quick help, and no torch until a run starts."""

import subprocess
import sys

import pytest
from conftest import ROOT

LIST_IMPORTS = """
import atexit, runpy, sys
heavy = {"torch", "transformers", "datasets", "gradio", "onnx"}
atexit.register(lambda: print("IMPORTED", *sorted(heavy & set(sys.modules))))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--cfg", "job", "freeze=top2", "data=ag_news"]])
def test_help_and_config_answer_without_importing_torch(flags, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIST_IMPORTS, str(ROOT / "train.py"), *flags],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "IMPORTED"
    assert list(tmp_path.iterdir()) == []


def test_help_shows_the_commands_and_the_choices(command):
    shown = command("train.py", "--help").out
    assert "python train.py -m freeze=none,head,top2 data=rotten_tomatoes,ag_news" in shown
    assert "freeze: embeddings, head, none, pattern, top, top1, top2, top3, top4, top6" in shown
    assert "lr: 2.0e-05" in shown


@pytest.mark.parametrize(
    ("entry", "example"),
    [
        ("predict.py", '"This is a horrible movie"'),
        ("predict.py", "multirun/2026-11-23/15-00-00 --file reviews.csv --out labelled.csv"),
        ("serve.py", "python serve.py multirun/2026-11-23/15-00-00"),
        ("export.py", "python export.py outputs/2026-11-23/15-00-00 --format onnx"),
        ("report.py", "python report.py multirun/2026-11-23/15-00-00"),
    ],
)
def test_help_shows_an_example_without_importing_torch(entry, example):
    done = subprocess.run(
        [sys.executable, "-c", LIST_IMPORTS, str(ROOT / entry), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert example in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "IMPORTED"
