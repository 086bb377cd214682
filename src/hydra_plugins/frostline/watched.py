"""A launcher around the chosen one: when that one gives up, the sweep still ends with its table and its command."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from frostline.cell import command_to_go_on
from frostline.errors import one_line


def watch(config: DictConfig) -> None:
    """Put a `Watched` around the launcher of a sweep that is about to begin."""
    chosen = OmegaConf.to_container(config.hydra.launcher, resolve=True)
    target = f"{Watched.__module__}.{Watched.__name__}"
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.launcher = {"_target_": target, "_recursive_": False, "launcher": chosen}


class Watched(Launcher):
    """A process that dies takes its launcher's whole batch along (joblib, submitit), with a traceback and no table:
    here its cells count as not finished, and the sweep comes to its end.
    """

    def __init__(self, launcher: DictConfig) -> None:
        self.chosen = launcher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Make the chosen launcher, as Hydra would."""
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.launcher = self.chosen
        self.hydra = config.hydra
        self.launcher = Plugins.instance().instantiate_launcher(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch the cells; NaN for all of them where the launcher gives up."""
        try:
            return self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        except KeyboardInterrupt:
            print(f"Interrupted. To go on from here: {command_to_go_on(self.hydra)}", file=sys.stderr)
            sys.exit(130)
        except Exception as error:
            print(f"The launcher gave up: {one_line(error)[:300]}", file=sys.stderr)
            return [_lost(overrides) for overrides in job_overrides]


def _lost(overrides: Sequence[str]) -> Any:
    lost = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
    lost.return_value = math.nan
    return lost
