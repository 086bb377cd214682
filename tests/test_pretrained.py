"""Encoders from folders: the head they come with, tokenizers that do not pad, and whole runs of unlike families."""

import json
import logging
import re
from pathlib import Path

import pytest
import torch
from families import encoder
from transformers import AutoModel, AutoModelForSequenceClassification, CanineTokenizer, PreTrainedTokenizerBase

from frostline.errors import InputError
from frostline.model.pretrained import Pretrained
from frostline.model.tiny import Tiny

WORDS = ["a fine film, and a dull one", "the plot is thin", "what a horrible movie"]


def tokenizer_for(family: str, texts: list[str] = WORDS) -> PreTrainedTokenizerBase:
    """A tokenizer with the habits of the family's own: what it pads with, on which side, and what its words are."""
    if family == "canine":
        return CanineTokenizer(model_max_length=64)
    tokenizer = Tiny("tiny", "distilbert" if family == "distilbert" else "bert").tokenizer(texts)
    tokenizer.model_max_length = 62
    if family == "xlnet":
        tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"  # in use, and saved
    if family in ("gpt2", "llama"):
        tokenizer.pad_token = None
        tokenizer.eos_token = "[MASK]"  # a token that no text ends in
    if family in ("gpt2", "llama", "bart"):
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


@pytest.fixture
def saved(tmp_path: Path, small_reviews: Path):
    """Save a tiny encoder of a family as a folder with its tokenizer: `saved("gpt2", labels=("a", "b"))`."""

    def save(family: str, name: str = "encoder", base: bool = False, **options: object) -> Path:
        tokenizer = tokenizer_for(family, (small_reviews / "train.csv").read_text().splitlines())
        size = {} if family == "canine" else {"n_words" if family == "xlm" else "vocab_size": len(tokenizer)}
        if family in ("gpt2", "llama"):
            size["pad_token_id"] = None
        if family == "bart":
            size["eos_token_id"] = tokenizer.sep_token_id
        network = encoder(family, **{**size, **options})
        (network.base_model if base else network).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


def load(folder: Path, labels: tuple[str, ...]) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """The network for these labels, and the weights that the folder holds."""
    source = Pretrained("bert_base", str(folder))
    stored = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    return source.network(labels, source.tokenizer([])), stored


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "xlm"])
def test_a_head_for_the_same_labels_is_kept_and_said_so(family, saved, caplog):
    caplog.set_level(logging.INFO)
    network, stored = load(saved(family), ("neg", "pos"))
    for name, parameter in network.named_parameters():
        assert torch.equal(parameter, stored[name]), name
    assert "encoder comes with a head for these labels (neg, pos): it is kept." in caplog.messages


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "xlm", "bart"])
def test_the_same_labels_in_another_order_keep_their_weights(family, saved):
    folder = saved(family, labels=("c", "a", "b"))
    network, _ = load(folder, ("a", "b", "c"))
    plain = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokens = {"input_ids": torch.tensor([[7, 8, 9, plain.config.eos_token_id or 5]])}
    torch.testing.assert_close(network.eval()(**tokens).logits, plain(**tokens).logits[:, [1, 2, 0]])
    assert network.config.id2label == {0: "a", 1: "b", 2: "c"}


@pytest.mark.parametrize("labels", [("good", "bad"), ("neg", "pos", "neither"), ("NEG", "POS")])
@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_head_for_other_labels_is_replaced_whole_and_said_so(family, labels, saved, caplog):
    caplog.set_level(logging.INFO)
    network, stored = load(saved(family), labels)
    base = f"{network.base_model_prefix}."
    for name, parameter in network.named_parameters():
        if name.startswith(base):
            assert torch.equal(parameter, stored[name]), name
        elif parameter.ndim == 2:  # vectors begin at 0 or 1 by rule
            assert parameter.shape != stored[name].shape or not torch.equal(parameter, stored[name]), name
            assert parameter.std() > 0
    told = "encoder comes with a head for neg, pos; the data's labels are " + ", ".join(labels)
    assert f"{told}: a fresh head takes its place." in caplog.messages
    assert network.config.num_labels == len(labels)


def test_a_base_model_gets_a_fresh_head_without_a_word(saved, caplog):
    caplog.set_level(logging.INFO)
    network, _ = load(saved("bert", base=True), ("neg", "pos"))
    assert not [record for record in caplog.records if record.name.startswith("frostline")]
    assert network.classifier.weight.std() > 0
    again, _ = load(saved("bert", base=True), ("neg", "pos"))
    assert not torch.equal(network.classifier.weight, again.classifier.weight), "its weights are the run's own"


def test_a_decoder_without_a_pad_token_takes_its_end_token(saved):
    folder = saved("gpt2")
    source = Pretrained("gpt2", str(folder))
    tokenizer = source.tokenizer([])
    assert tokenizer.pad_token == tokenizer.eos_token
    network = source.network(("neg", "pos"), tokenizer).eval()
    assert network.config.pad_token_id == tokenizer.eos_token_id
    tokens = tokenizer(WORDS, padding=True, return_tensors="pt")
    together = network(**tokens).logits
    for i, text in enumerate(WORDS):
        torch.testing.assert_close(network(**tokenizer(text, return_tensors="pt")).logits[0], together[i])


