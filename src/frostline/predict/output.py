"""Labelled rows → a file that appears whole or not at all, and goes on where a killed process left it.

Rows are appended to `<out>.partial`; after each chunk, `<out>.partial.json` says how many rows and bytes are whole, and
of which job. What a killed process wrote beyond that is cut off.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from frostline.errors import InputError
from frostline.predict.rows import FORMATS, PARQUET, SEPARATORS, SUFFIXES, Row
from frostline.sweep.ledger import read_json, write_json

ROW_GROUP = 65_536


class Output:
    """One file of labelled rows, in the format that its name ends in, and how far it is (`rows`, `size` in bytes)."""

    def __init__(self, file: Path, schema: pa.Schema, job: Mapping[str, Any]) -> None:
        self.file, self.schema, self.job = file, schema, dict(job)
        self.partial, self.journal = partial_of(file), journal_of(file)
        self.rows = self.size = 0

    @contextmanager
    def opened(self, resume: bool) -> Iterator["Output"]:
        """Hold the file alone, from the whole rows on that an earlier process left, or else from the start.

        Raises InputError where another process is at it, where those rows are of another job, or the disk is full.
        """
        try:
            with _alone(self.file):
                if resume:
                    self._find_whole_rows()
                else:
                    self.journal.unlink(missing_ok=True)
                with self._appending():
                    yield self
        except OSError as error:
            raise InputError(
                f"{self.partial} cannot be written: {error.strerror}: make room or choose another place, "
                "then go on with --resume"
            ) from error

    @contextmanager
    def _appending(self) -> Iterator[None]:
        """The partial file cut to its whole rows; one without any is not left behind."""
        try:
            with self.partial.open("ab") as self._stream:
                self._stream.truncate(self.size)
                yield
        finally:
            if self.rows == 0:
                self.partial.unlink(missing_ok=True)

    def _find_whole_rows(self) -> None:
        left = read_json(self.journal)
        if left is None or not self.partial.exists():
            return
        if left["job"] != self.job:
            other = next(key for key in self.job if left["job"].get(key) != self.job[key])
            raise InputError(f"{self.partial} was begun with another {other}: start over with --overwrite alone")
        if self.partial.stat().st_size < left["size"]:
            raise InputError(f"{self.partial} is shorter than it was left: start over with --overwrite alone")
        self.rows, self.size = left["rows"], left["size"]

    def append(self, rows: Sequence[Row]) -> None:
        """Add a chunk; once this returns, a killed process loses none of it."""
        head = self._header() if self.size == 0 else b""
        self._stream.write(head + self._encoded(rows))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self.rows, self.size = self.rows + len(rows), self._stream.tell()
        write_json(self.journal, {"job": self.job, "rows": self.rows, "size": self.size})

    def finish(self) -> None:
        """Give the file its name."""
        if self.file.suffix.lower() == PARQUET:
            gathered = self.file.with_name(f"{self.file.name}.partial.gathered")
            _gather(self.partial, gathered, self.schema)
            gathered.replace(self.file)
            self.partial.unlink()
        else:
            self.partial.replace(self.file)
        self.journal.unlink(missing_ok=True)

    def _header(self) -> bytes:
        return self._csv([dict(zip(self.schema.names, self.schema.names, strict=True))]) if self._separator else b""

    def _encoded(self, rows: Sequence[Row]) -> bytes:
        if self._separator:
            return self._csv(rows)
        if self.file.suffix.lower() == PARQUET:
            return _batch(rows, self.schema).serialize().to_pybytes()
        return "".join(f"{json.dumps(row, ensure_ascii=False, default=str)}\n" for row in rows).encode()

    def _csv(self, rows: Sequence[Row]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self._separator, lineterminator="\n")
        writer.writerows([_cell(row.get(name)) for name in self.schema.names] for row in rows)
        return text.getvalue().encode()

    @property
    def _separator(self) -> str | None:
        return SEPARATORS.get(self.file.suffix.lower())


def check(file: Path, resume: bool, overwrite: bool) -> None:
    """InputError where `file` cannot be written, or something is there that was not said to go."""
    if file.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out {file} is of an unknown format {file.suffix!r}: name a file in {FORMATS}")
    if file.is_dir() or not file.parent.is_dir():
        what = "is a folder" if file.is_dir() else "is in a folder that does not exist"
        raise InputError(f"--out {file} {what}: name a file in {FORMATS}")
    begun = journal_of(file).exists()
    if file.exists() and not overwrite and not (resume and begun):
        raise InputError(f"--out {file} exists: choose another name, or replace it with --overwrite")
    if begun and not overwrite and not resume:
        raise InputError(
            f"{partial_of(file)} was left by an earlier run: go on with --resume, or start over with --overwrite"
        )


def partial_of(file: Path) -> Path:
    """Where rows go until all are there."""
    return file.with_name(f"{file.name}.partial")


def journal_of(file: Path) -> Path:
    """Where it is written how much of that is whole."""
    return file.with_name(f"{file.name}.partial.json")


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """InputError where another process writes this file."""
    lock = FileLock(file.with_name(f"{file.name}.partial.lock"), timeout=0)
    try:
        with lock:
            try:
                yield
            finally:
                Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        raise InputError(f"--out {file} is being written by another process: wait for its end, or stop it") from None


def inferred(rows: Iterable[Row], columns: Sequence[str]) -> pa.Schema:
    """The types of the columns as these rows have them; strings for one without any value."""
    found = _batch(list(rows), columns).schema
    return pa.schema([(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in found])


def _batch(rows: list[Row], columns: pa.Schema | Sequence[str]) -> pa.RecordBatch:
    schema = columns if isinstance(columns, pa.Schema) else None
    arrays, names = [], schema.names if schema else list(columns)
    for i, name in enumerate(names):
        try:
            arrays.append(pa.array([row.get(name) for row in rows], schema.types[i] if schema else None))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise InputError(
                f"column {name!r} holds values of several kinds ({' '.join(str(error).split())[:120]}): "
                "name the columns to take over with --keep, or write jsonl"
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema) if schema else pa.RecordBatch.from_arrays(arrays, names)


def _gather(messages: Path, file: Path, schema: pa.Schema) -> None:
    """Arrow messages → a Parquet file with row groups of a useful size."""
    waiting: list[pa.RecordBatch] = []
    with messages.open("rb") as stream, pq.ParquetWriter(file, schema) as parquet:
        while stream.peek(1):
            waiting.append(pa.ipc.read_record_batch(pa.ipc.read_message(stream), schema))
            if sum(map(len, waiting)) >= ROW_GROUP:
                parquet.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting:
            parquet.write_table(pa.Table.from_batches(waiting))


def _cell(value: object) -> object:
    """What a CSV cell shows: JSON for lists and objects."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value
