"""Every yaml under conf/ is composed and made into its object, through a recursive glob."""

from pathlib import Path

import pytest
from conftest import ROOT
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from frostline.data.text import TextData
from frostline.freeze.policy import Policy

CONF = ROOT / "conf"
FILES = sorted(file.relative_to(CONF).with_suffix("").as_posix() for file in CONF.rglob("*.yaml"))
GROUPED = [name for name in FILES if "/" in name and not name.startswith(("hydra/", "data/base/"))]
NEEDED = {"freeze/top": ["freeze.n=3"], "freeze/pattern": ["freeze.train=[classifier]"]}


@pytest.fixture
def composed(tmp_path):
    def make(*overrides):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
        with pytest.MonkeyPatch.context():
            OmegaConf.set_readonly(cfg.hydra, False)
            cfg.hydra.runtime.output_dir = str(tmp_path)
            HydraConfig.instance().set_config(cfg)
        return cfg

    import frostline.cell  # noqa: F401  (registers what the configuration asks for)

    return make


def test_the_glob_finds_the_groups():
    assert {
        "data", "model", "freeze", "optimizer", "trainer", "callbacks", "logger", "experiment", "trunk", "launcher",
        "sweeper",
    } == {name.split("/")[0] for name in GROUPED}  # fmt: skip


@pytest.mark.parametrize("name", GROUPED)
def test_each_choice_composes_and_becomes_its_object(name, composed):
    group, choice = name.split("/")
    cfg = composed(f"{group}={choice}", *NEEDED.get(name, []))
    if group == "experiment":
        assert cfg.data.name
        assert all(instantiate(cfg[part]) for part in ("data", "freeze", "optimizer"))
    elif group == "trainer":
        from pytorch_lightning import Trainer

        from frostline.trainer import NOT_LIGHTNINGS

        own = {key: value for key, value in cfg.trainer.items() if key not in NOT_LIGHTNINGS}
        if choice == "fsdp":  # this project's own strategy
            own["strategy"] = "auto"
        Trainer(**{**own, "precision": "32-true"}, logger=False)
    elif group in ("launcher", "sweeper"):
        assert cfg.hydra[group]._target_.startswith(("hydra_plugins.", "hydra._internal.core_plugins."))
    elif group == "callbacks":
        assert all(instantiate(callback) for callback in cfg.callbacks.values())
    elif cfg[group]:
        made = instantiate(cfg[group])
        assert isinstance(made, {"data": TextData, "freeze": Policy}.get(group, object))
        if group in ("data", "model") or (group == "freeze" and choice not in ("top",)):
            assert made.name == choice
    else:
        assert choice == "none"


@pytest.mark.parametrize("name", FILES)
def test_each_file_opens_with_the_command_that_uses_it(name):
    lines = (CONF / f"{name}.yaml").read_text().splitlines()
    comment = next(line for line in lines if line.startswith("#") and not line.startswith("# @package"))
    group, _, choice = name.rpartition("/")
    if group == "hydra/job_logging":
        assert "conf/train.yaml" in comment
    elif name.startswith("data/base"):
        assert "python train.py data=" in comment
    else:
        assert "python train.py" in comment
        if group in ("data", "model", "freeze", "experiment"):
            assert f"{group}={choice}" in comment


def test_only_entries_and_train_see_a_config_object():
    """The rule of the house: classes take plain values."""
    allowed = {
        "cell.py", "faults.py", "frozen.py", "plan.py", "ranks.py", "train.py", "trainer.py", "summary.py",
        "compose.py", "hooks.py", "identity.py", "names.py", "presets.py", "depth_study.py", "optuna.py", "watched.py",
    }  # fmt: skip
    seen = {
        file.name
        for file in (ROOT / "src").rglob("*.py")
        if "omegaconf" in file.read_text() or "hydra" in _imports(file)
    }
    assert seen <= allowed


def _imports(file: Path) -> str:
    return "\n".join(line for line in file.read_text().splitlines() if line.startswith(("import ", "from ")))
