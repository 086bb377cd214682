"""Tiny encoders of many families, made from their configs; `python tests/families.py --write` makes docs/encoders.md.

What the page says of a family is asked of these encoders: `test_encoders.py` fails where it is out of date.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from frostline.data.batches import TokenizedTexts
from frostline.errors import InputError
from frostline.freeze.policy import Head, Policy, Top
from frostline.model.anatomy import Anatomy
from frostline.trunk.probe import Cut, find_cut
from frostline.trunk.split import FEATURES, NoTrunkError, boundary

PAGE = Path(__file__).parents[1] / "docs" / "encoders.md"

COMMON = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "initializer_range": 0.3,  # large, so that whatever is wrong shows in the logits
}
DECODER = {"num_key_value_heads": 1, "bos_token_id": 2, "eos_token_id": 3}
# Model type → name, and how its config differs from COMMON.
FAMILIES: dict[str, tuple[str, dict]] = {
    "bert": ("BERT", {}),
    "distilbert": ("DistilBERT", {"n_layers": 3, "dim": 16, "n_heads": 2, "hidden_dim": 32}),
    "roberta": ("RoBERTa", {}),
    "xlm-roberta": ("XLM-RoBERTa", {}),
    "camembert": ("CamemBERT", {}),
    "electra": ("ELECTRA", {"embedding_size": 8}),
    "albert": ("ALBERT", {"embedding_size": 8}),
    "deberta-v2": (
        "DeBERTa-v2",
        {
            "relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
            "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0,
        },
    ),
    "mpnet": ("MPNet", {}),
    "modernbert": ("ModernBERT", {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}),
    "longformer": ("Longformer", {"attention_window": [8] * 3}),
    "big_bird": ("BigBird", {"attention_type": "original_full"}),
    "xlnet": ("XLNet", {"d_model": 16, "n_layer": 3, "n_head": 2, "d_inner": 32, "max_position_embeddings": None}),
    "funnel": (
        "Funnel",
        {
            "block_sizes": [1, 2], "num_hidden_layers": None, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32,
        },
    ),
    "canine": ("CANINE", {"num_hash_buckets": 64, "local_transformer_stride": 16, "max_position_embeddings": 64}),
    "gpt2": ("GPT-2", {**DECODER, "n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": 64}),
    "llama": ("Llama", DECODER),
    "qwen3": ("Qwen3", {**DECODER, "head_dim": 8}),
    "bart": (
        "BART",
        {
            "d_model": 16, "encoder_layers": 3, "decoder_layers": 3, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "bos_token_id": 2, "eos_token_id": 3,
            "decoder_start_token_id": 3, "init_std": 0.3,
        },
    ),
    "xlm": ("XLM", {"emb_dim": 16, "n_layers": 3, "n_heads": 2, "n_words": 40, "pad_index": 0, "embed_init_std": 0.3}),
}  # fmt: skip


def encoder(family: str, labels: tuple[str, ...] = ("neg", "pos"), **options: object) -> PreTrainedModel:
    """A tiny classifier with random weights, the same each time; `options` change its config."""
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    settings = {**COMMON, **FAMILIES[family][1], **names, **options}
    config = AutoConfig.for_model(family, **{name: value for name, value in settings.items() if value is not None})
    config.name_or_path = f"tiny {family}"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForSequenceClassification.from_config(config).eval()


def texts(family: str) -> TokenizedTexts:
    """Eight texts of 4 to 16 tokens, padded where the family's tokenizer pads; BART wants one end token in each."""
    rng = np.random.default_rng(0)
    lengths = [9, 5, 12, 4, 7, 16, 11, 6]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng.integers(5, 40, offsets[-1]).astype(np.int32)
    ids[offsets[1:] - 1] = 3
    return TokenizedTexts(ids, offsets, np.arange(8) % 2, pad_id=0, pad_left=family == "xlnet", padded_lengths=(8, 16))


def cut(family: str, policy: Policy) -> Cut | str:
    """How the family is cut for a policy, or why it is not."""
    network = encoder(family)
    anatomy = Anatomy.of(network)
    try:
        at = boundary(policy.trains(anatomy), anatomy)
        return find_cut(network, anatomy, at, [], texts(family))
    except (InputError, NoTrunkError) as why:
        return str(why)


def found() -> Iterator[tuple[str, ...]]:
    """A row for each family: the modules that make its parts."""
    yield "family", "embeddings", "layers", "pooler", "head"
    for family, (name, _) in FAMILIES.items():
        parts = Anatomy.of(encoder(family)).found()
        yield name, *(parts.get(part, "not known") for part in ("embeddings", "layers", "pooler", "head"))


def kept() -> Iterator[tuple[str, ...]]:
    """A row for each family: what `head` and `top1` train, and what is kept of the trunk, or why nothing is."""
    yield "family", "`head` trains", "`top1` trains", "kept under `head`", "kept under `top1`"
    for family, (name, _) in FAMILIES.items():
        yield (
            name,
            *(_trained(family, policy) for policy in (Head(), Top(n=1))),
            *(_kept(family, policy) for policy in (Head(), Top(n=1))),
        )


def _trained(family: str, policy: Policy) -> str:
    anatomy = Anatomy.of(encoder(family))
    try:
        trains = policy.trains(anatomy)
    except InputError:
        return "refused"
    training = {anatomy.group(name) for name, trainable in trains.items() if trainable}
    groups = " + ".join(group for group in anatomy.groups if group in training)
    return f"{groups}: {sum(trains.values())} of {len(trains)} tensors"


def _kept(family: str, policy: Policy) -> str:
    way = cut(family, policy)
    if isinstance(way, str):
        why = "`top1` is refused" if "freeze=" in way else way
        return f"nothing: {why}".replace(f"tiny {family}", "it")
    if way.rest.at == FEATURES:
        return {
            "pooler": "the pooler's output", "first": "the first token's vector", "last": "the last token's vector",
            "mean": "the mean over tokens",
        }[way.habits.reading]  # fmt: skip
    return "every token's vector" + (", and the token ids are read" if way.habits.with_ids else "")


def table(rows: Iterator[tuple[str, ...]]) -> str:
    """Rows as a Markdown table, the first as its head."""
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def page(text: str) -> str:
    """The page with both tables as they should be, everything else as it is."""
    for name, rows in {"found": found(), "kept": kept()}.items():
        begin, end = f"<!-- {name}: made by python tests/families.py --write -->", f"<!-- end of {name} -->"
        before, after = text.split(begin)[0], text.split(end)[1]
        text = f"{before}{begin}\n\n{table(rows)}\n\n{end}{after}"
    return text


def main() -> None:
    """Write the tables into the page, or print them."""
    cli = argparse.ArgumentParser(description="The families' tables of docs/encoders.md, asked of tiny encoders.")
    cli.add_argument("--write", action="store_true", help="write them into the page; without it they are printed")
    if cli.parse_args().write:
        PAGE.write_text(page(PAGE.read_text()))
    else:
        sys.stdout.write("\n\n".join((table(found()), table(kept()))) + "\n")


if __name__ == "__main__":
    main()
