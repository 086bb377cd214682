"""`python serve.py`: the page on this machine alone, until Ctrl-C."""

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from frostline.errors import InputError, not_installed
from frostline.startup import quick_imports

PORT = 7860


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    cli = argparse.ArgumentParser(
        prog="serve.py",
        description="A page to try sentences on: the probabilities, which words decided, and for a sweep every freeze "
        "depth's opinion side by side, with what it cost to train. (extra: serve)",
        epilog="python serve.py multirun/2026-11-23/15-00-00",
    )
    cli.add_argument("folder", type=Path, metavar="DIR", help="a run's folder, a model/ folder, or a sweep's")
    cli.add_argument("--host", default="127.0.0.1", help="default: this machine alone; 0.0.0.0 lets others in")
    cli.add_argument("--port", type=int, default=PORT, help="default: %(default)s")
    cli.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1, mps")
    return cli.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry: serves until Ctrl-C; exit status 1 and one line where something given is wrong."""
    options = parse(arguments)
    try:
        address = _start(options)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    print(f"{address} (Ctrl-C ends it)", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("Ended.")


def _start(options: argparse.Namespace) -> str:
    """Load every model, then open the port; returns the page's address."""
    if find_spec("gradio") is None:
        raise not_installed("serve.py", "gradio", "serve")
    if not 1 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: use a number from 1 to 65535, such as {PORT}")
    with quick_imports():
        from frostline.serve.app import launch
        from frostline.serve.judges import benches

    found = benches(options.folder, options.device)
    judges = [judge for bench in found for judge in bench.judges]
    print(f"Loading {len(judges)} {'model' if len(judges) == 1 else 'models'}…", flush=True)
    for judge in judges:
        _ = judge.predictor
    try:
        return launch(found, options.host, options.port)
    except OSError as error:
        where = f"--host {options.host} --port {options.port}"
        raise InputError(f"{where} is taken, or no address of this machine: choose another with --port") from error
