#!/usr/bin/env python
"""Frostline and transformers.Trainer on the same work, one after the other in one run, and the ratios between them.

    python benchmarks/vs_trainer.py --data FOLDER --freeze none,top2 --seeds 1,2,3

FOLDER holds train.parquet, validation.parquet and test.parquet with `text` and `label`. For each seed, each freeze
depth is run by both, in turn, so that both meet the same noise: Frostline with an empty trunk cache, with --warm once
more with the cache that left, Trainer, and with --grouped Trainer with length-grouped batches. With --sweep, Frostline
also does all depths and seeds in one sweep, against the sum of Trainer's runs. Printed: median seconds of training
alone (Frostline's trunk + fit against Trainer's train()), of the whole process, peak resident memory, mean test F1,
and trainable parameters; each × is the median of the rounds' own ratios to Frostline. With --json, rounds may be done
in several sittings: what the file holds is not run again, and a file that other code made is refused. On a GPU Trainer
runs in bf16, as Frostline does there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import mean, median

import models
import torch

ROOT = Path(__file__).parents[1]
GROUPED, COMPILED, SWEEP = "trainer, grouped", "trainer, grouped, compiled", "one sweep"
FLAGS = {"trainer": [], GROUPED: ["--group-by-length"], COMPILED: ["--group-by-length", "--compile"]}


@dataclass(frozen=True)
class Run:
    """One process's figures: seconds, bytes, F1."""

    seed: str
    freeze: str
    by: str
    fit: float
    wall: float
    peak: int
    f1: float
    trainable: int


def options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--data", required=True, type=Path, help="a folder with train, validation and test .parquet")
    cli.add_argument("--freeze", default="none,head,top2", help="depths, comma-separated: none, head, topN")
    cli.add_argument("--seeds", default="1,2,3", help="comma-separated; one round for each")
    cli.add_argument("--epochs", default=1, type=int)
    cli.add_argument("--lr", default=2e-5, type=float)
    cli.add_argument("--warm", action="store_true", help="Frostline again, its trunk already kept")
    cli.add_argument("--sweep", action="store_true", help="Frostline's runs as one sweep as well")
    cli.add_argument("--grouped", action="store_true", help="Trainer with length-grouped batches as well")
    cli.add_argument("--compiled", action="store_true", help="Trainer with these and torch.compile as well")
    cli.add_argument("--model", choices=models.NAMES, default="minilm", help="bert-base has random weights")
    cli.add_argument("--peer", type=Path, default=ROOT / "benchmarks" / "peer.py", help="another peer script")
    cli.add_argument("--json", type=Path, help="keep every run's figures here, and go on from those that it has")
    return cli.parse_args()


def measured(command: list[str]) -> tuple[str, float, int]:
    """Standard output, wall seconds and peak resident bytes of a process; ends the benchmark if it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0), err.seek(0)
        if status != 0:
            sys.exit(f"{' '.join(command)} failed:\n{err.read()[-2000:]}")
        return out.read(), seconds, usage.ru_maxrss * 1024


def train_command(args: argparse.Namespace, trunk: str, *overrides: str) -> list[str]:
    """`python train.py` on the benchmark's folder, with its trunk cache in `trunk`."""
    flags = [override for override in overrides if override.startswith("-")]
    return [
        sys.executable, "train.py", *flags, *models.overrides(args.model, args.folder), "data=files",
        f"data.path={args.data.resolve()}", f"optimizer.lr={args.lr}", f"trainer.max_epochs={args.epochs}",
        f"trunk.dir={trunk}", *(override for override in overrides if override not in flags),
    ]  # fmt: skip


