"""The paired bootstrap over test texts and seeds: how sure is it that one depth is not worse than another?

Texts and seeds are resampled together, as in the Multi-Bootstrap (Sellam et al., "The MultiBERTs: BERT Reproductions
for Robustness Analysis", ICLR 2022); the same texts for all runs, as in Koehn, "Statistical Significance Tests for
Machine Translation Evaluation", EMNLP 2004.
"""

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

RESAMPLES = 4000
CONFIDENCE = 0.95
Z = NormalDist().inv_cdf(CONFIDENCE)
CHUNK_VALUES = 4_000_000  # weights held at once: 16 MB


def f1(weights: np.ndarray, labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """F1 of each run under each weighting of the texts, shape (weightings, runs).

    `weights` (weightings, texts) says how often each text counts; `labels` (texts,) and `predicted` (runs, texts) are
    indices. With two classes it is the F1 of class 1, with more the mean of all classes' F1 weighted by their
    labels, as in the runs' own metrics; 0 where a class is neither there nor predicted. Counts up to 2^24 are exact.
    """
    wanted = [1] if classes == 2 else range(classes)
    score = np.zeros((len(weights), len(predicted)))
    weight = np.zeros((len(weights), 1))
    for c in wanted:
        truth, guess = labels == c, predicted == c
        counted = weights @ np.concatenate([truth[None], guess, guess & truth]).T.astype(weights.dtype)
        counted = counted.astype(float)
        there, guessed, hits = counted[:, :1], counted[:, 1 : 1 + len(guess)], counted[:, 1 + len(guess) :]
        share = there if classes != 2 else 1
        score += share * (2 * hits / np.maximum(there + guessed, 1))
        weight += share
    return score / weight


def draws(rng: np.random.Generator, rows: int, size: int) -> np.ndarray:
    """How often each of `size` things is drawn in `size` draws with replacement, shape (rows, size)."""
    drawn = rng.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size).astype(np.float32)


def resampled_f1(
    labels: np.ndarray, predicted: np.ndarray, classes: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> np.ndarray:
    """F1 of each run on resampled test texts, the same texts for all runs, shape (resamples, runs)."""
    step = max(1, CHUNK_VALUES // len(labels))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([f1(draws(rng, size, len(labels)), labels, predicted, classes) for size in sizes])


def mean_over_seeds(differences: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean over resampled seeds of `differences` (resamples, seeds), shape (resamples,).

    n - 1 of n seeds are drawn: n of them would give a variance too small by (n - 1) / n, half of it with two seeds
    (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 2015).
    """
    resamples, seeds = differences.shape
    drawn = rng.integers(0, seeds, (resamples, max(1, seeds - 1)))
    return np.take_along_axis(differences, drawn, axis=1).mean(axis=1)


def probability(differences: np.ndarray, margin: float) -> float:
    """The share of resamples in which the difference in F1 is not below -margin."""
    return float(np.mean(differences >= -margin - 1e-12))


def variances(differences: np.ndarray) -> tuple[float, float]:
    """The variance of a mean difference that many seeds leave (the choice of texts), and the part that they divide.

    `differences` (1 + resamples, seeds), at least two seeds: on the whole test set, then on resampled texts. With m
    seeds the bootstrap's variance is the first + the second / m: the second is the seeds' own plus what texts do to
    each seed by itself, found by comparing one seed's variance over resamples with that of the mean over seeds.
    """
    seeds = differences.shape[1]
    of_one, of_mean = differences[1:].var(axis=0).mean(), differences[1:].mean(axis=1).var()
    single = max(0.0, of_one - of_mean) * seeds / (seeds - 1)
    return max(0.0, of_mean - single / seeds), single + differences[0].var(ddof=1)


def enough_seeds(distance: float, by_texts: float, by_seeds: float) -> float:
    """About how many seeds settle whether a mean difference is above or below the margin; inf: no number does.

    `distance` is the mean's from the margin, the variances are those of `variances`. It is settled at z = 1.645
    standard errors: the usual normal sample size of a non-inferiority test (Julious, "Sample sizes for clinical trials
    with Normal data", Statistics in Medicine 2004), with a second source of variance that no number of seeds takes
    away. A rough figure: the variances are estimates, and the distance is taken to stay as it is.
    """
    room = (distance / Z) ** 2 - by_texts
    return float(np.ceil(by_seeds / room)) if room > 0 else np.inf


def enough_texts(distance: float, by_texts: float, by_seeds: float, seeds: int, texts: int) -> float:
    """About how many test texts would settle it, as in `enough_seeds`; inf where the mean lies on the margin.

    With the seeds there are, or, where their variance alone is too large, with any number of them.
    """
    allowed = (distance / Z) ** 2
    left = allowed - by_seeds / seeds
    room = left if left > 0 else allowed
    return float(texts * by_texts / room) if room > 0 else np.inf


def interval(values: Sequence[float]) -> float | None:
    """Half the width of the mean's 95 % interval by Student's t; None for fewer than two values."""
    if len(values) < 2:
        return None
    return float(t_quantile(len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def t_quantile(degrees: int, confidence: float = 0.95) -> float:
    """The t with P(|T| < t) = confidence for whole degrees of freedom, by bisection.

    P is the finite sum of Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, np.pi / 2
    for _ in range(60):
        angle = (low + high) / 2
        low, high = (angle, high) if _t_probability(angle, degrees) < confidence else (low, angle)
    return float(np.tan(low) * np.sqrt(degrees))


def _t_probability(angle: float, degrees: int) -> float:
    """P(|T| < t) where angle = arctan(t / √degrees)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    odd = degrees % 2
    term = total = (cosine if odd else 1.0) if degrees > 1 else 0.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    return 2 / np.pi * (angle + sine * total) if odd else sine * total
