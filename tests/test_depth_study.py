"""experiment=depth_study: a learning rate for each depth, chosen on validation, tested once for each seed."""

import json
import math
import re
import shutil

import pytest

from frostline.errors import InputError
from frostline.sweep import ledger, study

SWEEP = "hydra.sweep.dir=sweep"
RATES = "hydra.sweeper.by_depth={head:[1e-7,1e-2],default:[1e-7,1e-3]}"
STUDY = ("-m", "experiment=depth_study", SWEEP)


def test_each_depth_gets_its_best_rate_and_is_tested_at_it_once_for_each_seed(train, tmp_path):
    outcome = train(*STUDY, "freeze=head,top1", "seed=1,2", RATES)
    assert outcome.status == 0, outcome.err
    folders = ledger.cells(tmp_path / "sweep")
    found = {folder.name: ledger.read_json(folder / ledger.METRICS) for folder in folders}
    grid = {name: results for name, results in found.items() if "test=false" in name}
    final = {name: results for name, results in found.items() if name not in grid}
    assert set(grid) == {
        f"freeze={freeze},optimizer.lr={rate},seed=1,test=false"
        for freeze, rates in {"head": ("1e-07", "0.01"), "top1": ("1e-07", "0.001")}.items()
        for rate in rates
    }
    choices = json.loads((tmp_path / "sweep" / "depth_study.json").read_text())["choices"]
    assert [choice["cell"] for choice in choices] == ["freeze=head", "freeze=top1"]
    for choice in choices:
        scores = {results["lr"]: results["metrics"]["val/f1"] for n, results in grid.items() if choice["cell"] in n}
        assert choice["rate"] == max(scores, key=lambda rate: (scores[rate], -rate))
        assert f"{choice['cell']}: learning rate {choice['rate']:g} (validation F1 at 1e-07: " in outcome.out
        names = {f"{choice['cell'].replace(',', '')},optimizer.lr={choice['rate']},seed={seed}" for seed in (1, 2)}
        assert names <= set(final)
    assert len(final) == 4
    assert all("test/f1" in results["metrics"] for results in final.values())
    for name in grid:
        assert not any("test" in metric for metric in grid[name]["metrics"])
        assert not (tmp_path / "sweep" / name / "predictions.parquet").exists()
    assert "[8/8]" in outcome.out


def test_the_answer_is_made_of_the_tested_cells_alone(train):
    outcome = train(*STUDY, "freeze=head", "seed=1,2", "hydra.sweeper.learning_rates=[1e-3,1e-2]")
    assert outcome.status == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines() if line.startswith(" head ")]
    assert [row[2] for row in rows] == ["2"]  # seeds: the grid's cells are none


@pytest.fixture
def easy(tmp_path):
    """Texts that a tiny encoder learns in a few epochs at a learning rate of 3e-3, and at 1e-9 and 3e-2 never."""
    folder = tmp_path / "easy"
    folder.mkdir()
    for split, count in {"train": 96, "validation": 32, "test": 32}.items():
        rows = [f"{('a wonderful', 'a dreadful')[i % 2]} {('film', 'book')[i // 2 % 2]},{i % 2}" for i in range(count)]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return ("freeze=none", f"data.path={folder}", "trainer.max_epochs=4")


def test_the_rate_that_is_clearly_best_is_chosen_and_the_test_is_run_at_it(train, easy, tmp_path):
    outcome = train(*STUDY, *easy, "seed=1,2", "hydra.sweeper.learning_rates=[1e-9,3e-3,3e-2]")
    assert outcome.status == 0, outcome.err
    assert re.search(r"freeze=none: learning rate 0.003 \(validation F1 at .*, 0.003: 1.000, .*\)$", outcome.out, re.M)
    assert "widen" not in outcome.out
    for seed in (1, 2):
        found = ledger.read_json(tmp_path / "sweep" / f"optimizer.lr=0.003,seed={seed}" / ledger.METRICS)
        assert found["metrics"]["test/f1"] > 0.9


def test_a_best_rate_at_the_edge_of_what_was_tried_is_told(train, easy):
    outcome = train(*STUDY, *easy, "seed=1", "hydra.sweeper.learning_rates=[1e-9,3e-3]")
    assert "the best is the largest tried: widen hydra.sweeper.learning_rates" in outcome.out


def test_the_same_command_goes_on_with_a_study_and_chooses_the_same(train, easy, tmp_path):
    command = (*STUDY, *easy, "seed=1", "hydra.sweeper.learning_rates=[1e-9,3e-3]")
    first = train(*command)
    chosen = next(line for line in first.out.splitlines() if "learning rate 0.003" in line)
    shutil.rmtree(tmp_path / "sweep" / "optimizer.lr=0.003")
    again = train(*command)
    assert again.status == 0, again.err
    assert chosen in again.out.splitlines()
    assert again.out.count("done before") == 2
    assert "[3/3] optimizer.lr=0.003: F1" in again.out


