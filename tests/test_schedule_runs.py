"""Whole runs under schedules: what moves, what stays, what is kept, and going on from the middle."""

import csv
import json
import signal
import time
from functools import partial

import pytest
import pytorch_lightning as pl
import torch

from frostline.errors import InputError
from frostline.freeze.callback import Freeze
from frostline.freeze.schedule import Auto, Gradual, Progressive, at_depth
from frostline.model.anatomy import Anatomy
from frostline.model.classifier import Classifier
from frostline.model.optim import LinearDecayAdamW, parts
from frostline.sweep import ledger
from frostline.trunk.cache import Store

SCHEDULES = {"gradual": Gradual(), "progressive": Progressive(start=0.2), "auto": Auto(checks=2)}
# 120 texts are 8 steps an epoch; each schedule moves within epochs and has a trunk in one at least.
OPTIONS = {
    "gradual": ("freeze=gradual", "freeze.every=6", "freeze.unit=steps"),
    "progressive": ("freeze=progressive", "freeze.start=0.2"),
    "auto": ("freeze=auto", "freeze.checks=3"),
}
COMMON = ("trainer.max_epochs=3", "optimizer.lr=2e-3", "model.layers=4", "data.batch_size=16")


class Watch(pl.Callback):
    """At each step: what trains by the schedule, what moved, and what the optimizer holds."""

    def __init__(self, freeze):
        self.freeze, self.steps = freeze, []

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.before = {name: p.detach().clone() for name, p in pl_module.network.named_parameters()}

    def on_train_batch_end(self, trainer, pl_module, *_):
        network = pl_module.network
        moved = {name for name, p in network.named_parameters() if not torch.equal(p, self.before[name])}
        trains = {name for name, p in network.named_parameters() if p.requires_grad}
        optimized = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
        self.steps.append((moved, trains, optimized == {id(p) for p in network.parameters()}))


@pytest.mark.parametrize("name", SCHEDULES)
def test_at_each_step_exactly_what_the_schedule_says_moves(name, tiny_network, batches, tmp_path):
    torch.manual_seed(0)  # what `auto` sees depends on the dropout
    network = tiny_network("bert", layers=4).eval()
    policy = SCHEDULES[name]
    anatomy = Anatomy.of(network)
    freeze = Freeze(policy)
    watch = Watch(freeze)
    trainer = pl.Trainer(
        max_epochs=2, callbacks=[freeze, watch], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    recipe = LinearDecayAdamW(lr=1e-2, weight_decay=0.5)
    trainer.fit(Classifier(network, recipe, parts=partial(parts, network, anatomy, policy.ends(anatomy))), batches)
    starts = {move["step"]: move["trains"] for move in freeze.moves}
    assert len(starts) > 1, "it moved"
    standing = None
    by_name = {at_depth(depth, 4).name: at_depth(depth, 4) for depth in range(6)}
    for step, (moved, trains, all_optimized) in enumerate(watch.steps):
        standing = starts.get(step, standing)
        wanted = {parameter for parameter, trainable in by_name[standing].trains(anatomy).items() if trainable}
        assert trains == wanted, step
        assert moved == wanted, step
        assert all_optimized


def test_the_parameters_that_count_are_the_mean_over_the_steps(tiny_network, batches, tmp_path):
    freeze = Freeze(Gradual(every=4, unit="steps"))
    trainer = pl.Trainer(
        max_steps=8, callbacks=[freeze], logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, accelerator="cpu",
    )  # fmt: skip
    trainer.fit(Classifier(tiny_network("bert"), LinearDecayAdamW()), batches)
    head, top1 = 66, 66 + 1056 + 8544
    counts = freeze.parameters(8)
    assert counts["trainable"] == (head + top1) // 2
    assert counts["trainable"] + counts["frozen"] == counts["total"]


def test_devices_that_would_wait_for_frozen_parameters_are_refused_in_one_line(tiny_network):
    trainer = pl.Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False)
    with pytest.raises(InputError, match=r"freeze=auto changes what trains on the way.*use trainer=ddp"):
        Freeze(Auto()).setup(trainer, Classifier(tiny_network("bert"), LinearDecayAdamW()), "fit")


@pytest.fixture
def metrics(tmp_path):
    return lambda run: json.loads((tmp_path / run / "metrics.json").read_text())


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_that_goes_on_from_any_of_its_steps_ends_in_the_same_digits(name, train, metrics, tmp_path):
    copy = (
        "callbacks=default", "+callbacks.copy._target_=made_callbacks.CopyCheckpoints",
        f"+callbacks.copy.last={tmp_path}/whole/checkpoints/last.ckpt", f"+callbacks.copy.folder={tmp_path}/copies",
    )  # fmt: skip
    options = (*OPTIONS[name], *COMMON)
    outcome = train(*options, *copy, "trainer.checkpoint_minutes=0", "keep_checkpoints=true", "hydra.run.dir=whole")
    assert outcome.status == 0, outcome.err
    whole = metrics("whole")
    assert len(whole["moves"]) > 2
    for step in (5, 8, 11, 19):  # inside the first epoch, at its end, behind moved boundaries
        start = f"resume={tmp_path}/copies/{step}.ckpt"
        again = train(*options, start, "keep_checkpoints=true", f"hydra.run.dir=from{step}")
        assert again.status == 0, again.err
        other = metrics(f"from{step}")
        for figure in ("history", "steps", "moves", "parameters"):
            assert other[figure] == whole[figure], (step, figure)
        assert_same_state(*(tmp_path / run / "checkpoints" / "last.ckpt" for run in ("whole", f"from{step}")))


