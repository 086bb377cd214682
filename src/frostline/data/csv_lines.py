"""What the lines of CSV files say: how cells are separated, what the columns are called, which row is broken."""

import csv
from pathlib import Path

from datasets import Features, Value

from frostline.errors import InputError

NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}


def options(files: list[Path]) -> dict:
    """For pandas: every column as text, and only an empty cell as null, where it would make "None" and "NA" null."""
    separator = _separator(files[0])
    headers = [_header(file, separator) for file in files]
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


def _separator(file: Path) -> str:
    """A tab in .tsv, else a comma; but what alone cuts the first line, as spreadsheets of many countries write it."""
    if file.suffix.lower() == ".tsv":
        return "\t"
    with file.open(encoding="utf-8-sig") as lines:
        first = lines.readline()
    return "," if "," in first else next((each for each in ";\t" if each in first), ",")


def _header(file: Path, separator: str) -> list[str]:
    """The column names, after a look at every row: pandas takes a row's first cell as its name if there is one more."""
    csv.field_size_limit(2**31 - 1)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines, delimiter=separator, strict=True)
            header = [name.strip() for name in next(rows, [])]
            for number, row in enumerate(filter(None, rows), 1):
                if len(row) > len(header):
                    raise InputError(
                        f"data.path={file}: row {number} has {len(row)} cells, but the header names {len(header)} "
                        f"columns: put texts with a {NAMES[separator]} in double quotes"
                    )
    except csv.Error as error:
        raise InputError(
            f"data.path={file} cannot be read as {file.suffix[1:].lower()}: line {rows.line_num}: {error}: "
            'write a double quote inside a quoted text as ""'
        ) from error
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError(f"data.path={file} names the column {twice[0]!r} twice: rename one")
    return header
