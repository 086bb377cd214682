"""AdamW with decay groups and a linear schedule."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from frostline import options


@dataclass(frozen=True)
class LinearDecayAdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101); the rate rises over `warmup`, then falls linearly to zero.

    `warmup` is a share of all steps. Matrices decay, vectors (biases and norms) do not.
    """

    lr: float = 2e-5
    weight_decay: float = 0.01
    warmup: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        options.check(vars(self), "optimizer")

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> AdamW:
        """The optimizer over the trainable ones of `parameters`, in one fused kernel where the device has it."""
        groups = decay_groups(parameters, self.weight_decay)
        fused = all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for g in groups for p in g["params"])
        return AdamW(groups, lr=self.lr, betas=tuple(self.betas), eps=self.eps, fused=fused)

    def schedule(self, optimizer: AdamW, steps: int) -> LambdaLR:
        """The factor on `lr` at each of `steps` optimizer steps."""
        return LambdaLR(optimizer, lambda step: linear(step, steps, round(self.warmup * steps)))


def linear(step: int, steps: int, warmup: int) -> float:
    """The share of the peak rate at `step`: up from 0 over `warmup` steps, down to 0 at `steps`."""
    if step < warmup:
        return step / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))


def decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """Parameter groups of the trainable parameters: matrices with weight decay, vectors without."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    matrices = [parameter for parameter in trainable if parameter.ndim >= 2]
    vectors = [parameter for parameter in trainable if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
