"""A user's slips, through the real entry: exit status 1, one line that says what to do, and nothing harmed."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = "".join(f"text {word} {i},{word}\n" for i in range(6) for word in ("neg", "pos"))
CSV = f"text,label\n{ROWS}"
JSONL = "".join(json.dumps({"text": f"some text {i}", "label": i % 2}) + "\n" for i in range(12))


@dataclass(frozen=True)
class Slip:
    """What a user typed, the files that were there, and what the line must say; `{here}` is the files' folder."""

    typed: str
    says: tuple[str, ...]
    files: dict[str, str | bytes] = field(default_factory=dict)


def splits(**contents: str | bytes) -> dict[str, str | bytes]:
    """A good train.csv and test.csv, but for the given ones."""
    return {f"{split}.csv": content for split, content in {"train": CSV, "test": CSV, **contents}.items()}


def parquet(**columns: list) -> bytes:
    """A Parquet file's bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


SLIPS = {
    # freeze
    "freeze.n above the layers": Slip("freeze=top freeze.n=4", ("freeze.n=4", "has 3 layers", "use 0 to 3")),
    "freeze.n negative": Slip("freeze=top freeze.n=-1", ("freeze.n=-1", "use 0 to 3")),
    "freeze.n a word": Slip("freeze=top freeze.n=two", ("freeze.n=two", "use 0 to 3")),
    "top4 of three layers": Slip("freeze=top4", ("freeze.n=4", "has 3 layers")),
    "pattern without a match": Slip("freeze=pattern freeze.train=[pooller]", ("freeze.train", "'pooller'", "matches")),
    "pattern not a regex": Slip("freeze=pattern 'freeze.train=[\"layer(\"]'", ("'layer('", "regular expression")),
    "pattern not given": Slip("freeze=pattern", ("freeze.train",)),
    "freeze.n not given": Slip("freeze=top", ("freeze.n",)),
    # where the data is
    "no data.path": Slip("data.path=null", ("data=files needs data.path", "train.* and test.*")),
    "missing file": Slip("data.path={here}/no.csv", ("data.path=", "no.csv does not exist", "give a folder")),
    "missing folder": Slip("data.path={here}/nowhere", ("nowhere does not exist", "give a folder")),
    "missing file of a mapping": Slip(
        "'data.path={{train: {here}/train.csv, test: {here}/no.csv}}'", ("no.csv does not exist",), splits()
    ),
    "unknown split in a mapping": Slip(
        "'data.path={{train: {here}/train.csv, tset: {here}/test.csv}}'", ("'tset'", "validation and test"), splits()
    ),
    "mapping without train": Slip("'data.path={{test: {here}/test.csv}}'", ("names test", "add train: FILE"), splits()),
    "train and test the same file": Slip(
        "'data.path={{train: {here}/train.csv, test: {here}/train.csv}}'", ("the same file", "alone"), splits()
    ),
    "a list of files": Slip("'data.path=[{here}/train.csv]'", ("is a list", "give a folder"), splits()),
    "empty folder": Slip("data.path={here}", ("holds no train file", "found: nothing", "add train.*")),
    "folder without train": Slip("data.path={here}", ("holds no train file", "found: test.csv"), {"test.csv": CSV}),
    "folder without test": Slip("data.path={here}", ("no test split", "test=false"), {"train.csv": CSV}),
    "train files of two kinds": Slip(
        "data.path={here}",
        ("several train files", "train.csv, train.jsonl", "leave one"),
        {**splits(), "train.jsonl": JSONL},
    ),
    "a part is missing": Slip(
        "data.path={here}", ("1 of 2 train parts",), {"train-00000-of-00002.csv": CSV, "test.csv": CSV}
    ),
    "parts with other columns": Slip(
        "data.path={here}",
        ("train-1.csv has other columns than train-0.csv",),
        {"train-0.csv": CSV, "train-1.csv": "label,text\nneg,a\n", "test.csv": CSV},
    ),
    # columns
    "misspelt text column": Slip(
        "data.path={here} data.text_column=txt",
        ("data.text_column=txt", "text, label", "Did you mean 'text'?"),
        splits(),
    ),
    "missing label column": Slip(
        "data.path={here} data.label_column=stars", ("data.label_column=stars", "the columns text, label"), splits()
    ),
    "second column of a pair missing": Slip(
        "data.path={here} data.text_column=[text,hypothesis]", ("data.text_column=hypothesis", "text, label"), splits()
    ),
    "three text columns": Slip("data.text_column=[a,b,c]", ("data.text_column", "[premise,hypothesis]")),
    "a column named twice": Slip(
        "data.path={here}", ("'text' twice", "rename one"), splits(train="text,label,text\na,b,c\n")
    ),
    "numbers for texts": Slip(
        "data.path={here}/all.parquet data.text_column=n",
        ("data.text_column=n holds int64, not text",),
        {"all.parquet": parquet(n=[1, 2, 3, 4], label=[0, 0, 1, 1])},
    ),
    # texts and labels
    "empty texts": Slip(
        "data.path={here}", ("train split has 2 empty", "'text'", "row 13"), splits(train=CSV + ',neg\n"",pos\n')
    ),
    "blank text": Slip(
        "data.path={here}", ("test split has 1 empty", "row 13"), splits(test=CSV + '" \t\u00a0",neg\n')
    ),
    "empty label": Slip("data.path={here}", ("1 empty or null", "'label'", "row 13"), splits(train=CSV + "words,\n")),
    "null text": Slip(
        "data.path={here}/all.jsonl",
        ("1 empty or null", "'text'", "row 1"),
        {"all.jsonl": '{"text":null,"label":1}\n' + JSONL},
    ),
    "null label": Slip(
        "data.path={here}/all.jsonl",
        ("1 empty or null", "'label'", "row 13"),
        {"all.jsonl": JSONL + '{"text":"words"}\n'},
    ),
    "test label never in train": Slip(
        "data.path={here}", ("test split has 1", "'mid'", "row 13", "neg, pos"), splits(test=CSV + "a,mid\n")
    ),
    "validation label never in train": Slip(
        "data.path={here}", ("validation split has 1", "'mid'", "leave"), splits(validation=CSV + "a,mid\n")
    ),
    "one label only": Slip(
        "data.path={here}", ("one label only (pos", "two or more"), splits(train="text,label\na,pos\n")
    ),
    "labels with a fraction": Slip(
        "data.path={here}/a.parquet",
        ("data.label_column=label holds float64", "whole numbers"),
        {"a.parquet": parquet(text=["a", "b"], label=[0.5, 1.0])},
    ),
    "lists of labels": Slip(
        "data.path={here}/a.parquet",
        ("holds a list in each row",),
        {"a.parquet": parquet(text=["a", "b"], label=[[1], [2]])},
    ),
    "text and numbers as labels": Slip(
        "data.path={here}/a.jsonl",
        ("data.label_column=label", "all of one kind"),
        {"a.jsonl": JSONL + '{"text":"a","label":"x"}'},
    ),
    "a lone label to be cut for validation": Slip(
        "data.path={here}", ("'mid' has one text left", "validation"), splits(train=CSV + "a,mid\n")
    ),
    "a lone label to be cut for test": Slip(
        "data.path={here}/a.csv", ("'mid' has one text left", "test"), {"a.csv": CSV + "a,mid\n"}
    ),
    # what is in the files
    "zero bytes": Slip("data.path={here}", ("train.csv is empty (0 bytes)",), splits(train="")),
    "zero bytes of test": Slip("data.path={here}", ("test.csv is empty (0 bytes)",), splits(test="")),
    "header only": Slip("data.path={here}", ("train.csv has no rows",), splits(train="text,label\n")),
    "no rows in Parquet": Slip(
        "data.path={here}/a.parquet", ("no rows",), {"a.parquet": parquet(text=pa.array([], pa.string()), label=[])}
    ),
    "unknown format": Slip("data.path={here}/a.xlsx", ("'.xlsx'", "parquet, csv, tsv, json, jsonl"), {"a.xlsx": "PK"}),
    "UTF-16": Slip("data.path={here}", ("train.csv", "UTF-8", "save it"), splits(train=CSV.encode("utf-16"))),
    "UTF-16 without a mark": Slip("data.path={here}", ("UTF-8", "UTF-16"), splits(train=CSV.encode("utf-16-le"))),
    "Latin-1": Slip(
        "data.path={here}", ("test.csv", "UTF-8", "save it"), splits(test=(CSV * 900 + "naïve,neg\n").encode("latin-1"))
    ),
    "Latin-1 in JSON": Slip(
        "data.path={here}/a.jsonl", ("UTF-8", "save it"), {"a.jsonl": JSONL.replace("some", "naïve").encode("latin-1")}
    ),
    "a comma too many": Slip(
        "data.path={here}", ("row 13 has 3 cells", "names 2", "quotes"), splits(train=CSV + "well, yes,pos\n")
    ),
    "a comma too many in every row": Slip(
        "data.path={here}", ("row 1 has 3 cells",), splits(train="text,label\n" + ROWS.replace("text", "a, b"))
    ),
    "a cell too few": Slip("data.path={here}", ("1 empty", "'label'", "row 13"), splits(train=CSV + "words\n")),
    "a quote left open": Slip(
        "data.path={here}", ("train.csv", "line 14", 'as ""'), splits(train=CSV + '"words,pos\n')
    ),
    "a broken line of JSON": Slip(
        "data.path={here}/a.jsonl", ("a.jsonl cannot be read as jsonl",), {"a.jsonl": JSONL + '{"text": "a", "lab\n'}
    ),
    "a truncated Parquet file": Slip(
        "data.path={here}/a.parquet",
        ("a.parquet cannot be read as parquet",),
        {"a.parquet": parquet(text=["a", "b"] * 50, label=[1, 2] * 50)[:-200]},
    ),
    # numbers out of range
    "max_length too large": Slip("data.max_length=512", ("data.max_length=512", "3 to 128", "null")),
    "max_length zero": Slip("data.max_length=0", ("data.max_length=0", "1 or more")),
    "max_length without room for a word": Slip("data.max_length=2", ("data.max_length=2", "3 to 128")),
    "batch_size zero": Slip("data.batch_size=0", ("data.batch_size=0", "1 or more")),
    "batch_size negative": Slip("data.batch_size=-8", ("data.batch_size=-8", "1 or more")),
    "batch_size null": Slip("data.batch_size=null", ("data.batch_size=None", "1 or more")),
    "limit_train zero": Slip("data.limit_train=0", ("data.limit_train=0", "1 or more")),
    "validation unknown": Slip("data.validation=oops", ("data.validation=oops", "use auto, or test")),
    "validation on a test split that is not": Slip(
        "data.path={here} data.validation=test test=false",
        ("data.validation=test", "no test split"),
        {"train.csv": CSV},
    ),
    "validation_fraction above one": Slip(
        "data.validation_fraction=2", ("data.validation_fraction=2", "between 0 and 1")
    ),
    "lr zero": Slip("optimizer.lr=0", ("optimizer.lr=0", "above 0")),
    "lr negative": Slip("optimizer.lr=-1e-3", ("optimizer.lr=-0.001", "above 0")),
    "lr nan": Slip("optimizer.lr=nan", ("optimizer.lr=nan", "above 0")),
    "lr a word": Slip("optimizer.lr=fast", ("optimizer.lr=fast",)),
    "weight_decay negative": Slip("optimizer.weight_decay=-1", ("optimizer.weight_decay=-1", "0 or more")),
    "warmup above one": Slip("optimizer.warmup=2", ("optimizer.warmup=2", "share")),
    "no devices": Slip("trainer.devices=0", ("trainer.devices=0", "1 or more")),
    "devices a word": Slip("trainer.devices=many", ("trainer.devices=many", "1 or more, a list of them, or auto")),
    "minutes negative": Slip("trainer.checkpoint_minutes=-1", ("trainer.checkpoint_minutes=-1", "0 or more")),
    "minutes no number": Slip("trainer.checkpoint_minutes=soon", ("trainer.checkpoint_minutes=soon", "0 or more")),
    "checkpoint to resume missing": Slip("resume={here}/no.ckpt", ("resume=", "no.ckpt", "checkpoint")),
    # models
    "unknown family": Slip("model.name_or_path=bart", ("model.name_or_path=bart", "bert, distilbert")),
    "model folder missing": Slip(
        "model=bert_base model.name_or_path={here}/nowhere", ("model.name_or_path=", "nowhere", "folder")
    ),
    "model folder without a model": Slip(
        "model=bert_base model.name_or_path={here}",
        ("model.name_or_path=", "config.json", "tokenizer"),
        {"notes.txt": "a"},
    ),
    "hub out of reach for a model": Slip(
        "model=bert_base", ("model.name_or_path=google-bert/bert-base-uncased", "folder")
    ),
    "hub out of reach for data": Slip("data=ag_news data.path=null", ("fancyzhx/ag_news", "data.path=")),
}


@pytest.fixture
def everything(tmp_path: Path, small_reviews: Path) -> Callable[[], dict[Path, bytes]]:
    """The bytes of every file outside the run's own folder."""

    def read() -> dict[Path, bytes]:
        files = [file for folder in (tmp_path, small_reviews) for file in folder.rglob("*") if file.is_file()]
        return {file: file.read_bytes() for file in files if tmp_path / "out" not in file.parents}

    return read


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told_in_one_line(slip: Slip, train, tmp_path: Path, everything) -> None:
    here = tmp_path / "given"
    here.mkdir()
    for name, content in slip.files.items():
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = everything()

    outcome = train(*shlex.split(slip.typed.format(here=here)), "hydra.run.dir=out")

    assert outcome.status == 1
    assert outcome.err.count("\n") == 1, outcome.err
    for words in slip.says:
        assert words in outcome.err
    assert "traceback" not in outcome.err.lower() + outcome.out.lower()
    state = json.loads((tmp_path / "out" / "state.json").read_text())
    assert (state["state"], state["reason"]) == ("failed", outcome.err.strip())
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert everything() == before


