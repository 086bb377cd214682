"""Training an encoder whose weights and optimizer state are split between devices (`trainer=fsdp`).

FSDP2 (`torch.distributed.fsdp.fully_shard`; Zhao et al., arXiv 2304.11277): each device keeps its part of every matrix,
and a layer is put together only while it runs. Lightning's own strategies for it take GPUs alone, or gather checkpoints
in a way that ends a process on a CPU; this one takes either, so that it can be tested.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from frostline.model.anatomy import Anatomy


class Sharded(DDPStrategy):
    """As DDP, with the classifier's network in shards, a group for each layer and one for the rest.

    Checkpoints hold whole tensors, as those of other strategies do, so that either goes on from the other's.
    """

    mesh: DeviceMesh

    def setup(self, trainer: Trainer) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().setup(trainer)
        else:  # testing what fitting left in shards
            self.accelerator.setup(trainer)
            self.setup_precision_plugin()

    def configure_ddp(self) -> None:
        """Cut the network up, in place of wrapping it."""
        network = self.lightning_module.network
        self.mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for layer in map(network.get_submodule, Anatomy.of(network).layers):
            fully_shard(layer, mesh=self.mesh)
        fully_shard(network, mesh=self.mesh)

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return _whole(super().lightning_module_state_dict())

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        own = self.lightning_module.state_dict()
        state = {name: _like(own.get(name), value) for name, value in checkpoint["state_dict"].items()}
        self.lightning_module.load_state_dict(state, strict=strict)

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        return _whole(super().optimizer_state(optimizer))

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, found in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            state = {
                place: {name: _like(parameters[place] if value.ndim else None, value) for name, value in kept.items()}
                for place, kept in found["state"].items()
            }
            optimizer.load_state_dict({**found, "state": state})


def whole_weights(trainer: Trainer) -> dict[str, torch.Tensor] | None:
    """The network's weights put together from their shards, on all devices; None where they are whole already."""
    if not isinstance(trainer.strategy, Sharded):
        return None
    found = trainer.strategy.lightning_module_state_dict()
    return {name.removeprefix("network."): value for name, value in found.items() if name.startswith("network.")}


def _whole(content: Any) -> Any:
    """Every sharded tensor put together, on all devices."""
    if isinstance(content, DTensor):
        return content.full_tensor()
    if isinstance(content, Mapping):
        return {key: _whole(value) for key, value in content.items()}
    return [_whole(each) for each in content] if isinstance(content, list) else content


def _like(own: torch.Tensor | None, value: torch.Tensor) -> torch.Tensor:
    """A whole tensor in the shards that the module has of it."""
    if not isinstance(own, DTensor):
        return value
    return distribute_tensor(value.to(own.device), own.device_mesh, own.placements)
