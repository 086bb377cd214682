"""What happens around a run or a sweep, as a Hydra callback: refuse a used folder, count the cells, show the answer."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from frostline import options
from frostline.cell import STOPPED
from frostline.errors import InputError, one_line
from frostline.faults import slip
from frostline.folders import require_writable, usable
from frostline.report import assemble as report
from frostline.sweep import compose, ledger, presets
from frostline.sweep.identity import identify, settings
from hydra_plugins.frostline.watched import watch

SWEEP = "sweep.json"


class SweepHooks(Callback):
    """Hydra turns an exception of a callback into a warning, so a refusal here is a SystemExit."""

    def __init__(self) -> None:
        self.cells: list[Path] = []  # known beforehand where the sweeper is Hydra's own
        self.seconds: dict[Path, float] = {}  # what each cell took that ran in this process
        self._began = time.perf_counter()
        self._done_before = False

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.run.dir)
        with _refusing(), usable(folder, "hydra.run.dir"):
            options.check(config.sweep, "sweep")
            ledger.require_same(folder, identify(config), "hydra.run.dir")
            if config.sweep.dry_run:
                _dry_run({folder: config})
            require_writable(folder, "hydra.run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        with _refusing(), usable(sweep, "hydra.sweep.dir"):
            presets.require(config.hydra.runtime.choices)
            compose.hide_secrets(config)
            options.check(config.sweep, "sweep")
            for part in ("launcher", "sweeper"):
                options.check(OmegaConf.to_container(config.hydra[part], resolve=True), f"hydra.{part}")
            compose.require_inside(sweep, sweep / OmegaConf.to_container(config.hydra.sweep)["subdir"])
            swept = list(compose.axes(config)[0])
            _require_same_sweep(sweep, config, swept)
            compose.prepare(config)
            cells = compose.cells(config) if compose.is_basic(config) else {}
            for folder, cell in cells.items():
                compose.require_inside(sweep, folder)
                ledger.require_same(folder, identify(cell), "hydra.sweep.dir")
            if config.sweep.dry_run and compose.plans_itself(config):
                return
            if config.sweep.dry_run:
                _dry_run(cells)
            self.cells = list(cells)
            require_writable(sweep, "hydra.sweep.dir")
            _begin(sweep, config, swept)
            watch(config)

    def on_job_start(self, config: DictConfig, **_: Any) -> None:
        self._done_before = (Path(config.hydra.runtime.output_dir) / ledger.METRICS).exists()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        folder = Path(config.hydra.runtime.output_dir)
        if OmegaConf.select(config, "hydra.mode").name != "MULTIRUN" or not (folder / ledger.STATE).exists():
            return
        job_return.cfg = job_return.hydra_cfg = None  # 180 KB that Hydra would hold until the sweep's end
        now = time.perf_counter()
        if not self._done_before:
            self.seconds[folder] = now - self._began
        self._began = now
        number, of = config.hydra.job.num + 1, f"/{len(self.cells)}" if self.cells else ""
        more = " · done before" if self._done_before else self._time_left(config, number)
        print(f"[{number}{of}] {folder.name}: {_outcome(folder)}{more}", flush=True)

    def _time_left(self, config: DictConfig, number: int) -> str:
        side_by_side = "basic" not in config.hydra.launcher._target_.lower()
        if number >= len(self.cells) or side_by_side:
            return ""
        left = [folder for folder in self.cells[number:] if not (folder / ledger.METRICS).exists()]
        return f" · about {duration(seconds_left(left, self.seconds))} left"

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        sweep = Path(config.hydra.sweep.dir)
        try:
            print(report.write([sweep], sweep).text())
            print(f"\nThe page: {sweep / report.PAGE} · every cell: {sweep / report.CSV}")
        except InputError as error:  # no cell has results, or the folder cannot be written
            print(error, file=sys.stderr)
        print(f"Curves: tensorboard --logdir {sweep}")
        _end_with_failures(sweep, self.cells or ledger.cells(sweep))


def seconds_left(left: Sequence[Path], seconds: Mapping[Path, float]) -> float:
    """What the cells that are left will take, each as long as those of its depth did, or as all did on average."""
    by_depth: dict[str, list[float]] = {}
    for folder, took in seconds.items():
        by_depth.setdefault(_depth(folder), []).append(took)
    return sum(mean(by_depth.get(_depth(folder), seconds.values())) for folder in left)


def _depth(folder: Path) -> str:
    """The part of a cell's name that tells its depth."""
    return ",".join(part for part in folder.name.split(",") if part.startswith(("freeze=", "freeze.")))


