"""One run's life as Hydra sees it: its folder, its state on disk, its errors as one line, its score for sweepers.

Nothing here imports torch, so that `--help` and `--cfg job` answer at once.
"""

import contextlib
import logging
import math
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from frostline import places, secrets
from frostline.errors import InputError, one_line
from frostline.faults import told
from frostline.startup import quick_imports
from frostline.sweep import ledger, names, presets
from frostline.sweep.compose import require_inside
from frostline.sweep.identity import identify

log = logging.getLogger(__name__)
names.register()
presets.register()

STOPPED = ".stopped"  # in a sweep's folder: a cell failed, and sweep.fail_fast wants no more of them


def run(cfg: DictConfig) -> float:
    """Train in Hydra's output folder, or go on there; returns the validation F1, the stored one of a finished run.

    An error is recorded and told in one line. A single run then exits with status 1; a cell returns NaN, because an
    exit would end the whole sweep, and the sweep's end sets the status.
    """
    started = time.perf_counter()
    secrets.learn(OmegaConf.to_container(cfg, resolve=True))
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    sweep = Path(hydra.sweep.dir) if hydra.mode == RunMode.MULTIRUN else None
    if sweep and (sweep / STOPPED).exists():
        return math.nan
    try:
        if sweep:
            require_inside(sweep, folder)
        with ledger.claim(folder, identify(cfg), "hydra.sweep.dir" if sweep else "hydra.run.dir") as results:
            if results is None:
                _keep_config(cfg, folder)
                return _attempt(cfg, folder, started)
            if not sweep:
                log.info(f"{os.path.relpath(folder)} is finished; for another run choose another hydra.run.dir=…")
            return results["metrics"]["val/f1"]
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        log.error(one_line(told(error, cfg, folder, command_to_go_on(hydra))))
        if sweep is None:
            sys.exit(1)
        if cfg.sweep.fail_fast:
            (sweep / STOPPED).touch()
        return math.nan


def _attempt(cfg: DictConfig, folder: Path, started: float) -> float:
    """Train, and record how it went."""
    try:
        _stop_on_sigterm()
        launcher = OmegaConf.to_container(HydraConfig.get().launcher, resolve=True)
        with places.place(launcher, cfg.trainer.accelerator, cfg.trainer.devices) as gpu:
            with quick_imports():
                from frostline import ranks, train

            ranks.use(gpu, cfg)
            devices = ranks.count(cfg)
            score = train.train(cfg, folder, started) if devices == 1 else ranks.train(cfg, folder, started, devices)
    except Exception as error:
        raise _recorded(folder, told(error, cfg, folder, command_to_go_on(HydraConfig.get()))) from error
    except BaseException as stop:  # Ctrl-C, SIGTERM, or the SystemExit that Lightning makes of it
        ledger.record(folder, ledger.INTERRUPTED, "stopped from outside")
        log.error(f"Interrupted. To go on from here: {command_to_go_on(HydraConfig.get())}")
        sys.exit(stop.code if isinstance(stop, SystemExit) and stop.code not in (0, 1, None) else 130)
    ledger.record(folder, ledger.FINISHED)
    return score


def _recorded(folder: Path, error: Exception) -> InputError:
    """Write a failure down; returns it as one line. The traceback of what nobody foresaw goes to a file."""
    message = one_line(error)
    # On a full disk the state stays `running`, which a dead process makes interrupted.
    with contextlib.suppress(OSError):
        if not isinstance(error, InputError):
            file = folder / "traceback.txt"
            file.write_text(secrets.redact(traceback.format_exc()), encoding="utf-8")
            message += f" (the traceback is in {file})"
        ledger.record(folder, ledger.FAILED, message)
    return InputError(message)


def command_to_go_on(hydra: DictConfig) -> str:
    """The command line of this process, with the output folder that Hydra's configuration names."""
    sweeping = hydra.mode == RunMode.MULTIRUN
    key, folder = ("hydra.sweep.dir", hydra.sweep.dir) if sweeping else ("hydra.run.dir", hydra.runtime.output_dir)
    given = [argument for argument in secrets.redacted(sys.argv) if not argument.startswith(f"{key}=")]
    return f"python {shlex.join(given)} {shlex.quote(f'{key}={os.path.relpath(folder)}')}"


def _keep_config(cfg: DictConfig, folder: Path) -> None:
    """The composed configuration and the overrides, in `.hydra/` as Hydra itself would, but without secrets."""
    hydra = HydraConfig.instance().cfg.hydra
    kept = {"config": cfg, "hydra": OmegaConf.create({"hydra": hydra}), "overrides": hydra.overrides.task}
    for name, part in kept.items():
        plain = secrets.redacted(OmegaConf.to_container(part, resolve=False))
        ledger.write(folder / ".hydra" / f"{name}.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))


def _stop_on_sigterm() -> None:
    """End on SIGTERM as on Ctrl-C: what is written stays whole, the state is recorded."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
