"""Which words decided: shares that add up, fall on the words that matter, and are shown."""

import io
import json
import re

import pytest
from made_models import BAD, GOOD, with_neutral_ones, write_model
from rich.console import Console

from frostline.predict import Predictor
from frostline.predict.explain import explain
from frostline.predict.shading import for_terminal

FAMILIES = ("bert", "roberta", "distilbert", "electra", "modernbert")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_model(
        tmp_path_factory.mktemp("explain") / "run",
        labels=("negative", "neutral", "positive"),
        steps=40,
        lessons=with_neutral_ones(),
    )


@pytest.fixture(scope="module")
def predictor(trained):
    return Predictor(trained, "cpu")


@pytest.mark.parametrize("word", [*GOOD, *BAD])
def test_the_word_that_decides_has_the_largest_share(word, predictor):
    text = f"The song was {word} today."
    found = explain(predictor, text)
    assert found.label == ("positive" if word in GOOD else "negative")
    assert max(found.words, key=lambda piece: piece[1])[0] == word


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_add_up_to_the_difference_of_the_logits(family, tmp_path):
    predictor = Predictor(write_model(tmp_path / family, family, steps=5), "cpu")
    text = "I think this hotel was lovely, as we said"
    found = explain(predictor, text)
    logits = predictor.predict([text])[0].logits
    margin = logits[found.label] - logits["negative" if found.label == "positive" else "positive"]
    assert found.log_odds == pytest.approx(margin, abs=1e-4)
    total = sum(share for _, share in found.words)
    difference = found.log_odds - found.empty
    assert abs(difference) > 1e-3
    assert total == pytest.approx(difference, abs=0.01 * max(1, abs(difference)))
    assert found.gap == pytest.approx(difference - total, abs=1e-5)


def test_with_more_labels_it_is_the_odds_of_one_against_the_others(tmp_path):
    predictor = Predictor(write_model(tmp_path / "run", labels=("a", "b", "c")), "cpu")
    found = explain(predictor, "The meal was superb")
    p = predictor.predict(["The meal was superb"])[0].probabilities[found.label]
    assert 1 / (1 + 2.718281828**-found.log_odds) == pytest.approx(p, abs=1e-5)
    assert found.empty + sum(share for _, share in found.words) == pytest.approx(found.log_odds, abs=0.02)


def test_words_are_those_of_the_text_and_nothing_of_it_is_lost(predictor):
    text = "  It's a well-made movie,\nnaïve — really?! 😀 " + "superb " * 300
    part = explain(predictor, text).parts[0]
    assert "".join(piece for piece, _ in part.pieces()) == text
    words = [piece for piece, share in part.pieces() if share is not None]
    assert words[:5] == ["It's", "a", "well-made", "movie", ","]
    assert len(words) < 130  # the rest was cut off: the model takes 128 tokens


def test_a_pair_has_words_in_both_texts(predictor):
    found = explain(predictor, ("The song was superb", "It was dreadful"))
    assert [[word for word, _ in found.words][i] for i in (3, 6)] == ["superb", "dreadful"]


def test_a_terminal_shows_shades_and_a_file_signed_numbers(predictor, trained, command):
    found = explain(predictor, "The song was superb today.")
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    shaded = for_terminal(found, console)
    plain = re.sub(r"\x1b\[[\d;]*m", "", shaded)
    assert "The song was superb today." in plain
    assert re.search(r"\x1b\[30;48;2;\d+;\d+;\d+msuperb\x1b\[0m", shaded)
    outcome = command("predict.py", trained, "The song was superb today.", "--explain")
    assert outcome.status == 0, outcome.err
    assert "\x1b" not in outcome.out
    assert re.search(r"superb \+\d+\.\d\d", outcome.out)
    assert re.search(r"log-odds of positive \+\d+\.\d\d = [+-]\d+\.\d\d without any word", outcome.out)
    row = json.loads(command("predict.py", trained, "The song was superb today.", "--explain", "--json").out)
    assert [word for word, _ in row["words"]] == ["The", "song", "was", "superb", "today", "."]


def test_without_the_library_it_says_how_to_get_it(trained, command, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "captum", None)
    outcome = command("predict.py", trained, "superb", "--explain")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.strip() == "which words decided needs captum: pip install '.[explain]' in the project's folder"
