#!/usr/bin/env python
"""Seconds for each text and anonymous memory as the training set grows: both should stay flat.

    python benchmarks/scale.py --sizes 1000,10000,100000 --freeze top1
    python benchmarks/scale.py --sizes 120000 --freeze none --epochs 3 --model bert-base --data FOLDER    (on a GPU)

Each size is one process of `python train.py` on a file of generated reviews, or of the texts in FOLDER's train.parquet,
again and again until there are enough, with an empty trunk cache. Printed:
microseconds of trunk and fit for each text, and the process's peak anonymous memory (RssAnon, read from /proc ten times
a second; pages of mapped files are not in it), as they are and relative to the smallest size; below, what a million
texts would take by these figures.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import models
import pyarrow as pa
import pyarrow.parquet as pq

from frostline.data.demo_text import generate

ROOT = Path(__file__).parents[1]
MILLION, VALIDATION = 1_000_000, 300


@dataclass(frozen=True)
class Size:
    """One run's figures: training texts, seconds, peak bytes."""

    texts: int
    trunk: float
    fit: float
    anonymous: int

    @property
    def each(self) -> float:
        """Seconds for each text."""
        return (self.trunk + self.fit) / self.texts


def run(texts: int, args: argparse.Namespace) -> Size:
    """Train on that many texts and watch the process's memory."""
    with tempfile.TemporaryDirectory() as folder:
        for split, rows in splits(texts, args.data).items():
            pq.write_table(rows, Path(folder, f"{split}.parquet"))
        command = [
            sys.executable, "train.py", *models.overrides(args.model, args.folder), "data=files",
            f"data.path={folder}", f"freeze={args.freeze}", f"trainer.max_epochs={args.epochs}", "test=false",
            "callbacks=none", "seed=1", f"hydra.run.dir={folder}/run", f"trunk.dir={folder}/trunk",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        peak = 0
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(0.1)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed")
        timing = json.loads(Path(folder, "run", "metrics.json").read_text())["timing"]
    return Size(texts, timing["trunk_seconds"], timing["fit_seconds"], peak)


def splits(texts: int, data: Path | None) -> dict[str, pa.Table]:
    """That many texts for training, and 300 for validation."""
    if data is None:
        made = generate("reviews", 0, {"train": texts, "validation": VALIDATION})
        columns = {split: list(zip(*rows, strict=True)) for split, rows in made.items()}
        return {split: pa.table({"text": found[0], "label": found[1]}) for split, found in columns.items()}
    train, test = (pq.read_table(data / f"{split}.parquet", columns=["text", "label"]) for split in ("train", "test"))
    return {"train": train.take([i % len(train) for i in range(texts)]), "validation": test.slice(0, VALIDATION)}


def anonymous(pid: int) -> int:
    """RssAnon of a process in bytes; 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--sizes", default="1000,10000,100000", help="training texts, comma-separated, smallest first")
    cli.add_argument("--freeze", default="top1", help="none, head, topN")
    cli.add_argument("--epochs", default=1, type=int)
    cli.add_argument("--model", choices=models.NAMES, default="minilm", help="bert-base has random weights")
    cli.add_argument("--data", type=Path, help="a folder with train.parquet and test.parquet: text, label")
    args = cli.parse_args()
    with models.folder(args.model) as args.folder:
        measure(args)


def measure(args: argparse.Namespace) -> None:
    """Run each size and print its row."""
    print("| texts | trunk s | fit s | µs a text | × | RssAnon MiB | × |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    sizes: list[Size] = []
    for texts in map(int, args.sizes.split(",")):
        size = run(texts, args)
        sizes.append(size)
        first = sizes[0]
        print(
            f"| {texts:,} | {size.trunk:.1f} | {size.fit:.1f} | {size.each * 1e6:.0f} | {size.each / first.each:.2f} "
            f"| {size.anonymous / 2**20:.0f} | {size.anonymous / first.anonymous:.2f} |",
            flush=True,
        )
    last, before = sizes[-1], sizes[-2] if len(sizes) > 1 else sizes[-1]
    growth = (last.anonymous - before.anonymous) / max(1, last.texts - before.texts)
    memory = (last.anonymous + growth * (MILLION - last.texts)) / 2**20
    print(f"A million texts, from these: {last.each * MILLION / 60:.0f} min, {memory:.0f} MiB.")


if __name__ == "__main__":
    main()
