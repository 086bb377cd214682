"""Batches: every text once an epoch, in a seeded order, with little padding, as the tokenizer itself pads."""

from itertools import chain

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_lightning import LightningModule, Trainer
from transformers import PreTrainedTokenizerBase

from frostline.data.batches import (
    BucketedBatches,
    ResumableLoader,
    Share,
    SortedBatches,
    TokenizedTexts,
    ahead,
    loader,
)
from frostline.data.text import TextData
from frostline.errors import InputError
from frostline.model.tiny import Tiny

PAIRS = [(f"first {'word ' * (i % 7)}", f"second {'more ' * (i % 4)}text {i}") for i in range(40)]


def epoch_of(batches: BucketedBatches, epoch: int) -> list[list[int]]:
    """The batches of one epoch."""
    batches.set_epoch(epoch)
    return list(batches)


def padding(lengths: np.ndarray, batches: list[list[int]]) -> float:
    """The share of a batch's cells that hold no token."""
    cells = sum(len(batch) * lengths[batch].max() for batch in batches)
    return 1 - lengths.sum() / cells


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 99), min_size=1, max_size=300),
    batch_size=st.integers(1, 40),
    window=st.integers(1, 60),
    seed=st.integers(0, 9),
)
def test_each_text_comes_once_an_epoch(lengths: list[int], batch_size: int, window: int, seed: int) -> None:
    sizes = np.array(lengths)
    batches = BucketedBatches(sizes, batch_size, seed, window)

    first, second = epoch_of(batches, 0), epoch_of(batches, 1)

    for epoch in (first, second, list(SortedBatches(sizes, batch_size))):
        assert sorted(position for batch in epoch for position in batch) == list(range(len(sizes)))
        assert len(epoch) == len(batches) == len(SortedBatches(sizes, batch_size))
        assert sorted(map(len, epoch))[1:] == [batch_size] * (len(epoch) - 1)
    assert first == epoch_of(BucketedBatches(sizes, batch_size, seed, window), 0)
    assert second == epoch_of(batches, 1)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=9, max_size=200),
    batch_size=st.integers(9, 40),
    devices=st.integers(1, 9),
    window=st.integers(1, 9),
    skip=st.integers(0, 4),
)
def test_each_text_comes_once_an_epoch_on_any_number_of_devices(
    lengths: list[int], batch_size: int, devices: int, window: int, skip: int
) -> None:
    sizes = np.array(lengths)
    samplers = [BucketedBatches(sizes, batch_size, 0, window, Share(rank, devices)) for rank in range(devices)]

    shares = [epoch_of(sampler, 1) for sampler in samplers]

    assert {len(share) for share in shares} == {len(samplers[0])}, "every device takes the same number of steps"
    assert all(part for share in shares for part in share), "every device has a text at every step"
    assert sorted(chain.from_iterable(chain.from_iterable(shares))) == list(range(len(sizes)))
    for sampler, share in zip(samplers, shares, strict=True):
        sampler.skip = skip
        assert list(sampler) == share[skip:], "a run that goes on sees what is left"
        assert list(sampler) == share
    evaluated = [list(SortedBatches(sizes, batch_size, Share(rank, devices), 99)) for rank in range(devices)]
    assert sorted(chain.from_iterable(chain.from_iterable(evaluated))) == list(range(len(sizes)))


@pytest.mark.parametrize("window", [1, 50])
def test_the_order_changes_with_epoch_and_seed(window: int) -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 4000)
    batches = BucketedBatches(lengths, 16, 0, window)

    epochs = [epoch_of(batches, epoch) for epoch in range(3)]
    epochs.append(epoch_of(BucketedBatches(lengths, 16, 1, window), 0))

    for i, one in enumerate(epochs):
        for other in epochs[:i]:
            assert one != other
            assert not {frozenset(batch) for batch in one} & {frozenset(batch) for batch in other}


