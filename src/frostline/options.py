"""What every numeric and yes-or-no option of conf/ may be: one table, looked at before anything is loaded."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from frostline.errors import InputError

SEEDS = 2**32 - 1  # NumPy's and Lightning's limit
MANY = 10**9  # more than anybody trains on, and small enough for every counter


@dataclass(frozen=True)
class Rule:
    """What an option may be, as a test and in words."""

    holds: Callable[[object], bool]
    allowed: str

    def or_null(self, meaning: str = "") -> "Rule":
        """The same, or null."""
        return Rule(lambda value: value is None or self.holds(value), f"{self.allowed}, or null{meaning}")

    def or_auto(self) -> "Rule":
        """The same, or auto."""
        return Rule(lambda value: value == "auto" or self.holds(value), f"{self.allowed}, or auto")

    def or_minus_one(self, meaning: str = " for no limit") -> "Rule":
        """The same, or -1."""
        return Rule(
            lambda value: (_is_whole(value) and value == -1) or self.holds(value), f"{self.allowed}, or -1{meaning}"
        )


def whole(least: int, most: int) -> Rule:
    """A whole number, both ends included."""
    return Rule(lambda v: _is_whole(v) and least <= v <= most, f"a whole number from {least:,} to {most:,}")


def number(least: float, most: float, example: str = "") -> Rule:
    """A number, both ends included."""
    return Rule(lambda v: _is_number(v) and least <= v <= most, f"a number from {least:g} to {most:g}{example}")


def above(least: float, most: float, example: str = "") -> Rule:
    """A number above the lower end, the upper one included."""
    return Rule(lambda v: _is_number(v) and least < v <= most, f"a number above {least:g}, up to {most:g}{example}")


def share(open_at_zero: bool = False) -> Rule:
    """A part of a whole, less than all of it."""
    if open_at_zero:
        return Rule(lambda v: _is_number(v) and 0 < v < 1, "a number between 0 and 1")
    return Rule(lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 up to but not 1")


def pair(rule: Rule) -> Rule:
    """Two in a list."""
    return Rule(
        lambda v: isinstance(v, Sequence) and not isinstance(v, str) and len(v) == 2 and all(map(rule.holds, v)),
        f"a list of two, each {rule.allowed}",
    )


# A number of texts for the demo, which makes its own; where validation texts come from for any other data set.
DEMO_TEXTS_OR_SPLIT = Rule(
    lambda v: v in ("auto", "test") or whole(10, MANY).holds(v), "auto, or test to validate on the test split"
)
FLAG = Rule(lambda value: isinstance(value, bool), "true or false")

RULES: dict[str, Rule] = {
    "seed": whole(0, SEEDS),
    "test": FLAG,
    "print_parameters": FLAG,
    "keep_checkpoints": FLAG,
    "sweep.dry_run": FLAG,
    "sweep.fail_fast": FLAG,
    "data.batch_size": whole(1, 100_000),
    "data.max_length": whole(1, 1_000_000).or_null(),
    "data.limit_train": whole(1, MANY).or_null(" for all"),
    "data.validation_fraction": share(open_at_zero=True),
    "data.split_seed": whole(0, SEEDS),
    "data.bucket": FLAG,
    "data.padded_lengths": whole(1, 1024).or_auto().or_null(" for no limit"),
    "data.seed": whole(0, SEEDS),
    "data.train": whole(10, MANY),  # the demo's texts
    "data.validation": DEMO_TEXTS_OR_SPLIT,
    "data.test": whole(10, MANY),
    "data.text_seed": whole(0, SEEDS),
    "model.describe": FLAG,
    "model.trust_remote_code": FLAG,
    "model.layers": whole(1, 200),  # the tiny encoder's
    "model.hidden": Rule(lambda v: _is_whole(v) and 4 <= v <= 8192 and v % 4 == 0, "a multiple of 4 from 4 to 8192"),
    "model.dropout": share().or_null(" for the family's own"),
    "freeze.trunk_dropout": FLAG,
    "freeze.every": above(0, MANY, ", such as 1").or_null(" to spread the layers evenly"),
    "freeze.start": Rule(share().holds, "a share of the training, from 0 up to but not 1"),
    "freeze.percentile": above(0, 100),
    "freeze.checks": whole(1, 10_000),
    "freeze.r": whole(1, 10_000),
    "freeze.alpha": above(0, 1e6, ", such as 16"),
    "freeze.dropout": share(),
    "optimizer.lr": above(0, 10, ", such as 2e-5"),
    "optimizer.weight_decay": number(0, 100, ", such as 0.01"),
    "optimizer.layer_decay": above(0, 1, ", such as 0.9 (1: one rate)"),
    "optimizer.warmup": Rule(share().holds, "a share of the steps, from 0 up to but not 1"),
    "optimizer.betas": pair(share()),
    "optimizer.eps": above(0, 1, ", such as 1e-8"),
    "trainer.max_epochs": whole(1, 1_000_000).or_minus_one(),
    "trainer.max_steps": whole(1, MANY).or_minus_one(),
    "trainer.gradient_clip_val": number(0, 1e6, ", such as 1").or_null(),
    "trainer.log_every_n_steps": whole(1, MANY),
    "trainer.checkpoint_minutes": number(0, 525_600),
    "trainer.gradient_checkpointing": FLAG,
    "trainer.cuda_graphs": Rule(lambda value: isinstance(value, bool) or value == "auto", "auto, true or false"),
    "callbacks.progress_bar.refresh_rate": whole(0, MANY),
    "hydra.launcher.n_jobs": whole(1, 10_000).or_minus_one(" for one a core"),
    "hydra.launcher.timeout_min": whole(1, 525_600),
    "hydra.launcher.nodes": whole(1, 10_000),
    "hydra.launcher.tasks_per_node": Rule(lambda v: v == 1, "1: a cell starts what several devices need itself"),
    "hydra.launcher.cpus_per_task": whole(1, 10_000).or_null(),
    "hydra.launcher.gpus_per_node": whole(0, 1000).or_null(),
    "hydra.launcher.mem_gb": number(0.1, 1e6).or_null(),
    "hydra.launcher.array_parallelism": whole(1, 1_000_000),
    "hydra.launcher.signal_delay_s": whole(0, 86_400),
    "hydra.launcher.max_num_timeout": whole(0, 1000),
    "hydra.launcher.ray.remote.num_cpus": number(0, 10_000),
    "hydra.launcher.ray.remote.num_gpus": number(0, 1000),
    "hydra.sweeper.n_trials": whole(1, MANY),
    "hydra.sweeper.n_jobs": whole(1, 10_000),
    "hydra.sweeper.max_batch_size": whole(1, MANY).or_null(),
    "hydra.sweeper.max_failure_rate": number(0, 1),
}


def check(options: Mapping[str, object], group: str = "") -> None:
    """InputError for the first option that its rule refuses; `options` may be nested, `group` is their place."""
    for name, value in options.items():
        option = f"{group}.{name}" if group else str(name)
        if isinstance(value, Mapping):
            check(value, option)
        elif option in RULES and not RULES[option].holds(value):
            raise InputError(f"{option}={_shown(value)}: use {RULES[option].allowed}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _shown(value: object) -> str:
    """As the command line has it."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else str(value)
