"""Raw splits from a hub or from local files, as `datasets.Dataset`s."""

import csv
import glob
import logging
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import datasets
from datasets import Dataset, Features, Value, load_dataset

from frostline import hub
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
    if not path.exists():
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
    for split, names in SPLITS.items():
        name = re.compile(rf"({'|'.join(names)})(-\d+(-of-(?P<parts>\d+))?)?", re.IGNORECASE)
        files = {
            file: match
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in BUILDERS and (match := name.fullmatch(file.stem))
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
        seen = ", ".join(sorted(file.name for file in folder.iterdir())[:5]) or "nothing"
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
        if file.stat().st_size == 0:
            raise InputError(f"data.path={file} is empty (0 bytes): give a file with texts and labels")
    options = _csv_options(files) if BUILDERS[kind] == "csv" else {}
    if BUILDERS[kind] == "json":
        _check_utf8(files)
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
        raise InputError(f"data.path={first} cannot be read as {kind[1:]}: {why}: repair or replace it") from error


def _csv_options(files: list[Path]) -> dict:
    """Every CSV column as text, and only an empty cell as null: pandas would make "None" and "NA" null."""
    separator = "\t" if files[0].suffix.lower() == ".tsv" else ","
    headers = [_csv_header(file, separator) for file in files]
    for file, header in zip(files, headers, strict=True):
        if header != headers[0]:
            raise InputError(f"data.path={file} has other columns than {files[0].name}: give every part the same")
    columns = [name or f"column {i}" for i, name in enumerate(headers[0], 1)]  # pandas writes its index without a name
    return {
        "sep": separator,
        "encoding": "utf-8-sig",
        "header": 0,
        "names": columns,
        "keep_default_na": False,
        "na_values": [""],
        "features": Features({name: Value("string") for name in columns}),
    }


def _csv_header(file: Path, separator: str) -> list[str]:
    """The column names, after a look at every row: pandas takes a row's first cell as its name if there is one more."""
    csv.field_size_limit(2**31 - 1)
    kind = file.suffix[1:].lower()
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter=separator, strict=True)
            header = next(rows, [])
            for number, row in enumerate(filter(None, rows), 1):
                if len(row) > len(header):
                    raise InputError(
                        f"data.path={file}: row {number} has {len(row)} cells, but the header names {len(header)} "
                        f"columns: put texts with a {'tab' if separator == chr(9) else 'comma'} in double quotes"
                    )
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error
    except csv.Error as error:
        raise InputError(
            f"data.path={file} cannot be read as {kind}: line {rows.line_num}: {error}: "
            'write a double quote inside a quoted text as ""'
        ) from error
    if "\0" in "".join(header):
        raise _not_utf8(file, "it holds zero bytes, as UTF-16 does")
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError(f"data.path={file} names the column {twice[0]!r} twice: rename one")
    return header


def _check_utf8(files: list[Path]) -> None:
    """InputError unless every file is UTF-8: pyarrow's JSON reader lets other bytes through."""
    for file in files:
        try:
            with file.open(encoding="utf-8") as lines:
                for _ in lines:
                    pass
        except UnicodeDecodeError as error:
            raise _not_utf8(file, error) from error


def _not_utf8(file: Path, why: object) -> InputError:
    return InputError(f"data.path={file} cannot be read as UTF-8 {file.suffix[1:].lower()}: {why}: save it as UTF-8")


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
    """Keep `datasets`' own bars and notices out of the way; what it logs as an error it raises, too."""
    datasets.utils.logging.set_verbosity(logging.CRITICAL)
    datasets.disable_progress_bars()
