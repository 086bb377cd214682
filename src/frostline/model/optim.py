"""AdamW with decay groups, a rate for each depth, and a linear schedule."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from frostline import options
from frostline.model.anatomy import Anatomy

NORM_EPS = 1e-6  # as torch.nn.utils.clip_grad_norm_ has it


@dataclass(frozen=True)
class Part:
    """Parameters so many parts below the head (depth 0), whose rate reaches zero at `until`, a share of all steps."""

    parameters: Sequence[nn.Parameter]
    depth: int = 0
    until: float = 1.0


def parts(network: nn.Module, anatomy: Anatomy, ends: Mapping[str, float]) -> list[Part]:
    """The network's parts with their depths; `ends` has those that stop before the last step."""
    found: dict[str, list[nn.Parameter]] = {group: [] for group in anatomy.groups}
    for name, parameter in network.named_parameters():
        found[anatomy.group(name)].append(parameter)
    return [Part(members, anatomy.depth(group), ends.get(group, 1.0)) for group, members in found.items()]


@dataclass(frozen=True)
class LinearDecayAdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101); the rate rises over `warmup`, then falls linearly to zero.

    `warmup` is a share of all steps. Matrices decay, vectors (biases and norms) do not. The rate of a part is `lr` ×
    `layer_decay` ^ its depth below the head (Howard and Ruder, arXiv 1801.06146: 0.38).
    """

    lr: float = 2e-5
    weight_decay: float = 0.01
    warmup: float = 0.0
    layer_decay: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        options.check(vars(self), "optimizer")

    def optimizer(self, parts: Iterable[Part], fused: bool = True) -> AdamW:
        """The optimizer over the trainable parameters of `parts`; if `fused`, in such kernels where there are some.

        Parameters in shards (FSDP's) are stepped plainly: their norm is no device's alone.
        """
        groups = self._groups(parts)
        fused = fused and all(fusable(parameter) for group in groups for parameter in group["params"])
        return AdamW(groups, lr=self.lr, betas=tuple(self.betas), eps=self.eps, fused=fused)

    def _groups(self, parts: Iterable[Part]) -> list[dict]:
        """Decay groups for each rate, those of parts with the same rate together."""
        together: dict[tuple[float, float], list[nn.Parameter]] = {}
        for part in parts:
            rate = self.lr * self.layer_decay**part.depth
            together.setdefault((rate, part.until), []).extend(part.parameters)
        return [
            {**group, "lr": rate, "until": until}
            for (rate, until), parameters in together.items()
            for group in decay_groups(parameters, self.weight_decay)
        ]

    def schedule(self, optimizer: AdamW, steps: int) -> LambdaLR:
        """The factor on each group's rate at each of `steps` optimizer steps."""
        warmup = round(self.warmup * steps)
        ends = [round(group["until"] * steps) for group in optimizer.param_groups]
        return LambdaLR(optimizer, [partial(linear, steps=end, warmup=warmup) for end in ends])


def fusable(parameter: nn.Parameter) -> bool:
    """Whether torch's fused step takes this parameter, and its gradient's norm can be had without other devices."""
    here = parameter.device.type in ("cpu", "cuda") and not isinstance(parameter, DTensor)
    return here and parameter.is_floating_point()


def clip_within_step(optimizer: AdamW, max_norm: float) -> None:
    """Let the next fused step clip the norm of all gradients at `max_norm` (Pascanu et al., arXiv 1211.5063).

    The step divides gradients as it reads them, by what torch's GradScaler would put into `grad_scale`: one pass over
    memory less than clipping them before.
    """
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if not gradients:
        return
    if gradients[0].device.type == "cpu":
        # Row by row: each core then reads the half that it wrote. Else, where cores share no cache, the step that
        # writes what another core read last takes more than twice its time.
        gradients = [torch.linalg.vector_norm(gradient, dim=-1) for gradient in gradients]
    norm = torch.nn.utils.get_total_norm(gradients).float()
    optimizer.grad_scale = ((norm + NORM_EPS) / max_norm).clamp(min=1)


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
