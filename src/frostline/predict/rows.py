"""Rows of a file of texts, a chunk at a time: CSV, TSV, JSON lines, Parquet, or lines from a pipe."""

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from frostline.errors import InputError

Row = dict[str, Any]
SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON, PARQUET = (".jsonl", ".json"), ".parquet"
SUFFIXES = (*SEPARATORS, *JSON, PARQUET)
FORMATS = "csv, tsv, jsonl or parquet"


@dataclass(frozen=True)
class Source:
    """Rows to label: `columns` as the file names them, `count` of them in all (None for a pipe).

    `open` starts a pass over the rows; `schema` is None for JSON, whose values may be anything. In a CSV's rows all is
    text, and None for an empty cell.
    """

    name: str
    columns: tuple[str, ...]
    open: Callable[[], Iterator[Row]]
    count: int | None = None
    schema: pa.Schema | None = None

    def chunks(self, size: int, skip: int = 0) -> Iterator[list[Row]]:
        """Lists of `size` rows, the last maybe shorter, from row `skip` on."""
        rows = itertools.islice(self.open(), skip, None)
        while chunk := list(itertools.islice(rows, size)):
            yield chunk


def from_file(file: Path) -> Source:
    """A file's rows; it is read through once, so that what is wrong in row 900,000 is told before any work."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{file} is of an unknown format {suffix!r}: give a file in {FORMATS}")
    if not file.exists():
        raise InputError(f"{file} does not exist: give a file in {FORMATS}")
    with _readable(file):
        if not file.is_file():
            raise InputError(f"{file} is not a file: give a file in {FORMATS}")
        if suffix == PARQUET:
            source = _parquet(file)
        elif suffix in SEPARATORS:
            source = _csv(file, SEPARATORS[suffix])
        else:
            source = _json(file)
    if not source.count:
        raise InputError(f"{file} has no rows: give a file with texts")
    return source


def from_lines(lines: Iterable[str], column: str = "text") -> Source:
    """A text a line, each a row of one column."""
    rows = ({column: line.rstrip("\r\n") or None} for line in lines)
    return Source("standard input", (column,), lambda: rows, schema=strings([column]))


def require_columns(source: Source, names: Sequence[str], option: str) -> None:
    """InputError unless the source has each column."""
    for name in names:
        if name not in source.columns:
            close = get_close_matches(name, source.columns, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InputError(
                f"{option} {name}, but {source.name} has the columns {', '.join(source.columns)}: "
                f"set {option} to one of them.{hint}"
            )


def texts_of(chunk: Sequence[Row], columns: Sequence[str]) -> list[str | tuple[str, str] | None]:
    """Each row's text or pair of texts; None where one is missing or blank. InputError for what is not text."""
    found: list[str | tuple[str, str] | None] = []
    for row in chunk:
        parts = tuple(row.get(column) for column in columns)
        for column, part in zip(columns, parts, strict=True):
            if part is not None and not isinstance(part, str):
                raise InputError(
                    f"--text-column {column} holds {type(part).__name__} ({str(part)[:40]!r}), not text: "
                    "name another column, or convert it"
                )
        filled = all(part and not part.isspace() for part in parts)
        found.append((parts[0] if len(parts) == 1 else parts) if filled else None)
    return found


def _csv(file: Path, separator: str) -> Source:
    csv.field_size_limit(2**31 - 1)

    def numbered() -> Iterator[tuple[int, list[str]]]:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.reader(stream, delimiter=separator, strict=True)
            try:
                yield from ((rows.line_num, row) for row in rows if row)
            except csv.Error as error:
                raise InputError(
                    f'{file}, line {rows.line_num}: {error}: write a double quote inside a quoted text as ""'
                ) from error

    _, columns = next(numbered(), (0, []))
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise InputError(f"{file} names the column {twice[0]!r} twice: rename one")

    def rows() -> Iterator[Row]:
        for _, cells in itertools.islice(numbered(), 1, None):
            yield dict.fromkeys(columns) | dict(zip(columns, (cell or None for cell in cells), strict=False))

    count = 0
    for line, cells in itertools.islice(numbered(), 1, None):
        if len(cells) > len(columns):
            raise InputError(
                f"{file}, line {line}: {len(cells)} cells, but the header names {len(columns)} columns: "
                f"put texts with a {'tab' if separator == chr(9) else 'comma'} in double quotes"
            )
        count += 1
    return Source(str(file), tuple(columns), rows, count, strings(columns))


def _json(file: Path) -> Source:
    def rows() -> Iterator[Row]:
        with file.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield _object(file, number, line)

    columns: dict[str, None] = {}
    count = 0
    for row in rows():
        columns.update(dict.fromkeys(row))
        count += 1
    return Source(str(file), tuple(columns), rows, count)


def strings(columns: Iterable[str]) -> pa.Schema:
    """The types of a file in which all is text."""
    return pa.schema([(name, pa.string()) for name in columns])


def _object(file: Path, number: int, line: str) -> Row:
    """One line's object; InputError for anything else."""
    where = f"{file}, line {number}"
    try:
        row = json.loads(line)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: half of a surrogate pair, which is no character: leave it out") from None
    except ValueError as error:
        hint = "write one object a line" if line.lstrip().startswith("[") else "repair it"
        raise InputError(f"{where} is not JSON ({error}): {hint}") from error
    if not isinstance(row, dict):
        raise InputError(f'{where} is not an object: write one a line, such as {{"text": "Not bad at all"}}')
    return row


def _parquet(file: Path) -> Source:
    def rows() -> Iterator[Row]:
        with _opened(file) as parquet:
            for batch in parquet.iter_batches(batch_size=1024):
                yield from batch.to_pylist()

    with _opened(file) as parquet:
        schema = parquet.schema_arrow.remove_metadata()
        return Source(str(file), tuple(schema.names), rows, parquet.metadata.num_rows, schema)


@contextmanager
def _opened(file: Path) -> Iterator[pq.ParquetFile]:
    """InputError where it is cut short or no Parquet file."""
    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{file} cannot be read as parquet: {why}: repair or replace it") from error


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """InputError where the file may not be read, or is not UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise InputError(f"{file} cannot be read as UTF-8: {error}: save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or os.strerror(error.errno or 5)}") from error
