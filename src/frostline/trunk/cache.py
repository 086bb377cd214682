"""Keeps what a trunk gave for each text: one content-addressed, checksummed, memory-mapped folder an entry.

python -m frostline.trunk.cache list
python -m frostline.trunk.cache prune --keep 10GB
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import xxhash
from filelock import FileLock

from frostline.data.batches import TokenizedTexts
from frostline.errors import InputError

FORMAT_VERSION = 4
VALUES, CARD = "values.bin", "card.json"
DTYPES = {"fp16": np.float16, "fp32": np.float32}


@dataclass(frozen=True)
class Plan:
    """What an entry will hold: `rows` vectors of `width` numbers in `dtype`, for `texts` texts."""

    rows: int
    width: int
    dtype: str
    texts: int

    @property
    def bytes(self) -> int:
        """Size of the values on disk."""
        return self.rows * self.width * np.dtype(DTYPES[self.dtype]).itemsize


@dataclass(frozen=True)
class Entry:
    """A finished entry: `values` of shape (rows, width), mapped from its file."""

    folder: Path
    plan: Plan

    @property
    def values(self) -> np.ndarray:
        """The stored vectors, read only."""
        shape = (self.plan.rows, self.plan.width)
        return np.memmap(self.folder / VALUES, dtype=DTYPES[self.plan.dtype], mode="r", shape=shape)


def default_folder() -> Path:
    """The user's cache folder, `$XDG_CACHE_HOME/frostline/trunk`."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "frostline" / "trunk"


def fingerprint(parameters: Iterable[tuple[str, torch.Tensor]]) -> str:
    """A hash of a trunk's weights."""
    digest = xxhash.xxh3_128()
    for name, tensor in parameters:
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def key(texts: TokenizedTexts, **facts: object) -> str:
    """A hash of the token ids that go into a trunk and of `facts` (its weights, architecture, boundary, dtype).

    Token ids stand for the tokenizer, the maximum length and the texts together.
    """
    about = json.dumps({"version": FORMAT_VERSION, **facts}, sort_keys=True, default=str)
    digest = xxhash.xxh3_128(about.encode())
    for array in (texts.ids, texts.offsets, *([] if texts.token_types is None else [texts.token_types])):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


class Store:
    """The entries under one folder. Safe to share: one process fills an entry, others wait and then read it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def lock(self, key: str) -> FileLock:
        """Held by the one who fills `key`; the system frees it when its process dies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{key}.lock")

    def get(self, key: str) -> Entry | None:
        """The entry, its checksum verified; None where there is none. A damaged one is removed, with a warning."""
        folder = self.folder / key
        try:
            card = json.loads((folder / CARD).read_text())
            entry = Entry(folder, Plan(**card["plan"]))
            size = (folder / VALUES).stat().st_size
            whole = size == entry.plan.bytes and card["xxh3_128"] == _checksum(folder / VALUES)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError):
            whole = False
        if not whole:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"The trunk cache's entry {folder} is damaged: it is made anew.", file=sys.stderr)
            return None
        os.utime(folder / CARD)  # used now, for prune
        return entry

    def has(self, key: str) -> bool:
        """Whether there is an entry, its checksum not looked at."""
        return (self.folder / key / CARD).exists()

    def remove(self, key: str) -> None:
        """Drop an entry, if it is there; who has it open reads on."""
        shutil.rmtree(self.folder / key, ignore_errors=True)

    def create(self, key: str, plan: Plan) -> "Filling":
        """A place to write `plan.rows` vectors, which becomes the entry when it is finished."""
        return Filling(self.folder, key, plan)

    def entries(self) -> list[tuple[Entry, float]]:
        """Every entry and when it was last used (seconds since the epoch), least recently used first."""
        found = []
        for card in self.folder.glob(f"*/{CARD}"):
            try:
                found.append((Entry(card.parent, Plan(**json.loads(card.read_text())["plan"])), card.stat().st_mtime))
            except (ValueError, KeyError, TypeError, OSError):
                continue
        return sorted(found, key=lambda pair: pair[1])

    def prune(self, keep_bytes: int) -> list[Entry]:
        """Remove least recently used entries until `keep_bytes` remain at most; returns the removed ones."""
        entries = [entry for entry, _ in self.entries()]
        total, removed = sum(entry.plan.bytes for entry in entries), []
        for entry in entries:
            if total <= keep_bytes:
                break
            shutil.rmtree(entry.folder)
            total -= entry.plan.bytes
            removed.append(entry)
        for left in self.folder.glob("*.partial-*"):
            if not _alive(left):
                shutil.rmtree(left, ignore_errors=True)
        return removed


