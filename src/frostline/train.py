"""One run, top to bottom: seed, data, model, freeze, trainer, fit, test, results."""

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer, seed_everything
from pytorch_lightning.loggers import TensorBoardLogger
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from frostline import memory, options, ranks, results
from frostline.data.text import TextData
from frostline.display import rendered
from frostline.errors import InputError
from frostline.freeze.callback import Freeze
from frostline.freeze.policy import Policy
from frostline.freeze.schedule import Schedule
from frostline.frozen import find_trunk, keep_trunk, moving_trunk
from frostline.model import activations, kernels
from frostline.model.anatomy import Anatomy, max_positions
from frostline.model.classifier import Classifier
from frostline.model.first_token import shorten
from frostline.model.graphs import Graphs
from frostline.model.optim import parts
from frostline.resume import BEST, CHECKPOINTS, LAST, checkpoint_to_go_on_from, require_fits, take_best_along
from frostline.sharding import whole_weights
from frostline.summary import final_metrics, log_hparams, say_where, speeds, summarise
from frostline.sweep import ledger
from frostline.timing import Clock
from frostline.trainer import make_trainer, quiet, wants_graphs

log = logging.getLogger(__name__)

TENSOR_CORES = 8  # tokens of which a length is a multiple where they multiply
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
    run = fit(cfg, folder, clock, data, network, anatomy)
    metrics = evaluate(run, cfg.test)
    with clock.phase("results"):
        summary = summarise(cfg, data, run.classifier, run.trainer, run.freeze, metrics)
        keep_results(run, tokenizer, cfg.test, summary)
    seconds = clock.report()
    summary["timing"] = {**seconds, **speeds(run.classifier, run.trainer, seconds["fit_seconds"])}
    if run.trainer.is_global_zero:
        finish(summary, folder, cfg.keep_checkpoints)
    return metrics["val/f1"]


@dataclass(frozen=True)
class Run:
    """What a run has in hand once it is fitted."""

    folder: Path
    clock: Clock
    data: TextData
    classifier: Classifier
    trainer: Trainer
    freeze: Freeze


def fit(cfg: DictConfig, folder: Path, clock: Clock, data: TextData, network: PreTrainedModel, anatomy: Anatomy) -> Run:
    """Train what the freeze policy leaves trainable, behind a trunk where there is one."""
    policy: Policy = instantiate(cfg.freeze)
    anatomy = prepare(cfg, policy, network, anatomy)
    freeze = Freeze(policy, cfg.print_parameters)
    checkpoint, step = checkpoint_to_go_on_from(folder / CHECKPOINTS / LAST) or (cfg.resume, None)
    moving = moving_trunk(cfg, freeze, data, clock)
    trainer = make_trainer(cfg, folder, clock, [freeze, *moving], isinstance(policy, Schedule), step)
    device = trainer.strategy.root_device
    memory.reset_peak(device)
    steps = data.steps(cfg.trainer.max_epochs, cfg.trainer.max_steps)
    use_graphs = wants_graphs(cfg, policy, device, steps)
    limit_lengths(data, network, device, use_graphs)
    trunk = None if moving else find_trunk(cfg, data, network, anatomy, policy, device)
    if trunk:
        keep_trunk(trunk, data, cfg.test, clock)

    rates = partial(parts, network, anatomy, policy.ends(anatomy))  # sharding makes other parameters of them
    classifier = Classifier(network, instantiate(cfg.optimizer), trunk and trunk.rest, rates)
    if use_graphs:
        classifier.fast_step = Graphs(classifier, data.batch_size)
    if checkpoint and step is None:  # one that the user names
        require_fits(Path(checkpoint), classifier)
        take_best_along(Path(checkpoint), folder / CHECKPOINTS)
    trainer.fit(classifier, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return Run(folder, clock, data, classifier, trainer, freeze)


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
    if ranks.in_shards(cfg) and type(policy).finish is not Policy.finish:
        raise InputError(
            f"freeze={policy.name} changes the network after training, in shards it cannot: use trainer=ddp"
        )
    policy.prepare(network, anatomy)
    if cfg.trainer.gradient_checkpointing:
        activations.checkpoint(network)
    return Anatomy.of(network)


def limit_lengths(data: TextData, network: PreTrainedModel, device: torch.device, use_graphs: bool) -> None:
    """Let training batches have few lengths where kernels are made for each: by CUDA graphs, by oneDNN."""
    on_gpu = device.type == "cuda"
    made_for_each = use_graphs if on_gpu else kernels.used(network) == "amd"
    data.limit_lengths(made_for_each, TENSOR_CORES if on_gpu else 1)


def evaluate(run: Run, test: bool) -> dict[str, float]:
    """Put the best epoch's weights into the classifier, and test them; returns its metrics."""
    validation = load_best(run)
    run.freeze.policy.finish(run.classifier.network)
    if test:
        with run.clock.phase("test"):
            run.trainer.test(run.classifier, datamodule=run.data, verbose=False)
    return final_metrics({**validation, **run.trainer.callback_metrics})


def load_best(run: Run) -> dict[str, torch.Tensor]:
    """Put the best epoch's weights into the classifier; returns its validation metrics.

    A run that `trainer.max_steps` ends inside an epoch has weights that were never validated: they are, here.
    """
    trainer, classifier = run.trainer, run.classifier
    if classifier.validated_step != trainer.global_step:
        with run.clock.phase("validation"):
            trainer.validate(classifier, datamodule=run.data, verbose=False)
        return {name: value for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    best = torch.load(run.folder / CHECKPOINTS / BEST, weights_only=True, mmap=True)
    if best["global_step"] != trainer.global_step:  # else they are the weights that the run ended with
        trainer.strategy.load_model_state_dict(best)
    return {name: value.clone() for name, value in best["validation"].items()}  # apart from the mapped file


def keep_results(run: Run, tokenizer: PreTrainedTokenizerBase, test: bool, summary: dict) -> None:
    """`model/`, what testing gave, and the row in TensorBoard's HPARAMS tab."""
    weights = whole_weights(run.trainer)
    if run.trainer.is_global_zero:
        results.save_model(run.classifier.network, tokenizer, run.data.max_length, run.folder / "model", weights)
        if test:
            keep_test(run)
    log_hparams(run.trainer, summary)


def keep_test(run: Run) -> None:
    """predictions.parquet; ten test texts and the confusion matrix in the terminal and TensorBoard."""
    texts, names = run.data.texts("test"), run.data.label_names
    labels, logits = run.classifier.test_labels, run.classifier.test_logits
    results.save_predictions(texts, labels, logits, names, run.folder / "predictions.parquet")
    shown = results.examples(texts, labels, logits, names)
    log.info(rendered(results.example_table(shown)).rstrip())
    for logger in run.trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("test/examples", results.example_markdown(shown))
            matrix = results.confusion_figure(run.classifier.test_confusion, names)
            logger.experiment.add_figure("test/confusion", matrix)


def finish(summary: dict, folder: Path, keep_checkpoints: bool) -> None:
    """metrics.json, which makes the run a finished one; no checkpoints unless asked; the last line."""
    ledger.write_json(folder / ledger.METRICS, summary)
    if not keep_checkpoints:
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    say_where(summary, folder)