def test_buckets_pad_less_than_random_order() -> None:
    lengths = np.random.default_rng(0).gamma(4, 7, 8000).astype(int) + 3  # like sentences of reviews
    bucketed = padding(lengths, epoch_of(BucketedBatches(lengths, 16, 0), 0))
    plain = padding(lengths, epoch_of(BucketedBatches(lengths, 16, 0, window=1), 0))

    assert plain > 0.4
    assert bucketed < 0.05
    assert padding(lengths, list(SortedBatches(lengths, 16))) < 0.01


def test_batches_of_like_length_come_in_no_order_of_length() -> None:
    lengths = np.random.default_rng(0).integers(5, 60, 4000)
    means = [lengths[batch].mean() for batch in epoch_of(BucketedBatches(lengths, 16, 0), 0)]

    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


def test_plain_order_is_a_random_permutation_cut_into_batches() -> None:
    lengths = np.arange(1, 4001)
    batches = epoch_of(BucketedBatches(lengths, 16, 0, window=1), 0)

    assert np.std([lengths[batch].mean() for batch in batches]) == pytest.approx(4000 / 12**0.5 / 4, rel=0.15)


def test_evaluation_starts_with_the_longest_text() -> None:
    assert list(SortedBatches(np.array([3, 9, 5, 9]), 3)) == [[1, 3, 2], [0]]


def test_a_trainer_moves_the_order_on_each_epoch() -> None:
    seen: list[list[int]] = [[], [], []]

    class Recorder(LightningModule):
        def training_step(self, batch: dict[str, torch.Tensor]) -> None:
            seen[self.current_epoch] += batch["index"].tolist()

        def configure_optimizers(self) -> None:
            return None

    texts = TokenizedTexts(np.arange(40), np.arange(0, 41, 2), np.arange(20) % 2, pad_id=0)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(max_epochs=3, enable_checkpointing=False, **quiet)
    trainer.fit(Recorder(), loader(texts, BucketedBatches(texts.lengths, 4, seed=0)))

    assert [sorted(epoch) for epoch in seen] == [list(range(20))] * 3
    assert seen[0] != seen[1] != seen[2] != seen[0]


class Pairs(TextData):
    """Pairs of texts made here."""

    def load(self) -> dict[str, Dataset]:
        columns = {"premise": [a for a, _ in PAIRS], "hypothesis": [b for _, b in PAIRS], "label": [0, 1] * 20}
        return {split: Dataset.from_dict(columns) for split in ("train", "validation", "test")}


