"""Lightning's Trainer as this project's runs use it: its callbacks, loggers and checkpoints."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from frostline import ranks
from frostline.errors import InputError
from frostline.freeze.policy import Policy
from frostline.model import graphs
from frostline.resume import CHECKPOINTS, LAST, BestCheckpoint, LastCheckpoint
from frostline.sharding import Sharded
from frostline.timing import Clock, PhaseTimer, TimedCheckpointIO

NOT_LIGHTNINGS = ("checkpoint_minutes", "cuda_graphs", "gradient_checkpointing")
# Without validation at the end of training there is no best epoch, and without checkpoints none to go back to.
OURS = {"enable_checkpointing", "fast_dev_run", "limit_val_batches", "overfit_batches", "barebones"}


def make_trainer(
    cfg: DictConfig, folder: Path, clock: Clock, own: Sequence[Callback], moves: bool, earlier_step: int | None
) -> Trainer:
    """Lightning's Trainer with this run's callbacks, `own` among them; every `trainer.*` option not in
    NOT_LIGHTNINGS is its own.

    `moves` says that what trains will change. What an earlier attempt told TensorBoard after `earlier_step` is told
    again, so it is purged there.
    """
    options = OmegaConf.to_container(cfg.trainer, resolve=True)
    minutes = options["checkpoint_minutes"]
    options = {name: value for name, value in options.items() if name not in NOT_LIGHTNINGS}
    on_gpu = options["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if options["precision"] == "auto":
        options["precision"] = "bf16-mixed" if on_gpu else "32-true"
    if moves and options.get("strategy", "ddp") == "ddp" and ranks.count(cfg) > 1:
        options["strategy"] = "ddp_find_unused_parameters_true"
    if options.get("strategy") == "fsdp":
        options["strategy"] = Sharded() if ranks.in_shards(cfg) else "auto"
    if on_gpu:
        torch.set_float32_matmul_precision("high")  # TF32
    extra: list[Callback] = [instantiate(callback) for callback in (cfg.callbacks or {}).values()]
    kept = folder / CHECKPOINTS
    settled = {
        "logger": make_logger(cfg, earlier_step),
        "callbacks": [PhaseTimer(clock), *own, *extra, BestCheckpoint(kept), LastCheckpoint(kept / LAST, minutes)],
        "plugins": [TimedCheckpointIO(clock)],
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in extra),
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "default_root_dir": folder,
    }
    if taken := sorted(OURS & set(options)) or sorted(set(settled) & set(options)):
        raise InputError(f"trainer.{taken[0]} is this project's own to set: leave it out")
    try:
        return Trainer(**options, **settled)
    except (TypeError, ValueError, MisconfigurationException) as error:  # Lightning's own check of its options
        why = " ".join(str(error).split()).removeprefix("Trainer.__init__() ")
        raise InputError(f"trainer.*: {why[:200]}: see conf/trainer/ and Lightning's Trainer") from error


def wants_graphs(cfg: DictConfig, policy: Policy, device: torch.device, steps: int) -> bool:
    """Whether training steps are to be recorded as CUDA graphs; InputError where they cannot, but are asked for."""
    wanted = cfg.trainer.cuda_graphs
    why = _no_graphs(cfg, policy, device)
    if wanted is True and why:
        raise InputError(f"trainer.cuda_graphs=true, but {why}: use auto, or false")
    return wanted is True or (wanted == "auto" and not why and steps >= graphs.WORTH_STEPS)


def _no_graphs(cfg: DictConfig, policy: Policy, device: torch.device) -> str | None:
    """Why steps cannot be recorded."""
    if device.type != "cuda":
        return "the run is not on a GPU"
    if ranks.count(cfg) > 1:
        return "several devices average their gradients on the way"
    if cfg.trainer.gradient_checkpointing:
        return "trainer.gradient_checkpointing=true computes parts of a step again"
    if cfg.trainer.get("accumulate_grad_batches", 1) != 1:
        return "trainer.accumulate_grad_batches has batches without a step"
    return policy.no_graphs


def make_logger(cfg: DictConfig, earlier_step: int | None) -> Logger | bool:
    """The configured logger, or none; `make_trainer` says what `earlier_step` is."""
    if not cfg.logger:
        return False
    writes_events = cfg.logger._target_.endswith("TensorBoardLogger")
    return instantiate(cfg.logger, **({"purge_step": earlier_step} if earlier_step and writes_events else {}))


def quiet() -> None:
    """Leave the terminal to what this project has to say."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
    warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
    warnings.filterwarnings("ignore", message=".*could not find the monitored key.*")  # load_best sees to it
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # torchmetrics has done that
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")  # a run that goes on
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # as Freeze wants it
