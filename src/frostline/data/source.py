"""Raw splits from a hub or from local files, as `datasets.Dataset`s."""

import glob
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
from datasets import Dataset, load_dataset

from frostline import hub
from frostline.data import csv_lines, json_lines
from frostline.errors import InputError

# What a folder may call each split.
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
BUILDERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json"}
FORMATS = ", ".join(suffix[1:] for suffix in BUILDERS)


def from_hub(name: str) -> dict[str, Dataset]:
    """Every split of a hub data set; InputError where neither the hub nor the local cache has it."""
    offline = not hub.reachable()
    try:
        return dict(load_dataset(name))
    except Exception as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        if offline:
            why = f"{hub.why_not()}, and no local copy is cached"
        raise InputError(f"{name}: {why}: give a folder or file with data.path=…") from error


def from_path(path: str | Mapping[str, str]) -> dict[str, Dataset]:
    """Splits from local files: a folder (train.csv, test.csv, …), one file, or a mapping of split to file.

    One file comes back as the split `all`. Raises InputError for what is missing or cannot be read.
    """
    if isinstance(path, Mapping):
        files = _files_named(path)
    elif isinstance(path, Sequence) and not isinstance(path, str):
        raise InputError(f"data.path={list(path)} is a list: give a folder, a file, or {{train: a.csv, test: b.csv}}")
    elif (root := _existing(Path(str(path)))).is_dir():
        files = _files_in(root)
    else:
        files = {"all": [root]}
    return {split: _read(paths) for split, paths in files.items()}


def _existing(path: Path) -> Path:
    path = path.expanduser()
    try:
        found = path.exists()
    except OSError as error:  # a folder on the way may not be entered, or the name is too long
        raise InputError(f"data.path={str(path)[:200]} cannot be looked up ({error.strerror}): give another") from error
    if not found:
        raise InputError(
            f"data.path={path} does not exist: give a folder with train.* and test.* files, or one file ({FORMATS})"
        )
    return path


def _files_named(path: Mapping[str, str]) -> dict[str, list[Path]]:
    """The file that a mapping gives each split."""
    unknown = set(path) - set(SPLITS)
    if unknown:
        raise InputError(f"data.path names the split {min(map(str, unknown))!r}: use train, validation and test")
    if "train" not in path:
        raise InputError(f"data.path names {', '.join(path) or 'no split'}, but no train file: add train: FILE")
    files = {split: [_existing(Path(str(file)))] for split, file in path.items()}
    if files.get("test", [Path()])[0].resolve() == files["train"][0].resolve():
        raise InputError(f"data.path gives train and test the same file ({path['test']}): name it alone to have it cut")
    return files


def _files_in(folder: Path) -> dict[str, list[Path]]:
    """The files of each split in a folder: `train.csv`, or in parts, `train-00000-of-00002.parquet`."""
    found: dict[str, list[Path]] = {}
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    for split, names in SPLITS.items():
        name = re.compile(rf"({'|'.join(names)})(-\d+(-of-(?P<parts>\d+))?)?", re.IGNORECASE)
        files = {
            file: match for file in there if file.suffix.lower() in BUILDERS and (match := name.fullmatch(file.stem))
        }
        kinds = {(file.suffix.lower(), match[1], match[2] is None, match["parts"]) for file, match in files.items()}
        if len(kinds) > 1:
            shown = ", ".join(file.name for file in files)
            raise InputError(f"data.path={folder} holds several {split} files ({shown}): leave one, or name each file")
        parts = next(iter(kinds))[3] if kinds else None
        if parts is not None and int(parts) != len(files):
            raise InputError(f"data.path={folder} holds {len(files)} of {int(parts)} {split} parts: add the others")
        if files:
            found[split] = list(files)
    if "train" not in found:
        seen = ", ".join(file.name for file in there[:5]) or "nothing"
        raise InputError(
            f"data.path={folder} holds no train file (found: {seen}): "
            f"add train.* and test.*, each one of {FORMATS}, or name one file"
        )
    return found


def _read(files: list[Path]) -> Dataset:
    first = files[0]
    kind = first.suffix.lower()
    if kind not in BUILDERS:
        raise InputError(f"data.path={first} is of an unknown format {first.suffix!r}: use one of {FORMATS}")
    for file in files:
        _require_bytes(file)
        if BUILDERS[kind] != "parquet":
            _require_utf8(file)
    options = csv_lines.options(files) if BUILDERS[kind] == "csv" else {}
    try:
        names = [glob.escape(str(file.resolve())) for file in files]
        return load_dataset(BUILDERS[kind], data_files=names, split="train", **options)
    except Exception as error:
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        why = " ".join(str(cause).split())[:200]
        if "corresponds to no data" in why or "BatchSize must be greater than 0" in why:  # CSV and JSON; Parquet
            raise InputError(f"data.path={first} has no rows: give a file with texts and labels") from error
        if BUILDERS[kind] == "json":
            why = next(filter(None, map(json_lines.fault, files)), why)
        raise InputError(f"data.path={first} cannot be read as {kind[1:]}: {why}: repair or replace it") from error


def _require_bytes(file: Path) -> None:
    """InputError unless it is a file with something in it that this user may read."""
    if file.is_dir():
        raise InputError(f"data.path={file} is a folder, where a file is expected ({FORMATS}): rename or remove it")
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                raise InputError(f"data.path={file} is empty (0 bytes): give a file with texts and labels")
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"data.path={path} cannot be read ({error.strerror}): let this user read it, or give another")


def _require_utf8(file: Path) -> None:
    """InputError unless it is UTF-8 without zero bytes: the readers let some of either through."""
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if "\0" in line:
                    raise InputError(
                        f"data.path={file}: line {number} holds a zero byte, which UTF-8 text has none of "
                        "(UTF-16 has many): save it as UTF-8"
                    )
    except UnicodeDecodeError as error:
        kind = file.suffix[1:].lower()
        raise InputError(f"data.path={file} cannot be read as UTF-8 {kind}: {error}: save it as UTF-8") from error


def quiet() -> None:
    """Keep `datasets`' own bars and notices out of the way; what it logs as an error it raises, too."""
    datasets.utils.logging.set_verbosity(logging.CRITICAL)
    datasets.disable_progress_bars()