@pytest.mark.parametrize(
    ("typed", "choices"),
    [
        ("data=agnews", ["ag_news", "rotten_tomatoes", "files", "demo_reviews"]),
        ("model=bert", ["bert_base", "tiny", "minilm"]),
        ("freeze=top5", ["none", "head", "top2", "pattern"]),
        ("optimizer=sgd", ["adamw"]),
    ],
)
def test_an_unknown_name_lists_the_choices(typed: str, choices: list[str], train, tmp_path: Path) -> None:
    outcome = train(typed)

    assert outcome.status == 1
    assert "Traceback" not in outcome.err
    for choice in choices:
        assert choice in outcome.err
    assert not list(tmp_path.rglob("state.json"))


@pytest.mark.parametrize("typed", ["data.batchsize=8", "freeze.n=2", "optimizer.learning_rate=1"])
def test_an_unknown_option_is_named(typed: str, train) -> None:
    outcome = train(typed)

    assert outcome.status == 1
    assert typed.partition("=")[0].rpartition(".")[2] in outcome.err
    assert "Traceback" not in outcome.err


def test_a_used_output_folder_is_left_as_it_is(train, tmp_path: Path) -> None:
    used = tmp_path / "used"
    used.mkdir()
    (used / "state.json").write_text('{"state": "finished"}')
    (used / "metrics.json").write_text("{}")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    outcome = train("hydra.run.dir=used", "data.batch_size=0")

    assert outcome.status == 1
    assert outcome.err == "used already holds another run: choose an empty folder with hydra.run.dir=…\n"
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