def as_xlnet(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Pads on the left, with a token type of its own."""
    tokenizer.padding_side, tokenizer._pad_token_type_id = "left", 3
    return tokenizer


@pytest.mark.parametrize("columns", ["premise", ["premise", "hypothesis"]])
@pytest.mark.parametrize("family", ["bert", "distilbert", "xlnet"])
@pytest.mark.parametrize("max_length", [None, 9])
def test_batches_are_what_the_tokenizer_pads(columns: str | list[str], family: str, max_length: int | None) -> None:
    tokenizer = Tiny("tiny", "bert" if family == "xlnet" else family).tokenizer(PAIRS)
    if family == "xlnet":
        tokenizer = as_xlnet(tokenizer)
    data = Pairs("pairs", text_column=columns, batch_size=6, max_length=max_length)
    data.prepare_data()
    data.tokenize(tokenizer, 128)

    data.limit_lengths(made_for_each=False)
    for batch in chain(data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        rows = [PAIRS[i] for i in batch["index"]]
        given = [[a for a, _ in rows], [b for _, b in rows]][: 1 if columns == "premise" else 2]
        expected = tokenizer(*given, truncation=True, max_length=data.max_length)
        expected = tokenizer.pad(expected, return_tensors="pt")
        for name in set(expected) - ({"token_type_ids"} if columns == "premise" else set()):
            assert torch.equal(batch[name], expected[name]), name
        assert torch.equal(batch["labels"], batch["index"] % 2)


def test_long_texts_come_in_smaller_batches():
    lengths = np.array([3, 50, 4, 40, 5, 200, 6])
    batches = list(SortedBatches(lengths, 3, max_tokens=100))
    assert batches == [[5], [1, 3], [6, 4, 2], [0]]
    assert len(SortedBatches(lengths, 3, max_tokens=100)) == 4


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_each_batch_and_every_text_comes_once(devices):
    lengths = np.random.default_rng(0).integers(2, 40, 49)
    alone = list(BucketedBatches(lengths, 8, seed=1, window=2))
    shares = [list(BucketedBatches(lengths, 8, 1, 2, Share(rank, devices))) for rank in range(devices)]
    assert {len(share) for share in shares} == {len(shares[0])}
    assert len(BucketedBatches(lengths, 8, 1, 2, Share(0, devices))) == len(shares[0])
    together = [sorted(chain.from_iterable(share[i] for share in shares)) for i in range(len(shares[0]))]
    assert all(part for share in shares for part in share), "each device needs a text"
    assert sorted(chain.from_iterable(together)) == list(range(49))
    # Forty-nine texts leave one for the last batch: too few to share, so it joins another.
    assert len([batch for batch in together if batch in [sorted(b) for b in alone]]) >= len(alone) - 2


def test_too_few_texts_for_the_devices_are_told():
    with pytest.raises(InputError, match=r"3 texts in batches of 16 are too few for 4 devices: use fewer"):
        BucketedBatches(np.array([3, 4, 5]), 16, 0, share=Share(0, 4))


@pytest.mark.parametrize(("padded_lengths", "made_for_each", "most"), [(3, False, 3), ("auto", True, 16), (1, True, 1)])
def test_training_batches_have_so_many_lengths(padded_lengths: int | str, made_for_each: bool, most: int) -> None:
    data = Pairs("pairs", text_column="premise", batch_size=2, max_length=9, padded_lengths=padded_lengths)
    data.prepare_data()
    data.tokenize(Tiny("tiny", "bert").tokenizer(PAIRS), 128)
    plain = [batch["attention_mask"] for batch in data.train_dataloader()]
    data.limit_lengths(made_for_each, multiple=4)

    limited = [batch["attention_mask"] for batch in data.train_dataloader()]
    lengths = {mask.shape[1] for mask in limited}
    assert len(lengths) <= most
    assert all(length % 4 == 0 or length == 9 for length in lengths), "no more than max_length"
    for mask, without in zip(limited, plain, strict=True):
        assert torch.equal(mask[:, : without.shape[1]], without)
        assert mask[:, without.shape[1] :].sum() == 0


def test_batches_made_ahead_come_in_order_and_errors_where_they_belong():
    made = []

    def numbers():
        for i in range(5):
            made.append(i)
            yield i
        raise ValueError("the fifth")

    coming = ahead(numbers(), count=2)
    assert [next(coming), next(coming)] == [0, 1]
    coming.close()
    assert len(made) <= 4  # two that were given, two ahead
    coming = ahead(numbers())
    assert [next(coming) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="the fifth"):
        next(coming)
    assert list(ahead(iter("abc"), count=8)) == ["a", "b", "c"]


def test_pinned_batches_are_the_plain_ones_and_their_place_is_kept(batches, monkeypatch):
    """Pinning needs a GPU, so here it does nothing."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    texts, sampler = batches.dataset, batches.sampler
    plain, ahead_of_time = (
        ResumableLoader(texts, sampler=sampler, batch_size=None, pin_memory=pinned) for pinned in (False, True)
    )
    expected = [batch["index"].tolist() for batch in plain]
    assert [batch["index"].tolist() for batch in ahead_of_time] == expected
    for _, batch in zip(range(3), ahead_of_time, strict=False):
        assert batch["labels"].shape == (8,)
    assert ahead_of_time.state_dict() == {"position": 3}
    ahead_of_time.load_state_dict({"position": 3})
    assert [batch["index"].tolist() for batch in ahead_of_time] == expected[3:]
