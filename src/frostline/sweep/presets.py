"""What conf/launcher/ and conf/sweeper/ need of Python: this machine's numbers, and a word on missing plugins."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from frostline import machine
from frostline.errors import not_installed


@dataclass(frozen=True)
class Plugin:
    """A package with a Hydra plugin, the extra that installs it, the choices it adds to Hydra's, ours that need it."""

    package: str
    extra: str
    adds: tuple[str, ...]
    ours: tuple[str, ...] = ()


PLUGINS = (
    Plugin("hydra_joblib_launcher", "joblib", ("hydra/launcher/joblib",)),
    Plugin(
        "hydra_submitit_launcher",
        "submitit",
        ("hydra/launcher/submitit_local", "hydra/launcher/submitit_slurm"),
        ("hydra/launcher/submitit_turns",),
    ),
    Plugin("hydra_ray_launcher", "ray", ("hydra/launcher/ray",)),
    Plugin("hydra_optuna_sweeper", "optuna", ("hydra/sweeper/optuna",)),
)


def register() -> None:
    """Make the presets' resolvers known, and the choices of missing plugins, so that `require` can say what to do."""
    for resolver in (machine.cells_at_once, machine.cores_per_cell, gpus_per_cell, show_gpus):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # cells say alike things, and each of them counts
    for plugin in PLUGINS:
        if _missing(plugin):
            for choice in plugin.adds:
                group, _, name = choice.rpartition("/")
                ConfigStore.instance().store(name, {"_target_": f"hydra_plugins.{plugin.package}.missing"}, group)


def require(choices: Mapping[str, str]) -> None:
    """InputError with the command that installs it where a choice (Hydra's group → name) is of a missing plugin."""
    for plugin in PLUGINS:
        for choice in plugin.adds + plugin.ours:
            group, _, name = choice.rpartition("/")
            if choices.get(group) == name and _missing(plugin):
                raise not_installed(f"{group}={name}", plugin.package.replace("_", "-"), plugin.extra)


def _missing(plugin: Plugin) -> bool:
    return find_spec(f"hydra_plugins.{plugin.package}") is None


def gpus_per_cell() -> int:
    """One where there is any."""
    return min(1, len(machine.gpus()))


def show_gpus() -> str:
    """A shell command that lets a process see the GPUs that this one sees."""
    visible = machine.visible_devices()
    return "unset CUDA_VISIBLE_DEVICES" if visible is None else f"export CUDA_VISIBLE_DEVICES={shlex.quote(visible)}"
