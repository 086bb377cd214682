"""A run folder and texts → labels and probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from frostline.data.batches import TokenizedTexts
from frostline.data.tokens import most_tokens
from frostline.errors import InputError
from frostline.model import kernels
from frostline.model.anatomy import Anatomy, max_positions
from frostline.model.first_token import shorten
from frostline.model.inputs import encoder_inputs
from frostline.predict.folders import find
from frostline.trunk.keep import fill_batches

Text = str | tuple[str, str]


@dataclass(frozen=True)
class Prediction:
    """One text's label, and each label's logit and probability, in the model's label order."""

    text: Text
    label: str
    logits: dict[str, float]
    probabilities: dict[str, float]


class Predictor:
    """A trained classifier from a run folder, a `model/` folder or a sweep's (then its best run).

    `device` is `auto` (a GPU where there is one), `cpu`, `cuda:1`, …
    """

    def __init__(self, folder: str | Path, device: str = "auto") -> None:
        self.found = find(Path(folder))
        self.network, self.tokenizer = load(self.found.model, device)
        self.device = self.network.device
        shorten(self.network, Anatomy.of(self.network))
        kernels.use("auto", self.network)
        self.labels = label_names(self.network)
        self.max_length = longest(self.network, self.tokenizer)

    def predict(self, texts: Sequence[Text]) -> list[Prediction]:
        """A prediction for each text or pair of texts, in order; longer ones than the model's maximum are cut."""
        logits = self.logits(texts)
        guesses, shares = logits.argmax(-1).tolist(), logits.double().softmax(-1).tolist()
        return [
            Prediction(text, self.labels[guess], self._named(row), self._named(share))
            for text, guess, row, share in zip(texts, guesses, logits.tolist(), shares, strict=True)
        ]

    @torch.inference_mode()
    def logits(self, texts: Sequence[Text], advance: Callable[[int], None] = lambda done: None) -> torch.Tensor:
        """fp32 of shape (texts, labels) on the CPU; texts of like length share a batch; `advance` counts them."""
        found = torch.empty(len(texts), len(self.labels))
        if texts:
            tokens = self.tokens(texts)
            for positions in fill_batches(tokens, self.device):
                batch = {name: tensor.to(self.device) for name, tensor in tokens[positions].items()}
                found[batch["index"].cpu()] = self.network(**encoder_inputs(batch)).logits.float().cpu()
                advance(len(positions))
        return found

    def tokens(self, texts: Sequence[Text]) -> TokenizedTexts:
        """Token ids, cut at the model's maximum."""
        columns = [list(texts)] if isinstance(texts[0], str) else [list(part) for part in zip(*texts, strict=True)]
        options = {"truncation": True, "max_length": self.max_length, "return_attention_mask": False}
        encoded = pa.table(dict(self.tokenizer(*columns, **options)))
        return TokenizedTexts.from_arrow(encoded, np.zeros(len(texts), np.int64), self.tokenizer)

    def _named(self, row: list[float]) -> dict[str, float]:
        return dict(zip(self.labels, row, strict=True))


def load(folder: Path, device: str = "auto") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The classifier in fp32 and eval mode, and its tokenizer; InputError where either, or the device, is amiss."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        place = torch.device(chosen)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        network = AutoModelForSequenceClassification.from_pretrained(  # no pickle: it could run code
            folder, dtype=torch.float32, use_safetensors=True
        )
        return network.to(place).eval(), tokenizer
    except (OSError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(f"{folder} on device {chosen}: {' '.join(str(error).split())[:200]}") from error


def label_names(network: PreTrainedModel) -> list[str]:
    """The labels' names in the order of the logits."""
    return [network.config.id2label[i] for i in range(network.config.num_labels)]


def longest(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens a text may have, special tokens included."""
    return most_tokens(tokenizer, max_positions(network))
