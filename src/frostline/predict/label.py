"""Every row of a file → the row with its label and every label's probability, in bounded memory."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from frostline.errors import InputError
from frostline.predict.output import Output, inferred
from frostline.predict.predictor import Predictor
from frostline.predict.rows import PARQUET, Row, Source, strings, texts_of

CHUNK = 4096  # rows that are sorted by length together, written together, and at most lost by a kill
DIGITS = 6  # of a probability
BLOCK = 2**20


@dataclass(frozen=True)
class Labelled:
    """What a call did: `rows` of the file, `fresh` ones labelled in so many seconds, those without a text."""

    rows: int
    fresh: int
    seconds: float
    blank: tuple[int, ...]


def label(
    predictor: Predictor, source: Source, out: Path, texts: Sequence[str], keep: Sequence[str], resume: bool = False
) -> Labelled:
    """Write `out`: the `keep` columns, `prediction`, `probability/LABEL`…; `texts` names one column, or a pair's."""
    schema = _schema(source, keep, predictor.labels, typed=out.suffix.lower() == PARQUET)
    output = Output(out, schema, _job(predictor, source, texts, keep))
    blank: list[int] = []
    with output.opened(resume), _progress(source, output.rows) as advance:
        done, began = output.rows, time.perf_counter()
        for chunk in source.chunks(CHUNK, skip=done):
            given = texts_of(chunk, texts)
            blank += [output.rows + i for i, text in enumerate(given, 1) if text is None]
            found = answers(predictor, given, advance)
            kept = ({name: row[name] for name in keep if name in row} for row in chunk)
            output.append([row | answer for row, answer in zip(kept, found, strict=True)])
        if output.rows == 0:
            raise InputError(f"{source.name} is empty: give a text a line")
        output.finish()
    return Labelled(output.rows, output.rows - done, time.perf_counter() - began, tuple(blank))


def answers(
    predictor: Predictor, texts: Sequence[Any], advance: Callable[[int], None] = lambda done: None
) -> list[Row]:
    """`prediction` and `probability/LABEL`… for each text; a missing text (None) has none."""
    filled = [i for i, text in enumerate(texts) if text is not None]
    logits = predictor.logits([texts[i] for i in filled], advance)
    advance(len(texts) - len(filled))
    columns = ["prediction", *(f"probability/{name}" for name in predictor.labels)]
    rows: list[Row] = [dict.fromkeys(columns) for _ in texts]
    guesses, shares = logits.argmax(-1).tolist(), logits.double().softmax(-1).tolist()
    for i, guess, share in zip(filled, guesses, shares, strict=True):
        values = [predictor.labels[guess], *(round(value, DIGITS) for value in share)]
        rows[i] = dict(zip(columns, values, strict=True))
    return rows


def _schema(source: Source, keep: Sequence[str], labels: Sequence[str], typed: bool) -> pa.Schema:
    """The output's columns, and where they are `typed` their types; InputError where the input has one of the names."""
    kept = source.schema or (inferred(next(source.chunks(CHUNK)), source.columns) if typed else strings(source.columns))
    added = [("prediction", pa.string()), *((f"probability/{name}", pa.float64()) for name in labels)]
    for name, _ in added:
        if name in keep:
            rest = ",".join(column for column in keep if column not in dict(added))
            raise InputError(
                f"{source.name} has a column {name!r} already: leave it out with --keep {rest or 'COLUMN'}"
            )
    return pa.schema([*(_plain(kept.field(name)) for name in keep), *(pa.field(*column) for column in added)])


def _plain(field: pa.Field) -> pa.Field:
    """A dictionary's values stand for themselves."""
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def _job(predictor: Predictor, source: Source, texts: Sequence[str], keep: Sequence[str]) -> dict[str, Any]:
    """What a half-written output is made of: it is continued only with the same."""
    weights = [file for file in sorted(predictor.found.model.iterdir()) if file.suffix in (".json", ".safetensors")]
    return {
        "input": _hash([Path(source.name)]) if source.count is not None else source.name,
        "model": _hash(weights),
        "text column": list(texts),
        "choice of columns": list(keep),
        "chunk size": CHUNK,
    }


def _hash(files: Sequence[Path]) -> str:
    digest = xxhash.xxh3_128()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


@contextmanager
def _progress(source: Source, done: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal's standard error, with texts per second; gives what to call with each batch's size."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Labelling", total=source.count, completed=done)
        yield lambda more: progress.advance(task, more)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} texts/s" if task.speed else "")