def test_a_tokenizer_that_cannot_pad_is_one_line(saved):
    folder = saved("gpt2")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": None}))
    with pytest.raises(InputError, match=r"encoder: its tokenizer has no pad token, and no eos token .*save it there$"):
        Pretrained("gpt2", str(folder)).tokenizer([])


@pytest.mark.parametrize(
    ("family", "freeze"),
    [
        ("deberta-v2", "top1"), ("longformer", "top1"), ("xlnet", "top1"), ("canine", "top1"), ("gpt2", "top1"),
        ("llama", "head"),
    ],
)  # fmt: skip
def test_a_run_from_a_folder_ends_alike_with_a_trunk_and_without(family, freeze, saved, train, tmp_path):
    options = ["model=bert_base", f"model.name_or_path={saved(family)}", f"freeze={freeze}"]
    options += ["optimizer.lr=2e-3", "trainer.max_epochs=2"]
    outcome = train(*options, f"trunk.dir={tmp_path}/trunk", "trunk.dtype=fp32", "hydra.run.dir=kept")
    assert outcome.status == 0, outcome.err
    assert not outcome.err
    assert ("No trunk is kept" in outcome.out) == (family == "canine"), outcome.out
    if family != "canine":
        assert train(*options, "trunk=none", "hydra.run.dir=plain").status == 0
        kept, plain = (json.loads((tmp_path / run / "metrics.json").read_text()) for run in ("kept", "plain"))
        assert kept["metrics"] == pytest.approx(plain["metrics"], abs=1e-3)


def test_an_encoder_that_is_not_understood_says_what_was_found_and_trains_by_patterns(saved, train, tmp_path):
    options = ["model=bert_base", f"model.name_or_path={saved('bart')}"]
    outcome = train(*options, "freeze=top1", "hydra.run.dir=refused")
    assert outcome.status == 1
    assert re.fullmatch(
        r"freeze=top1: encoder has no layers to be found: .* are model\.encoder\.layers \(3\), "
        r"model\.decoder\.layers \(3\); use freeze=head, freeze=none, or freeze=pattern with freeze\.train=\[…\]",
        outcome.err.strip(),
    )
    outcome = train(*options, "freeze=pattern", "freeze.train=[decoder.layers.2,classification_head]")
    assert outcome.status == 0, outcome.err
    assert "No trunk is kept for freeze=pattern: the layers of encoder are not known" in outcome.out


def test_describe_says_what_was_found(saved, train):
    outcome = train("model=bert_base", f"model.name_or_path={saved('albert')}", "model.describe=true", "freeze=head")
    assert outcome.status == 0, outcome.err
    for line in (
        "embeddings  albert.embeddings, albert.encoder.embedding_hidden_mapping_in",
        "layers      1 layer albert.encoder.albert_layer_groups.0, run 3 times",
        "pooler      albert.pooler",
        "head        classifier",
    ):
        assert line in outcome.out
    outcome = train("model=bert_base", f"model.name_or_path={saved('albert')}", "freeze=top1", "hydra.run.dir=top")
    assert outcome.err.startswith("freeze=top1: the 3 layers of encoder share the weights of")


def test_a_classifier_that_a_run_left_goes_on_learning(train, tmp_path):
    first = train("freeze=none", "optimizer.lr=3e-3", "trainer.max_epochs=4", "hydra.run.dir=first")
    assert first.status == 0, first.err
    again = train(
        "model=bert_base", f"model.name_or_path={tmp_path}/first/model", "freeze=head", "optimizer.lr=1e-9",
        "hydra.run.dir=second",
    )  # fmt: skip
    assert "model comes with a head for these labels" in again.out
    f1 = [
        json.loads((tmp_path / run / "metrics.json").read_text())["metrics"]["test/f1"] for run in ("first", "second")
    ]
    assert f1[0] == pytest.approx(f1[1], abs=1e-6)
    assert AutoModel.from_pretrained(tmp_path / "second" / "model")


def test_a_head_that_reads_the_mean_over_tokens_has_its_trunk_kept(saved, train, tmp_path):
    folder = saved("modernbert", classifier_pooling="mean", eos_token_id=3, pad_token_id=0)
    options = ["model=bert_base", f"model.name_or_path={folder}", "freeze=head", "optimizer.lr=2e-3"]
    for trunk in (f"trunk.dir={tmp_path}/trunk", "trunk=none"):
        run = "plain" if trunk == "trunk=none" else "kept"
        outcome = train(*options, trunk, f"hydra.run.dir={run}")
        assert outcome.status == 0, outcome.err
        assert ("Trunk: the whole encoder" in outcome.out) == (run == "kept")
    losses = [
        json.loads((tmp_path / run / "metrics.json").read_text())["metrics"]["test/loss"] for run in ("kept", "plain")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
