"""The LightningDataModule under every data set: load → check → split → tokenise → batches."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from transformers import PreTrainedTokenizerBase

from frostline import options
from frostline.data import columns, source
from frostline.data.batches import (
    BucketedBatches,
    ResumableLoader,
    Share,
    SortedBatches,
    TokenizedTexts,
    loader,
)
from frostline.data.labels import LabelCoder, stratified_sample
from frostline.data.tokens import most_tokens, tokenized
from frostline.errors import InputError

log = logging.getLogger(__name__)

EVAL_BATCH_FACTOR = 4  # evaluation keeps no gradients, so its batches can be larger
WINDOW_BATCHES = 50
FEW = 16  # lengths: with more of them there is little less padding, and each takes kernels of its own
TEST_FRACTION_OF_ONE_FILE = 0.2


class TextData(LightningDataModule):
    """Labelled texts (or pairs of texts) with train, validation and test splits.

    A data set overrides `hub`, or `load`. `prepare_data` reads, checks and splits; `tokenize` makes the batches'
    token ids; both are called by `frostline.train` in that order, because the model needs the labels in between.
    """

    hub: str | None = None

    def __init__(
        self,
        name: str,
        path: str | Mapping[str, str] | None = None,
        text_column: str | Sequence[str] = "text",
        label_column: str = "label",
        batch_size: int = 16,
        max_length: int | None = None,
        limit_train: int | None = None,
        validation: str = "auto",
        validation_fraction: float = 0.05,
        split_seed: int = 0,
        bucket: bool = True,
        padded_lengths: int | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.name = name
        self.path = path
        single = isinstance(text_column, str) or not isinstance(text_column, Sequence)
        self.text_columns = [str(name) for name in ([text_column] if single else text_column)]
        self.label_column = str(label_column)  # an unquoted number names a column, too
        self.batch_size = batch_size
        self.max_length = max_length
        self.limit_train = limit_train
        self.validation = validation
        self.validation_fraction = validation_fraction
        self.split_seed = split_seed
        self.bucket = bucket
        self.padded_lengths = padded_lengths
        self.seed = seed
        self.splits: dict[str, Dataset] = {}
        self.labels: dict[str, np.ndarray] = {}
        self.label_names: tuple[str, ...] = ()
        self._tokens: dict[str, TokenizedTexts] = {}
        self._batched: dict[str, TorchDataset] = {}
        self._check_options()

    def _check_options(self) -> None:
        if len(self.text_columns) not in (1, 2):
            raise InputError(f"data.text_column={self.text_columns}: give one column, or a pair [premise,hypothesis]")
        named = [*self.text_columns, self.label_column]
        if twice := [name for name in named if named.count(name) > 1]:
            raise InputError(
                f"data.text_column={','.join(self.text_columns)} and data.label_column={self.label_column} name the "
                f"column {twice[0]!r} twice: texts and labels stand in columns of their own"
            )
        if self.validation not in ("auto", "test"):
            raise InputError(f"data.validation={self.validation}: use auto, or test to validate on the test split")
        options.check(vars(self), "data")

    # Load, check, split

    def load(self) -> dict[str, Dataset]:
        """The raw splits, `train` and `test` and maybe `validation`; one file alone comes as `all`."""
        if self.path is not None:
            return source.from_path(self.path)
        if self.hub is None:
            raise InputError(f"data={self.name} needs data.path: a folder with train.* and test.* files, or one file")
        return source.from_hub(self.hub)

    def prepare_data(self) -> None:
        """Read and check every split, once."""
        if self.splits:
            return
        source.quiet()
        raw = {split: data for split, data in self.load().items() if split in (*source.SPLITS, "all")}
        if not {"train", "all"} & set(raw):
            raise InputError(
                f"{self.path or f'data={self.name}'} has no train split: give a folder or file with data.path=…"
            )
        named = {"data.text_column": self.text_columns, "data.label_column": [self.label_column]}
        columns.require_columns(raw, named)
        for split, data in raw.items():
            columns.require_filled(data, split, [*self.text_columns, self.label_column])
            columns.require_text(data, self.text_columns)
        coder = LabelCoder.learn(raw.get("train", raw.get("all")), self.label_column)
        labels = {split: coder.encode(data, self.label_column, split) for split, data in raw.items()}
        self.label_names = coder.names
        self._split(raw, labels)
        self._warn_of_leakage()

    def _split(self, raw: dict[str, Dataset], labels: dict[str, np.ndarray]) -> None:
        """Set `splits` and `labels`: cut one file, shorten train, hold out what is missing for validation."""
        parts = {split: (data, codes) for split, data in raw.items() for codes in [labels[split]]}
        if "all" in parts:
            parts["train"], parts["test"] = self._cut(parts.pop("all"), TEST_FRACTION_OF_ONE_FILE, "test")
        if self.limit_train is not None and self.limit_train < len(parts["train"][1]):
            parts["train"] = _take(
                parts["train"], stratified_sample(parts["train"][1], self.limit_train, self.split_seed, at_least=2)
            )
        if self.validation == "test":
            if "test" not in parts:
                raise InputError(
                    "data.validation=test, but there is no test split: add one, or use data.validation=auto"
                )
            parts["validation"] = parts["test"]
        elif "validation" not in parts:
            parts["train"], parts["validation"] = self._cut(parts["train"], self.validation_fraction, "validation")
        self.splits = {split: data for split, (data, _) in parts.items()}
        self.labels = {split: codes for split, (_, codes) in parts.items()}

    def _cut(self, part: tuple, fraction: float, purpose: str) -> tuple[tuple, tuple]:
        """Cut a stratified share off: (what is left, what was cut)."""
        _, codes = part
        counts = np.bincount(codes, minlength=len(self.label_names))
        lone = [name for name, count in zip(self.label_names, counts, strict=True) if count == 1]
        if lone:
            raise InputError(
                f"label {lone[0]!r} has one text left in train, too few to hold out a {purpose} part of each label: "
                f"add a {purpose} file, or texts of that label, or leave it out"
            )
        size = max(1, round(fraction * len(codes)))
        cut = stratified_sample(codes, size, self.split_seed, at_least=1, leave=1)
        log.info(
            f"No {purpose} split: {len(cut):,} of {len(codes):,} train texts are held out for it "
            f"(stratified, data.split_seed={self.split_seed})."
        )
        return _take(part, np.setdiff1d(np.arange(len(codes)), cut)), _take(part, cut)

    def _warn_of_leakage(self) -> None:
        """Say how many texts that a score is made of are in train, too."""
        train = {hash(text) for text in self.texts("train")}
        for split in sorted({"validation", "test"} & set(self.splits)):
            texts = self.texts(split)
            if known := sum(hash(text) in train for text in texts):
                log.warning(
                    f"{known:,} of {len(texts):,} {split} texts are in train, too: the score is better than on texts "
                    "never seen. Remove them from one of the two."
                )

    def texts(self, split: str) -> list[str] | list[tuple[str, str]]:
        """The texts of a split, or its pairs of texts, in the order of its labels."""
        texts = [self.splits[split][column][:] for column in self.text_columns]
        return texts[0] if len(texts) == 1 else list(zip(*texts, strict=True))

    # Tokenise, batch

    def tokenize(self, tokenizer: PreTrainedTokenizerBase, max_positions: int | None) -> None:
        """Token ids of every split, cut at `data.max_length`; `max_positions` is what the encoder allows."""
        longest = most_tokens(tokenizer, max_positions)
        shortest = tokenizer.num_special_tokens_to_add(pair=len(self.text_columns) == 2) + len(self.text_columns)
        if self.max_length is not None and not shortest <= self.max_length <= longest:
            raise InputError(
                f"data.max_length={self.max_length}, but the tokenizer and the encoder allow {shortest} to {longest}: "
                f"use one of these, or null for {longest}"
            )
        self.max_length = self.max_length or longest
        # data.validation=test shares one split: it is tokenised once.
        shared = {id(data): (data, self.labels[split]) for split, data in self.splits.items()}
        done = tokenized(shared, tokenizer, self.text_columns, self.max_length)
        self._tokens = {split: done[id(data)] for split, data in self.splits.items()}

    def tokens(self, split: str) -> TokenizedTexts:
        """The token ids and labels of a split."""
        return self._tokens[split]

    def steps(self, epochs: int, most: int = -1) -> int:
        """Batches in so many epochs, or `most` where that is fewer; -1 is no limit."""
        found = epochs * -(-len(self.labels["train"]) // self.batch_size)
        return most if epochs == -1 or 0 <= most < found else found

    def limit_lengths(self, made_for_each: bool, multiple: int = 1) -> None:
        """Let training batches have as few lengths as `padded_lengths` says, each a multiple of `multiple`.

        `made_for_each` says whether kernels are made for each length. Evaluation has few batches as it is.
        """
        count = self.padded_lengths
        if count == "auto":
            count = FEW if made_for_each else None
        if count is not None:
            texts = self.tokens("train")
            batches = self._train_batches(texts.lengths)
            self._tokens["train"] = texts.in_few_lengths(batches, count, self.max_length, multiple)

    def replace(self, split: str, texts: TorchDataset) -> None:
        """Make batches of a split from `texts`, which stand for its token ids: as many, of the same lengths."""
        self._batched[split] = texts

    def train_dataloader(self) -> DataLoader:
        texts = self._batched.get("train", self.tokens("train"))
        return loader(texts, self._train_batches(texts.lengths), ResumableLoader)

    def _train_batches(self, lengths: np.ndarray) -> BucketedBatches:
        # On few texts a window over all of them would put the same texts into one batch at every epoch.
        window = min(WINDOW_BATCHES, max(1, len(lengths) // (4 * self.batch_size))) if self.bucket else 1
        return BucketedBatches(lengths, self.batch_size, self.seed, window, self._share())

    def val_dataloader(self) -> DataLoader:
        return self._eval_loader("validation")

    def test_dataloader(self) -> DataLoader:
        return self._eval_loader("test")

    def _eval_loader(self, split: str) -> DataLoader:
        texts = self._batched.get(split, self.tokens(split))
        return loader(texts, SortedBatches(texts.lengths, EVAL_BATCH_FACTOR * self.batch_size, self._share()))

    def _share(self) -> Share:
        """This process's part of each batch."""
        return Share(self.trainer.global_rank, self.trainer.world_size) if self.trainer else Share()


def _take(part: tuple[Dataset, np.ndarray], positions: np.ndarray) -> tuple[Dataset, np.ndarray]:
    return part[0].select(positions), part[1][positions]
