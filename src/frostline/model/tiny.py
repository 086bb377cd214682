"""A tiny encoder made from a config, with a tokenizer trained on the data: for tests and for trying things out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from frostline import options
from frostline.errors import InputError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FAMILIES = ("bert", "distilbert", "roberta", "electra", "modernbert")


@dataclass(frozen=True)
class Tiny:
    """An encoder of `family` with random weights that are the same whatever the run's seed, as pretrained ones are."""

    name: str
    name_or_path: str  # the family
    layers: int = 3
    hidden: int = 32
    vocabulary: int = 2000
    max_length: int = 128
    dropout: float | None = None  # null: the family's own
    describe: bool = False

    def __post_init__(self) -> None:
        if self.name_or_path not in FAMILIES:
            raise InputError(f"model.name_or_path={self.name_or_path}: tiny makes one of {', '.join(FAMILIES)}")
        options.check(vars(self), "model")

    def tokenizer(self, texts: Sequence) -> PreTrainedTokenizerBase:
        """A WordPiece tokenizer for `texts`, strings or pairs of strings: their characters and most frequent words.

        The library's own trainer breaks ties by chance; this vocabulary is the same every time.
        """
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        words: Counter[str] = Counter()
        for text in chain.from_iterable([text] if isinstance(text, str) else text for text in texts):
            cleaned = tokenizer.normalizer.normalize_str(text)
            words.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(cleaned))
        characters = sorted(set(chain.from_iterable(words)))
        frequent = sorted(words, key=lambda word: (-words[word], word))[: self.vocabulary]
        pieces = dict.fromkeys([*SPECIAL, *characters, *(f"##{c}" for c in characters), *frequent])
        tokenizer.model = models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]")
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", SPECIAL.index("[CLS]")), ("[SEP]", SPECIAL.index("[SEP]"))],
        )
        names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
        inputs = ["input_ids", "attention_mask"] + ([] if self.name_or_path == "distilbert" else ["token_type_ids"])
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, model_max_length=self.max_length, model_input_names=inputs, **names
        )

    def network(self, labels: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
        """The encoder with a classification head for `labels`."""
        config = AutoConfig.for_model(
            self.name_or_path,
            **self._sizes(),
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            cls_token_id=tokenizer.cls_token_id,
            sep_token_id=tokenizer.sep_token_id,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
        config.name_or_path = f"tiny {self.name_or_path}"
        if self.dropout is not None:
            config.update({k: self.dropout for k, v in config.to_dict().items() if "dropout" in k and v is not None})
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return AutoModelForSequenceClassification.from_config(config)

    def _sizes(self) -> dict[str, int]:
        if self.name_or_path == "distilbert":
            names = ("n_layers", "dim", "n_heads", "hidden_dim")
        else:
            names = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
        positions = self.max_length + (1 if self.name_or_path == "roberta" else 0)  # pad id 0 takes one
        sizes = dict(zip(names, (self.layers, self.hidden, 2, 2 * self.hidden), strict=True))
        if self.name_or_path == "electra":
            sizes["embedding_size"] = self.hidden // 2
        return {**sizes, "max_position_embeddings": positions}
