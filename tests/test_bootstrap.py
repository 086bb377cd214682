"""The statistics behind the answer: F1 under resampling, the probability, intervals, and how many seeds it takes."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from frostline.report import bootstrap


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_f1_of_every_resample_is_scikit_learns(classes):
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 60)
    predicted = np.stack([np.where(rng.random(60) < share, labels, 0) for share in (0.9, 0.4, 0.0)])
    weights = bootstrap.draws(rng, 50, 60)
    found = bootstrap.f1(weights, labels, predicted, classes)
    average = {"average": "binary"} if classes == 2 else {"average": "weighted"}
    for row, weight in zip(found, weights, strict=True):
        drawn = np.repeat(np.arange(60), weight.astype(int))
        for run in range(3):
            expected = f1_score(labels[drawn], predicted[run, drawn], zero_division=0, **average)
            assert row[run] == pytest.approx(expected, abs=1e-12)


def test_f1_is_zero_where_the_class_is_neither_there_nor_predicted():
    nothing = np.zeros((1, 4), int)
    assert bootstrap.f1(np.ones((1, 4)), nothing[0], nothing, 2).tolist() == [[0.0]]


def test_f1_is_the_runs_own_metric():
    import torch

    from frostline.model.classifier import quality

    for classes in (2, 4):
        rng = np.random.default_rng(classes)
        labels, predicted = rng.integers(0, classes, (2, 90))
        own = quality(classes, "test/")
        own.update(torch.tensor(predicted), torch.tensor(labels))
        found = bootstrap.f1(np.ones((1, 90)), labels, predicted[None], classes)
        assert found[0, 0] == pytest.approx(own.compute()["test/f1"].item(), abs=1e-6)


def test_a_draw_takes_as_many_as_there_are():
    counts = bootstrap.draws(np.random.default_rng(0), 7, 30)
    assert counts.shape == (7, 30)
    assert counts.sum(1).tolist() == [30.0] * 7
    assert counts.max() > 1


def test_a_test_set_larger_than_a_chunk_is_resampled_whole(monkeypatch):
    monkeypatch.setattr(bootstrap, "CHUNK_VALUES", 100)
    labels = np.arange(40) % 2
    scores = bootstrap.resampled_f1(labels, np.stack([labels, 1 - labels]), 2, np.random.default_rng(0), 11)
    assert scores.shape == (11, 2)
    assert scores.tolist() == [[1.0, 0.0]] * 11


def test_the_probability_agrees_with_a_plain_loop():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 80)
    runs = np.stack([np.where(rng.random(80) < share, labels, 1 - labels) for share in (0.8, 0.84, 0.86, 0.87)])
    scores = bootstrap.resampled_f1(labels, runs, 2, rng)
    found = bootstrap.probability(bootstrap.mean_over_seeds(scores[:, :2] - scores[:, 2:], rng), margin=0.02)

    def plain_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
        return 2 * (labels & predicted).sum() / (labels.sum() + predicted.sum())

    plain, rounds = 0, 3000
    for _ in range(rounds):
        texts = rng.integers(0, 80, 80)
        seed = rng.integers(0, 2)  # one of two seeds: n - 1
        one, other = (plain_f1(labels[texts], runs[i, texts]) for i in (seed, seed + 2))
        plain += one - other >= -0.02
    assert found == pytest.approx(plain / rounds, abs=0.04)


def test_resampled_seeds_have_the_variance_of_a_mean_of_seeds():
    rng = np.random.default_rng(0)
    for values in ([0.1, 0.3], [0.1, 0.2, 0.6], [0.0, 0.1, 0.4, 0.2, 0.9]):
        drawn = bootstrap.mean_over_seeds(np.tile(values, (40_000, 1)), rng)
        assert drawn.mean() == pytest.approx(np.mean(values), abs=0.005)
        assert drawn.var() == pytest.approx(np.var(values, ddof=1) / len(values), rel=0.05)


def test_one_seed_is_that_seed():
    assert bootstrap.mean_over_seeds(np.array([[0.5], [0.7]]), np.random.default_rng(0)).tolist() == [0.5, 0.7]


def test_a_difference_of_exactly_the_margin_is_within_it():
    assert bootstrap.probability(np.array([0.79 - 0.80, -0.011]), 0.01) == 0.5


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 30, 199])
def test_students_t_is_scipys(degrees):
    assert bootstrap.t_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-9)


def test_the_interval_is_students():
    values = [0.78, 0.80, 0.81]
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert bootstrap.interval(values) == pytest.approx((high - low) / 2)
    assert bootstrap.interval([0.8]) is None


def test_that_many_seeds_are_enough_and_one_fewer_is_not():
    """Under the formula's own assumptions: standard errors from texts and seeds, z = 1.645."""
    distance, by_texts, by_seeds = 0.005, 1e-6, 5e-5
    needed = bootstrap.enough_seeds(distance, by_texts, by_seeds)
    assert distance >= 1.6448 * np.sqrt(by_texts + by_seeds / needed)
    assert distance < 1.645 * np.sqrt(by_texts + by_seeds / (needed - 1))


def test_no_number_of_seeds_makes_a_test_set_larger():
    assert bootstrap.enough_seeds(0.005, 1e-3, 5e-5) == np.inf
    for by_seeds in (1e-6, 5e-5):  # the three seeds suffice, or more are needed besides
        texts = bootstrap.enough_texts(0.005, 1e-3, by_seeds, 3, 200)
        assert texts > 200
        assert bootstrap.enough_seeds(0.005, 1e-3 * 200 / (1.1 * texts), by_seeds) < np.inf
    assert bootstrap.enough_texts(0.0, 1e-3, 5e-5, 3, 200) == np.inf


def test_the_variance_splits_into_what_seeds_divide_and_what_they_leave():
    """As made: texts matter alike for all seeds by 3, for each by itself by 2, and seeds by 1."""
    rng = np.random.default_rng(0)
    rows, seeds = 4000, 400
    seed, shared = rng.normal(0, 1, (1, seeds)), rng.normal(0, 3, (rows + 1, 1))
    left, divided = bootstrap.variances(seed + shared + rng.normal(0, 2, (rows + 1, seeds)))
    assert left == pytest.approx(9, rel=0.1)
    assert divided == pytest.approx(2**2 + (1 + 2**2), rel=0.2)  # on one test set seeds differ by both
