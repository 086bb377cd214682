"""One run's life as Hydra sees it: its state on disk, its errors as one line, its score for sweepers.

Nothing here imports torch, so that `--help` and `--cfg job` answer at once.
"""

import logging
import math
import os
import sys
import time
import traceback
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, MissingMandatoryValue

from frostline.errors import InputError, one_line
from frostline.sweep import ledger, names

log = logging.getLogger(__name__)
names.register()


def run(cfg: DictConfig) -> float:
    """Train in Hydra's output folder; returns the validation F1.

    An error is recorded and told in one line. A single run then exits with status 1; a cell returns NaN, because an
    exit would end the whole sweep, and the sweep's end sets the status.
    """
    started = time.perf_counter()
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    try:
        ledger.record(folder, ledger.RUNNING)
        from frostline.train import train  # imports torch: a second or more

        score = train(cfg, folder, started)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        _tell_failure(folder, error)
        if hydra.mode == RunMode.MULTIRUN:
            return math.nan
        sys.exit(1)
    except BaseException:  # Ctrl-C, or the SystemExit that Lightning makes of it
        ledger.record(folder, ledger.INTERRUPTED, "stopped from outside")
        log.error(f"Interrupted; what there is so far is in {folder}")
        raise
    ledger.record(folder, ledger.FINISHED)
    return score


def _tell_failure(folder: Path, error: Exception) -> None:
    error = slip(error)
    message = one_line(error)
    if not isinstance(error, InputError):
        file = folder / "traceback.txt"
        file.write_text(traceback.format_exc(), encoding="utf-8")
        message += f" (the traceback is in {file})"
    ledger.record(folder, ledger.FAILED, message)
    log.error(message)


def slip(error: Exception) -> Exception:
    """The user's slip behind an error: Hydra wraps what a constructor raises, and has its own for a missing value."""
    if isinstance(error, MissingMandatoryValue):
        return InputError(f"{error.full_key} is not given: set {error.full_key}=…")
    found: BaseException | None = error
    while found is not None and not isinstance(found, InputError):
        found = found.__cause__
    return found or error
