"""Names of cells: the overrides that make a cell differ, safe as a folder's name."""

import re
from hashlib import sha256

from omegaconf import OmegaConf

LONGEST_BYTES = 120
DIGEST = 8  # hexadecimal digits


def cell_name(overrides: str) -> str:
    """`data=ag_news,freeze=top2` as it is; what no folder should be called is replaced and a short hash added."""
    if not overrides:
        return "cell"
    safe = re.sub(r"[^A-Za-z0-9=,._+-]+", "-", overrides).lstrip(".,-")  # no option of a command, nothing hidden
    if safe == overrides and len(safe) <= LONGEST_BYTES:
        return safe
    digest = sha256(overrides.encode(errors="surrogatepass")).hexdigest()[:DIGEST]
    return f"{safe[: LONGEST_BYTES - DIGEST - 1]}-{digest}".lstrip("-")


def register() -> None:
    """Make `${cell_name:…}` known to the configuration."""
    OmegaConf.register_new_resolver("cell_name", cell_name, replace=True)
