"""Raw splits from a hub or from local files, as `datasets.Dataset`s."""

import csv
import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import datasets
from datasets import Dataset, Features, Value, load_dataset

from frostline import hub
from frostline.errors import InputError

log = logging.getLogger(__name__)

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
        why = f"the hub ({hub.endpoint()}) cannot be reached" if offline else str(error).splitlines()[0]
        raise InputError(
            f"{name}: {why}, and no local copy is cached: give a folder or file with data.path=…"
        ) from error


def from_path(path: str | Mapping[str, str]) -> dict[str, Dataset]:
    """Splits from local files: a folder (train.csv, test.csv, …), one file, or a mapping of split to file.

    One file comes back as the split `all`. Raises InputError for what is missing or cannot be read.
    """
    if isinstance(path, Mapping):
        unknown = set(path) - set(SPLITS)
        if unknown:
            raise InputError(f"data.path names the split {sorted(unknown)[0]!r}: use train, validation and test")
        files = {split: [_existing(Path(file))] for split, file in path.items()}
    elif (root := _existing(Path(path))).is_dir():
        files = _files_in(root)
    else:
        files = {"all": [root]}
    return {split: _read(paths) for split, paths in files.items()}


def _existing(path: Path) -> Path:
    path = path.expanduser()
    if not path.exists():
        raise InputError(
            f"data.path={path} does not exist: give a folder with train.* and test.* files, or one file ({FORMATS})"
        )
    return path


def _files_in(folder: Path) -> dict[str, list[Path]]:
    """The files of each split in a folder: `train.csv`, or in parts, `train-00000-of-00002.parquet`."""
    found: dict[str, list[Path]] = {}
    for split, names in SPLITS.items():
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.suffix in BUILDERS and (file.stem in names or file.name.startswith(tuple(f"{n}-" for n in names)))
        ]
        if len({(file.suffix, file.stem.split("-")[0]) for file in files}) > 1:
            shown = ", ".join(file.name for file in files)
            raise InputError(f"data.path={folder} holds several {split} files ({shown}): leave one, or name each file")
        if files:
            found[split] = files
    if "train" not in found:
        seen = ", ".join(sorted(file.name for file in folder.iterdir())[:5]) or "nothing"
        raise InputError(
            f"data.path={folder} holds no train file (found: {seen}): "
            f"add train.* and test.*, each one of {FORMATS}, or name one file"
        )
    return found


def _read(files: list[Path]) -> Dataset:
    first = files[0]
    if first.suffix not in BUILDERS:
        raise InputError(f"data.path={first} is of an unknown format {first.suffix!r}: use one of {FORMATS}")
    options = _csv_options(first) if BUILDERS[first.suffix] == "csv" else {}
    if first.stat().st_size == 0:
        raise InputError(f"data.path={first} is empty (0 bytes)")
    try:
        names = [str(file.resolve()) for file in files]
        return load_dataset(BUILDERS[first.suffix], data_files=names, split="train", **options)
    except Exception as error:
        cause = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        why = " ".join(str(cause).split())[:200]
        raise InputError(f"data.path={first} cannot be read as {first.suffix[1:]}: {why}") from error


def _csv_options(file: Path) -> dict:
    """Every CSV column as text, and only an empty cell as null: pandas would make "None" and "NA" null."""
    separator = "\t" if file.suffix == ".tsv" else ","
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            header = next(csv.reader(lines, delimiter=separator), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"data.path={file} cannot be read as UTF-8 {file.suffix[1:]}: {error}") from error
    return {
        "sep": separator,
        "encoding": "utf-8-sig",
        "keep_default_na": False,
        "na_values": [""],
        "features": Features({name: Value("string") for name in header}),
    }


def require_columns(splits: Mapping[str, Dataset], columns: Mapping[str, Sequence[str]]) -> None:
    """InputError unless every split has the columns that the options (`data.text_column`, …) name."""
    for split, dataset in splits.items():
        for option, names in columns.items():
            for name in names:
                if name not in dataset.column_names:
                    close = get_close_matches(name, dataset.column_names, n=1)
                    hint = f" Did you mean {close[0]!r}?" if close else ""
                    raise InputError(
                        f"{option}={name}, but the {split} split has the columns "
                        f"{', '.join(dataset.column_names)}: set {option} to one of them.{hint}"
                    )


def quiet() -> None:
    """Keep `datasets`' own bars and notices out of the way."""
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
