#!/usr/bin/env python
"""Texts per second of predict.py and of transformers' pipeline, on the same file, in turn, and whether labels agree.

    python benchmarks/vs_pipeline.py RUN --file texts.parquet

Each contestant is a process of its own in each round: Frostline labels the file into another one, as
`predict.py --file --out` does; the pipeline gets its texts as a list, `batch_size=32`, in the file's order, and then
sorted by length, which is the pipeline at its best. Seconds are those of labelling, Frostline's reading and writing
included; the models are loaded before. Printed: medians, ratios, and how many labels differ from Frostline's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from frostline.startup import quick_imports

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

CONTESTANTS = ("frostline", "pipeline", "pipeline, sorted")


def options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("run", type=Path, help="a run folder")
    cli.add_argument("--file", type=Path, required=True, help="csv, tsv, jsonl or parquet")
    cli.add_argument("--text-column", default="text")
    cli.add_argument("--rounds", type=int, default=3)
    cli.add_argument("--device", default="cpu")
    cli.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    return cli.parse_args()


def by_frostline(args: argparse.Namespace) -> tuple[float, list[str]]:
    """Seconds and labels."""
    with quick_imports():  # as predict.py does it
        from frostline import memory
        from frostline.predict import rows
        from frostline.predict.label import label
        from frostline.predict.predictor import Predictor

    memory.prepare()
    predictor = Predictor(args.run, args.device)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        began = time.perf_counter()
        label(predictor, rows.from_file(args.file), out, [args.text_column], [])
        seconds = time.perf_counter() - began
        return seconds, [json.loads(line)["prediction"] for line in out.read_text().splitlines()]


def by_pipeline(args: argparse.Namespace, by_length: bool) -> tuple[float, list[str]]:
    """Seconds and labels, in the file's order."""
    from transformers import pipeline

    from frostline.predict import rows
    from frostline.predict.folders import find

    texts = [row[args.text_column] for row in rows.from_file(args.file).open()]
    classify = pipeline("text-classification", model=str(find(args.run).model), device=args.device, batch_size=32)
    began = time.perf_counter()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i])) if by_length else list(range(len(texts)))
    found = classify([texts[i] for i in order], truncation=True)
    labels = {i: answer["label"] for i, answer in zip(order, found, strict=True)}
    return time.perf_counter() - began, [labels[i] for i in range(len(texts))]


def compete(args: argparse.Namespace) -> None:
    """Be one contestant: print one JSON object, last."""
    ours = args.contestant == "frostline"
    seconds, labels = by_frostline(args) if ours else by_pipeline(args, args.contestant.endswith("sorted"))
    print(json.dumps({"seconds": seconds, "labels": labels}))


def measured(args: argparse.Namespace, contestant: str) -> dict:
    command = [sys.executable, __file__, str(args.run), "--file", str(args.file), "--text-column", args.text_column]
    done = subprocess.run(
        [*command, "--device", args.device, "--contestant", contestant], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    args = options()
    if args.contestant:
        compete(args)
        return
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    labels: dict[str, list[str]] = {}
    for number in range(1, args.rounds + 1):
        for name in CONTESTANTS:
            found = measured(args, name)
            seconds[name].append(found["seconds"])
            labels[name] = found["labels"]
            print(f"round {number}, {name}: {found['seconds']:.2f} s", file=sys.stderr)
    texts = len(labels["frostline"])
    print(f"{texts:,} texts of {args.file.name}, medians of {args.rounds} rounds, on {args.device}, "
          f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}\n")  # fmt: skip
    print("| by | texts/s | × | other labels |")
    print("| --- | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        ratio = median(taken) / median(seconds["frostline"])
        other = sum(ours != theirs for ours, theirs in zip(labels["frostline"], labels[name], strict=True))
        print(f"| {name} | {texts / median(taken):.0f} | {ratio:.2f} | {other} |")


if __name__ == "__main__":
    main()
