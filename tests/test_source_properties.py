"""Any table of texts and labels comes back from a file as it went in, whichever kind of file it is."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import disable_caching, enable_caching
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from frostline.data import source
from frostline.data.files import Files

# Whatever Unicode has but halves of surrogate pairs, which no file can hold, and the zero byte, which none should.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
NAMES = ("text", "label")
AWKWARD = (
    "\n",
    "\r",
    "\r\n",
    '"',
    '""',
    ",",
    ";",
    "\t",
    "'",
    "\\",
    "None",
    "NA",
    "nan",
    "\ufeff",
    "\u2028",
    "\x85",
    "\x1a",
)
FILLED = st.text(CHARACTERS, min_size=1, max_size=30) | st.sampled_from(AWKWARD)
ROWS = st.lists(st.tuples(FILLED, FILLED), min_size=1, max_size=12)


def write_csv(file: Path, rows: list[tuple[str, str]], separator: str = ",") -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([NAMES, *rows])


def write_tsv(file: Path, rows: list[tuple[str, str]]) -> None:
    write_csv(file, rows, "\t")


def write_parquet(file: Path, rows: list[tuple[str, str]]) -> None:
    pq.write_table(pa.table(dict(zip(NAMES, zip(*rows, strict=True), strict=True))), file)


def write_jsonl(file: Path, rows: list[tuple[str, str]]) -> None:
    lines = [json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8", newline="")


def write_json(file: Path, rows: list[tuple[str, str]]) -> None:
    file.write_text(json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows]), encoding="utf-8")


WRITERS = {"csv": write_csv, "tsv": write_tsv, "parquet": write_parquet, "jsonl": write_jsonl, "json": write_json}


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    source.quiet()
    disable_caching()
    yield
    enable_caching()


@pytest.mark.parametrize(("kind", "write"), WRITERS.items(), ids=WRITERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
@example(rows=[(each, each) for each in AWKWARD])
def test_a_table_comes_back_as_it_went(kind: str, write: Callable, rows: list[tuple[str, str]], tmp_path: Path) -> None:
    file = tmp_path / f"a.{kind}"
    write(file, rows)

    (found,) = source.from_path(file).values()

    assert list(zip(found["text"][:], found["label"][:], strict=True)) == rows


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.text(CHARACTERS, min_size=1, max_size=20).filter(str.strip), min_size=8, max_size=30),
    names=st.lists(st.text("abcdefgh-_. é", min_size=1, max_size=6).filter(str.strip), min_size=2, max_size=4,
                   unique_by=lambda name: name.strip().casefold()),
    data=st.data(),
)  # fmt: skip
def test_every_text_keeps_its_label_through_the_splits(texts, names, data, tmp_path: Path) -> None:
    given_labels = [*names, *names, *(data.draw(st.sampled_from(names)) for _ in texts)][: len(texts)]
    rows = list(zip(texts, given_labels, strict=True))
    write_parquet(tmp_path / "train.parquet", rows)
    write_parquet(tmp_path / "test.parquet", rows[:3])
    files = Files("files", str(tmp_path))
    files.prepare_data()

    found = [
        (text, files.label_names[code])
        for split in ("train", "validation")
        for text, code in zip(files.texts(split), files.labels[split], strict=True)
    ]
    assert sorted(found) == sorted((text, label.strip()) for text, label in rows)
    assert set(files.labels["train"]) == set(range(len(names)))