def frostline(args: argparse.Namespace, freeze: str, seed: str, by: str, trunk: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        _, wall, peak = measured(train_command(args, trunk, f"freeze={freeze}", f"seed={seed}", f"hydra.run.dir={run}"))
        return figures(run, by, wall, peak)


def figures(run: Path, by: str, wall: float, peak: int) -> Run:
    """What a run folder says of itself, with what was measured around its process."""
    found = json.loads((run / "metrics.json").read_text())
    fit = found["timing"]["trunk_seconds"] + found["timing"]["fit_seconds"]
    score, trainable = found["metrics"]["test/f1"], found["parameters"]["trainable"]
    return Run(str(found["seed"]), found["freeze"], by, fit, wall, peak, score, trainable)


def sweep(args: argparse.Namespace) -> list[Run]:
    """All depths and seeds in one process, nothing kept before it."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sweep"
        axes = (f"freeze={args.freeze}", f"seed={args.seeds}", f"hydra.sweep.dir={out}")
        _, wall, peak = measured(train_command(args, f"{folder}/trunk", "-m", *axes))
        return [figures(file.parent, SWEEP, wall, peak) for file in sorted(out.glob("*/metrics.json"))]


def peer(args: argparse.Namespace, freeze: str, seed: str, by: str) -> Run:
    flags = [*FLAGS[by], *(["--bf16"] if torch.cuda.is_available() else [])]
    out, wall, peak = measured([
        sys.executable, str(args.peer), "--model", str(args.folder), "--data", str(args.data.resolve()),
        "--freeze", freeze, "--seed", seed, "--lr", str(args.lr), "--epochs", str(args.epochs), *flags,
    ])  # fmt: skip
    found = json.loads(out.strip().splitlines()[-1])
    return Run(seed, freeze, by, found["fit_seconds"], wall, peak, found["test/f1"], found.get("trainable", 0))


def missing(args: argparse.Namespace, done: list[Run]) -> Iterator[Run]:
    """The runs that are not done yet, one after the other."""
    for seed in args.seeds.split(","):
        for freeze in args.freeze.split(","):
            wanted = ["frostline", "trainer"]
            if args.warm and freeze != "none":
                wanted.insert(1, "frostline, warm")
            wanted += [GROUPED] * args.grouped + [COMPILED] * args.compiled
            left = [by for by in wanted if not any((r.seed, r.freeze, r.by) == (seed, freeze, by) for r in done)]
            with tempfile.TemporaryDirectory() as trunk:
                if "frostline, warm" in left and "frostline" not in left:
                    frostline(args, freeze, seed, "", trunk)
                for by in left:
                    if by.startswith("frostline"):
                        yield frostline(args, freeze, seed, by, trunk)
                    else:
                        yield peer(args, freeze, seed, by)


def settings(args: argparse.Namespace) -> dict[str, str | int | float]:
    """What all rounds of a comparison share; `code` is a hash of src/ and conf/, so that no file mixes versions."""
    files = [*sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "conf").rglob("*.yaml"))]
    code = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    shared = {"data": args.data.resolve().name, "model": args.model, "epochs": args.epochs, "lr": args.lr}
    return {**shared, "cpus": os.cpu_count() or 0, "torch": str(torch.__version__), "code": code}


def kept(args: argparse.Namespace) -> list[Run]:
    """The runs of earlier sittings; ends the benchmark where they are of another comparison."""
    if not args.json or not args.json.exists():
        return []
    held = json.loads(args.json.read_text())
    if held["settings"] != settings(args):
        sys.exit(f"{args.json} holds runs of {held['settings']}, not of {settings(args)}: name another file")
    return [Run(**run) for run in held["runs"]]


def keep(args: argparse.Namespace, runs: list[Run]) -> None:
    """Write what is done so far where --json says."""
    if args.json:
        held = {"settings": settings(args), "runs": [vars(run) for run in runs]}
        args.json.write_text(json.dumps(held, indent=1) + "\n")


def print_table(runs: list[Run]) -> None:
    """A row for each depth and contestant."""
    ours = {(run.seed, run.freeze): run for run in runs if run.by == "frostline"}
    print("| freeze | by | rounds | fit s | × | process s | × | peak MiB | mean F1 | trainable |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for freeze, by in dict.fromkeys((run.freeze, run.by) for run in runs if run.by != SWEEP):
        found = [run for run in runs if (run.freeze, run.by) == (freeze, by)]
        fit = median(run.fit / ours[run.seed, freeze].fit for run in found)
        wall = median(run.wall / ours[run.seed, freeze].wall for run in found)
        print(
            f"| {freeze} | {by} | {len(found)} | {median(run.fit for run in found):.1f} | {fit:.2f} "
            f"| {median(run.wall for run in found):.1f} | {wall:.2f} "
            f"| {median(run.peak for run in found) / 2**20:.0f} | {mean(run.f1 for run in found):.4f} "
            f"| {found[0].trainable:,} |"
        )


def print_sweep(ours: list[Run], runs: list[Run]) -> None:
    """One sweep's seconds against the sum of each rival's runs."""
    fit, wall = sum(run.fit for run in ours), ours[0].wall
    print("\n| all cells | trunk + fit s | × | process s | × |")
    print("| --- | ---: | ---: | ---: | ---: |")
    print(f"| frostline, one sweep of {len(ours)} | {fit:.1f} | 1.00 | {wall:.1f} | 1.00 |")
    cells = [(run.seed, run.freeze) for run in ours]
    for rival in FLAGS:
        if theirs := [run for run in runs if run.by == rival and (run.seed, run.freeze) in cells]:
            fits, walls = sum(run.fit for run in theirs), sum(run.wall for run in theirs)
            print(f"| {rival}, {len(theirs)} runs | {fits:.1f} | {fits / fit:.2f} | {walls:.1f} | {walls / wall:.2f} |")


def main() -> None:
    args = options()
    with models.folder(args.model) as args.folder:
        compare(args)


def compare(args: argparse.Namespace) -> None:
    """Run what is missing and print the tables."""
    runs = kept(args)
    for run in missing(args, list(runs)):
        runs.append(run)
        print(f"seed {run.seed}, {run.freeze}, {run.by}: fit {run.fit:.1f} s, F1 {run.f1:.4f}", file=sys.stderr)
        keep(args, runs)
    cells = {(seed, freeze) for seed in args.seeds.split(",") for freeze in args.freeze.split(",")}
    if args.sweep and {(run.seed, run.freeze) for run in runs if run.by == SWEEP} != cells:
        runs = [run for run in runs if run.by != SWEEP] + sweep(args)
        keep(args, runs)
    print_table(runs)
    if swept := [run for run in runs if run.by == SWEEP]:
        print_sweep(swept, runs)


if __name__ == "__main__":
    main()
