"""One run on several devices: a process for each, all of them training the same classifier (DDP, FSDP).

The processes are torch's elastic agent's, so a sweep's cells need no command line of their own: a script that Lightning
starts again for each device would repeat the whole sweep.
"""

import logging
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from frostline import machine, secrets
from frostline.errors import InputError
from frostline.startup import quick_imports

CHECK_SECONDS = 0.1
FEW = 8  # processes that a CPU of any size may try


def count(cfg: DictConfig) -> int:
    """How many devices the run asks for; InputError where there are fewer of them."""
    devices = _count(cfg.trainer.devices, cfg.trainer.accelerator)
    size = cfg.data.batch_size
    if isinstance(size, int) and size < devices > 1:
        raise InputError(
            f"data.batch_size={size} is too few for {devices} devices, each of which needs a text: "
            "use fewer trainer.devices, or a larger data.batch_size"
        )
    return devices


def in_shards(cfg: DictConfig) -> bool:
    """Whether the run splits its weights between devices; on one there is nothing to split."""
    return cfg.trainer.get("strategy") == "fsdp" and count(cfg) > 1


def _count(devices: object, accelerator: str) -> int:
    there = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    if OmegaConf.is_list(devices):
        if not devices or len(set(devices)) < len(devices) or not all(type(d) is int and d >= 0 for d in devices):
            raise InputError(f"trainer.devices={devices}: list each device's number once, such as [0,1]")
        return len(devices)
    if devices in ("auto", -1):
        return max(1, there)
    if type(devices) is not int or devices < 1:
        raise InputError(f"trainer.devices={devices}: use a number of devices of 1 or more, a list of them, or auto")
    most = there or max(FEW, machine.cores())
    if devices > most:
        raise InputError(f"trainer.devices={devices}, but this machine has room for {most}: use {most} or fewer")
    return devices


def use(gpu: int | None, cfg: DictConfig) -> None:
    """Let the run use the GPU with this index alone, where torch can use any."""
    if gpu is not None and torch.cuda.is_available():
        cfg.trainer.devices = [gpu]


@dataclass(frozen=True)
class Job:
    """What every rank is told: the run's and Hydra's configurations, where its results go, and when it began."""

    cfg: DictConfig
    hydra: DictConfig
    folder: Path
    started: float


def train(cfg: DictConfig, folder: Path, started: float, devices: int) -> float:
    """`frostline.train.train` in a process for each device; returns rank 0's validation F1.

    Raises InputError with the first failing rank's message.
    """
    job = Job(cfg, HydraConfig.instance().cfg, folder, time.time() - (time.perf_counter() - started))
    threads = max(1, torch.get_num_threads() // devices)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    logging.getLogger("torch").setLevel(logging.CRITICAL)  # what a rank says of an error is told below
    agent = elastic_launch(
        LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=devices, rdzv_backend="c10d", rdzv_endpoint="localhost:0",
            run_id=str(uuid4()), max_restarts=0, monitor_interval=CHECK_SECONDS, start_method="spawn",
        ),
        _rank,
    )  # fmt: skip
    try:
        return agent(job)[0]
    except ChildFailedError as error:
        raise InputError(_message(error)) from error
    except SignalException as stop:
        raise SystemExit(130 if stop.sigval == signal.SIGINT else 128 + stop.sigval) from None


def _rank(job: Job) -> float:
    with quick_imports():
        from frostline.train import train

    setup_globals()  # Hydra's resolvers, which the run's configuration uses
    HydraConfig.instance().set_config(job.hydra)
    secrets.learn(OmegaConf.to_container(job.cfg, resolve=True))
    if int(os.environ["RANK"]) == 0:
        configure_log(job.hydra.hydra.job_logging)
    else:
        logging.disable(logging.ERROR)
    return train(job.cfg, job.folder, time.perf_counter() - (time.time() - job.started))


def _message(error: ChildFailedError) -> str:
    """The first failing rank's error on one line."""
    _, failure = error.get_first_failure()
    said = failure.message.get("message", "") if isinstance(failure.message, dict) else failure.message
    text = " ".join(str(said).split())
    return text.removeprefix("InputError: ") or f"rank {failure.local_rank} ended with status {failure.exitcode}"
