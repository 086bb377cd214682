"""One run, top to bottom: seed, data, model, freeze, trainer, fit, test, results."""

import logging
import os
import shutil
import warnings
from pathlib import Path

import torch
import transformers
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Callback, Trainer, seed_everything
from pytorch_lightning.callbacks import Checkpoint, ModelCheckpoint, ProgressBar
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frostline import memory, results
from frostline.data.text import TextData
from frostline.display import rendered
from frostline.errors import InputError
from frostline.freeze.callback import Freeze
from frostline.freeze.policy import Policy
from frostline.model import kernels
from frostline.model.anatomy import Anatomy, max_positions, parameter_counts
from frostline.model.classifier import Classifier
from frostline.model.first_token import shorten
from frostline.resume import LastCheckpoint, checkpoint_to_go_on_from
from frostline.sweep import ledger
from frostline.timing import Clock, PhaseTimer, TimedCheckpointIO
from frostline.trunk.keep import Trunk, open_trunk

log = logging.getLogger(__name__)

CHECKPOINTS, BEST, LAST = "checkpoints", "best.ckpt", "last.ckpt"
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")


def train(cfg: DictConfig, folder: Path, started: float) -> float:
    """Run what `cfg` describes and leave its results in `folder`; returns the validation F1.

    `started` is the `time.perf_counter` reading from which the run's time counts.
    """
    clock = Clock(started)
    quiet()
    memory.give_back()
    memory.keep_freed()
    memory.keep_few_kernels()
    check(cfg)
    seed_everything(cfg.seed, workers=True, verbose=False)

    data = load_data(cfg)
    tokenizer, network, anatomy = load_model(cfg, data)
    data.tokenize(tokenizer, max_positions(network))

    freeze = Freeze(instantiate(cfg.freeze), cfg.print_parameters)
    earlier = checkpoint_to_go_on_from(folder / CHECKPOINTS / LAST)
    trainer = make_trainer(cfg, folder, clock, freeze, earlier[1] if earlier else None)
    memory.reset_peak(trainer.strategy.root_device)
    trunk = find_trunk(cfg, data, network, anatomy, freeze.policy, trainer.strategy.root_device)
    if trunk:
        with clock.phase("trunk"):
            data.replace("train", trunk.outputs(data.tokens("train")))
        with clock.phase("validation"):
            data.replace("validation", trunk.outputs(data.tokens("validation")))
        if cfg.test:
            with clock.phase("test"):
                data.replace("test", trunk.outputs(data.tokens("test")))

    classifier = Classifier(network, instantiate(cfg.optimizer), trunk and trunk.rest)
    trainer.fit(classifier, datamodule=data, ckpt_path=earlier[0] if earlier else cfg.resume, weights_only=True)
    validation = load_best(classifier, trainer, data, folder, clock)
    if cfg.test:
        with clock.phase("test"):
            trainer.test(classifier, datamodule=data, verbose=False)

    with clock.phase("results"):
        metrics = final_metrics({**validation, **trainer.callback_metrics})
        if trainer.is_global_zero:
            results.save_model(network, tokenizer, data.max_length, folder / "model")
            if cfg.test:
                keep_test(classifier, trainer, data, folder)
        summary = summarise(cfg, data, classifier, trainer, freeze, metrics)
        log_hparams(trainer, summary)
    seconds = clock.report()
    summary["timing"] = {**seconds, **speeds(classifier, trainer, seconds["fit_seconds"])}
    if trainer.is_global_zero:
        ledger.write_json(folder / ledger.METRICS, summary)
        if not cfg.keep_checkpoints:
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        say_where(summary, folder)
    return metrics["val/f1"]


def check(cfg: DictConfig) -> None:
    """InputError for what no part of the run would notice before it is late."""
    if cfg.resume is not None and not Path(cfg.resume).is_file():
        raise InputError(
            f"resume={cfg.resume} is not a file: give a checkpoint, such as outputs/…/checkpoints/last.ckpt"
        )
    minutes = cfg.trainer.checkpoint_minutes
    if not isinstance(minutes, int | float) or not minutes >= 0:
        raise InputError(f"trainer.checkpoint_minutes={minutes}: use a number of minutes, 0 or more")
    if cfg.trainer.accelerator not in ACCELERATORS:
        raise InputError(f"trainer.accelerator={cfg.trainer.accelerator}: use one of {', '.join(ACCELERATORS)}")


def load_data(cfg: DictConfig) -> TextData:
    """The data set, read, checked and split."""
    data: TextData = instantiate(cfg.data)
    data.prepare_data()
    if cfg.test and "test" not in data.splits:
        raise InputError("there is no test split: add one to data.path, or leave testing out with test=false")
    return data


def load_model(cfg: DictConfig, data: TextData) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, Anatomy]:
    """The tokenizer, the encoder with a head for the data's labels, and where its parts are."""
    source = instantiate(cfg.model)
    tokenizer = source.tokenizer(data.texts("train"))
    network = source.network(data.label_names, tokenizer)
    anatomy = Anatomy.of(network)
    if source.describe:
        log.info(f"With its head:\n{network}\n\nWithout:\n{network.base_model}\n\n{anatomy.describe()}")
    shorten(network, anatomy)
    kernels.use(cfg.kernels, network)
    return tokenizer, network, anatomy


