"""A trained run → an ONNX model that any runtime takes, compared with PyTorch before it gets its name."""

import argparse
import logging
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from frostline.errors import InputError, not_installed
from frostline.predict.folders import find
from frostline.startup import quick_imports

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOLERANCE = 1e-4  # between a logit by PyTorch and by the ONNX model
LENGTHS, BATCHES = (2, 17, 128, 512), (1, 2, 5)  # what is compared; no longer than the model allows
MODEL = "model.onnx"
LIMIT = 1_900_000_000  # bytes: a protobuf ends at 2 GiB, larger weights go into a file beside it


@dataclass(frozen=True)
class Exported:
    """What was written, the names of its inputs, and how far it is from PyTorch."""

    file: Path
    inputs: tuple[str, ...]
    difference: float
    compared: int


def export(folder: Path, out: Path | None = None, overwrite: bool = False) -> Exported:
    """Write `out` (by default the run's `onnx/`): model.onnx, config.json and the tokenizer.

    The encoder is the plain one, without this project's own kernels and shortcuts. Raises InputError where it cannot be
    expressed, or differs from PyTorch by more than 1e-4 in a logit; nothing is left then.
    """
    with quick_imports():
        from frostline.predict.predictor import load, longest

    found = find(folder)
    if found.choice:
        print(found.choice, file=sys.stderr)
    out = out or found.folder / "onnx"
    _check(out, overwrite)
    network, tokenizer = load(found.model, "cpu")
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        names = tuple(_write(network, tokenizer.model_input_names, longest(network, tokenizer), partial / MODEL))
        batches = list(_batches(network, tokenizer, longest(network, tokenizer), names))
        difference = _largest_difference(network, partial / MODEL, batches)
        if not difference <= TOLERANCE:
            raise InputError(
                f"{found.model}: the ONNX model's logits differ from PyTorch's by {difference:.2g}, over {TOLERANCE}: "
                "nothing is written"
            )
        network.config.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}: choose another place with --out") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Exported(out / MODEL, names, difference, len(batches))


def _check(out: Path, overwrite: bool) -> None:
    """InputError where a library is missing, or `out` holds something that was not said to go."""
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]
    if missing:
        raise not_installed("exporting", " and ".join(missing), "onnx")
    if out.exists() and not (overwrite and (out / MODEL).is_file()):
        hint = "replace it with --overwrite" if (out / MODEL).is_file() else "it holds no exported model"
        raise InputError(f"{out} exists: choose another folder with --out, or {hint}")


def _write(network: "PreTrainedModel", inputs: Sequence[str], longest: int, file: Path) -> list[str]:
    """Trace the classifier for any batch size and length into `file`; returns its inputs' names."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            return self.network(**dict(zip(names, tensors, strict=True))).logits

    names = [name for name in inputs if name in ("input_ids", "attention_mask", "token_type_ids")]
    example = torch.ones(3, min(11, longest), dtype=torch.long)
    example[1:, 7:] = 0  # padding: without any, its mask could be left out of the graph
    examples = tuple(example.clone() for _ in names)  # one tensor given twice would become one input
    shapes = ({0: "batch", 1: "length"},) * len(names)
    with _quiet():
        try:
            program = torch.onnx.export(
                Logits().eval(), examples, input_names=names, output_names=["logits"],
                dynamic_shapes=(shapes,), dynamo=True, verbose=False,
            )  # fmt: skip
        except Exception as error:  # the exporter has many of its own
            why = " ".join(str(error).split())[:200]
            raise InputError(f"{type(network).__name__} cannot be expressed in ONNX: {why}") from error
        size = sum(p.numel() * p.element_size() for p in network.parameters())
        program.save(file, external_data=size > LIMIT)
    return names


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notices to other developers off the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _batches(
    network: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", longest: int, names: Sequence[str]
) -> Iterator[dict[str, "torch.Tensor"]]:
    """Batches of random tokens, padded behind texts of different lengths."""
    import torch

    rng = torch.Generator().manual_seed(0)
    pad = tokenizer.pad_token_id or 0
    usual = torch.tensor(sorted(set(range(len(tokenizer))) - set(tokenizer.all_special_ids)) or [0])
    for length in sorted({min(length, longest) for length in LENGTHS}):
        for texts in BATCHES:
            ids = usual[torch.randint(len(usual), (texts, length), generator=rng)]
            mask = torch.ones_like(ids)
            for row in range(1, texts):
                mask[row, int(torch.randint(1, length + 1, (), generator=rng)) :] = 0
            types = torch.zeros_like(ids)
            types[:, length // 2 :] = int(getattr(network.config, "type_vocab_size", 1) == 2)
            ids = torch.where(mask.bool(), ids, pad)
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types * mask}
            yield {name: given[name] for name in names}


def _largest_difference(network: "PreTrainedModel", file: Path, batches: Sequence[dict[str, "torch.Tensor"]]) -> float:
    """Between a logit by PyTorch and by the file's model, over all batches."""
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in batches:
        found = session.run(["logits"], {name: tensor.numpy() for name, tensor in batch.items()})[0]
        with torch.inference_mode():
            expected = network(**batch).logits
        gap = (torch.from_numpy(found) - expected).abs().max()
        largest = max(largest, float(gap) if gap.isfinite() else float("inf"))
    return largest


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    cli = argparse.ArgumentParser(
        prog="export.py",
        description="Write a trained run in another format, with its tokenizer, compared with PyTorch before.",
        epilog="python export.py outputs/2026-11-23/15-00-00 --format onnx",
    )
    cli.add_argument("folder", type=Path, metavar="DIR", help="a run's folder, a model/ folder, or a sweep's: its best")
    cli.add_argument("--format", choices=("onnx",), default="onnx", help="onnx (extra: onnx)")
    cli.add_argument("--out", type=Path, metavar="FOLDER", help="where to (default: DIR/onnx)")
    cli.add_argument("--overwrite", action="store_true", help="replace an exported model that is there")
    return cli.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry: exit status 1 and one line where something is wrong."""
    options = parse(arguments)
    try:
        done = export(options.folder, options.out, options.overwrite)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    print(
        f"{done.file}: {done.file.stat().st_size / 1e6:.1f} MB, takes {', '.join(done.inputs)}; "
        f"in {done.compared} batches its logits differ from PyTorch's by {done.difference:.1g} at most"
    )