def test_a_depth_whose_rates_all_fail_is_left_out_and_told(train, tmp_path):
    outcome = train(*STUDY, "freeze=top", "freeze.n=9,1", "seed=1,2", "hydra.sweeper.learning_rates=[1e-3]")
    assert outcome.status == 1
    assert "freeze.n=9: every learning rate failed, so it is not tested" in outcome.err
    finished = [f.name for f in ledger.cells(tmp_path / "sweep") if ledger.state(f)["state"] == ledger.FINISHED]
    assert len([name for name in finished if name.startswith("freeze.n=1") and "test=false" not in name]) == 2
    assert not [f for f in ledger.cells(tmp_path / "sweep") if "freeze.n=9" in f.name and "test=false" not in f.name]
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("optimizer.lr=1e-4", "optimizer.lr=1e-4: a depth study chooses it; set hydra.sweeper.learning_rates"),
        ("hydra.sweeper.learning_rates=[0]", "give positive numbers, such as [1e-4,1e-3]"),
        ("hydra.sweeper.learning_rates=[]", "give positive numbers"),
        ("+hydra.sweeper.by_depth.haed=[1e-3]", "there is no freeze=haed"),
        ("hydra.sweeper.by_depth.head=fast", "hydra.sweeper.by_depth.head=fast: give positive numbers"),
        ("test=true,false", "tests at its end alone"),
    ],
)
def test_a_slip_is_told_in_one_line(given, says, train):
    outcome = train(*STUDY, "freeze=head", given)
    assert outcome.status == 1
    assert says in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_it_runs_through_joblib_with_the_same_outcome(train, commands, small_reviews, tmp_path):
    given = ("freeze=head", "seed=1,2", "hydra.sweeper.learning_rates=[1e-3,1e-2]")
    assert train(*STUDY, *given).status == 0
    common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none"]
    beside = ("launcher=joblib", "hydra.launcher.n_jobs=2", "hydra.sweep.dir=beside")
    outcome = commands.run("train.py", "-m", "experiment=depth_study", *common, *given, *beside, cwd=tmp_path)
    assert outcome.status == 0, outcome.err

    def results(sweep):
        return {f.name: ledger.read_json(f / ledger.METRICS)["metrics"] for f in ledger.cells(tmp_path / sweep)}

    assert results("beside") == results("sweep")
    assert len(results("beside")) == 4


def test_of_equal_scores_the_smaller_rate_is_chosen():
    assert study.Choice("c", "o", {1e-4: 0.5, 1e-3: 0.7, 1e-2: 0.7}).rate == 1e-3


def test_a_failed_rate_loses():
    choice = study.Choice("c", "o", {1e-4: 0.5, 1e-3: math.nan})
    assert (choice.rate, choice.edge) == (1e-4, "smallest")
    assert study.Choice("c", "o", {1e-4: math.nan}).rate is None


def test_a_score_of_nought_is_a_score():
    assert study.Choice("c", "o", {1e-4: 0.0}).rate == 1e-4


@pytest.mark.parametrize(
    ("scores", "edge"),
    [({1: 0.1, 2: 0.2}, "largest"), ({1: 0.2, 2: 0.1}, "smallest"), ({1: 0.1, 2: 0.2, 3: 0.1}, None), ({1: 0.3}, None)],
)
def test_the_edge_of_the_grid(scores, edge):
    assert study.Choice("c", "o", scores).edge == edge


def test_rates_by_depth_and_for_the_rest():
    by_depth, depths = {"head": [1e-2, 1e-3], "default": 1e-4}, ["head", "none", "top1"]
    assert study.grid("head", None, by_depth, depths).rates == (1e-3, 1e-2)
    assert study.grid("top5", None, by_depth, depths).rates == (1e-4,)
    assert study.grid("head", [2], by_depth, depths) == study.Grid("hydra.sweeper.learning_rates", (2.0,))
    with pytest.raises(InputError, match=r"nothing for freeze=none: add hydra.sweeper.by_depth.none="):
        study.grid("none", None, {"head": [1e-3]}, depths)


def test_a_dry_run_shows_the_searched_and_the_tested_cells_and_runs_nothing(train, tmp_path):
    outcome = train(*STUDY, "freeze=head,top1", "seed=1,2", RATES, "sweep.dry_run=true")
    assert outcome.status == 0, outcome.err
    assert "4 cells on validation choose 2 learning rates; 4 cells are tested at them." in outcome.out
    assert "8 cells; nothing is run" in outcome.out
    rows = [line.split("│")[1:4] for line in outcome.out.splitlines() if "not started" in line]
    head = [" ".join(row) for row in rows if "freeze=head" in row[0]]
    assert len(rows) == 8
    assert len([row for row in head if "test=false" in row and "optimizer.lr=" in row]) == 2
    assert all("the whole encoder" in row for row in head)
    assert not (tmp_path / "sweep").exists()
