"""What happens around a run or a sweep, as a Hydra callback: refuse a used folder, count the cells, show the table."""

import contextlib
import math
import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

from frostline.errors import InputError
from frostline.sweep import ledger, report


class SweepHooks(Callback):
    """Hydra turns an exception of a callback into a warning, so a refusal here is a SystemExit."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.started = time.perf_counter()

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        _refuse_used(Path(config.hydra.run.dir), "hydra.run.dir", ledger.STATE)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        _refuse_used(Path(config.hydra.sweep.dir), "hydra.sweep.dir", f"*/{ledger.STATE}")
        swept, fixed = _axes(config)
        if "basic" in config.hydra.sweeper._target_.lower():  # other sweepers choose as they go
            self.total = math.prod(len(values) for values in swept.values())
        if swept:
            _name_cells_by(config, fixed)
            if "trunk" not in {*swept, *fixed}:
                _add(config, f"++trunk.also=[{','.join(_depths(swept))}]")

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        if OmegaConf.select(config, "hydra.mode").name != "MULTIRUN":
            return
        self.done += 1
        of = f"/{self.total}" if self.total else ""
        folder = Path(config.hydra.runtime.output_dir)
        print(f"[{self.done}{of}] {folder.name}: {_outcome(folder)}{self._time_left()}", flush=True)

    def _time_left(self) -> str:
        if not self.total or self.done >= self.total:
            return ""
        seconds = (time.perf_counter() - self.started) / self.done * (self.total - self.done)
        return f" · about {duration(seconds)} left"

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        with contextlib.suppress(InputError):  # no cell has results: what failed is told below
            print(report.write([sweep], sweep).text())
            print(f"\nThe page: {sweep / report.PAGE} · every cell: {sweep / report.CSV}")
        print(f"Curves: tensorboard --logdir {sweep}")
        failed = [folder for folder in ledger.cells(sweep) if ledger.state(folder)["state"] != ledger.FINISHED]
        if failed:
            for folder in failed:
                print(f"{folder.name}: {_outcome(folder)}", file=sys.stderr)
            print(f"{len(failed)} of {len(ledger.cells(sweep))} cells did not finish.", file=sys.stderr)
            raise SystemExit(1)


def _refuse_used(folder: Path, option: str, marks: str) -> None:
    if next(folder.glob(marks), None) is not None:
        print(f"{folder} already holds another run: choose an empty folder with {option}=…", file=sys.stderr)
        raise SystemExit(1)


def _axes(config: DictConfig) -> tuple[dict[str, list[str]], list[str]]:
    """Keys that the sweep varies, with their values, and keys that it fixes."""
    params = OmegaConf.to_container(config.hydra.sweeper, resolve=True).get("params") or {}
    given = [f"{key}={value}" for key, value in params.items()] + list(config.hydra.overrides.task)
    # As in Hydra's sweeper, what the command line says of a key takes the place of the sweeper's own parameter.
    overrides = {o.get_key_element(): o for o in OverridesParser.create().parse_overrides(given)}
    swept = {key: _values(override) for key, override in overrides.items() if override.is_sweep_override()}
    return swept, [key for key in overrides if key not in swept]


def _values(override: Override) -> list[str]:
    """What a sweep gives a key; nothing for a glob, which Hydra resolves later."""
    if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        return []
    return list(override.sweep_string_iterator())


def _name_cells_by(config: DictConfig, fixed: list[str]) -> None:
    """A cell's name holds what differs between cells: the keys that all share are left out of it."""
    with read_write(config.hydra.job.config.override_dirname):
        config.hydra.job.config.override_dirname.exclude_keys += [*fixed, "trunk.also"]
    excluded = ",".join(config.hydra.job.config.override_dirname.exclude_keys)
    _add(config, f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]")


def _add(config: DictConfig, override: str) -> None:
    """One more override for every cell; this list is what Hydra composes each of them from."""
    with read_write(config.hydra.overrides):
        config.hydra.overrides.hydra.append(override)


def _depths(swept: dict[str, list[str]]) -> list[str]:
    """The freeze policies of all cells by name, so that one pass over the texts can serve them all."""
    names = [name for name in swept.get("freeze", []) if name != "top"]
    return names + [f"top{n}" for n in swept.get("freeze.n", [])]


def _outcome(folder: Path) -> str:
    state = ledger.state(folder) or {"state": "never started", "reason": None}
    if state["state"] != ledger.FINISHED:
        return f"{state['state']}: {state['reason']}" if state["reason"] else state["state"]
    results = ledger.read_json(folder / ledger.METRICS)
    score = results["metrics"].get("test/f1", results["metrics"].get("val/f1"))
    return f"F1 {score:.3f} · {duration(results['timing']['total_seconds'])}"


def duration(seconds: float) -> str:
    """`43 s`, `2 min 5 s` or `1 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
