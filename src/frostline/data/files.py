"""Your own labelled texts, from local files."""

from frostline.data.text import TextData


class Files(TextData):
    """Any folder or file that `data.path` names; see `source.from_path` for what it may hold."""
