#!/usr/bin/env python
"""Whether two cores share a cache at the moment: why one and the same run takes longer now than a minute ago.

    python benchmarks/cores.py --seconds 60

A virtual machine's cores can be moved, within seconds, to places that share no last-level cache. What one core wrote
and the other goes on with then takes about three times as long to fetch, and training steps up to a fifth longer; a
product alone loses a few percent. Printed, once a second: microseconds of writing 2 MB anew, where the other core
wrote them last and where the same one did. About alike: one cache. Linux only.
"""

import argparse
import os
import time
from statistics import median

import torch

MIB = 2
TIMES = 40


def rewriting(cores: list[int]) -> tuple[float, float]:
    """Microseconds of writing what the other core wrote last, and what the same core did; medians."""
    values = torch.ones(MIB * 2**20 // 4)
    others, own = [], []
    for core in cores * TIMES:
        os.sched_setaffinity(0, {core})
        others.append(written(values))
        own.append(written(values))
    return median(others[2:]), median(own[2:])


def written(values: torch.Tensor) -> float:
    began = time.perf_counter()
    values.mul_(1.0)
    return (time.perf_counter() - began) * 1e6


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--seconds", type=int, default=10)
    args = cli.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("cores.py compares two cores, and this process may use one only")
    torch.set_num_threads(1)
    print("| s | written by the other core, µs | by the same one, µs | × |")
    print("| ---: | ---: | ---: | ---: |")
    for second in range(args.seconds):
        other, own = rewriting(cores)
        print(f"| {second} | {other:.0f} | {own:.0f} | {other / own:.1f} |", flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
