#!/usr/bin/env python
"""How much of what this CPU can multiply the trunk and the fit use.

    python benchmarks/limits.py --data FOLDER

FOLDER holds train.parquet, validation.parquet and test.parquet with `text` and `label`. The machine's rate is that of a
large fp32 matrix product, by the faster of torch's two libraries; the work is counted by torch's FlopCounterMode, for
each shape of batch once, padding included; the seconds are those of `python train.py`, run in between: MiniLM, one
epoch of `none`, then of `top2` with an empty trunk cache. Printed: GFLOP/s and their share of the machine's rate.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from frostline.data.batches import loader
from frostline.data.text import TextData
from frostline.freeze.callback import apply
from frostline.model import kernels
from frostline.model.anatomy import max_positions
from frostline.model.classifier import Classifier
from frostline.train import load_data, load_model
from frostline.trunk.keep import fill_batches
from frostline.trunk.split import Rest, boundary, trunk_outputs

ROOT = Path(__file__).parents[1]
SIZE = 2048


def machine_rate() -> float:
    """GFLOP/s of a 2048 × 2048 × 2048 fp32 product, by torch's own way or by oneDNN's, whichever is faster."""
    a, b = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    ways: list[Callable[[], object]] = [lambda: a @ b]
    if kernels.choose("auto") == "amd":
        fast = torch.nn.Sequential(torch.nn.Linear(SIZE, SIZE, bias=False)).requires_grad_(False)
        kernels.use("amd", fast)
        ways.append(lambda: fast(a))
    seconds = [median(list(timed(way, 15))[3:]) for way in ways]
    return 2 * SIZE**3 / min(seconds) / 1e9


def timed(way: Callable[[], object], times: int) -> Iterator[float]:
    for _ in range(times):
        began = time.perf_counter()
        way()
        yield time.perf_counter() - began


def overrides(data: Path, freeze: str) -> list[str]:
    return ["model=minilm", "data=files", f"data.path={data.resolve()}", f"freeze={freeze}", "seed=1"]


def counted(work: Callable[[dict], object], batches: DataLoader) -> float:
    """GFLOP of `work` over all `batches`, each shape counted once."""
    shapes: Counter[torch.Size] = Counter()
    samples: dict[torch.Size, dict] = {}
    for batch in batches:
        shape = batch["attention_mask"].shape
        shapes[shape] += 1
        samples.setdefault(shape, batch)
    total = 0
    for shape, batch in samples.items():
        with FlopCounterMode(display=False) as counter:
            work(batch)
        total += counter.get_total_flops() * shapes[shape]
    return total / 1e9


def gigaflops(data_folder: Path, freeze: str) -> tuple[float, float]:
    """What the trunk's filling for the training texts takes, and one epoch of fitting."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [*overrides(data_folder, freeze), "kernels=torch"])
    data: TextData = load_data(cfg)
    tokenizer, network, anatomy = load_model(cfg, data)
    data.tokenize(tokenizer, max_positions(network))
    policy = instantiate(cfg.freeze)
    apply(policy, network, anatomy)
    network.train()
    texts = data.tokens("train")
    data.limit_lengths(kernels.choose("auto") == "amd")  # as the run does, whose own kernels cannot be counted
    if freeze == "none":
        return 0.0, counted(step(Classifier(network, instantiate(cfg.optimizer))), data.train_dataloader())
    at = boundary(policy.trains(anatomy), anatomy)
    filling = loader(texts, fill_batches(texts, torch.device("cpu"), apart=True))
    trunk = counted(lambda batch: trunk_outputs(network, anatomy, [at], batch), filling)
    classifier = Classifier(network, instantiate(cfg.optimizer), Rest(network, anatomy, at))

    def rest_step(batch: dict) -> None:
        width = network.config.hidden_size
        kept = {**batch, "kept": torch.randn(*batch["attention_mask"].shape, width)}
        step(classifier)(kept)

    return trunk, counted(rest_step, data.train_dataloader())


def step(classifier: Classifier) -> Callable[[dict], None]:
    """Forward and backward of one batch."""
    return lambda batch: F.cross_entropy(classifier(batch), batch["labels"]).backward()


def seconds(data: Path, freeze: str) -> tuple[float, float]:
    """Trunk and fit seconds of one run with an empty trunk cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", *overrides(data, freeze), "test=false", "callbacks=none"]
        command += [f"hydra.run.dir={folder}/run", f"trunk.dir={folder}/trunk"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        timing = json.loads(Path(folder, "run", "metrics.json").read_text())["timing"]
    return timing["trunk_seconds"], timing["fit_seconds"]


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--data", required=True, type=Path, help="a folder with train, validation and test .parquet")
    args = cli.parse_args()
    print("| work | GFLOP | s | GFLOP/s | of the machine's product |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for freeze in ("none", "top2"):
        work, rates = gigaflops(args.data, freeze), [machine_rate()]
        spent = seconds(args.data, freeze)
        rate = median([*rates, machine_rate()])
        for name, flop, took in zip(("trunk", "fit"), work, spent, strict=True):
            if flop:
                share = flop / took / rate
                print(f"| {freeze}, {name} | {flop:,.0f} | {took:.1f} | {flop / took:.0f} | {share:.2f} |")
        print(f"| a product of 2048 × 2048 | | | {rate:.0f} | 1.00 |")


if __name__ == "__main__":
    main()
