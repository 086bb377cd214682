"""Labels of any kind to class indices, and splits that keep their proportions."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel, Dataset, Value

from frostline.data import columns
from frostline.errors import InputError

FEW_LABELS = 20  # up to which a label may have a text or two


@dataclass(frozen=True)
class LabelCoder:
    """The names people read, in index order, and the index of each raw value (string, integer, boolean)."""

    names: tuple[str, ...]
    codes: dict

    @classmethod
    def learn(cls, train: Dataset, column: str) -> "LabelCoder":
        """The labels of a train split: its `ClassLabel` names, or its distinct values in sorted order."""
        feature = train.features[column]
        _check_kind(feature, column)
        seen = {_bare(value) for value in train.unique(column)}
        if isinstance(feature, ClassLabel):
            names = tuple(feature.names)
            codes = dict(enumerate(names))
            found = [codes[value] for value in seen if value in codes]
        else:
            _require_classes(seen, len(train), column)
            values = sorted(seen, key=_whole_number if all(map(_is_whole_number, seen)) else str)
            found = names = tuple(str(value) for value in values)
            codes = dict(enumerate(values))
        if len(found) < 2:
            raise InputError(
                f"the train split has one label only ({''.join(found) or 'none'} in data.label_column={column}): "
                "a classifier needs two or more: add texts with another label"
            )
        by_value = {value: i for i, value in codes.items()} | {name: i for i, name in enumerate(names)}
        return cls(names, by_value | {i: i for i in codes} if isinstance(feature, ClassLabel) else by_value)

    def encode(self, dataset: Dataset, column: str, split: str) -> np.ndarray:
        """Class indices, int64 of shape (texts,); InputError for a label that train does not have."""
        feature = dataset.features[column]
        _check_kind(feature, column)
        raw = dataset[column][:]
        if isinstance(feature, ClassLabel):  # by name: another file may number the same names otherwise
            raw = [feature.names[value] if 0 <= value < feature.num_classes else value for value in raw]
        codes = np.fromiter((self._code(value) for value in raw), dtype=np.int64, count=len(raw))
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            first = raw[int(unknown[0])]
            close = columns.closest(str(first), self.names)
            hint = f" Is {close!r} meant?" if close else ""
            raise InputError(
                f"the {split} split has {len(unknown)} rows whose label train does not have "
                f"(first {first!r}, row {unknown[0] + 1}): train has {_shorten(self.names)}: "
                f"leave those rows out, or add train texts with that label.{hint}"
            )
        return codes

    def _code(self, value: object) -> int:
        """The index of a raw value, else of its text (a CSV file's "1" is a Parquet file's 1), else -1."""
        bare = _bare(value)
        return self.codes.get(bare, self.codes.get(str(bare), -1))


def _bare(value: object) -> object:
    """A name without the spaces around it."""
    return value.strip() if isinstance(value, str) else value


def _require_classes(values: Collection, texts: int, column: str) -> None:
    """InputError for names that differ in case alone, and for a column that tells texts apart, not classes."""
    spelt: dict[str, object] = {}
    for value in sorted(values, key=str):
        other = spelt.setdefault(str(value).casefold(), value)
        if other != value:
            raise InputError(
                f"data.label_column={column} holds {other!r} and {value!r}, which differ in case alone: "
                "spell each label in one way"
            )
    if len(values) > max(FEW_LABELS, texts // 2):
        raise InputError(
            f"data.label_column={column} holds {len(values):,} different values in {texts:,} texts, as a column of ids "
            "or of measurements does: name the column of labels, which many texts share"
        )


def _check_kind(feature: object, column: str) -> None:
    allowed = isinstance(feature, ClassLabel) or (
        isinstance(feature, Value) and feature.dtype.startswith(("string", "large_string", "int", "uint", "bool"))
    )
    if not allowed:
        raise InputError(
            f"data.label_column={column} holds {columns.kind(feature)}: "
            "labels are names (text) or whole numbers, all of one kind: name another column, or convert this one"
        )


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.removeprefix("-").isdecimal())


def _whole_number(value: object) -> tuple[int, str]:
    return int(value), str(value)  # type: ignore[call-overload]


def _shorten(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")


def stratified_sample(labels: np.ndarray, size: int, seed: int, at_least: int, leave: int = 0) -> np.ndarray:
    """Sorted positions of `size` texts in each label's proportion, `at_least` that many of each label.

    A label with fewer texts than `at_least` gives all it has but `leave`; more than `size` only where needed for that.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (size / len(labels))
    quota = np.floor(exact).astype(int)
    for i in np.argsort(quota - exact, kind="stable")[: max(0, size - quota.sum())]:
        quota[i] += 1  # the largest remainders get what flooring left over
    quota = np.minimum(np.maximum(quota, at_least), counts - leave)
    for _ in range(max(0, quota.sum() - size)):  # the largest labels give up what the smallest were granted
        largest = np.argmax(quota)
        quota[largest] -= quota[largest] > at_least
    parts = [
        rng.permutation(np.flatnonzero(labels == label))[:count] for label, count in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(parts))
