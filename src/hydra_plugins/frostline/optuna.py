"""Optuna as Hydra's plugin runs it, made to live with cells that fail and to repeat itself."""

import logging
import math
import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig

SAMPLER_SEED = 0  # the same command tries the same values, so that a sweep can be resumed


class OptunaStudy(Sweeper):
    """hydra-optuna-sweeper's `OptunaSweeper`; what NaN a cell returns is a failed trial, which ends that one."""

    def __init__(self, **options: Any) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper  # may be missing until it is chosen

        self.study = OptunaSweeper(**options).sweeper

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """As Hydra wants it of a sweeper."""
        self.study.setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.study.launcher = Failing(self.study.launcher)
        sampler = config.hydra.sweeper.sampler
        if sampler._target_.endswith(".GridSampler"):  # a failed trial at its end raises, and the plugin lets it
            print(
                "hydra/sweeper/sampler=grid: every combination is what sweeper=basic tries; use that", file=sys.stderr
            )
            sys.exit(1)
        if "seed" in sampler and sampler.seed is None:
            self.study.sampler = instantiate(sampler, seed=SAMPLER_SEED)

    def sweep(self, arguments: list[str]) -> None:
        """Run the trials and write the best one to optimization_results.yaml."""
        try:
            self.study.sweep(arguments)
        except ValueError as error:
            if "No trials are completed" not in str(error):  # Optuna's words, where every trial failed
                raise
            print("Every trial failed, so there is no best one.", file=sys.stderr)


class Failing(Launcher):
    """A launcher whose cells' NaN becomes what Optuna's sweeper takes for a failure: nothing."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher

    def setup(self, **_: Any) -> None:
        """The launcher is set up already."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Launch the cells and look at what they return."""
        results = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        for result in results:
            value = result.return_value
            if isinstance(value, float) and math.isnan(value):
                result.return_value = None
        return results
