"""Hydra's sweeper for depth studies: a learning rate for each depth, chosen on validation, then the test.

Hydra imports its plugins at every start and takes them from `hydra_plugins` alone: only what is light, and here.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from frostline.errors import InputError
from frostline.sweep import ledger, study

RATE, SEED, TEST, NAMING = "optimizer.lr", "seed", "test", "hydra.job.config.override_dirname.exclude_keys"
RESULT = "depth_study.json"


@dataclass(frozen=True)
class Combination:
    """Overrides that stand for one depth on one data set, and so on for whatever else is swept."""

    overrides: list[str]
    name: str
    grid: study.Grid


class DepthStudy(BasicSweeper):
    """Launches every learning rate of every combination of the swept keys with the first seed and `test=false`; then,
    at the rate whose returned score is the best, one cell for each seed.
    """

    def __init__(
        self,
        by_depth: DictConfig,
        learning_rates: Sequence[float] | None = None,
        max_batch_size: int | None = None,
        params: dict[str, str] | None = None,
    ) -> None:
        super().__init__(max_batch_size, params)
        self.by_depth = OmegaConf.to_container(by_depth, resolve=True)
        self.learning_rates = learning_rates
        self.launched = 0
        self.shared: set[str] = set()  # keys that all cells share, which their names do without

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run the study; `arguments` are the command line's overrides."""
        folder = Path(self.config.hydra.sweep.dir)
        try:
            combinations, seeds, test = self._axes([*self._parse_config(), *arguments])
        except InputError as error:
            print(error, file=sys.stderr)
            sys.exit(1)

        tries = [(each, rate) for each in combinations for rate in each.grid.rates]
        print(
            f"Depth study: {len(tries)} cells on validation choose {len(combinations)} learning rates; "
            f"{len(combinations) * len(seeds)} cells are tested at them.",
            flush=True,
        )
        grid = [[*each.overrides, *seeds[0], _rate(rate), f"{TEST}=false"] for each, rate in tries]
        if self.config.sweep.dry_run:
            self._dry_run(grid + [[*each.overrides, *seed, *test] for each in combinations for seed in seeds])
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        searched = self._launch(grid)
        scores = [(each, rate, _score(result)) for (each, rate), result in zip(tries, searched, strict=True)]
        choices = [
            study.Choice(each.name, each.grid.option, {rate: score for of, rate, score in scores if of is each})
            for each in combinations
        ]
        for choice in choices:
            print(choice.line(), file=sys.stdout if choice.rate else sys.stderr, flush=True)
        ledger.write_json(folder / RESULT, {"choices": [choice.record() for choice in choices]})

        chosen = [(each, _rate(choice.rate)) for each, choice in zip(combinations, choices, strict=True) if choice.rate]
        tested = self._launch([[*each.overrides, *seed, rate, *test] for each, rate in chosen for seed in seeds])
        return [searched, tested]

    def _axes(self, given: list[str]) -> tuple[list[Combination], list[list[str]], list[str]]:
        """The combinations of all keys but seed and test; each seed, and test, as overrides."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        # The later of two overrides of a key counts, as in Hydra's own sweeper.
        overrides = {override.key_or_group: override for override in parser.parse_overrides(given)}
        self.shared = {"trunk.also", *(key for key, each in overrides.items() if not each.is_sweep_override())}
        if RATE in overrides:
            raise InputError(f"{overrides[RATE].input_line}: a depth study chooses it; set {study.FOR_ALL}=[…] instead")
        seeds, tests = (_alone(overrides.pop(key, None)) for key in (SEED, TEST))
        if len(tests) > 1:
            raise InputError("test=true,false: a depth study tests at its end alone; test=false leaves that out")
        every = self.split_arguments(list(overrides.values()), None)[0]
        return [self._combination(each, seeds[0]) for each in every], seeds, tests[0]

    def _combination(self, overrides: list[str], seed: list[str]) -> Combination:
        """Finds the depth that these overrides mean, and the learning rates that it tries."""
        loader = self.hydra_context.config_loader
        cfg = loader.load_sweep_config(self.config, [*overrides, *seed])
        depth = cfg.hydra.runtime.choices.freeze
        if depth == "top" and not OmegaConf.is_missing(cfg.freeze, "n"):
            depth = f"top{cfg.freeze.n}"
        grid = study.grid(depth, self.learning_rates, self.by_depth, loader.get_group_options("freeze"))
        name = ",".join(sorted(o for o in overrides if o.partition("=")[0].lstrip("+~") not in self.shared))
        return Combination(overrides, name or f"freeze={depth}", grid)

    def _dry_run(self, cells: list[list[str]]) -> None:
        """Show the cells, those to be tested without the learning rate that is yet to be chosen, and end."""
        from frostline.plan import show  # imports torch

        loader = self.hydra_context.config_loader
        found = [loader.load_sweep_config(self.config, cell) for cell in self._named(cells)]
        show({Path(cell.hydra.sweep.dir) / cell.hydra.sweep.subdir: cell for cell in found})
        sys.exit(0)

    def _named(self, cells: list[list[str]]) -> list[list[str]]:
        """The cells, called by what differs between them."""
        shown = f"{NAMING}=[{','.join(sorted(self.shared - {RATE, TEST}))}]"
        return [[*cell, shown] for cell in cells]

    def _launch(self, cells: list[list[str]]) -> list[JobReturn]:
        """Run cells through the configured launcher, side by side as far as that one does."""
        results: list[JobReturn] = []
        cells = self._named(cells)
        self._expect(cells)
        for batch in self.split_overrides_to_chunks(cells, self.max_batch_size) if cells else []:
            results += self.launcher.launch(batch, initial_job_idx=self.launched)
            self.launched += len(batch)
        return results

    def _expect(self, cells: list[list[str]]) -> None:
        """Tell the callback that counts cells of these; raises what Hydra does where one cannot be composed."""
        found = [self.hydra_context.config_loader.load_sweep_config(self.config, cell).hydra.sweep for cell in cells]
        for callback in self.hydra_context.callbacks.callbacks:
            if hasattr(callback, "cells"):
                callback.cells += [Path(sweep.dir) / sweep.subdir for sweep in found]


def _rate(rate: float) -> str:
    return f"{RATE}={rate!r}"


def _alone(override: Override | None) -> list[list[str]]:
    """One key's overrides, each as a list of its own; one empty list where it is not given."""
    return [[]] if override is None else BasicSweeper.split_arguments([override], None)[0]


def _score(result: JobReturn) -> float:
    """What the cell returned; NaN for nothing. Raises what a cell raised."""
    value = result.return_value
    return math.nan if value is None else float(value)
