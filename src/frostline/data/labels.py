"""Labels of any kind to class indices, and splits that keep their proportions."""

from dataclasses import dataclass

import numpy as np
from datasets import ClassLabel, Dataset

from frostline.errors import InputError


@dataclass(frozen=True)
class LabelCoder:
    """Raw label values (strings, integers, booleans) in index order, with the names people read."""

    values: tuple
    names: tuple[str, ...]

    @classmethod
    def learn(cls, train: Dataset, column: str) -> "LabelCoder":
        """The labels of a train split: its `ClassLabel` names, or its distinct values in sorted order."""
        feature = train.features[column]
        if isinstance(feature, ClassLabel):
            coder = cls(tuple(range(feature.num_classes)), tuple(feature.names))
            seen = set(train.unique(column))
        else:
            seen = set(train.unique(column))
            _check_kind(seen, column)
            values = tuple(sorted(seen, key=_whole_number if all(map(_is_whole_number, seen)) else str))
            coder = cls(values, tuple(str(value) for value in values))
        if len(seen) < 2:
            only = coder.names[coder.values.index(next(iter(seen)))] if seen else "none"
            raise InputError(f"the train split has one label only ({only}): a classifier needs two or more")
        return coder

    def encode(self, dataset: Dataset, column: str, split: str) -> np.ndarray:
        """Class indices, int64 of shape (texts,); InputError for a label that train does not have."""
        index = {value: i for i, value in enumerate(self.values)}
        raw = dataset[column][:]
        codes = np.fromiter((index.get(value, -1) for value in raw), dtype=np.int64, count=len(raw))
        unknown = np.flatnonzero(codes < 0)
        if len(unknown):
            first = raw[int(unknown[0])]
            raise InputError(
                f"the {split} split has {len(unknown)} rows whose label train does not have (first {first!r}, "
                f"row {unknown[0] + 1}): train has {_shorten(self.names)}"
            )
        return codes


def _check_kind(values: set, column: str) -> None:
    kinds = {type(value) for value in values}
    if not kinds or len(kinds) > 1 or not kinds <= {str, int, bool}:
        found = ", ".join(sorted(kind.__name__ for kind in kinds)) or "nothing"
        raise InputError(f"data.label_column={column} holds {found}: labels are names (text) or whole numbers")


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.removeprefix("-").isdecimal())


def _whole_number(value: object) -> tuple[int, str]:
    return int(value), str(value)  # type: ignore[call-overload]


def _shorten(names: tuple[str, ...], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")


def stratified_sample(labels: np.ndarray, size: int, seed: int, at_least: int) -> np.ndarray:
    """Sorted positions of about `size` texts in each label's proportion, `at_least` that many of each label.

    A label with fewer texts than `at_least` gives all it has.
    """
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(labels, return_counts=True)
    exact = counts * (size / len(labels))
    quota = np.floor(exact).astype(int)
    for i in np.argsort(quota - exact, kind="stable")[: max(0, size - quota.sum())]:
        quota[i] += 1  # the largest remainders get what flooring left over
    quota = np.minimum(np.maximum(quota, at_least), counts)
    parts = [
        rng.permutation(np.flatnonzero(labels == label))[:count] for label, count in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(parts))
