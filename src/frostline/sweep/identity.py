"""What makes a run the run that it is: its settings without output, cache and display, files by their content."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import xxhash
from omegaconf import DictConfig, OmegaConf

from frostline.secrets import is_secret

# Where results go, what is kept and what is shown: none of it changes a result.
NOT_DECIDING = (
    "hydra", "sweep", "logger", "callbacks.progress_bar", "print_parameters", "keep_checkpoints", "model.describe",
    "trainer.checkpoint_minutes", "trainer.log_every_n_steps", "trunk.dir", "trunk.budget", "trunk.also",
)  # fmt: skip
PATHS = ("data.path", "model.name_or_path")


def settings(cfg: DictConfig) -> dict[str, Any]:
    """Every option that decides a result, resolved, as `group.option` → value; local paths as hashes of their content.

    A missing mandatory value stays `???`.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    for key in NOT_DECIDING:
        _remove(plain, key.split("."))
    found = _flat(OmegaConf.to_container(OmegaConf.create(plain), resolve=True))
    return {
        key: _by_content(value) if key.startswith(PATHS) else value
        for key, value in found.items()
        if not is_secret(key)
    }


def identify(cfg: DictConfig) -> str:
    """The id of a run: 16 hexadecimal digits, equal for equal settings."""
    return xxhash.xxh3_64_hexdigest(json.dumps(settings(cfg), sort_keys=True, default=str).encode())


def _remove(tree: dict[str, Any], path: list[str]) -> None:
    *holders, last = path
    for name in holders:
        tree = tree.get(name)
        if not isinstance(tree, dict):
            return
    tree.pop(last, None)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found.update(_flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value})
    return found


def _by_content(value: object) -> object:
    """A local file or folder as a hash of the files in it; anything else (a hub id, null) as it is.

    What lies deeper in a folder, such as the results of runs, is neither data nor a model's.
    """
    path = Path(value).expanduser() if isinstance(value, str) and value else None
    try:
        return value if path is None or not path.exists() else _hash(path)
    except OSError:  # what cannot be read is told where it is read
        return value


def _hash(path: Path) -> str:
    inside = path.iterdir() if path.is_dir() else [path]
    files = sorted(file for file in inside if file.is_file() and not file.name.startswith("."))
    digest = xxhash.xxh3_128()
    for file in files:
        facts = file.stat()
        name = file.relative_to(path).as_posix()
        digest.update(f"{name} {_content_hash(file, facts.st_size, facts.st_mtime_ns)}\n".encode())
    return f"content {digest.hexdigest()}"


@lru_cache(maxsize=4096)
def _content_hash(file: Path, size: int, modified: int) -> str:
    """Hash of a file; its size and time (ns) are there so that a changed file is read again."""
    digest = xxhash.xxh3_128()
    with file.open("rb") as stream:
        while part := stream.read(2**20):
            digest.update(part)
    return digest.hexdigest()
