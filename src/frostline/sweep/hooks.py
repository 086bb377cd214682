"""What happens around a run or a sweep, as a Hydra callback: refuse a used folder, count the cells, show the table."""

import math
import sys
import time
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

from frostline.display import rendered
from frostline.sweep import ledger, table


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
        swept, fixed, self.total = _axes(config)
        if swept:  # a cell's name holds what differs between cells
            with read_write(config.hydra.job.config.override_dirname):
                config.hydra.job.config.override_dirname.exclude_keys += fixed
            excluded = ",".join(config.hydra.job.config.override_dirname.exclude_keys)
            with read_write(config.hydra.overrides):
                config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]")

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
        rows = table.collect([sweep])
        table.write_csv(rows, sweep / "sweep.csv")
        if rows:
            print(rendered(table.summary(rows)).rstrip())
        print(f"Every cell: {sweep / 'sweep.csv'} · curves: tensorboard --logdir {sweep}")
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


def _axes(config: DictConfig) -> tuple[list[str], list[str], int | None]:
    """Keys that the sweep varies, keys that it fixes, and how many cells the varied ones make."""
    given = list(config.hydra.overrides.task)
    params = OmegaConf.to_container(config.hydra.sweeper, resolve=True).get("params") or {}
    given += [f"{key}={value}" for key, value in params.items()]
    swept: dict[str, int] = {}
    fixed: list[str] = []
    for override in OverridesParser.create().parse_overrides(given):
        if override.is_sweep_override():
            swept[override.get_key_element()] = sum(1 for _ in override.sweep_iterator())
        else:
            fixed.append(override.get_key_element())
    return list(swept), fixed, math.prod(swept.values()) if "basic" in config.hydra.sweeper._target_.lower() else None


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