def assert_same_state(*files):
    """Weights and the optimizer's moments, digit for digit."""
    one, other = (torch.load(file, weights_only=True) for file in files)
    assert all(torch.equal(one["state_dict"][name], other["state_dict"][name]) for name in one["state_dict"])
    states = [checkpoint["optimizer_states"][0]["state"] for checkpoint in (one, other)]
    assert states[0].keys() == states[1].keys()
    for index, moments in states[0].items():
        assert all(torch.equal(value, states[1][index][name]) for name, value in moments.items())


@pytest.mark.parametrize("name", OPTIONS)
def test_with_a_trunk_behind_the_boundary_it_trains_as_without(name, train, metrics, tmp_path):
    options = (*OPTIONS[name], *COMMON, "model.dropout=0")  # auto's moves are the same where its gradients are
    kept = train(*options, "trunk.dtype=fp32", f"trunk.dir={tmp_path}/trunk", "hydra.run.dir=kept")
    assert kept.status == 0, kept.err
    assert ": Trunk: embeddings and " in kept.out
    plain = train(*options, "trunk=none", "hydra.run.dir=plain")
    assert "Trunk:" not in plain.out
    assert metrics("kept")["moves"] == metrics("plain")["moves"]
    assert metrics("kept")["metrics"] == pytest.approx(metrics("plain")["metrics"], abs=1e-4)
    assert metrics("kept")["timing"]["trunk_seconds"] > 0
    assert metrics("plain")["timing"]["trunk_seconds"] == 0
    left = Store(tmp_path / "trunk").entries()
    assert bool(left) == (name == "gradual"), "what a trained layer gave is of no use to another run"


def test_what_gradual_keeps_serves_the_depths_that_stay(train, tmp_path):
    keep = f"trunk.dir={tmp_path}/trunk"
    assert train("freeze=gradual", "freeze.every=1", "trainer.max_epochs=2", keep, "hydra.run.dir=a").status == 0
    before = {entry.folder.name for entry, _ in Store(tmp_path / "trunk").entries()}
    assert train("freeze=head", "test=false", keep, "hydra.run.dir=b").status == 0
    assert {entry.folder.name for entry, _ in Store(tmp_path / "trunk").entries()} == before


def test_where_there_is_no_room_it_says_so_and_trains_plainly(train, metrics):
    outcome = train(*OPTIONS["progressive"], *COMMON, "trunk.budget=1KB", "hydra.run.dir=run")
    assert outcome.status == 0, outcome.err
    assert "over trunk.budget (1.0 KB), so it is computed anew at each step" in outcome.out
    assert metrics("run")["timing"]["trunk_seconds"] == 0


def test_an_epoch_cut_short_is_not_worth_a_pass(train, tmp_path):
    outcome = train("freeze=gradual", "freeze.every=1", "trainer.max_epochs=3", "trainer.max_steps=11",
                    f"trunk.dir={tmp_path}/trunk", "hydra.run.dir=run")  # fmt: skip
    assert outcome.status == 0, outcome.err
    assert "Epoch 1: Trunk: the whole encoder" in outcome.out
    assert "Epoch 2" not in outcome.out


def test_schedules_stand_in_a_sweeps_report(train, tmp_path):
    outcome = train("-m", "freeze=head,gradual,auto", "trainer.max_epochs=2",
                    "hydra.sweep.dir=sweep", f"trunk.dir={tmp_path}/trunk")  # fmt: skip
    assert outcome.status == 0, outcome.err
    table = list(csv.DictReader((tmp_path / "sweep" / "sweep.csv").open()))
    assert {row["freeze"] for row in table} == {"head", "gradual", "auto"}
    page = (tmp_path / "sweep" / "report.html").read_text()
    assert ">auto<" in page.replace("\n", "").replace(" ", "")


@pytest.mark.slow
def test_a_run_under_a_schedule_killed_with_sigkill_goes_on_exactly(train, metrics, commands, small_reviews, tmp_path):
    options = (
        *OPTIONS["auto"],
        "trainer.max_epochs=6",
        *COMMON[1:],
        "data.batch_size=4",
        "trainer.checkpoint_minutes=0",
    )
    where = ("model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none", "hydra.run.dir=run")
    process = commands.start("train.py", *where, *options, cwd=tmp_path)
    while ": Trunk: " not in process.stdout.text:  # the boundary has not moved
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert ledger.state(tmp_path / "run")["state"] == "interrupted"
    again = train(*options, "hydra.run.dir=run")
    assert again.status == 0, again.err
    assert "Going on from step" in again.out
    assert train(*options, "hydra.run.dir=whole", f"trunk.dir={tmp_path}/other").status == 0
    for figure in ("metrics", "history", "moves"):
        assert metrics("run")[figure] == metrics("whole")[figure]
    for file in ("predictions.parquet", "model/model.safetensors"):
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
