#!/usr/bin/env python
"""What schedules save against full fine-tuning, and what they cost in F1, on the same work in one run.

    python benchmarks/schedules.py --data FOLDER --freeze none,auto --seeds 1,2,3

FOLDER holds train.parquet, validation.parquet and test.parquet with `text` and `label`. For each seed every policy is
trained in turn (MiniLM), so that all meet the same noise of the machine. Nothing that one run kept helps another.
Printed: median seconds of training (trunk and fit), of the whole process, and of the processor's time that it took
(what to go by where others use the machine, too), with ratios to the first policy; mean test F1 with its difference to
the first one's, and on the way what each schedule came to.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Run:
    """One process's figures: seconds, F1, and the schedule's moves."""

    trunk: float
    fit: float
    wall: float
    cpu: float
    f1: float
    moves: list[dict]

    @property
    def training(self) -> float:
        return self.trunk + self.fit


def options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--data", required=True, type=Path, help="a folder with train, validation and test .parquet")
    cli.add_argument("--freeze", default="none,auto", help="policies, comma-separated; the first is the yardstick")
    cli.add_argument("--seeds", default="1,2,3", help="comma-separated; one round for each")
    cli.add_argument("--epochs", default=3, type=int)
    cli.add_argument("--lr", default=5e-5, type=float)
    cli.add_argument("--json", type=Path, help="write every run's figures here")
    cli.add_argument("overrides", nargs="*", help="more options of train.py, such as data.limit_train=2000")
    return cli.parse_args()


def trained(args: argparse.Namespace, freeze: str, seed: str) -> Run:
    """`python train.py` in a process of its own, with a trunk cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "train.py", "model=minilm", "data=files", f"data.path={args.data.resolve()}",
            f"freeze={freeze}", f"seed={seed}", f"optimizer.lr={args.lr}", f"trainer.max_epochs={args.epochs}",
            f"trunk.dir={folder}/trunk", f"hydra.run.dir={folder}/run", "callbacks=none", *args.overrides,
        ]  # fmt: skip
        began, cpu = time.perf_counter(), children_seconds()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        wall, cpu = time.perf_counter() - began, children_seconds() - cpu
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        found = json.loads((Path(folder) / "run" / "metrics.json").read_text())
    timing = found["timing"]
    f1 = found["metrics"]["test/f1"]
    return Run(timing["trunk_seconds"], timing["fit_seconds"], wall, cpu, f1, found.get("moves", []))


def children_seconds() -> float:
    """Processor seconds of all processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def shown(moves: list[dict]) -> str:
    """`top5 from 134, top2 from 400`."""
    return ", ".join(f"{move['trains']} from {move['step']}" for move in moves) or "–"


def print_table(runs: dict[str, list[Run]]) -> None:
    first = next(iter(runs.values()))
    print("| freeze | trunk s | trunk + fit s | × | process s | × | processor s | × | mean F1 | difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for freeze, found in runs.items():
        cells = [freeze, f"{median(run.trunk for run in found):.1f}"]
        for figure in ("training", "wall", "cpu"):
            seconds, yardstick = (median(getattr(run, figure) for run in some) for some in (found, first))
            cells += [f"{seconds:.1f}", f"{seconds / yardstick:.2f}"]
        f1 = mean(run.f1 for run in found)
        cells += [f"{f1:.4f}", f"{f1 - mean(run.f1 for run in first):+.4f}"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    args = options()
    runs: dict[str, list[Run]] = {}
    for seed in args.seeds.split(","):
        for freeze in args.freeze.split(","):
            run = trained(args, freeze, seed)
            runs.setdefault(freeze, []).append(run)
            line = f"seed {seed}, {freeze}: trunk {run.trunk:.1f} s, fit {run.fit:.1f} s, processor {run.cpu:.1f} s"
            print(f"{line}, F1 {run.f1:.4f}; {shown(run.moves)}", file=sys.stderr)
            if args.json:
                rows = [{"freeze": name, **vars(r)} for name, found in runs.items() for r in found]
                args.json.write_text(json.dumps(rows, indent=1))
    print_table(runs)


if __name__ == "__main__":
    main()
