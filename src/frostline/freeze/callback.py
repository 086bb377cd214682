"""Applies a freeze policy to a model in training, moves with a schedule, and watches that it holds."""

import logging
from dataclasses import asdict
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy, Strategy
from transformers import PreTrainedModel

from frostline.display import rendered
from frostline.errors import InputError
from frostline.freeze.policy import Policy, fingerprint
from frostline.freeze.schedule import Auto, Moment, Schedule, Seen, at_depth
from frostline.freeze.table import freeze_table, markdown, part_rows
from frostline.model.anatomy import POOLER, Anatomy, parameter_counts

log = logging.getLogger(__name__)


class Freeze(pl.Callback):
    """Sets `requires_grad` before the optimizer is made, and train or eval mode at each epoch's start.

    Lightning keeps the mode that each module has, and `from_pretrained` returns eval mode: without this, nothing has
    dropout. Frozen parts stay in eval mode unless the policy's `trunk_dropout` is set. A schedule's parameters are all
    in the optimizer, which passes over those without a gradient: they neither move nor decay. Raises InputError after
    the first backward pass where a frozen parameter has a gradient or a whole trainable part has none, and when a
    checkpoint of another policy is resumed.
    """

    def __init__(self, policy: Policy, print_parameters: bool = False) -> None:
        self.policy = policy
        self.print_parameters = print_parameters
        self.anatomy: Anatomy | None = None
        self.trains: dict[str, bool] = {}
        self.counts: dict[str, int] = {}
        self.moves: list[dict[str, Any]] = []  # a schedule's steps and what trained from there on
        self._seen: Seen | None = None
        self._depth: int | None = None
        self._gradients_checked = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        network = pl_module.network
        self.anatomy = Anatomy.of(network)
        self.trains = apply(self.policy, network, self.anatomy)
        self.counts = parameter_counts(network.named_parameters())
        self.moves, self._seen, self._depth = [], None, None
        self._gradients_checked = False
        self._report(network, trainer)
        if isinstance(self.policy, Schedule) and trainer.world_size > 1 and not _follows(trainer.strategy):
            raise InputError(
                f"freeze={self.policy.name} changes what trains on the way, which the devices' strategy cannot follow: "
                "use trainer=ddp, trainer.devices=1, or a policy that stays, such as freeze=top2"
            )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # Lightning leaves that out when it goes on inside an epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._follow(trainer, pl_module.network)
        set_modes(pl_module.network, self.anatomy, self.policy.trunk_dropout)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        if self._follow(trainer, pl_module.network):
            set_modes(pl_module.network, self.anatomy, self.policy.trunk_dropout)

    def on_after_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._gradients_checked:
            check_gradients(pl_module.network, self.anatomy)
            self._gradients_checked = True

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object) -> None:
        if isinstance(self.policy, Auto):
            self._seen = self._seen.with_step(gradient_norms(pl_module.network, self.anatomy))

    def parameters(self, steps: int) -> dict[str, int]:
        """Total, trainable and frozen parameters; a schedule's are the means over the run's steps."""
        if not self.moves or not steps:
            return self.counts
        ends = [move["step"] for move in self.moves[1:]] + [steps]
        spans = [end - move["step"] for move, end in zip(self.moves, ends, strict=True)]
        total = self.counts["total"]
        mean = round(sum(move["trainable"] * span for move, span in zip(self.moves, spans, strict=True)) / steps)
        return {"total": total, "trainable": mean, "frozen": total - mean}

    def depth_through_epoch(self, trainer: pl.Trainer) -> int:
        """How deep training reaches at most from here to the epoch's end."""
        now = moment(trainer)
        last = 0 if self._seen else self.policy.depth(now.epoch_end, self.anatomy.layer_count)
        return max(self._depth, last)

    def _follow(self, trainer: pl.Trainer, network: PreTrainedModel) -> bool:
        """Freeze and unfreeze as a schedule wants it at this step; returns whether anything changed."""
        if not isinstance(self.policy, Schedule):
            return False
        now, layers = moment(trainer), self.anatomy.layer_count
        depth = self._depth_at(now, layers)
        if depth == self._depth:
            return False
        apply(at_depth(depth, layers), network, self.anatomy)
        self._depth, self._gradients_checked = depth, False
        self._record(now.step, at_depth(depth, layers).name, network, trainer)
        return True

    def _depth_at(self, now: Moment, layers: int) -> int:
        depth = self.policy.depth(now, layers)
        if not isinstance(self.policy, Auto):
            return depth
        self._seen = self._seen or Seen(depth)
        if self.policy.checks_at(now):
            self._seen = self.policy.looked(self._seen)
        return self._seen.depth

    def _record(self, step: int, name: str, network: PreTrainedModel, trainer: pl.Trainer) -> None:
        """Tell of a move, unless a checkpoint says that it was told."""
        if self.moves and self.moves[-1]["trains"] == name:
            return
        trainable = parameter_counts(network.named_parameters())["trainable"]
        self.moves.append({"step": step, "trains": name, "trainable": trainable})
        log.info(f"Step {step:,}: from here on freeze={self.policy.name} is as freeze={name}.")
        for logger in trainer.loggers:
            logger.log_metrics({"freeze/depth": self._depth}, step=step)

    def state_dict(self) -> dict[str, Any]:
        own = {"policy": self.policy.name, "trainable": fingerprint(self.trains)}
        if isinstance(self.policy, Schedule):
            own |= {"moves": self.moves, "seen": asdict(self._seen) if self._seen else None}
        return own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        was, now = state_dict.get("policy"), self.policy.name
        if was != now or state_dict.get("trainable") != fingerprint(self.trains):
            what = f"freeze={was}" if was != now else f"another set of trainable parameters under freeze={was}"
            raise InputError(
                f"the checkpoint was made with {what}, this run has freeze={now}: "
                f"resume with the same policy, or start anew without resume"
            )
        self.moves = list(state_dict.get("moves", []))
        self._seen = Seen(**state_dict["seen"]) if state_dict.get("seen") else None

    def _report(self, network: PreTrainedModel, trainer: pl.Trainer) -> None:
        share = self.counts["trainable"] / self.counts["total"]
        rows = part_rows(network, self.anatomy)
        log.info(rendered(freeze_table(self.policy.name, rows)).rstrip())
        when = " at some time" if isinstance(self.policy, Schedule) else ""
        log.info(f"{self.counts['trainable']:,} of {self.counts['total']:,} parameters train{when} ({share:.1%}).")
        if self.print_parameters:
            for name, parameter in network.named_parameters():
                log.info(f"{name}: requires_grad={parameter.requires_grad}")
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text("freeze", markdown(rows))


def _follows(strategy: Strategy) -> bool:
    """Whether devices wait for no gradients of parameters that are frozen now."""
    return isinstance(strategy, DDPStrategy) and strategy._ddp_kwargs.get("find_unused_parameters", False)


def moment(trainer: pl.Trainer) -> Moment:
    """How far a run is, in optimizer steps."""
    epoch_steps = -(-trainer.num_training_batches // trainer.accumulate_grad_batches)
    return Moment(trainer.global_step, int(trainer.estimated_stepping_batches), epoch_steps)


def gradient_norms(network: PreTrainedModel, anatomy: Anatomy) -> list[float]:
    """The norm of each layer's gradients, bottom up; 0 for a frozen one."""
    norms = []
    for layer in map(network.get_submodule, anatomy.layers):
        gradients = [parameter.grad for parameter in layer.parameters() if parameter.grad is not None]
        norms.append(torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros(()))
    return torch.stack([norm.to(norms[-1].device, torch.float64) for norm in norms]).tolist()


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
