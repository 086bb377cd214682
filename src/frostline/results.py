"""What a run leaves behind besides its logs: the model's folder, predictions, and metrics.json."""

import logging
import math
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text
from transformers import PreTrainedModel, PreTrainedTokenizerBase

log = logging.getLogger(__name__)

LARGEST_FIGURE, MOST_NAMED = 20.0, 50  # inches; labels along an axis
PACKAGES = ("frostline", "torch", "pytorch-lightning", "transformers", "datasets", "torchmetrics", "hydra-core")


def save_model(
    network: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    folder: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """A Hugging Face folder (safetensors, tokenizer, label names) that appears whole or not at all.

    `weights` stand for the network's own where those are in shards.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer.model_max_length = max_length
    try:
        network.save_pretrained(partial, state_dict=weights)
        tokenizer.save_pretrained(partial)
        shutil.rmtree(folder, ignore_errors=True)  # of an attempt that did not come to its end
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def save_predictions(
    texts: Sequence[str] | Sequence[tuple[str, str]],
    labels: torch.Tensor,
    logits: torch.Tensor,
    names: Sequence[str],
    file: Path,
) -> None:
    """A row for each test text, in the data set's order: text, label, prediction, and every label's probability."""
    pairs = [(text,) if isinstance(text, str) else text for text in texts]
    columns = dict(zip(("text", "text_pair"), zip(*pairs, strict=True), strict=False))
    probabilities = logits.double().softmax(-1)
    table = {
        **columns,
        "label": [names[i] for i in labels],
        "prediction": [names[i] for i in logits.argmax(-1)],
        **{f"probability/{name}": probabilities[:, i].numpy() for i, name in enumerate(names)},
    }
    partial = file.with_name(f".{file.name}")
    try:
        pq.write_table(pa.table(table), partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def examples(
    texts: Sequence, labels: torch.Tensor, logits: torch.Tensor, names: Sequence[str], count: int = 10
) -> list[tuple[str, str, str]]:
    """Text, label and prediction of `count` texts, spread evenly over the split."""
    chosen = torch.linspace(0, len(texts) - 1, min(count, len(texts))).long().tolist()
    guesses = logits.argmax(-1)
    shown = [texts[i] if isinstance(texts[i], str) else " | ".join(texts[i]) for i in chosen]
    return [(text, names[labels[i]], names[guesses[i]]) for text, i in zip(shown, chosen, strict=True)]


def example_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    """The examples for the terminal."""
    table = Table(title="Some test texts", expand=True)
    table.add_column("text", no_wrap=True, ratio=1)
    for name in ("label", "prediction", "verdict"):
        table.add_column(name, no_wrap=True, min_width=6)
    for text, label, guess in rows:
        verdict = "right" if label == guess else "wrong"
        table.add_row(*(Text(_plain(cell)) for cell in (text, label, guess, verdict)))
    return table


def example_markdown(rows: Sequence[tuple[str, str, str]]) -> str:
    """The examples as TensorBoard shows text."""
    lines = [f"| {' | '.join(_plain(cell).replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(["| text | label | prediction |", "| --- | --- | --- |", *lines])


def _plain(text: str) -> str:
    return " ".join(text.split())


def confusion_figure(counts: torch.Tensor, names: Sequence[str]) -> Figure:
    """The confusion matrix of shape (labels, labels), rows the true labels, as a picture."""
    size = min(max(4.0, 0.6 * len(names) + 2), LARGEST_FIGURE)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(counts / counts.sum(1, keepdim=True).clamp(min=1), cmap="Blues", vmin=0, vmax=1)
    ticks = range(0, len(names), math.ceil(len(names) / MOST_NAMED))
    axes.set(xlabel="predicted", ylabel="label", xticks=ticks, yticks=ticks)
    shown = [names[i] for i in ticks]
    axes.set_xticklabels(shown, rotation=45, ha="right", parse_math=False)  # `$` is no formula
    axes.set_yticklabels(shown, parse_math=False)
    if len(names) <= 30:
        for i in ticks:
            for j in ticks:
                dark = counts[i, j] > counts[i].sum() / 2
                axes.text(j, i, f"{int(counts[i, j]):,}", ha="center", va="center", color="white" if dark else "black")
    return figure


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