def find_trunk(
    cfg: DictConfig, data: TextData, network: PreTrainedModel, anatomy: Anatomy, policy: Policy, device: torch.device
) -> Trunk | None:
    """The policy's frozen trunk, where there is one to keep for this run's splits; says so, or why not."""
    cache = instantiate(cfg.trunk) if cfg.trunk else None
    texts = [data.tokens(split) for split in ["train", "validation", *(["test"] if cfg.test else [])]]
    about = {"model": cfg.model.name, "data": data.name}
    trunk = open_trunk(cache, network, anatomy, policy, texts, device, about)
    if isinstance(trunk, str):
        log.info(f"No trunk is kept for freeze={policy.name}: {trunk}.")
        return None
    log.info(trunk.describe(texts))
    return trunk


def final_metrics(found: dict[str, torch.Tensor]) -> dict[str, float]:
    """Validation and test metrics, test F1 first: TensorBoard's HPARAMS tab shows the first one by default."""
    names = sorted(name for name in found if name.startswith(("val/", "test/")))
    names.sort(key=lambda name: (name.startswith("val/"), not name.endswith("/f1")))
    return {name: found[name].item() for name in names}


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
    warnings.filterwarnings("ignore", message=".*dirpath has changed.*")
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # torchmetrics has done that
    warnings.filterwarnings("ignore", message=".*exists and is not empty.*")  # a run that goes on
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # as Freeze wants it


def make_trainer(cfg: DictConfig, folder: Path, clock: Clock, freeze: Freeze, earlier_step: int | None) -> Trainer:
    """Lightning's Trainer with this run's callbacks; every `trainer.*` option but `checkpoint_minutes` is its own.

    What an earlier attempt told TensorBoard after `earlier_step` is told again, so it is purged there.
    """
    options = OmegaConf.to_container(cfg.trainer, resolve=True)
    minutes = options.pop("checkpoint_minutes")
    on_gpu = options["accelerator"] in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if options["precision"] == "auto":
        options["precision"] = "bf16-mixed" if on_gpu else "32-true"
    if on_gpu:
        torch.set_float32_matmul_precision("high")  # TF32
    extra: list[Callback] = [instantiate(callback) for callback in (cfg.callbacks or {}).values()]
    return Trainer(
        **options,
        logger=make_logger(cfg, earlier_step),
        callbacks=[PhaseTimer(clock), freeze, *extra, *checkpoints(folder / CHECKPOINTS, minutes)],
        plugins=[TimedCheckpointIO(clock)],
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in extra),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def make_logger(cfg: DictConfig, earlier_step: int | None) -> Logger | bool:
    """The configured logger, or none; `make_trainer` says what `earlier_step` is."""
    if not cfg.logger:
        return False
    writes_events = cfg.logger._target_.endswith("TensorBoardLogger")
    return instantiate(cfg.logger, **({"purge_step": earlier_step} if earlier_step and writes_events else {}))


def checkpoints(folder: Path, minutes: float) -> list[Checkpoint]:
    """`best.ckpt`, the best epoch's weights by validation F1, and `last.ckpt`, all that going on needs."""
    best = ModelCheckpoint(
        dirpath=folder, filename=BEST.removesuffix(".ckpt"), monitor="val/f1", mode="max", save_weights_only=True,
        enable_version_counter=False, auto_insert_metric_name=False,
    )  # fmt: skip
    return [best, LastCheckpoint(folder / LAST, minutes)]


def load_best(
    classifier: Classifier, trainer: Trainer, data: TextData, folder: Path, clock: Clock
) -> dict[str, torch.Tensor]:
    """Put the best epoch's weights into the classifier; returns its validation metrics.

    A run that `trainer.max_steps` ends inside an epoch has weights that were never validated: they are, here.
    """
    if classifier.validated_step != trainer.global_step:
        with clock.phase("validation"):
            trainer.validate(classifier, datamodule=data, verbose=False)
        return {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    best = torch.load(folder / CHECKPOINTS / BEST, weights_only=True, mmap=True)
    if best["global_step"] != trainer.global_step:  # else they are the weights that the run ended with
        classifier.load_state_dict(best["state_dict"])
    return {name: value.clone() for name, value in best["validation"].items()}  # apart from the mapped file


def keep_test(classifier: Classifier, trainer: Trainer, data: TextData, folder: Path) -> None:
    """predictions.parquet; ten test texts and the confusion matrix in the terminal and TensorBoard."""
    texts, names = data.texts("test"), data.label_names
    labels, logits = classifier.test_labels, classifier.test_logits
    results.save_predictions(texts, labels, logits, names, folder / "predictions.parquet")
    shown = results.examples(texts, labels, logits, names)
    log.info(rendered(results.example_table(shown)).rstrip())
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("test/examples", results.example_markdown(shown))
            matrix = results.confusion_figure(classifier.test_confusion, names)
            logger.experiment.add_figure("test/confusion", matrix)


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
        "parameters": parameter_counts(classifier.network.named_parameters()),
        "timing": {},
        "memory": {"peak_bytes": memory.peak_bytes(device), "device": device_name(device)},
        "devices": trainer.world_size,
        "examples": {split: len(labels) for split, labels in data.labels.items()},
        "versions": results.versions(),
    }


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
