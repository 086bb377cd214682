"""What came of a run: metrics.json, TensorBoard's HPARAMS row, and the run's last line."""

import logging
import os
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning import Trainer

from frostline import memory, results
from frostline.data.text import TextData
from frostline.freeze.callback import Freeze
from frostline.model.classifier import Classifier
from frostline.sweep import ledger

log = logging.getLogger(__name__)


def summarise(
    cfg: DictConfig, data: TextData, classifier: Classifier, trainer: Trainer, freeze: Freeze, metrics: dict[str, float]
) -> dict:
    """The content of metrics.json but for its timing."""
    device = trainer.strategy.root_device
    hydra = HydraConfig.get()
    return {
        "id": ledger.read_json(Path(hydra.runtime.output_dir) / ledger.STATE)["id"],
        "cell": hydra.job.override_dirname or hydra.job.name,
        "data": data.name,
        "model": cfg.model.name,
        "freeze": freeze.policy.name,
        "seed": cfg.seed,
        "lr": cfg.optimizer.lr,
        "batch_size": data.batch_size,
        "max_length": data.max_length,
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "metrics": metrics,
        "history": classifier.history,
        "parameters": freeze.parameters(trainer.global_step),
        **({"moves": freeze.moves} if freeze.moves else {}),
        "timing": {},
        "memory": {"peak_bytes": memory.peak_bytes(device), "device": device_name(device)},
        "devices": trainer.world_size,
        "examples": {split: len(labels) for split, labels in data.labels.items()},
        "versions": results.versions(),
    }


def final_metrics(found: dict[str, torch.Tensor]) -> dict[str, float]:
    """Validation and test metrics, test F1 first: TensorBoard's HPARAMS tab shows the first one by default."""
    names = sorted(name for name in found if name.startswith(("val/", "test/")))
    names.sort(key=lambda name: (name.startswith("val/"), not name.endswith("/f1")))
    return {name: found[name].item() for name in names}


def device_name(device: torch.device) -> str:
    """`cpu`, or the GPU's own name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def speeds(classifier: Classifier, trainer: Trainer, seconds: float) -> dict[str, float]:
    """Texts and tokens trained on per second of fitting, on all devices together, padding not counted."""
    counts = torch.tensor(
        [classifier.trained_texts, int(classifier.trained_tokens)], device=trainer.strategy.root_device
    )
    texts, tokens = trainer.strategy.reduce(counts, reduce_op="sum").tolist()
    return {"samples_per_second": round(texts / seconds, 2), "tokens_per_second": round(tokens / seconds, 1)}


def log_hparams(trainer: Trainer, summary: dict) -> None:
    """One row of TensorBoard's HPARAMS tab: what was chosen, and what came of it."""
    chosen = ("data", "model", "freeze", "seed", "lr", "batch_size", "max_length", "epochs")
    params = {**{name: summary[name] for name in chosen}, "trainable": summary["parameters"]["trainable"]}
    for logger in trainer.loggers:
        logger.log_hyperparams(params, {f"final/{name}": value for name, value in summary["metrics"].items()})
        logger.finalize("success")


def say_where(summary: dict, folder: Path) -> None:
    """The run's last line."""
    split = "test" if "test/f1" in summary["metrics"] else "val"
    home = os.path.relpath(folder)
    f1, accuracy = (summary["metrics"][f"{split}/{name}"] for name in ("f1", "accuracy"))
    timing = summary["timing"]
    log.info(
        f"{summary['data']}, freeze={summary['freeze']}: {split} F1 {f1:.3f}, accuracy {accuracy:.3f}, "
        f"fit {timing['fit_seconds']:.1f} s of {timing['total_seconds']:.1f} s. Everything is in {home} · "
        f'try: python predict.py {home} "a text of your own"'
    )