@contextmanager
def _refusing() -> Iterator[None]:
    """A block whose errors become one line and exit status 1."""
    try:
        yield
    except Exception as error:
        print(one_line(slip(error)), file=sys.stderr)
        raise SystemExit(1) from error


def _dry_run(cells: dict[Path, DictConfig]) -> None:
    """Show what would run, and end."""
    if not cells:
        raise InputError("sweep.dry_run=true, but this sweeper chooses its cells as it goes: use sweeper=basic")
    from frostline.plan import show  # imports torch

    show(cells)
    raise SystemExit(0)


def _require_same_sweep(sweep: Path, config: DictConfig, swept: list[str]) -> None:
    """InputError where the folder holds another sweep; with more values of what is swept it is the same one still."""
    before = ledger.read_json(sweep / SWEEP)
    if before is None:
        if ledger.cells(sweep):
            raise InputError(f"{sweep} already holds other runs: choose an empty folder with hydra.sweep.dir=…")
        return
    axes = {*before["swept"], *swept}
    then, now = before["settings"], _shared(config)
    for key in sorted({*then, *now}):
        varies = any(key == axis or key.startswith(f"{axis}.") for axis in axes)
        if not varies and then.get(key) != now.get(key):
            chosen = key.removesuffix("._target_")
            differs = f"another {chosen}=…" if chosen != key else f"{key}={then.get(key)} there, {now.get(key)} here"
            raise InputError(
                f"{sweep} already holds another sweep ({differs}): "
                "give the same options, or choose an empty folder with hydra.sweep.dir=…"
            )


def _begin(sweep: Path, config: DictConfig, swept: list[str]) -> None:
    """Write down what the sweep is; further values of its axes may come later."""
    sweep.mkdir(parents=True, exist_ok=True)
    (sweep / STOPPED).unlink(missing_ok=True)
    before = ledger.read_json(sweep / SWEEP) or {"swept": []}
    axes = sorted({*before["swept"], *swept})
    ledger.write_json(sweep / SWEEP, {"swept": axes, "settings": _shared(config), "command": sys.argv})


def _shared(config: DictConfig) -> dict[str, Any]:
    """What the cells have in common, in a form that comes back from JSON as it went."""
    plain = (str, int, float, bool, type(None))
    return {key: value if isinstance(value, plain) else str(value) for key, value in settings(config).items()}


def _end_with_failures(sweep: Path, cells: list[Path]) -> None:
    """Name what did not finish and exit with status 1, if anything did not."""
    states = {folder: ledger.state(folder) for folder in cells}
    left = [folder for folder, found in states.items() if found is None or found["state"] != ledger.FINISHED]
    if not left:
        return
    for folder in left:
        print(f"{folder.name}: {_outcome(folder)}", file=sys.stderr)
    stopped = " (sweep.fail_fast=true ended it)" if (sweep / STOPPED).exists() else ""
    print(
        f"{len(left)} of {len(cells)} cells did not finish{stopped}. "
        f"The same command with hydra.sweep.dir={os.path.relpath(sweep)} runs these alone.",
        file=sys.stderr,
    )
    raise SystemExit(1)


def _outcome(folder: Path) -> str:
    found = ledger.state(folder) or {"state": "not started", "reason": None}
    if found["state"] != ledger.FINISHED:
        return f"{found['state']}: {found['reason']}" if found["reason"] else found["state"]
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
