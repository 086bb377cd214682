"""One run, top to bottom: seed, data, model, freeze, trainer, fit, test, results."""

import logging
import shutil
from functools import partial
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frostline import memory, options, results
from frostline.data.text import TextData
from frostline.display import rendered
from frostline.errors import InputError
from frostline.freeze.callback import Freeze
from frostline.freeze.policy import Policy
from frostline.freeze.schedule import Schedule
from frostline.model import activations, kernels
from frostline.model.anatomy import Anatomy, max_positions
from frostline.model.classifier import Classifier
from frostline.model.first_token import shorten
from frostline.model.optim import parts
from frostline.resume import checkpoint_to_go_on_from, require_fits
from frostline.sharding import whole_weights
from frostline.summary import final_metrics, log_hparams, say_where, speeds, summarise
from frostline.sweep import ledger
from frostline.timing import Clock
from frostline.trainer import BEST, CHECKPOINTS, LAST, make_trainer, quiet
from frostline.trunk.keep import Trunk, open_trunk
from frostline.trunk.moving import MovingTrunk

log = logging.getLogger(__name__)

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps", "tpu")


def train(cfg: DictConfig, folder: Path, started: float) -> float:
    """Run what `cfg` describes and leave its results in `folder`; returns the validation F1.

    `started` is the `time.perf_counter` reading from which the run's time counts.
    """
    clock = Clock(started)
    quiet()
    check(cfg)
    memory.prepare()
    seed_everything(cfg.seed, workers=True, verbose=False)

    data = load_data(cfg)
    tokenizer, network, anatomy = load_model(cfg, data)
    data.tokenize(tokenizer, max_positions(network))

    policy: Policy = instantiate(cfg.freeze)
    anatomy = prepare(cfg, policy, network, anatomy)
    freeze = Freeze(policy, cfg.print_parameters)
    checkpoint, step = checkpoint_to_go_on_from(folder / CHECKPOINTS / LAST) or (cfg.resume, None)
    moving = moving_trunk(cfg, freeze, data, clock)
    trainer = make_trainer(cfg, folder, clock, [freeze, *moving], isinstance(policy, Schedule), step)
    memory.reset_peak(trainer.strategy.root_device)
    trunk = None if moving else find_trunk(cfg, data, network, anatomy, policy, trainer.strategy.root_device)
    if trunk:
        keep_trunk(trunk, data, cfg.test, clock)

    rates = partial(parts, network, anatomy, policy.ends(anatomy))  # sharding makes other parameters of them
    classifier = Classifier(network, instantiate(cfg.optimizer), trunk and trunk.rest, rates)
    if checkpoint and step is None:  # one that the user names
        require_fits(Path(checkpoint), classifier)
    trainer.fit(classifier, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    validation = load_best(classifier, trainer, data, folder, clock)
    policy.finish(network)
    if cfg.test:
        with clock.phase("test"):
            trainer.test(classifier, datamodule=data, verbose=False)

    with clock.phase("results"):
        metrics = final_metrics({**validation, **trainer.callback_metrics})
        weights = whole_weights(trainer)
        if trainer.is_global_zero:
            results.save_model(network, tokenizer, data.max_length, folder / "model", weights)
            if cfg.test:
                keep_test(classifier, trainer, data, folder)
        summary = summarise(cfg, data, classifier, trainer, freeze, metrics)
        log_hparams(trainer, summary)
    seconds = clock.report()
    summary["timing"] = {**seconds, **speeds(classifier, trainer, seconds["fit_seconds"])}
    if trainer.is_global_zero:
        finish(summary, folder, cfg.keep_checkpoints)
    return metrics["val/f1"]


def check(cfg: DictConfig) -> None:
    """InputError for what no part of the run would notice before it is late."""
    options.check(OmegaConf.to_container(cfg, resolve=True))
    if cfg.resume is not None and not Path(cfg.resume).is_file():
        raise InputError(
            f"resume={cfg.resume} is not a file: give a checkpoint, such as outputs/…/checkpoints/last.ckpt"
        )
    if cfg.trainer.max_epochs == -1 and cfg.trainer.max_steps == -1:
        raise InputError("trainer.max_epochs=-1 and trainer.max_steps=-1 never end: give one of them a number")
    if cfg.trainer.accelerator not in ACCELERATORS:
        raise InputError(f"trainer.accelerator={cfg.trainer.accelerator}: use one of {', '.join(ACCELERATORS)}")
    if cfg.trainer.accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise InputError(f"trainer.accelerator={cfg.trainer.accelerator}, but torch sees no GPU: use auto, or cpu")


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


def prepare(cfg: DictConfig, policy: Policy, network: PreTrainedModel, anatomy: Anatomy) -> Anatomy:
    """Make the network ready for its policy and for the trainer's options; returns where its parts are then."""
    if cfg.trainer.get("strategy") == "fsdp" and type(policy).finish is not Policy.finish:
        raise InputError(
            f"freeze={policy.name} changes the network after training, in shards it cannot: use trainer=ddp"
        )
    policy.prepare(network, anatomy)
    if cfg.trainer.gradient_checkpointing:
        activations.checkpoint(network)
    return Anatomy.of(network)


def moving_trunk(cfg: DictConfig, freeze: Freeze, data: TextData, clock: Clock) -> list[MovingTrunk]:
    """What keeps trunks behind the moving boundary of a schedule; nothing for a policy that stays."""
    if not isinstance(freeze.policy, Schedule) or not cfg.trunk or freeze.policy.trunk_dropout:
        return []
    return [MovingTrunk(freeze, data, instantiate(cfg.trunk), {"model": cfg.model.name, "data": data.name}, clock)]


def find_trunk(
    cfg: DictConfig, data: TextData, network: PreTrainedModel, anatomy: Anatomy, policy: Policy, device: torch.device
) -> Trunk | None:
    """The policy's frozen trunk, where there is one to keep for this run's splits; says so, or why not."""
    cache = instantiate(cfg.trunk) if cfg.trunk else None
    texts = [data.tokens(split) for split in ["train", "validation", *(["test"] if cfg.test else [])]]
    about = {"model": cfg.model.name, "data": data.name}
    sharded = cfg.trainer.get("strategy") == "fsdp"
    why_none = "trainer=fsdp splits the layers between devices" if sharded else None
    trunk = why_none or open_trunk(cache, network, anatomy, policy, texts, device, about)
    if isinstance(trunk, str):
        log.info(f"No trunk is kept for freeze={policy.name}: {trunk}.")
        return None
    log.info(trunk.describe(texts))
    return trunk


def keep_trunk(trunk: Trunk, data: TextData, test: bool, clock: Clock) -> None:
    """Let each split's batches hold what the trunk gives for its texts; the time counts where its split's does."""
    for split, phase in [("train", "trunk"), ("validation", "validation"), *([("test", "test")] if test else [])]:
        with clock.phase(phase):
            data.replace(split, trunk.outputs(data.tokens(split)))


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
        trainer.strategy.load_model_state_dict(best)
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


def finish(summary: dict, folder: Path, keep_checkpoints: bool) -> None:
    """metrics.json, which makes the run a finished one; no checkpoints unless asked; the last line."""
    ledger.write_json(folder / ledger.METRICS, summary)
    if not keep_checkpoints:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    say_where(summary, folder)
