"""Your own labelled texts, from local files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frostline.data.source import BUILDERS
from frostline.data.text import TextData


class Files(TextData):
    """Any folder or file that `data.path` names, and is named after; see `source.from_path` for what it may hold."""

    def __init__(self, name: str | None = None, path: str | Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(name or _named_after(path), path, **options)


def _named_after(path: str | Mapping[str, str] | None) -> str:
    place = Path(path).expanduser().resolve() if isinstance(path, str) else Path("files")
    return place.stem if place.suffix.lower() in BUILDERS else place.name