class Filling:
    """An entry on its way, under a temporary name: `finish` makes it one, leaving the block without that drops it."""

    def __init__(self, folder: Path, key: str, plan: Plan) -> None:
        self.final = folder / key
        self.partial = folder / f"{key}.partial-{os.getpid()}"
        self.plan = plan

    def __enter__(self) -> "Filling":
        for left in self.partial.parent.glob(f"{self.final.name}.partial-*"):  # one writer a key: its writer is dead
            shutil.rmtree(left, ignore_errors=True)
        self.partial.mkdir(parents=True)
        file = self.partial / VALUES
        try:
            with file.open("wb") as stream:
                _allocate(stream.fileno(), self.plan.bytes)
        except OSError:
            self.__exit__()
            raise
        shape = (self.plan.rows, self.plan.width)
        self.values = np.memmap(file, dtype=DTYPES[self.plan.dtype], mode="r+", shape=shape)
        return self

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Put `values` (rows, width) at positions `rows`, rounded to the entry's dtype."""
        self.values[rows] = values

    def finish(self, about: dict[str, object]) -> Entry:
        """Checksum and rename. What a power cut loses of it, the checksum tells at the next reading."""
        del self.values
        card = {"plan": asdict(self.plan), "xxh3_128": _checksum(self.partial / VALUES), "about": about}
        (self.partial / CARD).write_text(json.dumps(card, indent=2))
        shutil.rmtree(self.final, ignore_errors=True)
        self.partial.rename(self.final)
        return Entry(self.final, self.plan)

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)


def _allocate(descriptor: int, size: int) -> None:
    """Take the room now, where the system can: writing to a mapped file on a full disk would kill the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, xxhash.xxh3_128).hexdigest()


def _alive(partial: Path) -> bool:
    try:
        os.kill(int(partial.name.rpartition("-")[2]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def parse_size(text: str, option: str = "size") -> int:
    """`10GB`, `500 MB` or `1000` (bytes) → bytes; InputError, which names `option`, for anything else."""
    number = text.strip().upper()
    unit = next((unit for unit in ("KB", "MB", "GB", "TB", "B") if number.endswith(unit)), "")
    try:
        size = float(number.removesuffix(unit)) * UNITS.get(unit, 1)
        if not 0 <= size < float("inf"):
            raise ValueError
    except ValueError:
        raise InputError(
            f"{option}={text} is not a size: write a number with B, KB, MB, GB or TB, such as {option}=10GB"
        ) from None
    return int(size)


def readable(size: float) -> str:
    """1234567 → `1.2 MB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def main(arguments: Sequence[str] | None = None) -> None:
    """List or trim the cache from the command line."""
    cli = argparse.ArgumentParser(prog="python -m frostline.trunk.cache", description="The trunk cache's entries.")
    cli.add_argument("--dir", type=Path, default=default_folder(), help="its folder (default: %(default)s)")
    commands = cli.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every entry, least recently used first")
    prune = commands.add_parser("prune", help="remove the least recently used entries")
    prune.add_argument("--keep", default="0", help="keep at most this much, such as 10GB (default: nothing)")
    options = cli.parse_args(arguments)
    store = Store(options.dir)
    try:
        if options.command == "prune":
            removed = store.prune(parse_size(options.keep, "--keep"))
            print(f"Removed {len(removed)} entries, {readable(sum(entry.plan.bytes for entry in removed))}.")
            return
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    entries = store.entries()
    for entry, used in entries:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used))
        about = json.loads((entry.folder / CARD).read_text())["about"]
        named = ", ".join(map(str, about.values()))
        print(f"{entry.folder.name}  {readable(entry.plan.bytes):>9}  used {when}  {entry.plan.texts:,} texts: {named}")
    print(f"{len(entries)} entries, {readable(sum(e.plan.bytes for e, _ in entries))}, in {options.dir}")


if __name__ == "__main__":
    main()
