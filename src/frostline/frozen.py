"""What of a run's encoder stays frozen and is computed once, as its configuration wants it."""

import logging

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from transformers import PreTrainedModel

from frostline import ranks
from frostline.data.batches import TokenizedTexts
from frostline.data.text import TextData
from frostline.freeze.callback import Freeze
from frostline.freeze.policy import Policy
from frostline.freeze.schedule import Schedule
from frostline.model.anatomy import Anatomy
from frostline.timing import Clock
from frostline.trunk.keep import Trunk, open_trunk
from frostline.trunk.moving import MovingTrunk

log = logging.getLogger(__name__)

SHARE_OF_FREE_GPU = 8


def moving_trunk(cfg: DictConfig, freeze: Freeze, data: TextData, clock: Clock) -> list[MovingTrunk]:
    """What keeps trunks behind the moving boundary of a schedule; nothing for a policy that stays."""
    if not isinstance(freeze.policy, Schedule) or not cfg.trunk or freeze.policy.trunk_dropout:
        return []
    return [MovingTrunk(freeze, data, instantiate(cfg.trunk), {"model": cfg.model.name, "data": data.name}, clock)]


def find_trunk(
    cfg: DictConfig, data: TextData, network: PreTrainedModel, anatomy: Anatomy, policy: Policy, device: torch.device
) -> Trunk | None:
    """The policy's frozen trunk, where there is one to keep for this run's splits; says so, or why not."""
    texts = texts_in_use(cfg, data)
    trunk = trunk_or_reason(cfg, data, network, anatomy, policy, device)
    if isinstance(trunk, str):
        log.info(f"No trunk is kept for freeze={policy.name}: {trunk}.")
        return None
    log.info(trunk.describe(texts))
    return trunk


def trunk_or_reason(
    cfg: DictConfig, data: TextData, network: PreTrainedModel, anatomy: Anatomy, policy: Policy, device: torch.device
) -> Trunk | str:
    """The same, or why there is none, with nothing said."""
    if ranks.in_shards(cfg):
        return "trainer=fsdp splits the layers between devices"
    cache = instantiate(cfg.trunk) if cfg.trunk else None
    about = {"model": cfg.model.name, "data": data.name}
    return open_trunk(cache, network, anatomy, policy, texts_in_use(cfg, data), device, about)


def texts_in_use(cfg: DictConfig, data: TextData) -> list[TokenizedTexts]:
    """The texts of every split that the run uses."""
    return [data.tokens(split) for split in ["train", "validation", *(["test"] if cfg.test else [])]]


def keep_trunk(trunk: Trunk, data: TextData, test: bool, clock: Clock) -> None:
    """Let each split's batches hold what the trunk gives for its texts; the time counts where its split's does.

    What takes little of a GPU's memory lies there from the start.
    """
    for split, phase in [("train", "trunk"), ("validation", "validation"), *([("test", "test")] if test else [])]:
        with clock.phase(phase):
            kept = trunk.outputs(data.tokens(split))
            data.replace(split, kept.hold(trunk.device) if kept.values.nbytes <= room_to_hold(trunk.device) else kept)


def room_to_hold(device: torch.device) -> int:
    """How many bytes of kept outputs may lie on the device; none on a CPU, where the cache's mapped pages serve."""
    return torch.cuda.mem_get_info(device)[0] // SHARE_OF_FREE_GPU if device.type == "cuda" else 0
