"""The built-in demo texts: the same every time, never shared by two splits, and no matter of single words."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from frostline.data import demo_text
from frostline.data.demo_text import LABELS, NOISE, generate, grammar

SIZES = {"train": 1600, "validation": 300, "test": 800}
KINDS = tuple(LABELS)
SEED = 3

# The highest and lowest F1 that a bag of words may reach on the test split; guessing gives about 0.50 and 0.20.
BAG_OF_WORDS_F1 = {"reviews": (0.58, 0.85), "topics": (0.40, 0.80)}

Splits = dict[str, list[tuple[str, str]]]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of demo data in turn."""
    return request.param


@pytest.fixture(scope="module")
def splits(kind: str) -> Splits:
    """The splits of one kind."""
    return generate(kind, SEED, SIZES)


def digest(splits: Splits) -> str:
    """Hash every text and label in order."""
    return hashlib.sha256(json.dumps(splits).encode()).hexdigest()


def normalised(text: str) -> str:
    """Reduce a text to its words."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def test_same_seed_same_texts(kind: str, splits: Splits) -> None:
    assert generate(kind, SEED, SIZES) == splits
    assert digest(generate(kind, SEED + 1, SIZES)) != digest(splits)


@pytest.mark.parametrize("hash_seed", ["0", "1234"])
def test_texts_do_not_depend_on_the_hash_seed(kind: str, splits: Splits, hash_seed: str) -> None:
    code = (
        "import json, sys; from frostline.data.demo_text import generate; "
        f"json.dump(generate({kind!r}, {SEED}, {SIZES!r}), sys.stdout)"
    )
    source_root = str(Path(demo_text.__file__).parents[3])
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": source_root}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert hashlib.sha256(done.stdout.encode()).hexdigest() == digest(splits)


def test_sizes_order_and_labels(kind: str, splits: Splits) -> None:
    assert {split: len(rows) for split, rows in splits.items()} == SIZES
    assert list(splits) == list(SIZES)
    for rows in splits.values():
        shares = Counter(label for _, label in rows)
        assert set(shares) == set(LABELS[kind])
        even = len(rows) / len(LABELS[kind])
        assert all(0.6 * even < count < 1.4 * even for count in shares.values())


def test_no_text_occurs_twice(splits: Splits) -> None:
    texts = [normalised(text) for rows in splits.values() for text, _ in rows]
    assert len(set(texts)) == len(texts)


def test_evaluation_texts_do_not_depend_on_the_train_size(kind: str, splits: Splits) -> None:
    fewer = generate(kind, SEED, {**SIZES, "train": 50})
    assert fewer["test"] == splits["test"]
    assert fewer["validation"] == splits["validation"]


def test_lengths_are_spread_and_skewed(splits: Splits) -> None:
    lengths = sorted(len(text.split()) for rows in splits.values() for text, _ in rows)
    percentile = statistics.quantiles(lengths, n=20)
    assert 3 <= lengths[0] <= 4
    assert 55 <= lengths[-1] <= 80
    assert percentile[0] <= 9
    assert 13 <= percentile[9] <= 20
    assert percentile[18] >= 30
    assert statistics.mean(lengths) > percentile[9]


def test_texts_are_clean(splits: Splits) -> None:
    for rows in splits.values():
        for text, _ in rows:
            assert not re.search(r"[{}|=!]|  |\n", text), text
            assert text[0].isupper(), text
            assert text.endswith("."), text


def test_only_train_labels_are_noisy(kind: str, splits: Splits) -> None:
    clean = generate(kind, SEED, SIZES, noise=0.0)
    for split, rows in splits.items():
        assert [text for text, _ in rows] == [text for text, _ in clean[split]]
        wrong = sum(a != b for a, b in zip(rows, clean[split], strict=True)) / len(rows)
        if split == "train":
            assert NOISE[kind] / 2 < wrong < NOISE[kind] * 2
        else:
            assert wrong == 0


def test_evaluation_meets_wording_that_train_lacks(splits: Splits) -> None:
    words = {split: {word for text, _ in rows for word in normalised(text).split()} for split, rows in splits.items()}
    assert len(words["train"]) > 600
    assert len(words["test"] - words["train"]) > 60


def test_single_words_do_not_give_the_label_away(kind: str, splits: Splits) -> None:
    pytest.importorskip("sklearn")
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    bag = CountVectorizer()
    model = LogisticRegression(max_iter=2000)
    model.fit(bag.fit_transform(text for text, _ in splits["train"]), [label for _, label in splits["train"]])
    predicted = model.predict(bag.transform(text for text, _ in splits["test"]))
    truth = [label for _, label in splits["test"]]
    if len(LABELS[kind]) == 2:
        score = f1_score(truth, predicted, pos_label=LABELS[kind][1])
    else:
        score = f1_score(truth, predicted, average="weighted")
    low, high = BAG_OF_WORDS_F1[kind]
    assert low < score < high


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="reviews, topics"):
        generate("poems", SEED, SIZES)


def test_exhausted_grammar_is_refused() -> None:
    tiny = grammar.Lexicon.parse("adj.good: fine | lovely\nadj.bad: dull")

    def write(lexicon: grammar.Lexicon, label: str, rng: random.Random) -> str:
        return lexicon.fill("this is {=adj}, never {!adj}", grammar.Scene(label, "good"), rng)

    with pytest.raises(ValueError, match="run out"):
        grammar.generate_splits(write, tiny, {"good": 0.5, "bad": 0.5}, SEED, {"train": 20}, 0.0)
