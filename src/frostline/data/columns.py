"""What the columns of a split must hold, and how messages speak of them."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Value

from frostline.errors import InputError


def require_columns(splits: Mapping[str, Dataset], columns: Mapping[str, Sequence[str]]) -> None:
    """InputError unless every split has the columns that the options (`data.text_column`, …) name."""
    for split, dataset in splits.items():
        for option, names in columns.items():
            for name in names:
                if name not in dataset.column_names:
                    close = closest(name, dataset.column_names)
                    hint = f" Did you mean {close!r}?" if close else ""
                    raise InputError(
                        f"{option}={name}, but {called(split)} has the columns "
                        f"{', '.join(dataset.column_names)}: set {option} to one of them.{hint}"
                    )


def require_text(data: Dataset, columns: Sequence[str]) -> None:
    """InputError for a text column of numbers, dates or lists."""
    for name in columns:
        feature = data.features[name]
        if not isinstance(feature, Value) or "string" not in feature.dtype:
            found = kind(feature)
            raise InputError(f"data.text_column={name} holds {found}, not text: name another column, or convert it")


def require_filled(data: Dataset, split: str, columns: Sequence[str]) -> None:
    """InputError where a cell is null or blank, with how many and the first one's row."""
    where = called(split)
    if len(data) == 0:
        raise InputError(f"{where} has no rows: give texts and labels")
    table = data.with_format("arrow")[:]
    for name in columns:
        column = table[name]
        bad = pc.is_null(column)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            try:
                column.validate(full=True)
            except pa.ArrowInvalid as error:  # Parquet files are not checked when they are read
                raise InputError(
                    f"{where} has text in column {name!r} that is no UTF-8: write the file anew"
                ) from error
            bad = pc.or_(bad, pc.equal(pc.utf8_trim_whitespace(pc.fill_null(column, "")), ""))
        rows = np.flatnonzero(bad.to_numpy(zero_copy_only=False) if isinstance(bad, pa.Array) else bad.to_numpy())
        if len(rows):
            raise InputError(
                f"{where} has {len(rows)} empty or null cells in column {name!r}, "
                f"the first in row {rows[0] + 1}: fill them or leave those rows out"
            )


def closest(name: str, among: Sequence[str]) -> str | None:
    """The one that a slip of the keyboard, of case or of spaces would turn into `name`."""
    folded = {each.strip().casefold(): each for each in reversed(among)}
    found = get_close_matches(name.strip().casefold(), folded, n=1)
    return folded[found[0]] if found else None


def kind(feature: object) -> str:
    """What a column holds, in messages."""
    if isinstance(feature, Value):
        return feature.dtype
    named = type(feature).__name__.lower()
    return "values of several kinds, or objects" if named == "json" else f"a {named} in each row"


def called(split: str) -> str:
    """A split in messages; `all` is one file that is yet to be cut."""
    return "the file" if split == "all" else f"the {split} split"
