"""What is wrong with a JSON file, and in which line: pyarrow's reader counts rows of blocks."""

import json
from collections.abc import Iterable
from pathlib import Path


def fault(file: Path) -> str | None:
    """The first line that is no JSON object, and why; None where each is one. The file is UTF-8."""
    whole = file.suffix.lower() == ".json"
    try:
        with file.open(encoding="utf-8-sig") as lines:
            return _fault_of_document(lines.read()) if whole else _fault_of_lines(lines)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}: {error.msg}"


def _fault_of_document(text: str) -> str | None:
    """Of a list of objects; a file of one object a line may be called .json, too."""
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _fault_of_lines(text.splitlines())
        raise
    rows = rows if isinstance(rows, list) else [rows]
    return next((f"row {number} {why}" for number, row in enumerate(rows, 1) if (why := _fault_of(row))), None)


def _fault_of_lines(lines: Iterable[str]) -> str | None:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            why = _fault_of(json.loads(line))
        except json.JSONDecodeError as error:
            return f"line {number}: {error.msg} (column {error.colno})"
        if why:
            return f"line {number} {why}"
    return None


def _fault_of(row: object) -> str | None:
    if not isinstance(row, dict):
        return f'is {json.dumps(row)[:40]}, not an object such as {{"text": "…", "label": "…"}}'
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        return f"holds half of a surrogate pair (\\u{ord(error.object[error.start]):x}), which is no character"
    return None
