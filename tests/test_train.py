"""One whole run through the real entry: what it leaves, what it prints, and that it can be trusted."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RUN = "hydra.run.dir=run"


@pytest.fixture
def metrics(tmp_path):
    return lambda run="run": json.loads((tmp_path / run / "metrics.json").read_text())


def events(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    reader.Reload()
    return reader


def test_a_run_leaves_all_that_it_should(train, tmp_path, metrics, small_reviews):
    outcome = train("freeze=top1", RUN, "seed=5", "trainer.max_epochs=2", "trainer.log_every_n_steps=1")
    assert outcome.status == 0, outcome.err
    run = tmp_path / "run"
    assert {file.name for file in run.iterdir()} == {
        ".hydra", "state.json", "metrics.json", "predictions.parquet", "model", "tensorboard", "train.log",
    }  # fmt: skip
    assert json.loads((run / "state.json").read_text())["state"] == "finished"

    found = metrics()
    assert (found["data"], found["model"], found["freeze"], found["seed"]) == (small_reviews.name, "tiny", "top1", 5)
    assert (found["lr"], found["epochs"], found["steps"]) == (2e-5, 2, 16)
    assert found["examples"] == {"train": 120, "validation": 40, "test": 40}
    assert set(found["metrics"]) == {
        f"{split}/{name}" for split in ("val", "test") for name in ("f1", "f1_macro", "accuracy", "loss")
    }
    parameters = found["parameters"]
    assert parameters["trainable"] + parameters["frozen"] == parameters["total"]
    assert parameters["trainable"] == 8544 + 1056 + 66
    assert found["memory"]["device"] == "cpu"
    assert found["memory"]["peak_bytes"] > 100e6
    assert found["versions"]["torch"] == torch.__version__

    assert "freeze=top1" in outcome.out
    assert "layer.1    │      8,544 │ frozen" in outcome.out
    assert "layer.2    │      8,544 │ trainable" in outcome.out
    assert outcome.out.rstrip().splitlines()[-1].startswith(f"{small_reviews.name}, freeze=top1: test F1")
    assert 'python predict.py run "' in outcome.out
    assert (run / "train.log").read_text().count("trainable") == outcome.out.count("trainable")


def test_every_second_belongs_to_one_part(train, metrics):
    train(RUN)
    timing = metrics()["timing"]
    parts = [timing[f"{p}_seconds"] for p in ("setup", "trunk", "fit", "validation", "checkpoint", "test", "results")]
    assert timing["total_seconds"] == pytest.approx(sum(parts), abs=1e-9)
    assert all(seconds > 0 for seconds in parts if seconds != timing["trunk_seconds"])
    assert timing["samples_per_second"] == pytest.approx(120 / timing["fit_seconds"], rel=0.01)


def test_predictions_are_the_models_own(train, tmp_path, metrics):
    """predictions.parquet, metrics.json, the model folder in `pipeline`, and predict.py all tell the same."""
    from sklearn.metrics import accuracy_score, f1_score
    from transformers import pipeline

    for split, count in (("train", 80), ("validation", 20), ("test", 40)):
        # Easy to learn, but every third test label is wrong, so that the scores are neither 0 nor 1.
        wrong = 3 if split == "test" else count + 1
        rows = [
            (
                f"number {i}: it is {'good' if i % 2 else 'bad'}",
                "positive" if (i % 2) != (i % wrong == 1) else "negative",
            )
            for i in range(count)
        ]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *(",".join(row) for row in rows)]))
    train(RUN, f"data.path={tmp_path}", "optimizer.lr=5e-3", "trainer.max_epochs=8")
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pandas()
    assert list(table.columns) == ["text", "label", "prediction", "probability/negative", "probability/positive"]
    assert len(table) == 40
    assert table["prediction"].nunique() == 2, "the test needs a model that tells texts apart"
    found = metrics()["metrics"]
    assert found["test/f1"] == pytest.approx(f1_score(table.label, table.prediction, pos_label="positive"))
    assert found["test/f1_macro"] == pytest.approx(f1_score(table.label, table.prediction, average="macro"))
    assert found["test/accuracy"] == pytest.approx(accuracy_score(table.label, table.prediction))

    classify = pipeline("text-classification", model=str(tmp_path / "run" / "model"))
    answers = classify(list(table.text), truncation=True)
    assert [answer["label"] for answer in answers] == list(table.prediction)
    for answer, (_, row) in zip(answers, table.iterrows(), strict=True):
        assert answer["score"] == pytest.approx(row[f"probability/{answer['label']}"], abs=1e-5)


def test_tensorboard_reads_curves_hparams_the_table_and_the_picture(train, tmp_path, metrics):
    train(RUN, "freeze=top1", "trainer.log_every_n_steps=2", "trainer.max_epochs=2")
    reader = events(tmp_path / "run" / "tensorboard")
    scalars = set(reader.Tags()["scalars"])
    curves = {"train/loss", "train/lr", "train/samples_per_second", "val/f1", "val/loss", "test/f1", "test/accuracy"}
    assert curves <= scalars
    assert "hp_metric" not in scalars
    rates = [event.value for event in reader.Scalars("train/lr")]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(2e-5)
    assert len(reader.Scalars("val/f1")) == 2
    assert reader.Scalars("test/f1")[-1].value == pytest.approx(metrics()["metrics"]["test/f1"])
    assert "test/confusion" in reader.Tags()["images"]
    freeze = reader.Tensors("freeze/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| layer.0 | 8,544 | frozen |" in freeze
    assert reader.Tensors("test/examples/text_summary")[0].tensor_proto.string_val[0].decode().count("\n") == 11

    hparams = set(reader.summary_metadata) & {"_hparams_/session_start_info", "_hparams_/experiment"}
    assert len(hparams) == 2
    assert reader.Scalars("final/test/f1")[-1].value == pytest.approx(metrics()["metrics"]["test/f1"])


def test_the_same_seed_gives_the_same_digits_and_another_does_not(train, metrics):
    options = ("freeze=top1", "optimizer.lr=1e-3")
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert train(*options, f"hydra.run.dir={folder}", f"seed={seed}").status == 0
    assert metrics("a")["metrics"] == metrics("b")["metrics"]
    assert metrics("a")["metrics"] != metrics("c")["metrics"]


def test_false_leaves_the_test_split_untouched(train, tmp_path, small_reviews, metrics):
    files = f"data.path={{train: {small_reviews}/train.csv, validation: {small_reviews}/validation.csv}}"
    outcome = train(RUN, files, "test=false")
    assert outcome.status == 0, outcome.err
    assert not [name for name in metrics()["metrics"] if name.startswith("test/")]
    assert metrics()["timing"]["test_seconds"] == 0
    assert not (tmp_path / "run" / "predictions.parquet").exists()


def test_the_best_epoch_is_the_one_kept(train, tmp_path, metrics):
    """Validation F1 in metrics.json is the best of the curve, and model/ has that epoch's weights."""
    train(RUN, "optimizer.lr=5e-3", "trainer.max_epochs=5", "keep_checkpoints=true", "data.validation=test")
    reader = events(tmp_path / "run" / "tensorboard")
    curve = [event.value for event in reader.Scalars("val/f1")]
    found = metrics()["metrics"]
    assert found["val/f1"] == pytest.approx(max(curve))
    assert found["test/f1"] == pytest.approx(found["val/f1"])  # the same split, so the same weights
    assert {file.name for file in (tmp_path / "run" / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_steps_that_end_inside_an_epoch_are_validated_too(train, metrics):
    outcome = train(RUN, "trainer.max_steps=3")
    assert outcome.status == 0, outcome.err
    assert metrics()["steps"] == 3
    assert {"val/f1", "test/f1"} <= set(metrics()["metrics"])


def test_a_run_goes_on_from_its_checkpoint_under_the_same_policy_only(train, tmp_path, metrics):
    assert train("freeze=top1", "hydra.run.dir=first", "keep_checkpoints=true").status == 0
    checkpoint = tmp_path / "first" / "checkpoints" / "last.ckpt"
    outcome = train("freeze=head", "hydra.run.dir=other", f"resume={checkpoint}")
    assert outcome.status == 1
    assert outcome.err.strip() == (
        "the checkpoint was made with freeze=top1, this run has freeze=head: "
        "resume with the same policy, or start anew without resume"
    )
    outcome = train("freeze=top1", "hydra.run.dir=second", f"resume={checkpoint}", "trainer.max_epochs=2")
    assert outcome.status == 0, outcome.err
    assert metrics("second")["steps"] == 16


def test_the_best_epoch_comes_along_from_another_runs_checkpoint(train, tmp_path, metrics):
    first = ("freeze=top1", "optimizer.lr=2e-3", "trainer.max_epochs=2", "keep_checkpoints=true")
    assert train(*first, "hydra.run.dir=first").status == 0
    best = max(epoch["val/f1"] for epoch in metrics("first")["history"])
    folder = tmp_path / "first" / "checkpoints"
    (folder / "alone").mkdir()
    (folder / "alone" / "last.ckpt").write_bytes((folder / "last.ckpt").read_bytes())
    more = ("freeze=top1", "trainer.max_epochs=3", "+callbacks.worse._target_=made_callbacks.TurnRound")
    for run, checkpoint in {"second": folder / "last.ckpt", "third": folder / "alone" / "last.ckpt"}.items():
        outcome = train(*more, f"resume={checkpoint}", f"hydra.run.dir={run}")
        assert outcome.status == 0, outcome.err
        found = metrics(run)
        if run == "second":
            assert found["metrics"]["val/f1"] == best > found["history"][-1]["val/f1"]
        else:
            assert found["metrics"]["val/f1"] == found["history"][-1]["val/f1"]
            assert "is not in a best.ckpt beside the checkpoint" in outcome.out


def test_print_parameters_lists_every_one(train):
    outcome = train(RUN, "freeze=head", "print_parameters=true")
    assert "bert.encoder.layer.2.output.dense.weight: requires_grad=False" in outcome.out
    assert "classifier.weight: requires_grad=True" in outcome.out


def test_describe_prints_the_encoder_with_its_head_and_without(train):
    outcome = train(RUN, "model.describe=true")
    assert "BertForSequenceClassification(" in outcome.out
    assert "BertModel(" in outcome.out
    assert "3 layers bert.encoder.layer.0 … bert.encoder.layer.2" in outcome.out


def test_an_unexpected_error_is_one_line_and_its_traceback_a_file(train, tmp_path):
    outcome = train(RUN, "+callbacks.other._target_=builtins.open", "+callbacks.other.file=abacus")
    assert outcome.status == 1
    assert len(outcome.err.strip().splitlines()) == 1
    assert "FileNotFoundError" in outcome.err
    assert "Traceback" in (tmp_path / "run" / "traceback.txt").read_text()
    state = json.loads((tmp_path / "run" / "state.json").read_text())
    assert state["state"] == "failed"
    assert "FileNotFoundError" in state["reason"]


def test_pairs_of_texts_are_trained_on_as_pairs(train, tmp_path):
    for split, count in (("train", 40), ("validation", 10), ("test", 10)):
        rows = [f"a man sleeps,{'he sleeps' if i % 2 else 'he runs'},{'yes' if i % 2 else 'no'}" for i in range(count)]
        (tmp_path / f"{split}.csv").write_text("\n".join(["premise,hypothesis,answer", *rows]))
    outcome = train(
        RUN, f"data.path={tmp_path}", "data.text_column=[premise,hypothesis]", "data.label_column=answer",
        "optimizer.lr=5e-3", "trainer.max_epochs=20",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pandas()
    assert list(table.columns[:3]) == ["text", "text_pair", "label"]
    assert (table.prediction == table.label).all()


def test_more_than_two_labels_use_weighted_f1(train, tmp_path, metrics):
    from sklearn.metrics import f1_score

    outcome = train(RUN, "data=demo_topics", "data.path=null", "data.train=80", "data.validation=30", "data.test=40")
    assert outcome.status == 0, outcome.err
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pandas()
    expected = f1_score(table.label, table.prediction, average="weighted")
    assert metrics()["metrics"]["test/f1"] == pytest.approx(expected)
