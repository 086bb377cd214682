"""Numeric options: none of conf/ is without a rule, and every rule refuses what nobody means."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from frostline.errors import InputError
from frostline.options import RULES, check

ELSEWHERE = {  # told with more than a range: by the encoder, this machine, a depth; and the format of a file
    "freeze.n", "trainer.devices", "hydra.sweeper.by_depth", "hydra.job_logging.version",
}  # fmt: skip
ABSURD = (-3, -0.5, math.nan, math.inf, -math.inf, 1e300, 10**40, "word", "", "1", [], [1], {})


def leaves(tree: dict, prefix: str) -> Iterator[tuple[str, object]]:
    """Every option below `prefix` and its value."""
    for name, value in tree.items():
        option = f"{prefix}.{name}" if prefix else name
        if isinstance(value, dict) and value and option not in ELSEWHERE:
            yield from leaves(value, option)
        else:
            yield option, value


def options_of(file: Path) -> dict[str, object]:
    """The options that a yaml sets, by the names they have on a command line."""
    group = file.relative_to(ROOT / "conf").parent.as_posix().replace("/", ".").replace("data.base", "data")
    everywhere = "@package _global_" in file.read_text() or group == "."
    tree = OmegaConf.to_container(OmegaConf.load(file))
    tree.pop("defaults", None)
    return dict(leaves(tree, "" if everywhere else group))


@pytest.mark.parametrize(
    "file", sorted((ROOT / "conf").rglob("*.yaml")), ids=lambda file: file.relative_to(ROOT / "conf").as_posix()
)
def test_every_number_of_a_yaml_has_a_rule_that_it_keeps(file: Path) -> None:
    for option, value in options_of(file).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and option not in ELSEWHERE:
            assert option in RULES, option
        if option in RULES and not isinstance(value, str):
            check({option: value})


@pytest.mark.parametrize("option", RULES)
@pytest.mark.parametrize("value", ABSURD, ids=str)
def test_what_nobody_means_is_refused(option: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^{option}=.*: use [^\n]+$"):
        check({option: value} if value != {} else {option: ()})


def test_options_are_found_however_deep() -> None:
    check({"data": {"batch_size": 16, "name": -1}, "unknown": -1})
    with pytest.raises(InputError, match=r"^data\.batch_size=-1: use a whole number from 1 to 100,000$"):
        check({"data": {"batch_size": -1}})
    with pytest.raises(InputError, match=r"^optimizer\.betas=\[0\.9, 2\]: use a list of two, each a number from 0"):
        check({"betas": [0.9, 2]}, "optimizer")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("trainer.max_steps", -1), ("trainer.max_epochs", -1), ("trainer.gradient_clip_val", None),
        ("trainer.gradient_clip_val", 0), ("trainer.checkpoint_minutes", 0.5), ("data.max_length", None),
        ("optimizer.lr", 1), ("optimizer.weight_decay", 0), ("optimizer.warmup", 0), ("optimizer.betas", (0, 0.9)),
        ("model.dropout", 0), ("seed", 0), ("seed", 2**32 - 1), ("data.validation", "test"), ("data.validation", 300),
    ],
)  # fmt: skip
def test_what_somebody_may_mean_is_not(option: str, value: object) -> None:
    check({option: value})
