#!/usr/bin/env python
"""Milliseconds of a full fine-tuning step on a GPU: kernels launched one at a time, and recorded as one CUDA graph.

    python benchmarks/gpu_step.py --lengths 32,56 --kernels

bert-base with random weights, 16 texts a batch, bf16; forward and backward pass, clipping and AdamW. Three ways: plain
(each kernel launched by Python), recorded (the same kernels in one launch), lean (recorded as runs do it: fewer
kernels, weights' gradients on a stream of their own). They take turns; printed is the median of the turns. With
--kernels, the lean step's kernels by time, from torch's profiler.
"""

import argparse
import sys
from argparse import Namespace
from collections.abc import Callable
from statistics import median

import models
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoModelForSequenceClassification

from frostline.model.anatomy import Anatomy
from frostline.model.classifier import Classifier
from frostline.model.first_token import shorten
from frostline.model.graphs import Graphs
from frostline.model.optim import LinearDecayAdamW

BATCH, STEPS, TURNS = 16, 50, 5
WAYS = ("plain", "recorded", "lean")


def batch(length: int) -> dict[str, torch.Tensor]:
    """Random tokens, one of them hidden."""
    mask = torch.ones(BATCH, length, dtype=torch.long)
    mask[0, -1] = 0
    made = {
        "input_ids": torch.randint(1000, 20000, (BATCH, length)),
        "attention_mask": mask,
        "labels": torch.arange(BATCH) % 2,
    }
    return {name: tensor.cuda() for name, tensor in made.items()}


def stepper(way: str, args: argparse.Namespace) -> Callable[[dict[str, torch.Tensor]], None]:
    """A function that takes one step on a batch, with a network of its own."""
    network = AutoModelForSequenceClassification.from_pretrained(args.folder, num_labels=2).cuda().train()
    shorten(network, Anatomy.of(network))
    classifier = Classifier(network, LinearDecayAdamW())
    optimizer = classifier.recipe.optimizer(classifier.parts())
    classifier.trainer = Namespace(optimizers=[optimizer], gradient_clip_val=1.0, gradient_clip_algorithm=None)
    graphs = None if way == "plain" else Graphs(classifier, BATCH, lean=way == "lean")

    def step(given: dict[str, torch.Tensor]) -> None:
        with torch.autocast("cuda", torch.bfloat16):
            loss = (graphs or classifier.loss)(given)
        if loss.requires_grad:
            loss.backward()
            classifier.configure_gradient_clipping(optimizer, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    return step


def milliseconds(step: Callable, given: dict[str, torch.Tensor]) -> float:
    """A step's, over many."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(STEPS):
        step(given)
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / STEPS


def print_kernels(step: Callable, given: dict[str, torch.Tensor], steps: int = 10) -> None:
    """The kernels of a step, those that take the most time first."""
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        for _ in range(steps):
            step(given)
        torch.cuda.synchronize()
    rows = sorted(found.key_averages(), key=lambda row: -row.self_device_time_total)
    print(f"\n{sum(row.count for row in rows) / steps:.0f} kernels a step\n\n| ms | times | µs each | kernel |")
    print("| ---: | ---: | ---: | --- |")
    for row in rows[:30]:
        each, ms = row.self_device_time_total / row.count, row.self_device_time_total / steps / 1e3
        print(f"| {ms:.3f} | {row.count / steps:.0f} | {each:.1f} | {row.key[:90]} |")


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--lengths", default="32,56", help="tokens a text, comma-separated")
    cli.add_argument("--model", choices=models.NAMES, default="bert-base", help="bert-base has random weights")
    cli.add_argument("--kernels", action="store_true", help="print the lean step's kernels, too")
    args = cli.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch sees no GPU: run this where there is one")
    torch.set_float32_matmul_precision("high")
    with models.folder(args.model) as args.folder:
        steppers = {way: stepper(way, args) for way in WAYS}
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    print(f"| tokens | {' ms | '.join(WAYS)} ms |\n| ---: | ---: | ---: | ---: |")
    for length in map(int, args.lengths.split(",")):
        given = batch(length)
        turns: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(-1, TURNS):  # the first one records, and is left out
            for way, step in steppers.items():
                taken = milliseconds(step, given)
                turns[way] += [taken] * (turn >= 0)
        print(f"| {length} | {' | '.join(f'{median(taken):.2f}' for taken in turns.values())} |", flush=True)
    if args.kernels:
        print_kernels(steppers["lean"], given)


if __name__ == "__main__":
    main()
