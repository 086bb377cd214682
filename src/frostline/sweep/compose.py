"""A sweep's cells as Hydra will compose them: what varies, what each is called, and its configuration."""

import os
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from frostline import secrets
from frostline.errors import InputError


def is_basic(config: DictConfig) -> bool:
    """Whether the sweep is every combination of the values given; other sweepers choose as they go."""
    return "basic" in config.hydra.sweeper._target_.lower()


def plans_itself(config: DictConfig) -> bool:
    """Whether the sweeper shows its own cells in a dry run."""
    return config.hydra.sweeper._target_.endswith("DepthStudy")


def axes(config: DictConfig) -> tuple[dict[str, list[str]], list[str]]:
    """Keys that the sweep varies, with their values, and keys that it fixes."""
    overrides = {override.key_or_group: override for override in _overrides(config)}
    swept = {key: _values(override) for key, override in overrides.items() if override.is_sweep_override()}
    return swept, [key for key in overrides if key not in swept]


def prepare(config: DictConfig) -> None:
    """Name each cell by what differs between cells, and let one trunk pass serve all of their depths."""
    swept, fixed = axes(config)
    if not swept:
        return
    with read_write(config.hydra.job.config.override_dirname):
        config.hydra.job.config.override_dirname.exclude_keys += [*fixed, "trunk.also"]
    excluded = ",".join(config.hydra.job.config.override_dirname.exclude_keys)
    _add(config, f"hydra.job.config.override_dirname.exclude_keys=[{excluded}]")
    if "trunk" not in {*swept, *fixed}:
        _add(config, f"++trunk.also=[{','.join(_depths(swept))}]")


def cells(config: DictConfig) -> dict[Path, DictConfig]:
    """Folder → configuration of each cell of a basic sweep; InputError where two would share a folder."""
    loader = GlobalHydra.instance().config_loader()
    found: dict[Path, DictConfig] = {}
    for number, overrides in enumerate(BasicSweeper.split_arguments(_overrides(config), None)[0]):
        cell = loader.load_sweep_config(config, overrides)
        with open_dict(cell):
            cell.hydra.job.num = number
        folder = Path(cell.hydra.sweep.dir) / cell.hydra.sweep.subdir
        if folder in found:
            raise InputError(f"two cells of the sweep are called {folder.name}: give each value of an option once")
        found[folder] = cell
    return found


def hide_secrets(config: DictConfig) -> None:
    """Hand secrets to the cells through the environment: Hydra and its launchers write overrides into files.

    To be called before the sweeper gets the configuration. InputError for a sweep over a secret.
    """
    hidden: dict[int, str] = {}
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    for place, override in enumerate(parser.parse_overrides(_given(config))):
        if override.value_type is None or override.is_delete() or not secrets.is_secret(override.key_or_group):
            continue
        if override.is_sweep_override():
            raise InputError(f"{override.key_or_group} is a secret, and a sweep over it would write it: give one value")
        variable = f"FROSTLINE_SECRET_{place}"
        os.environ[variable] = str(override.value())
        hidden[place] = f"{override.get_key_element()}=${{oc.env:{variable}}}"
    secrets.learn(OmegaConf.to_container(config, resolve=False))
    plain = OmegaConf.to_container(config, resolve=False)
    shown = secrets.redacted(plain)
    shown["hydra"]["overrides"]["task"] = [
        hidden.get(place, given) for place, given in enumerate(plain["hydra"]["overrides"]["task"])
    ]
    with read_write(config.hydra), open_dict(config):
        for key in [key for key in plain if shown[key] != plain[key]]:
            config[key] = shown[key]


def require_inside(sweep: Path, folder: Path) -> None:
    """InputError for a cell's folder that is not in its sweep's: `hydra.sweep.subdir` may name any."""
    if sweep.resolve() not in folder.resolve().parents:
        raise InputError(
            f"hydra.sweep.subdir puts a cell into {folder}, outside of the sweep's folder {sweep}: "
            "give a name without .., or leave it out"
        )


def _given(config: DictConfig) -> list[str]:
    """The command line's overrides as they were given, what they refer to not looked up."""
    return OmegaConf.to_container(config.hydra.overrides.task, resolve=False)


def _overrides(config: DictConfig) -> list[Override]:
    """As Hydra's sweeper has them: the command line takes the place of the sweeper's own parameters."""
    params = OmegaConf.to_container(config.hydra.sweeper, resolve=True).get("params") or {}
    given = [f"{key}={value}" for key, value in params.items()] + _given(config)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    return list({override.get_key_element(): override for override in parser.parse_overrides(given)}.values())


def _values(override: Override) -> list[str]:
    """What a sweep gives a key; nothing for a range that a sweeper draws from."""
    if override.is_discrete_sweep() or override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        return list(override.sweep_string_iterator())
    return []


def _add(config: DictConfig, override: str) -> None:
    """One more override for every cell; this list is what Hydra composes each of them from."""
    with read_write(config.hydra.overrides):
        config.hydra.overrides.hydra.append(override)


def _depths(swept: dict[str, list[str]]) -> list[str]:
    """The freeze policies of all cells by name."""
    names = [name for name in swept.get("freeze", []) if name != "top"]
    return names + [f"top{n}" for n in swept.get("freeze.n", [])]
