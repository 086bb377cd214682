"""A run folder and texts → labels and probabilities."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frostline.errors import InputError

BATCH_SIZE = 32


@dataclass(frozen=True)
class Prediction:
    """One text's label, and each label's logit and probability, in the model's label order."""

    text: str
    label: str
    logits: dict[str, float]
    probabilities: dict[str, float]


class Predictor:
    """A trained classifier from a run folder or a `model/` folder, on `device` (`auto`: a GPU where there is one)."""

    def __init__(self, folder: str | Path, device: str = "auto") -> None:
        import torch
        import transformers
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        from frostline.model import kernels
        from frostline.model.anatomy import Anatomy
        from frostline.model.first_token import shorten

        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        source = model_folder(Path(folder))
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            self.device = torch.device(chosen)
            self.tokenizer = AutoTokenizer.from_pretrained(source)
            network = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32)
            self.network = network.to(self.device).eval()
        except (OSError, ValueError, RuntimeError, AssertionError) as error:
            raise InputError(f"{source} on device {chosen}: {' '.join(str(error).split())[:200]}") from error
        shorten(self.network, Anatomy.of(self.network))
        kernels.use("auto", self.network)
        self.labels = [self.network.config.id2label[i] for i in range(self.network.config.num_labels)]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """A prediction for each text, in order; texts longer than the model's maximum are cut."""
        import torch

        found: list[Prediction] = []
        for start in range(0, len(texts), BATCH_SIZE):
            part = list(texts[start : start + BATCH_SIZE])
            inputs = self.tokenizer(part, truncation=True, padding=True, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                logits = self.network(**inputs).logits.float().cpu()
            for text, row, shares in zip(part, logits.tolist(), logits.softmax(-1).tolist(), strict=True):
                label = self.labels[max(range(len(row)), key=row.__getitem__)]
                named = dict(zip(self.labels, row, strict=True)), dict(zip(self.labels, shares, strict=True))
                found.append(Prediction(text, label, *named))
        return found


def model_folder(folder: Path) -> Path:
    """The folder of the weights: `folder` itself or its `model/`; InputError where there is neither."""
    for candidate in (folder / "model", folder):
        if (candidate / "config.json").is_file():
            return candidate
    if not folder.exists():
        raise InputError(f"{folder} does not exist: give a run folder, such as outputs/2026-11-23/15-00-00")
    cells = sorted(str(cell.parent.parent) for cell in folder.glob("*/model/config.json"))
    hint = (
        f"name one of its runs, such as {cells[0]}" if cells else "give a finished run's folder, or its model/ folder"
    )
    raise InputError(f"{folder} holds no model (no model/config.json, no config.json): {hint}")


def shown(prediction: Prediction) -> str:
    """The prediction as a few lines for the terminal."""
    width = max(len(label) for label in prediction.logits)
    rows = [
        f"  {label:<{width}}  logit {logit:+8.4f}   probability {prediction.probabilities[label]:.4f}"
        for label, logit in prediction.logits.items()
    ]
    return "\n".join([f"{prediction.text}\n  → {prediction.label}", *rows])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    cli = argparse.ArgumentParser(
        prog="predict.py",
        description="Label texts with a trained run: the label, and each label's logit and probability.",
        epilog='python predict.py outputs/2026-11-23/15-00-00 "This is a horrible movie" "Not bad at all"',
    )
    cli.add_argument("folder", help="a run folder (of outputs/ or multirun/) or a model/ folder")
    cli.add_argument("texts", nargs="+", metavar="text", help="one or more texts, each in quotes")
    cli.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1, mps")
    return cli.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry: print a prediction for each text; exit status 1 and one line where something given is wrong."""
    options = parse(arguments)
    try:
        blank = [i for i, text in enumerate(options.texts, 1) if not text.strip()]
        if blank:
            raise InputError(f"text {blank[0]} is empty: give some words")
        predictions = Predictor(options.folder, options.device).predict(options.texts)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    print("\n\n".join(shown(prediction) for prediction in predictions))
