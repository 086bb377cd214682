"""The data module: what is held out, what is tokenised again, and what a run gets to know about its labels."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from frostline.data.files import Files
from frostline.errors import InputError
from frostline.model.tiny import Tiny


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Write splits of that many texts, three in four `pos`: `folder(train=80, test=20)`."""

    def write(**sizes: int) -> Path:
        for split, size in sizes.items():
            rows = [f"{split} text {i},{'neg' if i % 4 == 0 else 'pos'}\n" for i in range(size)]
            (tmp_path / f"{split}.csv").write_text("text,label\n" + "".join(rows))
        return tmp_path

    return write


def prepared(path: Path, **options: object) -> Files:
    """The data module with its splits."""
    data = Files("files", str(path), **options)
    data.prepare_data()
    return data


def counts(data: Files) -> dict[str, list[int]]:
    """How many neg and pos texts each split has."""
    return {split: np.bincount(codes, minlength=2).tolist() for split, codes in sorted(data.labels.items())}


def together(data: Files, splits: Sequence[str]) -> list[str]:
    """The texts of several splits, sorted."""
    return sorted(text for split in splits for text in data.texts(split))


# What is held out


def test_a_stratified_twentieth_of_train_is_held_out(folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = folder(train=400, test=40)
    data = prepared(path, seed=1)

    assert counts(data) == {"train": [95, 285], "validation": [5, 15], "test": [10, 30]}
    assert together(data, ["train", "validation"]) == sorted(f"train text {i}" for i in range(400))
    assert "No validation split: 20 of 400 train texts are held out for it" in caplog.text
    assert prepared(path, seed=2).texts("validation") == data.texts("validation")
    assert prepared(path, split_seed=1).texts("validation") != data.texts("validation")


def test_its_own_validation_split_is_used(folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = prepared(folder(train=40, validation=8, test=8))

    assert counts(data) == {"train": [10, 30], "validation": [2, 6], "test": [2, 6]}
    assert "held out" not in caplog.text


def test_validation_on_the_test_split(folder) -> None:
    data = prepared(folder(train=40, validation=8, test=12), validation="test")

    assert counts(data) == {"train": [10, 30], "validation": [3, 9], "test": [3, 9]}
    assert data.texts("validation") == data.texts("test")


def test_one_file_is_cut_in_three_and_says_so(folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = prepared(folder(train=200) / "train.csv")

    assert counts(data) == {"train": [38, 114], "validation": [2, 6], "test": [10, 30]}
    assert together(data, ["train", "validation", "test"]) == sorted(f"train text {i}" for i in range(200))
    assert "No test split: 40 of 200" in caplog.text
    assert "No validation split: 8 of 160" in caplog.text


def test_one_file_validated_on_its_test_part(folder) -> None:
    data = prepared(folder(train=200) / "train.csv", validation="test")

    assert counts(data) == {"train": [40, 120], "validation": [10, 30], "test": [10, 30]}


@pytest.mark.parametrize("fraction", [0.5, 0.9, 0.99])
def test_a_large_validation_part_leaves_texts_of_each_label(folder, fraction: float) -> None:
    data = prepared(folder(train=8, test=8), validation_fraction=fraction)

    assert min(min(counts(data)["train"]), min(counts(data)["validation"])) >= 1


@pytest.mark.parametrize(
    ("limit", "left"), [(40, [10, 30]), (41, [10, 31]), (4, [2, 2]), (1, [2, 2]), (400, [100, 300]), (999, [100, 300])]
)
def test_limit_train_is_stratified_and_taken_before_validation(folder, limit: int, left: list[int]) -> None:
    path = folder(train=400, test=8)
    data = prepared(path, limit_train=limit)
    whole = counts(data)

    assert [whole["train"][i] + whole["validation"][i] for i in (0, 1)] == left
    assert whole["test"] == [2, 6]
    assert min(whole["train"] + whole["validation"]) >= 1
    assert prepared(path, limit_train=limit, seed=3).texts("train") == data.texts("train")


def test_limit_train_leaves_other_splits_alone(folder) -> None:
    assert counts(prepared(folder(train=400, validation=40, test=8), limit_train=20)) == {
        "train": [5, 15],
        "validation": [10, 30],
        "test": [2, 6],
    }


def test_texts_and_labels_stay_together(folder) -> None:
    data = prepared(folder(train=100, test=8), limit_train=50)

    for split in ("train", "validation", "test"):
        numbers = [int(text.split()[-1]) for text in data.texts(split)]
        assert data.labels[split].tolist() == [int(number % 4 != 0) for number in numbers]


# Tokenising


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of every call of a tokenizer, but for single letters, with which its state is set."""
    seen: list[list[str]] = []
    call = PreTrainedTokenizerFast.__call__

    def counted(self: PreTrainedTokenizerBase, *texts: list[str], **options: object):
        if texts[0] != ["a"]:
            seen.append(list(texts[0]))
        return call(self, *texts, **options)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", counted)
    return seen


def tokenizer(**options: int) -> PreTrainedTokenizerBase:
    """A tiny tokenizer that knows the folder's words."""
    return Tiny("tiny", "bert", **options).tokenizer(["train test validation text 0 1 2 3 4 5 6 7 8 9"])


def tokenized(path: Path, by: PreTrainedTokenizerBase, **options: object) -> dict[str, list]:
    """The token ids of each split, as a data module made anew has them."""
    data = prepared(path, **options)
    data.tokenize(by, 128)
    return {split: data.tokens(split).ids.tolist() for split in data.splits}


def test_nothing_is_tokenised_twice(folder, calls: list[list[str]]) -> None:
    path = folder(train=40, test=12)
    first = tokenized(path, tokenizer())
    assert sorted(map(len, calls)) == [2, 12, 38]
    calls.clear()

    used = tokenizer()
    used(["some", "words"], padding=True, truncation=True, max_length=3)
    calls.clear()
    for by in (tokenizer(), used):
        assert tokenized(path, by) == first
    assert tokenized(path, tokenizer(), batch_size=3, bucket=False, seed=5) == first
    assert calls == []


def test_a_split_in_cache_does_not_cost_the_next_its_place(folder, calls: list[list[str]]) -> None:
    path = folder(train=40, validation=8, test=12)
    first = tokenized(path, tokenizer())
    (path / "validation.csv").write_text("text,label\nanother text,pos\n")
    calls.clear()

    assert tokenized(path, tokenizer())["test"] == first["test"]
    assert calls == [["another text"]]


def test_another_tokenizer_length_or_file_gets_tokens_of_its_own(folder) -> None:
    path = folder(train=40, test=12)
    first = tokenized(path, tokenizer())

    short = tokenized(path, tokenizer(), max_length=4)
    assert len(short["test"]) == 4 * 12
    other = Tiny("tiny", "bert").tokenizer(["a text with other words", "test text"])
    assert tokenized(path, other)["test"] != first["test"]
    assert len(tokenized(path, tokenizer(max_length=4))["test"]) == 4 * 12
    (path / "test.csv").write_text("text,label\ntest text 1,pos\n")
    assert len(tokenized(path, tokenizer())["test"]) == 5
    assert tokenized(path, tokenizer())["train"] == first["train"]


def test_a_pair_and_its_first_text_have_tokens_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,more,label\n" + "text 1,text 2,x\ntext 3,text 4,y\n" * 5)

    one = tokenized(tmp_path / "a.csv", tokenizer())
    two = tokenized(tmp_path / "a.csv", tokenizer(), text_column=["text", "more"])

    assert (len(one["test"]), len(two["test"])) == (8, 14)


def test_a_shared_split_is_tokenised_once(folder, calls: list[list[str]]) -> None:
    data = prepared(folder(train=40, test=12), validation="test")
    data.tokenize(tokenizer(), 128)

    assert data.tokens("validation") is data.tokens("test")
    assert sorted(map(len, calls)) == [12, 40]


@pytest.mark.parametrize(
    ("given", "tokenizer_allows", "encoder_allows", "used"),
    [(None, 128, 64, 64), (None, 32, 64, 32), (None, 32, None, 32), (16, 32, 64, 16), (32, 32, 64, 32), (3, 32, 64, 3)],
)
def test_max_length_is_what_both_allow(folder, given: int | None, tokenizer_allows: int, encoder_allows, used) -> None:
    (path := folder(train=8, test=4)).joinpath("test.csv").write_text(f"text,label\n{'text ' * 200},pos\n")
    data = prepared(path, max_length=given)
    data.tokenize(tokenizer(max_length=tokenizer_allows), encoder_allows)

    assert data.max_length == used
    assert data.tokens("test").lengths.tolist() == [used]


def test_a_tokenizer_without_a_limit_cuts_nothing(folder) -> None:
    (path := folder(train=8, test=4)).joinpath("test.csv").write_text(f"text,label\n{'text ' * 200},pos\n")
    data = prepared(path)
    data.tokenize(tokenizer(max_length=10**30), None)

    assert data.tokens("test").lengths.tolist() == [202]


@pytest.mark.parametrize("given", [1, 2, 65, 10**6])
def test_a_max_length_out_of_range_is_refused(folder, given: int) -> None:
    data = prepared(folder(train=8, test=4), max_length=given)

    with pytest.raises(InputError, match=f"data.max_length={given}, but .* allow 3 to 64: use one of these, or null"):
        data.tokenize(tokenizer(), 64)


# The data sets


def test_a_hub_data_set_without_train_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    only_test = {"test": Dataset.from_dict({"text": ["a"], "label": [1]})}
    monkeypatch.setattr("frostline.data.source.from_hub", lambda name: only_test)
    monkeypatch.setattr(Files, "hub", "someone/something")

    with pytest.raises(InputError, match="has no train split"):
        Files("files").prepare_data()


def test_other_splits_of_a_hub_data_set_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Dataset.from_dict({"text": ["a", "b"] * 20, "label": [1, 0] * 20})
    unlabelled = Dataset.from_dict({"text": ["a"]})
    splits = {"train": part, "test": part, "unsupervised": unlabelled}
    monkeypatch.setattr("frostline.data.source.from_hub", lambda name: splits)
    monkeypatch.setattr(Files, "hub", "someone/something")
    data = Files("files")
    data.prepare_data()

    assert set(data.splits) == {"train", "validation", "test"}


# Through a run


def test_label_names_travel_to_the_model(train, tmp_path: Path) -> None:
    names = ["World", "Business", "Sports"]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    rows = {"text": [f"text {i}" for i in range(60)], "label": [i % 3 for i in range(60)]}
    Dataset.from_dict(rows, features).to_parquet(tmp_path / "a.parquet")

    assert train("data.path=a.parquet", "hydra.run.dir=out").status == 0
    config = json.loads((tmp_path / "out" / "model" / "config.json").read_text())
    assert config["id2label"] == {"0": "World", "1": "Business", "2": "Sports"}
    assert config["label2id"] == {"World": 0, "Business": 1, "Sports": 2}


@pytest.mark.parametrize(("labels", "names"), [([1, 2, 5], ["1", "2", "5"]), (["c", "a", "b"], ["a", "b", "c"])])
def test_a_run_on_a_pair_with_labels_of_any_kind(train, tmp_path: Path, labels: list, names: list[str]) -> None:
    lines = [json.dumps({"premise": f"p {i}", "hypothesis": f"h {i}", "label": labels[i % 3]}) for i in range(60)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))

    assert train("data.path=a.jsonl", "data.text_column=[premise,hypothesis]", "hydra.run.dir=out").status == 0
    assert list(json.loads((tmp_path / "out" / "model" / "config.json").read_text())["id2label"].values()) == names
    examples = json.loads((tmp_path / "out" / "metrics.json").read_text())["examples"]
    assert examples == {"train": 45, "validation": 3, "test": 12}
