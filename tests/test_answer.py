"""The answer of a comparison: which depth is chosen, with what probability, in which sentence."""

import re

import numpy as np
import pytest
from made_cells import write_cell, write_predictions, write_sweep

from frostline.report import answer as answers
from frostline.report import compare, predictions, runs
from frostline.report.wording import probability, sentence, training

RNG = np.random.default_rng(0)
TRUTH = np.random.default_rng(0).integers(0, 2, 400)  # the labels that write_cell makes


def wrong_in(*texts: int) -> np.ndarray:
    """Predictions that are wrong in these texts alone."""
    guess = TRUTH.copy()
    guess[list(texts)] = 1 - guess[list(texts)]
    return guess


def ask(*folders, margin=0.01):
    groups, _ = compare.groups(runs.read(folders)[0])
    found, _ = predictions.read_all(compare.to_pair(groups))
    return [answers.answer(group, found, margin) for group in groups]


def one(*folders, margin=0.01):
    (found,) = ask(*folders, margin=margin)
    return found, sentence(found)


def test_the_cheapest_depth_within_the_margin_is_the_answer(tmp_path):
    found, text = one(write_sweep(tmp_path, {"none": 0.10, "top2": 0.11, "head": 0.40}, texts=4000), margin=0.03)
    assert found.chosen.name == "top2"
    assert [verdict.status for verdict in found.verdicts] == ["worse", "enough"]
    none, top2 = found.group.depths[0], found.group.depths[1]
    assert text.startswith(
        f"On reviews it is enough to train the last two layers (freeze=top2): F1 {top2.f1.mean:.3f} against "
        f"{none.f1.mean:.3f} for freeze=none, at most 0.03 lower with probability "
    )
    assert text.endswith(", at 3.1× the training speed.")


def test_equal_predictions_are_within_any_margin_for_sure(tmp_path):
    for freeze in ("none", "head"):
        write_cell(tmp_path / freeze, freeze, predicted=wrong_in(*range(50)))
    found, text = one(tmp_path, margin=0.0)
    # At equal quality the one with fewer trainable parameters is itself the best.
    assert found.best.name == found.chosen.name == "head"
    assert found.verdicts[0].probability == 1
    assert "it is enough to train the head alone (freeze=head): the fewest trainable parameters and the best F1" in text
    assert "one seed alone" in text


def test_clearly_worse_depths_leave_the_best(tmp_path):
    found, text = one(write_sweep(tmp_path, {"none": 0.1, "top2": 0.3, "head": 0.4}))
    assert found.chosen.name == "none"
    assert {verdict.status for verdict in found.verdicts} == {"worse"}
    assert "train everything (freeze=none)" in text
    assert "the nearest, freeze=top2, F1" in text
    assert "with probability above 0.99" in text


def borderline(folder, seeds, spread, texts=400):
    """A depth whose mean is about 0.005 below the best, with as much luck of the seed as `spread` texts."""
    for seed in seeds:
        luck = spread * (-1) ** seed
        write_cell(folder / f"none{seed}", "none", seed, predicted=wrong_in(*range(40)))
        write_cell(folder / f"top2{seed}", "top2", seed, predicted=wrong_in(*range(42 + luck)))
    return folder


def test_a_borderline_case_says_how_many_more_seeds_would_tell(tmp_path):
    found, text = one(borderline(tmp_path, (1, 2), spread=6), margin=0.02)
    (verdict,) = found.verdicts
    assert verdict.status == "open"
    assert found.chosen is None
    assert text.startswith("On reviews it cannot be told yet whether training the last two layers (freeze=top2)")
    told = re.search(r"about (\w+) more seeds? would tell\.$", text)
    assert told, text
    assert 1 <= verdict.more_seeds <= 30


def test_more_seeds_of_the_same_kind_do_tell(tmp_path):
    few, _ = one(borderline(tmp_path / "few", (1, 2), spread=6), margin=0.02)
    needed = 2 + int(few.verdicts[0].more_seeds)
    many, _ = one(borderline(tmp_path / "many", range(1, 2 * needed + 1), spread=6), margin=0.02)
    assert many.verdicts[0].status == "enough"


def test_a_small_test_set_is_not_blamed_on_seeds(tmp_path):
    for seed in (1, 2, 3):
        write_cell(tmp_path / f"none{seed}", "none", seed, predicted=wrong_in(*range(40)))
        write_cell(tmp_path / f"top2{seed}", "top2", seed, predicted=wrong_in(*range(42, 84)))
    found, text = one(tmp_path, margin=0.01)
    assert found.verdicts[0].more_seeds == np.inf
    assert re.search(r"more seeds alone would not tell: it takes more test texts, about [\d,]+ instead of 400\.", text)


