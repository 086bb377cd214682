"""Reading: what each kind of file gives, what is tolerated, and which files a folder's splits are."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frostline.data import source
from frostline.errors import InputError

TEXTS = ["a film, they said", 'say "hi"\non two lines', "007", "None", "nan"]
LABELS = ["1", "NA", "null", "1", "NA"]
QUOTED = "\n".join('"{}",{}'.format(t.replace('"', '""'), label) for t, label in zip(TEXTS, LABELS, strict=True))
ROWS = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]


def read(file: Path) -> tuple[list, list]:
    """The texts and labels of one file."""
    (data,) = source.from_path(str(file)).values()
    return data["text"][:], data["label"][:]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f"text,label\n{QUOTED}\n".encode()),
        ("A.CSV", f"text,label\n{QUOTED}".encode()),
        ("crlf.csv", b"text,label\r\n" + f"{QUOTED}\n".encode().replace(b",1\n", b",1\r\n").replace(b"l\n", b"l\r\n")),
        ("mark.csv", f"text,label\n\n{QUOTED}\n\n".encode("utf-8-sig")),
        ("a.tsv", f"text\tlabel\n{QUOTED}\n".replace('",', '"\t').encode()),
        ("a.json", json.dumps(ROWS).encode()),
        ("indented.json", json.dumps(ROWS, indent=1).encode("utf-8-sig")),
        ("a.jsonl", "\n".join(map(json.dumps, ROWS)).encode()),
        ("mark.jsonl", "\r\n".join(map(json.dumps, ROWS)).encode("utf-8-sig")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_texts_and_labels_come_as_they_are(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)

    assert read(tmp_path / name) == (TEXTS, LABELS)


def test_parquet_comes_as_it_is(tmp_path: Path) -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        file = tmp_path / f"{kind}.parquet"
        pq.write_table(pa.table({"text": pa.array(TEXTS, kind), "label": LABELS}), file)
        assert read(file) == (TEXTS, LABELS)


def test_only_an_empty_csv_cell_is_null(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n,NULL\n"",n/a\nN/A,\n')

    assert read(tmp_path / "a.csv") == ([None, None, "N/A"], ["NULL", "n/a", None])


def test_a_column_without_a_name_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",text,label,\n0,a,1,\n1,b,2,\n")

    assert read(tmp_path / "a.csv") == (["a", "b"], ["1", "2"])


def test_a_very_long_text_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"text,label\n{'word ' * 100_000},1\n")

    assert len(read(tmp_path / "a.csv")[0][0]) == 500_000


@pytest.mark.parametrize("folder", ["with space", "[brackets]", "star*", "2024", ".hidden", "é"])
def test_a_folder_of_any_name_is_read(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    for split in ("train", "test"):
        (tmp_path / folder / f"{split}.csv").write_text(f"text,label\n{split} text,1\n")
    monkeypatch.chdir(tmp_path)

    splits = source.from_path(int(folder) if folder.isdigit() else folder)

    assert {split: data["text"][:] for split, data in splits.items()} == {
        "train": ["train text"],
        "test": ["test text"],
    }


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev"])
def test_the_validation_file_has_several_names(name: str, tmp_path: Path) -> None:
    for stem in ("train", name, "test"):
        (tmp_path / f"{stem}.csv").write_text("text,label\na,1\n")

    assert list(source.from_path(tmp_path)) == ["train", "validation", "test"]


def test_parts_of_a_split_are_joined_in_order_and_other_files_left_alone(tmp_path: Path) -> None:
    for i in (1, 0):
        table = pa.table({"text": [f"part {i}"], "label": [i]})
        pq.write_table(table, tmp_path / f"train-0000{i}-of-00002.parquet")
    (tmp_path / "train-old.csv").write_text("text,label\nold,1\n")
    (tmp_path / "training.csv").write_text("text,label\nother,1\n")
    (tmp_path / "README.md").write_text("notes")

    splits = source.from_path(tmp_path)

    assert {split: data["text"][:] for split, data in splits.items()} == {"train": ["part 0", "part 1"]}


def test_a_mapping_names_files_of_different_kinds(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,1\n")
    (tmp_path / "b.jsonl").write_text('{"text": "b", "label": 1}\n')

    splits = source.from_path({"train": f"{tmp_path}/a.csv", "test": f"{tmp_path}/b.jsonl"})

    assert {split: data["text"][:] for split, data in splits.items()} == {"train": ["a"], "test": ["b"]}


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,label\nold,1\n")
    assert read(file) == (["old"], ["1"])
    file.write_text("text,label\nnew,2\n")
    assert read(file) == (["new"], ["2"])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["train.csv", "train.jsonl"], "several train files"),
        (["train.csv", "train-0.csv"], "several train files"),
        (["train.csv", "val.csv", "dev.csv"], "several validation files"),
        (["train-00000-of-00003.csv", "train-00002-of-00003.csv"], "2 of 3 train parts"),
        (["test.csv"], "no train file"),
    ],
)
def test_a_folder_that_can_be_read_in_two_ways_is_refused(names: list[str], says: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("text,label\na,1\n")

    with pytest.raises(InputError, match=says):
        source.from_path(tmp_path)
