"""A user's slips, through the real entry: exit status 1, one line that says what to do, and nothing harmed."""

import gc
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import slips_in_data
import slips_in_models
import slips_in_options
import torch
from conftest import ROOT
from slips import CSV, TEST_CSV, Slip, labelled, splits
from unprivileged import locked

from frostline.options import RULES

BAD = (-2, 0, math.nan, math.inf, 1e30, 10**30, "word", True, -0.5)
SLIPS = {**slips_in_data.SLIPS, **slips_in_options.SLIPS, **slips_in_models.SLIPS}


def first_bad(option: str) -> object:
    """A value that the option's rule refuses."""
    return next(value for value in BAD if not RULES[option].holds(value))


for option in RULES:
    told = str(first_bad(option)).replace("True", "true")
    given = f"'[{told},{told}]'" if option == "optimizer.betas" else told
    flags = slips_in_options.WITH.get(option, "")
    in_hooks = option.startswith(("hydra.", "sweep."))
    if option not in ("data.seed", "model.trust_remote_code"):  # the first is the run's seed
        SLIPS[f"{option} out of range"] = Slip(
            f"{flags} {option}={given}", (f"{option}=", told, "use "), recorded=not in_hooks
        )


@pytest.fixture(scope="module", autouse=True)
def _few_objects_to_look_at() -> Iterator[None]:
    """Each run begins with a garbage collection; what was imported is left out of it."""
    import frostline.train  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def everything(tmp_path: Path, small_reviews: Path) -> Callable[[], dict[Path, bytes]]:
    """The bytes of every file outside the run's own folder."""

    def read() -> dict[Path, bytes]:
        files = [file for folder in (tmp_path, small_reviews) for file in folder.rglob("*") if file.is_file()]
        return {file: file.read_bytes() for file in files if tmp_path / "out" not in file.parents}

    return read


@pytest.fixture(scope="module")
def finished_run(small_reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable], Path]:
    """The folder of a run that kept its model and its checkpoints, made when it is first asked for."""
    folder = tmp_path_factory.mktemp("finished") / "run"

    def make(train: Callable) -> Path:
        if not folder.exists():
            kept = ("keep_checkpoints=true", "logger=none", "test=false")
            assert train(f"hydra.run.dir={folder}", *kept).status == 0
        return folder

    return make


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_in_one_line(slip: Slip, train, tmp_path: Path, everything, finished_run) -> None:
    here = tmp_path / "given"
    here.mkdir()
    for name, content in slip.files.items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if slip.damage:
        slip.damage(here, finished_run(train))
    before = everything()

    typed = shlex.split(slip.typed.format(here=here))
    places = ("hydra.run.dir=out", "hydra.sweep.dir=out")
    with locked([here / name for name in slip.locked]):
        outcome = train(*(place for place in places if not any(place.split("=")[0] in word for word in typed)), *typed)

    assert outcome.status == 1
    assert outcome.err.count("\n") == 1, outcome.err
    for words in slip.says:
        assert words in outcome.err
    assert "traceback" not in outcome.err.lower() + outcome.out.lower()
    if slip.recorded:
        state = json.loads((tmp_path / "out" / "state.json").read_text())
        assert (state["state"], state["reason"]) == ("failed", outcome.err.strip())
    else:
        assert not list(tmp_path.rglob("state.json"))
    assert not list((tmp_path / "out").rglob("metrics.json"))
    assert not list(tmp_path.rglob("*.partial*"))
    assert everything() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one here")
def test_a_gpu_where_there_is_none_is_told(train) -> None:
    outcome = train("trainer.accelerator=gpu")

    assert outcome.status == 1
    assert outcome.err == "trainer.accelerator=gpu, but torch sees no GPU: use auto, or cpu\n"


def test_there_are_many_of_them() -> None:
    assert len({(slip.typed, str(slip.files), slip.damage) for slip in SLIPS.values()}) == len(SLIPS) >= 200


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("data=agnews", ["ag_news", "rotten_tomatoes", "files", "demo_reviews"]),
        ("model=bert", ["bert_base", "tiny", "minilm"]),
        ("freeze=top5", ["none", "head", "top2", "pattern"]),
        ("optimizer=sgd", ["adamw"]),
    ],
)
def test_an_unknown_name_lists_the_choices(typed: str, choices: list[str], train, tmp_path: Path) -> None:
    outcome = train(typed)

    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    for choice in choices:
        assert choice in outcome.err
    assert not list(tmp_path.rglob("state.json"))


@pytest.mark.parametrize("typed", ["data.batchsize=8", "freeze.n=2", "optimizer.learning_rate=1"])
def test_an_unknown_option_is_named(typed: str, train) -> None:
    outcome = train(typed)

    assert outcome.status == 1
    assert typed.partition("=")[0].rpartition(".")[2] in outcome.err
    assert "Traceback" not in outcome.err