def test_one_seed_is_told_as_such(tmp_path):
    found, text = one(write_sweep(tmp_path, {"none": 0.1, "top2": 0.1001}, seeds=[1], texts=4000), margin=0.05)
    assert found.chosen.name == "top2"
    assert text.endswith("; but that is one seed alone, and says nothing of how much seeds matter (seed=1,2,3).")
    found, text = one(borderline(tmp_path / "open", [2], spread=1), margin=0.005)
    assert found.chosen is None
    assert text.endswith("that is one seed alone: two more would tell more (seed=1,2,3).")


def test_a_cheaper_depth_that_is_still_open_is_named(tmp_path):
    for seed in (1, 2):
        write_cell(tmp_path / f"none{seed}", "none", seed, predicted=wrong_in(*range(40)))
        write_cell(tmp_path / f"top2{seed}", "top2", seed, predicted=wrong_in(*range(40), 50))
        write_cell(tmp_path / f"head{seed}", "head", seed, predicted=wrong_in(*range(42 + 6 * (seed == 1))))
    found, text = one(tmp_path, margin=0.015)
    assert found.chosen.name == "top2"
    assert "; whether freeze=head is enough too cannot be told yet (probability 0." in text


def test_one_depth_has_nothing_to_be_compared_with(tmp_path):
    _, text = one(write_sweep(tmp_path, {"top2": 0.2}))
    assert re.fullmatch(
        r"On reviews there is nothing to compare: freeze=top2 alone was tested, "
        r"F1 0\.\d{3} ± 0\.\d{3} over three seeds\.",
        text,
    )


def test_runs_that_learned_nothing_are_no_answer(tmp_path):
    for freeze in ("none", "head"):
        write_cell(tmp_path / freeze, freeze, predicted=np.zeros(400, int))
    found, text = one(tmp_path)
    assert found.chosen is None
    assert text.startswith("On reviews no depth has learned anything: every run gives all test texts the same label;")
    write_cell(tmp_path / "top2", "top2", predicted=wrong_in(1, 2, 3))
    found, text = one(tmp_path)
    assert found.chosen.name == "top2"
    assert found.constant == ("none", "head")


def test_without_full_fine_tuning_it_says_so(tmp_path):
    _, text = one(write_sweep(tmp_path, {"top4": 0.1, "head": 0.4}))
    assert text.endswith("; full fine-tuning (freeze=none) was not run.")


def test_without_tests_it_goes_by_validation_and_says_so(tmp_path):
    write_cell(tmp_path / "a", "none", tested=False, val_f1=0.7)
    write_cell(tmp_path / "b", "head", tested=False, val_f1=0.6)
    found, text = one(tmp_path)
    assert found.group.split == "val"
    assert text == "On reviews nothing was tested (test=false): by validation freeze=none leads with F1 0.700."


def test_different_test_sets_are_not_paired(tmp_path):
    write_sweep(tmp_path, {"none": 0.1}, test_seed=0)
    write_sweep(tmp_path, {"head": 0.2}, test_seed=1)
    found, text = one(tmp_path)
    assert found.chosen is None
    assert "the depths (none, head) were tested on different texts, which cannot be paired" in text


def test_the_odd_one_out_is_not_compared(tmp_path):
    write_sweep(tmp_path, {"none": 0.1, "top2": 0.4})
    write_sweep(tmp_path, {"head": 0.0}, test_seed=1)
    found, text = one(tmp_path)
    assert found.best.name == "none"
    assert "; freeze=head was tested on other texts and is not compared" in text


def test_the_same_texts_in_another_order_are_another_test_set(tmp_path):
    labels = RNG.integers(0, 2, 50)
    texts = [f"text {i}" for i in range(50)]
    for name, order in (("a", slice(None)), ("b", slice(None)), ("c", slice(None, None, -1))):
        (tmp_path / name).mkdir()
        write_predictions(tmp_path / name, labels[order], labels[order], ("no", "yes"), texts[order])
    a, b, c = (predictions.read(tmp_path / name / predictions.FILE) for name in "abc")
    assert a.test_set == b.test_set != c.test_set
    assert a.labels.tolist() == labels.tolist()


