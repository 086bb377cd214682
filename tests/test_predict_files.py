"""predict.py on files: what goes in comes out labelled, in any format, once, and after a kill -9 as well."""

import csv
import io
import json
import resource
import signal
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_cells import write_cell
from made_models import sentences, write_model

from frostline.predict import Predictor
from frostline.predict.label import CHUNK

TEXTS = ["The movie was superb.", 'He said "no,\nnever"', "None", "A dreadful meal, in a lovely hotel – für 2 €"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("predict") / "run")


@pytest.fixture(scope="module")
def predictor(run):
    return Predictor(run, "cpu")


def write_csv(file, texts, encoding="utf-8"):
    with file.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows([["id", "text"], *enumerate(texts)])


def rows_of(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_every_row_keeps_its_columns_and_gets_what_the_text_alone_gets(run, predictor, command, tmp_path):
    write_csv(tmp_path / "in.csv", TEXTS, "utf-8-sig")
    outcome = command("predict.py", run, "--file", "in.csv", "--out", "out.csv", "--device", "cpu")
    assert outcome.status == 0, outcome.err
    assert "4 rows in out.csv" in outcome.out
    rows = rows_of(tmp_path / "out.csv")
    assert [row["text"] for row in rows] == TEXTS
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    for row in rows:
        alone = predictor.predict([row["text"]])[0]
        assert row["prediction"] == alone.label
        for name, probability in alone.probabilities.items():
            assert float(row[f"probability/{name}"]) == pytest.approx(probability, abs=2e-6)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_any_format_goes_to_any_other(suffix, run, command, tmp_path):
    table = pa.table({"text": TEXTS, "stars": pa.array([1, 2, None, 4], pa.int8()), "tags": [["a", "b"], [], None, []]})
    pq.write_table(table, tmp_path / "in.parquet")
    assert command("predict.py", run, "--file", "in.parquet", "--out", f"a.{suffix}").status == 0
    outcome = command("predict.py", run, "--file", f"a.{suffix}", "--out", "b.parquet", "--keep", "text,stars")
    assert outcome.status == 0, outcome.err
    direct = command("predict.py", run, "--file", "in.parquet", "--out", "c.parquet")
    assert direct.status == 0, direct.err
    one, other = pq.read_table(tmp_path / "b.parquet"), pq.read_table(tmp_path / "c.parquet")
    same = ["text", "prediction", "probability/negative"]
    assert one.select(same).to_pylist() == other.select(same).to_pylist()
    assert other.schema.field("stars").type == pa.int8()
    assert other["tags"].to_pylist() == table["tags"].to_pylist()
    assert "tags" not in one.column_names


def test_a_row_without_a_text_has_no_prediction(run, command, tmp_path):
    write_csv(tmp_path / "in.csv", ["superb", "", "  ", "tedious"])
    outcome = command("predict.py", run, "--file", "in.csv", "--out", "out.jsonl")
    assert "without a prediction: 2, the first is row 2" in outcome.out
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["prediction"] is None for row in rows] == [False, True, True, False]


def test_pairs_take_two_columns(run, predictor, command, tmp_path):
    rows = [{"premise": "The movie was superb.", "hypothesis": text} for text in ("It was lovely.", "It was tedious.")]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    options = ("--file", "in.jsonl", "--out", "out.jsonl", "--text-column", "premise,hypothesis")
    assert command("predict.py", run, *options).status == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = predictor.predict([(row["premise"], row["hypothesis"]) for row in rows])
    for row, prediction in zip(found, expected, strict=True):
        assert row["probability/positive"] == pytest.approx(prediction.probabilities["positive"], abs=2e-6)
    shown = command("predict.py", run, rows[0]["premise"], "--pair", rows[0]["hypothesis"]).out
    assert f"probability {expected[0].probabilities['positive']:.4f}" in shown


