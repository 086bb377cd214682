"""Names of cells: the overrides that make a cell differ, safe as a folder's name."""

import re
from hashlib import sha256

from omegaconf import OmegaConf

LONGEST_BYTES = 120


def cell_name(overrides: str) -> str:
    """`data=ag_news,freeze=top2` as it is; what no folder should be called is replaced and a short hash added."""
    safe = re.sub(r"[^A-Za-z0-9=,._+-]+", "-", overrides)
    if safe == overrides and 0 < len(safe) <= LONGEST_BYTES and safe.strip("."):
        return safe
    if not overrides:
        return "cell"
    digest = sha256(overrides.encode()).hexdigest()[:8]
    return f"{safe[: LONGEST_BYTES - 9]}-{digest}"


def register() -> None:
    """Make `${cell_name:…}` known to the configuration."""
    OmegaConf.register_new_resolver("cell_name", cell_name, replace=True)