def test_texts_cut_at_another_place_are_another_test_set(tmp_path):
    for name, texts in (("a", ["ab", "c"]), ("b", ["a", "bc"])):
        (tmp_path / name).mkdir()
        write_predictions(tmp_path / name, np.array([0, 1]), np.array([0, 1]), ("no", "yes"), texts)
    a, b = (predictions.read(tmp_path / name / predictions.FILE) for name in "ab")
    assert a.test_set != b.test_set


def test_runs_without_predictions_are_named(tmp_path):
    write_sweep(tmp_path, {"none": 0.1, "top2": 0.4, "head": 0.4})
    for file in tmp_path.glob("*head*/predictions.parquet"):
        file.unlink()
    assert "; freeze=head left no predictions and is not compared" in one(tmp_path)[1]
    for file in tmp_path.glob("*top2*/predictions.parquet"):
        file.unlink()
    assert "too few runs left their predictions (predictions.parquet)" in one(tmp_path)[1]


def test_depths_with_other_seeds_are_compared_unpaired(tmp_path):
    write_sweep(tmp_path, {"none": 0.1}, seeds=[1, 2])
    write_sweep(tmp_path, {"head": 0.4}, seeds=[3, 4])
    found, _ = one(tmp_path)
    assert not found.verdicts[0].paired
    assert found.chosen.name == "none"


def test_half_way_the_seeds_in_common_are_compared(tmp_path):
    write_sweep(tmp_path, {"none": 0.1}, seeds=[1, 2, 3])
    write_sweep(tmp_path, {"head": 0.4}, seeds=[2])
    found, _ = one(tmp_path)
    assert (found.verdicts[0].seeds, found.verdicts[0].paired) == (1, True)


def test_the_same_runs_give_the_same_answer_again(tmp_path):
    write_sweep(tmp_path, {"none": 0.1, "top2": 0.12})
    assert one(tmp_path)[0].verdicts[0].probability == one(tmp_path)[0].verdicts[0].probability


def test_several_labels_are_judged_by_weighted_f1(tmp_path):
    write_sweep(tmp_path, {"none": 0.1, "head": 0.5}, names=("a", "b", "c", "d"))
    found, _ = one(tmp_path)
    none, head = found.group.depths
    assert found.verdicts[0].difference == pytest.approx(head.f1.mean - none.f1.mean)


def test_each_data_set_and_model_has_its_own_answer(tmp_path):
    for data in ("reviews", "topics"):
        for model in ("minilm", "bert_base"):
            write_sweep(tmp_path / f"{data}{model}", {"none": 0.1, "head": 0.4}, data=data, model=model)
    found = ask(tmp_path)
    assert [(a.group.data, a.group.model) for a in found] == [
        ("reviews", "bert_base"), ("reviews", "minilm"), ("topics", "bert_base"), ("topics", "minilm"),
    ]  # fmt: skip
    assert sentence(found[0], several_models=True).startswith("On reviews with bert_base train everything")


@pytest.mark.parametrize(
    ("value", "text"), [(1, "above 0.99"), (0.999, "above 0.99"), (0.9489, "0.94"), (0.95, "0.95"), (0, "below 0.01")]
)
def test_a_probability_is_never_rounded_over_the_line(value, text):
    assert probability(value) == text


@pytest.mark.parametrize(
    ("depth", "words"),
    [("head", "the head alone"), ("top1", "the last layer"), ("top12", "the last 12 layers"),
     ("embeddings", "all but the embeddings"), ("none", "everything"), ("bitfit", "the biases and the head"),
     ("gradual", "more and more layers from the head down")],
)  # fmt: skip
def test_depths_in_words(depth, words):
    assert training(depth) == words


def test_a_schedule_pays_for_its_own_trunk_and_counts_what_it_trained_on_average(tmp_path):
    write_sweep(tmp_path, {"none": 0.1, "head": 0.3}, seeds=(1, 2))
    for seed, trainable in ((1, 10_000_000), (2, 12_000_000)):
        write_cell(
            tmp_path / f"auto,{seed}", "auto", seed, error=0.1, moves=[{"step": 0, "trains": "none"}],
            parameters={"total": 22_713_986, "trainable": trainable, "frozen": 22_713_986 - trainable},
            timing={"trunk_seconds": 9.0, "fit_seconds": 20.0, "total_seconds": 40.0},
        )  # fmt: skip
    (group,), _ = compare.groups(runs.read([tmp_path])[0])
    depths = {depth.name: depth for depth in group.depths}
    assert list(depths) == ["none", "auto", "head"]
    assert depths["auto"].trainable == 11_000_000
    assert depths["auto"].seconds == 29.0
    assert depths["head"].share == 3.0, "one trunk of six seconds for two runs of head"
