"""LoRA: low-rank adapters beside an encoder's frozen matrices, merged into them after training."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from frostline import options
from frostline.errors import InputError, not_installed
from frostline.freeze.policy import Policy, compiled
from frostline.model.anatomy import HEAD, Anatomy

TARGETS = {"all-linear": "", "attention": r"att"}


@dataclass(frozen=True, kw_only=True)
class Lora(Policy):
    """Adapters of rank `r` in every layer and the head train (Hu et al., arXiv 2106.09685), through `peft`.

    `targets` says which of the layers' linear modules get one: all-linear, attention, or regular expressions over their
    names. The adapters' output counts `alpha` / `r` times.
    """

    r: int = 8
    alpha: float = 16
    dropout: float = 0.1
    targets: str | Sequence[str] = "all-linear"
    name = "lora"

    def __post_init__(self) -> None:
        options.check(vars(self), "freeze")
        if isinstance(self.targets, str) and self.targets not in TARGETS:
            raise InputError(
                f"freeze.targets={self.targets}: use one of {', '.join(TARGETS)}, or a list of regular expressions"
            )

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        anatomy.require_head(self.name)
        return {name: "lora_" in name or anatomy.group(name) == HEAD for name in anatomy.parameters}

    @property
    def no_trunk(self) -> str | None:
        return "its adapters train in every layer"

    def prepare(self, network: PreTrainedModel, anatomy: Anatomy) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise not_installed("freeze=lora", "peft", "lora") from error
        modules = self._modules(network, anatomy)
        config = LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=modules,
            fan_in_fan_out=isinstance(network.get_submodule(modules[0]), Conv1D),
        )
        inject_adapter_in_model(config, network)

    def finish(self, network: PreTrainedModel) -> None:
        from peft.tuners.lora import LoraLayer

        for name, module in list(network.named_modules()):
            if isinstance(module, LoraLayer):
                module.merge()
                holder, _, own = name.rpartition(".")
                setattr(network.get_submodule(holder), own, module.get_base_layer())

    def _modules(self, network: PreTrainedModel, anatomy: Anatomy) -> list[str]:
        """Names of the modules that get an adapter."""
        anatomy.require_layers(self.name)
        linear = [
            name
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear | Conv1D) and anatomy.group(name).startswith("layer.")
        ]
        given = [TARGETS[self.targets]] if isinstance(self.targets, str) else self.targets
        patterns = [compiled(pattern, "freeze.targets") for pattern in given]
        found = [name for name in linear if any(pattern.search(name) for pattern in patterns)]
        if not found:
            names = f"its linear modules are called like {linear[0]}" if linear else "its layers have no linear modules"
            raise InputError(f"freeze.targets={self.targets} matches nothing in {anatomy.model_name}: {names}")
        return found
