"""Labels to class indices, and splits that keep their proportions."""

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st

from frostline.data.labels import LabelCoder, stratified_sample
from frostline.errors import InputError


def labelled(values: list, names: list[str] | None = None) -> Dataset:
    """A data set of these labels, with a ClassLabel's names if given."""
    features = Features({"label": ClassLabel(names=names)}) if names else None
    return Dataset.from_dict({"label": values}, features)


@pytest.mark.parametrize(
    ("values", "names", "codes"),
    [
        (["pos", "neg", "pos"], ("neg", "pos"), [1, 0, 1]),
        ([1, 2, 5, 1], ("1", "2", "5"), [0, 1, 2, 0]),
        (["10", "9", "-1"], ("-1", "9", "10"), [2, 1, 0]),
        (["10", "nine"], ("10", "nine"), [0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        (["None", "nan", "NA"], ("NA", "None", "nan"), [1, 2, 0]),
    ],
)
def test_labels_of_any_kind_have_sorted_names(values: list, names: tuple, codes: list[int]) -> None:
    coder = LabelCoder.learn(labelled(values), "label")

    assert coder.names == names
    assert coder.encode(labelled(values), "label", "train").tolist() == codes


def test_a_class_label_gives_its_names_in_its_order() -> None:
    train = labelled([0, 2, 2], ["World", "Sports", "Business"])
    coder = LabelCoder.learn(train, "label")

    assert coder.names == ("World", "Sports", "Business")
    assert coder.encode(train, "label", "train").tolist() == [0, 2, 2]
    assert coder.encode(labelled(["Business", "World"]), "label", "test").tolist() == [2, 0]
    assert coder.encode(labelled([2, 0]), "label", "test").tolist() == [2, 0]


def test_class_labels_of_two_files_meet_by_name() -> None:
    coder = LabelCoder.learn(labelled([0, 1], ["neg", "pos"]), "label")

    assert coder.encode(labelled([0, 1, 1], ["pos", "neg"]), "label", "test").tolist() == [1, 0, 0]


def test_whole_numbers_meet_as_numbers_and_as_text() -> None:
    assert LabelCoder.learn(labelled(["1", "2"]), "label").encode(labelled([2, 1]), "label", "test").tolist() == [1, 0]
    assert LabelCoder.learn(labelled([1, 2]), "label").encode(labelled(["2"]), "label", "test").tolist() == [1]


@pytest.mark.parametrize(
    ("test", "says"),
    [
        (labelled(["a", "c", "c"]), "the test split has 2 rows .*first 'c', row 2.* train has a, b"),
        (labelled([0, -1], ["a", "b"]), "first -1, row 2"),
        (labelled([0.5]), "holds float64"),
    ],
)
def test_a_label_that_train_does_not_have_is_refused(test: Dataset, says: str) -> None:
    coder = LabelCoder.learn(labelled(["a", "b"]), "label")

    with pytest.raises(InputError, match=says):
        coder.encode(test, "label", "test")


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (labelled(["a", "a"]), r"one label only \(a in"),
        (labelled([1, 1], ["a", "b"]), r"one label only \(b in"),
        (labelled([-1, -1], ["a", "b"]), r"one label only \(none in"),
        (Dataset.from_dict({"label": [[1], [2]]}), "holds a list in each row"),
        (Dataset.from_dict({"label": [1.0, 2.0]}, Features({"label": Value("float32")})), "holds float32"),
    ],
)
def test_what_is_no_set_of_labels_is_refused(train: Dataset, says: str) -> None:
    with pytest.raises(InputError, match=says):
        LabelCoder.learn(train, "label")


@given(
    counts=st.lists(st.integers(2, 60), min_size=2, max_size=6),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
    at_least=st.integers(1, 2),
)
def test_a_stratified_sample_keeps_proportions(counts: list[int], share: float, seed: int, at_least: int) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    size = max(1, round(share * len(labels)))

    chosen = stratified_sample(labels, size, seed, at_least)

    assert np.array_equal(chosen, np.unique(chosen))
    assert np.array_equal(chosen, stratified_sample(labels, size, seed, at_least))
    found = np.bincount(labels[chosen], minlength=len(counts))
    assert (found >= at_least).all()
    assert len(chosen) == max(size, at_least * len(counts))
    if size >= 2 * at_least * len(counts):
        granted = np.maximum(0, at_least - np.floor(np.array(counts) * size / len(labels))).sum()
        assert np.abs(found - np.array(counts) * size / len(labels)).max() <= at_least + granted


@given(counts=st.lists(st.integers(2, 20), min_size=2, max_size=6), share=st.floats(0.01, 0.99))
def test_what_is_cut_leaves_a_text_of_each_label(counts: list[int], share: float) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)

    cut = stratified_sample(labels, max(1, round(share * len(labels))), 0, at_least=1, leave=1)

    found = np.bincount(labels[cut], minlength=len(counts))
    assert (found >= 1).all()
    assert (found < counts).all()


def test_other_seeds_choose_other_texts() -> None:
    labels = np.arange(200) % 2

    assert not np.array_equal(stratified_sample(labels, 50, 0, 1), stratified_sample(labels, 50, 1, 1))