def test_standard_input_is_a_text_a_line(run, predictor, command, tmp_path, monkeypatch):
    def piped(content, *options):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        return command("predict.py", run, "-", *options)

    shown = piped("Größe: superb\n\ntedious\n".encode(), "--json")
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["text"] for row in rows] == ["Größe: superb", "tedious"]
    assert [row["prediction"] for row in rows] == [p.label for p in predictor.predict(["Größe: superb", "tedious"])]
    assert piped(b"superb\r\ntedious", "--out", "lines.csv").status == 0
    assert [row["text"] for row in rows_of(tmp_path / "lines.csv")] == ["superb", "tedious"]
    refused = piped(b"\xff\xfe\n")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.startswith("standard input is not UTF-8")


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "how"), [("csv", signal.SIGKILL), ("parquet", signal.SIGINT)])
def test_stopped_and_resumed_is_as_if_never_stopped(suffix, how, run, command, commands, tmp_path):
    texts = (sentences()[0] * (3 * CHUNK // 72 + 1))[: 3 * CHUNK + 17]
    write_csv(tmp_path / "in.csv", [f"{text} {i % 97}" for i, text in enumerate(texts)])
    job = ("predict.py", run, "--file", "in.csv")
    assert command(*job, "--out", f"whole.{suffix}").status == 0
    process = commands.start(*job, "--out", f"out.{suffix}", cwd=tmp_path)
    journal, partial = tmp_path / f"out.{suffix}.partial.json", tmp_path / f"out.{suffix}.partial"
    end = time.monotonic() + 120
    while not journal.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    assert ("Stopped: go on with --resume" in said) == (how == signal.SIGINT)
    assert 0 < json.loads(journal.read_text())["rows"] < len(texts)
    with partial.open("ab") as stream:
        stream.write(b'"half a row')
    assert not (tmp_path / f"out.{suffix}").exists()
    refused = command(*job, "--out", f"out.{suffix}")
    assert (refused.status, "go on with --resume" in refused.err) == (1, True)
    other = command(*job, "--out", f"out.{suffix}", "--resume", "--keep", "text")
    assert "was begun with another choice of columns: start over with --overwrite" in other.err
    outcome = command(*job, "--out", f"out.{suffix}", "--resume")
    assert outcome.status == 0, outcome.err
    assert "of them before" in outcome.out
    assert (tmp_path / f"out.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert not journal.exists()
    assert not partial.exists()
    assert command(*job, "--out", f"out.{suffix}", "--resume").err.startswith(f"out.{suffix} is complete")


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(run, command, tmp_path):
    write_csv(tmp_path / "in.csv", (sentences()[0] * (2 * CHUNK // 72 + 1))[: 2 * CHUNK])
    job = ("predict.py", run, "--file", "in.csv", "--keep", "id")
    assert command(*job, "--out", "whole.csv").status == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "whole.csv").stat().st_size * 3 // 4, hard))
        outcome = command(*job, "--out", "out.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (outcome.status, outcome.out) == (1, "")
    assert "out.csv.partial cannot be written: File too large: make room" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert f"({CHUNK:,} of them before)" in command(*job, "--out", "out.csv", "--resume").out
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_is_there_is_replaced_only_when_asked(run, command, tmp_path):
    write_csv(tmp_path / "in.csv", ["superb"])
    (tmp_path / "out.csv").write_text("precious")
    refused = command("predict.py", run, "--file", "in.csv", "--out", "out.csv")
    assert refused.err.strip() == "--out out.csv exists: choose another name, or replace it with --overwrite"
    assert (tmp_path / "out.csv").read_text() == "precious"
    assert command("predict.py", run, "--file", "in.csv", "--out", "out.csv", "--overwrite").status == 0
    assert rows_of(tmp_path / "out.csv")[0]["text"] == "superb"


def test_a_sweep_stands_for_its_best_run_by_validation(run, command, tmp_path):
    sweep = tmp_path / "sweep"
    for name, f1 in (("head", 0.6), ("top2", 0.8), ("none", 0.7)):
        write_cell(sweep / f"freeze={name}", name, val_f1=f1)
        if name != "none":
            (sweep / f"freeze={name}" / "model").symlink_to(run / "model")
    outcome = command("predict.py", "sweep", "superb")
    assert outcome.status == 0, outcome.err
    assert outcome.err.strip() == "sweep/freeze=top2: the best of 2 runs by validation F1 (0.800)"
    other = write_cell(sweep / "data=topics", "top1", data="topics")
    (other / "model").symlink_to(run / "model")
    refused = command("predict.py", "sweep", "superb")
    assert refused.status == 1
    assert "sweep holds runs on reviews and topics: name one of them" in refused.err
    assert "sweep/freeze=top2, sweep/data=topics" in refused.err


def bad_files(folder):
    write_csv(folder / "in.csv", ["superb"])
    (folder / "ragged.csv").write_text("id,text\n1,a\n2,b,c\n")
    (folder / "twice.csv").write_text("text,text\n1,2\n")
    (folder / "quote.csv").write_text('text\n"never closed\n')
    (folder / "bytes.csv").write_bytes("text\ncaf\xe9\n".encode("latin-1"))
    (folder / "header.csv").write_text("text\n")
    (folder / "none.csv").write_text("")
    (folder / "done.csv").write_text("text,prediction\na,b\n")
    (folder / "broken.jsonl").write_text('{"text": "a"}\n{"text": }\n')
    (folder / "array.json").write_text('[{"text": "a"}]')
    (folder / "number.jsonl").write_text('{"text": 5}\n')
    (folder / "half.jsonl").write_text('{"text": "\\ud800"}\n')
    (folder / "cut.parquet").write_bytes(b"PAR1 and no more")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--file in.csv", "--file in.csv needs --out FILE"),
        ("--out out.csv", "nothing to label"),
        ("word --file in.csv --out out.csv", "both texts and --file are given"),
        ("word --out out.csv", "--out out.csv is for --file"),
        ("--file in.csv --out out.xlsx", "--out out.xlsx is of an unknown format '.xlsx': name a file in csv, tsv"),
        ("--file in.csv --out no/out.csv", "--out no/out.csv is in a folder that does not exist"),
        ("--file gone.csv --out out.csv", "gone.csv does not exist"),
        ("--file in.doc --out out.csv", "in.doc is of an unknown format '.doc'"),
        ("--file in.csv --out out.csv --text-column txt", "has the columns id, text: set --text-column to one of them"),
        ("--file in.csv --out out.csv --text-column a,b,c", "give one column, or two for pairs"),
        ("--file in.csv --out out.csv --keep stars", "--keep stars, but in.csv has the columns id, text"),
        ("--file in.csv --out out.csv --explain", "--explain is for texts on the terminal"),
        ("--file - --out out.csv --resume", "standard input cannot be read again"),
        ("--file ragged.csv --out out.csv", "ragged.csv, line 3: 3 cells, but the header names 2 columns"),
        ("--file twice.csv --out out.csv", "twice.csv names the column 'text' twice"),
        ("--file quote.csv --out out.csv", "quote.csv, line 2: unexpected end of data"),
        ("--file bytes.csv --out out.csv", "bytes.csv cannot be read as UTF-8"),
        ("--file header.csv --out out.csv", "header.csv has no rows"),
        ("--file none.csv --out out.csv", "none.csv has no rows"),
        ("--file done.csv --out out.csv", "done.csv has a column 'prediction' already: leave it out with --keep text"),
        ("--file broken.jsonl --out out.csv", "broken.jsonl, line 2 is not JSON"),
        ("--file array.json --out out.csv", "array.json, line 1 is not an object: write one a line"),
        ("--file number.jsonl --out out.csv", "--text-column text holds int ('5'), not text"),
        ("--file half.jsonl --out out.csv", "half.jsonl, line 1: half of a surrogate pair"),
        ("--file cut.parquet --out out.csv", "cut.parquet cannot be read as parquet"),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing(options, message, run, command, tmp_path):
    bad_files(tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    outcome = command("predict.py", run, *options.split())
    assert (outcome.status, outcome.out) == (1, "")
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
