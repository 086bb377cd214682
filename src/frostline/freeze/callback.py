"""Applies a freeze policy to a model in training, shows it, and watches that it holds."""

import logging

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger
from rich.table import Table
from torch import nn
from transformers import PreTrainedModel

from frostline.display import rendered
from frostline.errors import InputError
from frostline.freeze.policy import Policy, fingerprint
from frostline.model.anatomy import POOLER, Anatomy, parameter_counts

log = logging.getLogger(__name__)


class Freeze(pl.Callback):
    """Sets `requires_grad` before the optimizer is made, and train or eval mode at each epoch's start.

    Lightning keeps the mode that each module has, and `from_pretrained` returns eval mode: without this, nothing has
    dropout. Frozen parts stay in eval mode unless the policy's `trunk_dropout` is set. Raises InputError after the
    first backward pass where a frozen parameter has a gradient or a whole trainable part has none, and when a
    checkpoint of another policy is resumed.
    """

    def __init__(self, policy: Policy, print_parameters: bool = False) -> None:
        self.policy = policy
        self.print_parameters = print_parameters
        self.anatomy: Anatomy | None = None
        self.trains: dict[str, bool] = {}
        self._gradients_checked = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        network = pl_module.network
        self.anatomy = Anatomy.of(network)
        self.trains = apply(self.policy, network, self.anatomy)
        self._gradients_checked = False
        self._report(network, trainer)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # Lightning leaves that out when it goes on inside an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        set_modes(pl_module.network, self.anatomy, self.policy.trunk_dropout)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._gradients_checked:
            check_gradients(pl_module.network, self.anatomy)
            self._gradients_checked = True

    def state_dict(self) -> dict[str, str]:
        return {"policy": self.policy.name, "trainable": fingerprint(self.trains)}

    def load_state_dict(self, state_dict: dict[str, str]) -> None:
        own = self.state_dict()
        if state_dict != own:
            was, now = state_dict.get("policy"), own["policy"]
            what = f"freeze={was}" if was != now else f"another set of trainable parameters under freeze={was}"
            raise InputError(
                f"the checkpoint was made with {what}, this run has freeze={now}: "
                f"resume with the same policy, or start anew without resume"
            )

    def _report(self, network: PreTrainedModel, trainer: pl.Trainer) -> None:
        counts = parameter_counts(network.named_parameters())
        share = counts["trainable"] / counts["total"]
        rows = part_rows(network, self.anatomy)
        log.info(rendered(freeze_table(self.policy.name, rows)).rstrip())
        log.info(f"{counts['trainable']:,} of {counts['total']:,} parameters train ({share:.1%}).")
        if self.print_parameters:
            for name, parameter in network.named_parameters():
                log.info(f"{name}: requires_grad={parameter.requires_grad}")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("freeze", markdown(rows))


def apply(policy: Policy, network: PreTrainedModel, anatomy: Anatomy) -> dict[str, bool]:
    """Set `requires_grad` of every parameter by the policy; returns parameter name → trainable.

    Raises InputError where the policy leaves nothing to train.
    """
    trains = policy.trains(anatomy)
    if not any(trains.values()):
        raise InputError(f"freeze={policy.name} leaves nothing to train in {anatomy.model_name}: train a part of it")
    for name, parameter in network.named_parameters():
        parameter.requires_grad = trains[name]
    return trains


def set_modes(network: PreTrainedModel, anatomy: Anatomy, trunk_dropout: bool = False) -> None:
    """Train mode for modules with something to train, eval mode for frozen ones.

    A module without parameters (a dropout) goes with the nearest module around it that has some, within its part; in
    a part without any it may serve all others (as XLNet's one dropout does), so it trains where they all do.
    """
    if trunk_dropout:
        network.train()
        return
    own: dict[str, bool] = {}
    parts: dict[str, bool] = {}
    for name, parameter in network.named_parameters():
        group = anatomy.group(name)
        parts[group] = parts.get(group, False) or parameter.requires_grad
    for name, module in network.named_modules():
        flags = [parameter.requires_grad for parameter in module.parameters()]
        around = name.rpartition(".")[0]
        if flags:
            own[name] = any(flags)
        elif anatomy.spans_parts(around):
            own[name] = parts.get(anatomy.group(name), all(parts.values()))
        else:
            own[name] = own[around]
        module.training = own[name]


def check_gradients(network: PreTrainedModel, anatomy: Anatomy) -> None:
    """After a backward pass: no frozen parameter has a gradient, every trainable part but a pooler has one.

    Some encoders carry a pooler that their classification head does not read, such as BigBird's.
    """
    leaked = [name for name, p in network.named_parameters() if not p.requires_grad and p.grad is not None]
    if leaked:
        raise InputError(f"{len(leaked)} frozen parameters have a gradient, such as {leaked[0]}: they would be trained")
    missing: dict[str, list[str]] = {}
    alive: set[str] = set()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            missing.setdefault(anatomy.group(name), []).append(name)
        elif parameter.requires_grad:
            alive.add(anatomy.group(name))
    dead = [group for group in missing if group not in alive | {POOLER}]
    if dead:
        raise InputError(
            f"{', '.join(dead)} should train but got no gradient in the first step "
            f"(such as {missing[dead[0]][0]}): freeze what the loss does not reach"
        )
    if missing:
        names = ", ".join(name for group in missing.values() for name in group)
        log.warning(f"Trainable, but without a gradient in the first step (unused by the encoder?): {names}")


def part_rows(network: nn.Module, anatomy: Anatomy) -> list[tuple[str, int, str]]:
    """For each part of the encoder: its name, its parameter count, and trainable, frozen or partly."""
    sizes: dict[str, list[int]] = {group: [0, 0] for group in anatomy.groups}
    for name, parameter in network.named_parameters():
        size = sizes[anatomy.group(name)]
        size[0] += parameter.numel()
        size[1] += parameter.numel() * parameter.requires_grad
    return [(group, total, _state(total, trainable)) for group, (total, trainable) in sizes.items()]


def _state(total: int, trainable: int) -> str:
    if trainable == 0:
        return "frozen"
    return "trainable" if trainable == total else f"partly ({trainable:,} trainable)"


def freeze_table(policy: str, rows: list[tuple[str, int, str]]) -> Table:
    """The parts as a table for the terminal."""
    table = Table("part", title=f"freeze={policy}")
    table.add_column("parameters", justify="right")
    table.add_column("state")
    for group, total, state in rows:
        table.add_row(group, f"{total:,}", state, style="dim" if state == "frozen" else None)
    return table


def markdown(rows: list[tuple[str, int, str]]) -> str:
    """The parts as a Markdown table, as TensorBoard shows text."""
    lines = [f"| {group} | {total:,} | {state} |" for group, total, state in rows]
    return "\n".join(["| part | parameters | state |", "| --- | ---: | --- |", *lines])
