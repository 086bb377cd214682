"""What a user types wrongly: the form of a case, and what its files are made of."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = "".join(f"text {word} {i},{word}\n" for i in range(6) for word in ("neg", "pos"))
TEST_ROWS = ROWS.replace("text", "other")
CSV, TEST_CSV = f"text,label\n{ROWS}", f"text,label\n{TEST_ROWS}"
JSONL = "".join(json.dumps({"text": f"some text {i}", "label": i % 2}) + "\n" for i in range(12))


@dataclass(frozen=True)
class Slip:
    """What was typed, the files that were there, and what the line must say; `{here}` is the files' folder.

    `damage` makes more files, from those of a finished run; what `locked` names may not be read, nor written into.
    `recorded`: the run had a folder to say so in.
    """

    typed: str
    says: tuple[str, ...]
    files: dict[str, str | bytes] = field(default_factory=dict)
    damage: Callable[[Path, Path], None] | None = None
    locked: tuple[str, ...] = ()
    recorded: bool = True


def splits(**contents: str | bytes) -> dict[str, str | bytes]:
    """A good train.csv and test.csv, but for the given ones."""
    return {f"{split}.csv": content for split, content in {"train": CSV, "test": TEST_CSV, **contents}.items()}


def labelled(*labels: object) -> dict[str, bytes]:
    """A Parquet file `a.parquet` of a dozen texts with these labels in turn."""
    values = [labels[i % len(labels)] for i in range(12)]
    return {"a.parquet": parquet(text=[f"some text {i}" for i in range(12)], label=values)}


def jsonl(*lines: str) -> dict[str, str]:
    """A JSON lines file `a.jsonl` of twelve good lines, these, and twelve more."""
    return {"a.jsonl": JSONL + "".join(f"{line}\n" for line in lines) + JSONL}


def parquet(**columns: object) -> bytes:
    """A Parquet file's bytes."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def invalid_text(count: int = 12) -> pa.Array:
    """A column of text whose bytes are half of a surrogate pair each, as no UTF-8 is."""
    offsets = b"".join((3 * i).to_bytes(4, "little") for i in range(count + 1))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"\xed\xa0\x80" * count)]
    return pa.Array.from_buffers(pa.string(), count, buffers)