def test_a_used_output_folder_is_left_as_it_is(train, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "state.json").write_text('{"state": "finished"}')
    (used / "metrics.json").write_text("{}")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    outcome = train("hydra.run.dir=used", "data.batch_size=0")

    assert outcome.status == 1
    assert outcome.err == "used already holds another run: choose an empty folder with hydra.run.dir=…\n"
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@dataclass(frozen=True)
class Odd:
    """Files that look wrong and are right: how many train texts and which labels come of them, and what is said."""

    files: dict[str, str | bytes]
    labels: tuple[str, ...] = ("neg", "pos")
    train: int = 12
    says: str = ""
    typed: str = ""


def of_texts(*texts: str) -> dict[str, str]:
    """A good pair of files in which these texts are among train's."""
    return splits(train=CSV + "".join(f'"{text}",pos\n' for text in texts))


TOLERATED = {
    "a byte order mark": Odd(splits(train=CSV.encode("utf-8-sig"))),
    "Windows line ends": Odd(splits(train=CSV.replace("\n", "\r\n"))),
    "old Mac line ends": Odd(splits(train=CSV.replace("\n", "\r"))),
    "no line end at the end": Odd(splits(train=CSV.rstrip())),
    "blank lines": Odd(splits(train=CSV.replace("\n", "\n\n"))),
    "semicolons": Odd(splits(train=CSV.replace(",", ";"))),
    "tabs in a .csv": Odd(splits(train=CSV.replace(",", "\t"))),
    "spaces around names": Odd(splits(train=CSV.replace(",", " , "))),
    "spaces around labels": Odd(splits(train=CSV + "words,pos \nmore, neg\n"), train=14),
    "labels from 1": Odd(labelled(1, 2), ("1", "2"), 8, typed="data.path={here}/a.parquet"),
    "labels with gaps": Odd(labelled(-1, 3, 70), ("-1", "3", "70"), 6, typed="data.path={here}/a.parquet"),
    "booleans as labels": Odd(labelled(True, False), ("False", "True"), 8, typed="data.path={here}/a.parquet"),
    "numbers in words' place": Odd(splits(train=CSV + "007,pos\nNone,neg\n"), train=14),
    "a text of one character": Odd(of_texts("a", "?"), train=14),
    "a text of a million characters": Odd(of_texts("x" * 1_000_000, "word " * 200_000), train=14),
    "emoji alone": Odd(of_texts("😀🎉", "👩‍👩‍👧‍👦"), train=14),
    "right to left": Odd(of_texts("שלום עולם", "مرحبا بالعالم", "\u202eabc"), train=15),
    "a text of markup": Odd(of_texts("<script>alert(1)</script>", "$x^2$ & {{ }}"), train=14),
    "texts of test in train": Odd(
        splits(test=f"{TEST_CSV}text neg 0,neg\ntext pos 1,pos\n"), says="2 of 14 test texts are in train, too"
    ),
    "texts of validation in train": Odd(splits(validation=CSV), says="12 of 12 validation texts are in train, too"),
}


@pytest.mark.parametrize("odd", TOLERATED.values(), ids=TOLERATED)
def test_what_is_only_odd_is_accepted(odd: Odd, train, tmp_path: Path) -> None:
    here = tmp_path / "given"
    here.mkdir()
    for name, content in {**splits(validation="text,label\nnot seen,neg\nnever,pos\n"), **odd.files}.items():
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    typed = odd.typed.format(here=here) or f"data.path={here}"
    outcome = train(typed, "logger=none", "trainer.max_steps=1", "hydra.run.dir=out")

    assert outcome.status == 0, outcome.err
    results = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert results["examples"]["train"] == odd.train
    names = json.loads((tmp_path / "out" / "model" / "config.json").read_text())["id2label"].values()
    assert tuple(names) == odd.labels
    assert ("are in train, too" in outcome.out) == bool(odd.says)
    assert odd.says in outcome.out


def test_code_that_comes_with_a_model_runs_only_when_asked_for(train, tmp_path: Path, finished_run) -> None:
    slips_in_models.spoilt(slips_in_models.own_code)(tmp_path, finished_run(train))
    given = ("model=bert_base", f"model.name_or_path={tmp_path / 'model'}")

    assert train(*given, "hydra.run.dir=one").status == 1
    assert not (tmp_path / "ran").exists()
    train(*given, "model.trust_remote_code=true", "hydra.run.dir=two")
    assert (tmp_path / "ran").exists()


def test_a_first_process_says_it_in_one_line_too(tmp_path: Path) -> None:
    """Nothing is imported yet, and warnings of imports are not caught by a test."""
    (tmp_path / "train.csv").write_text("text,label\n")
    command = [sys.executable, ROOT / "train.py", "model=tiny", "data=files", f"data.path={tmp_path}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"data.path={tmp_path}/train.csv has no rows: give a file with texts and labels\n"
