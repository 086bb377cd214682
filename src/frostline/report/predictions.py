"""predictions.parquet → labels and predictions as indices, with a hash that tells which runs share a test set."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from frostline.report.runs import Cell, printable, short

FILE = "predictions.parquet"


@dataclass(frozen=True)
class Predictions:
    """Test labels and predictions of one run, both of shape (texts,), as indices into `names`.

    `test_set` is a hash of texts, labels and names: equal for runs whose predictions pair text by text.
    """

    labels: np.ndarray
    predicted: np.ndarray
    names: tuple[str, ...]
    test_set: str


def read_all(cells: Iterable[Cell]) -> tuple[dict[Path, Predictions], list[str]]:
    """Each cell's predictions by folder, read side by side, and a line for each file that cannot be read."""
    cells = list(cells)
    found: dict[Path, Predictions] = {}
    problems = []
    with ThreadPoolExecutor(4) as pool:
        for cell, result in zip(cells, pool.map(_try, cells), strict=True):
            if isinstance(result, Predictions):
                found[cell.folder] = result
            else:
                problems.append(f"{printable(cell.folder)}: not compared text by text, {result}")
    return found, problems


def _try(cell: Cell) -> Predictions | str:
    try:
        return read(cell.folder / FILE)
    except FileNotFoundError:
        return f"it has no {FILE}"
    except Exception as error:  # pyarrow has many of its own
        return f"its {FILE} cannot be read ({short(error)})"


def read(file: Path) -> Predictions:
    """Labels, predictions and the test set's hash of one run's predictions.parquet."""
    with pq.ParquetFile(file, read_dictionary=["label", "prediction"]) as parquet:
        columns = parquet.schema_arrow.names
        names = tuple(c.removeprefix("probability/") for c in columns if c.startswith("probability/"))
        texts = [column for column in ("text", "text_pair") if column in columns]
        table = parquet.read([*texts, "label", "prediction"], use_threads=False)
    if not names or not texts or not len(table):
        raise ValueError("it has no texts or no probabilities")
    labels, predicted = (_indices(table[column].combine_chunks(), names) for column in ("label", "prediction"))
    digest = xxhash.xxh3_128(repr(names).encode() + labels.tobytes())
    for column in texts:
        for part in _strings(table[column].combine_chunks()):
            digest.update(part)
    return Predictions(labels, predicted, tuple(map(printable, names)), digest.hexdigest())


def _indices(coded: pa.DictionaryArray, names: tuple[str, ...]) -> np.ndarray:
    """Each label's place in `names`; ValueError where it has none."""
    place = np.asarray([names.index(label) for label in coded.dictionary.to_pylist()], np.int32)
    return place[coded.indices.to_numpy(zero_copy_only=False)]


def _strings(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The lengths and the bytes of all texts, without a Python object for each."""
    texts = texts.cast(pa.large_string())
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.diff(ends), np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
