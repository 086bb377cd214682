"""Token ids kept unpadded, and length-bucketed batches of them."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import PreTrainedTokenizerBase

from frostline.data.lengths import few_lengths
from frostline.errors import InputError


@dataclass(frozen=True)
class TokenizedTexts(Dataset):
    """Texts as token ids in one flat array: text i is `ids[offsets[i]:offsets[i + 1]]`.

    Indexed with a list of positions it gives a batch: `input_ids` and `attention_mask` (batch, length), `labels` and
    `index` (batch,), and `token_type_ids` where `token_types` is given. Its length is the longest text's, or the next
    of `padded_lengths`, which rise, where one is as long.
    """

    ids: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    pad_id: int
    token_types: np.ndarray | None = None
    pad_token_type: int = 0
    pad_left: bool = False
    padded_lengths: tuple[int, ...] = ()

    @classmethod
    def from_arrow(cls, table: pa.Table, labels: np.ndarray, tokenizer: PreTrainedTokenizerBase) -> "TokenizedTexts":
        """From the columns `input_ids` and maybe `token_type_ids`, to be padded as `tokenizer` does it."""
        ids = table["input_ids"].combine_chunks()
        lengths = pc.list_value_length(ids).to_numpy(zero_copy_only=False)
        types = table["token_type_ids"].combine_chunks() if "token_type_ids" in table.column_names else None
        return cls(
            ids=_flat(ids),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            labels=labels,
            pad_id=tokenizer.pad_token_id or 0,
            token_types=None if types is None else _flat(types),
            pad_token_type=tokenizer.pad_token_type_id,
            pad_left=tokenizer.padding_side == "left",
        )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each text, special tokens included."""
        return np.diff(self.offsets)

    def layout(self, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where a batch's tokens are: text positions (batch,), places in `ids` and the mask, both (batch, length).

        Places behind a text's end are 0.
        """
        rows = np.asarray(positions)
        starts = self.offsets[rows][:, None]
        lengths = self.offsets[rows + 1][:, None] - starts
        longest = int(lengths.max())
        padded = next((length for length in self.padded_lengths if length >= longest), longest)
        columns = np.arange(padded)[None]
        if self.pad_left:
            columns = columns - (padded - lengths)
        mask = (columns >= 0) & (columns < lengths)
        return rows, np.where(mask, starts + columns, 0), mask

    def in_few_lengths(
        self, batches: Iterable[Sequence[int]], count: int, most: int, multiple: int = 1
    ) -> "TokenizedTexts":
        """The same, padded to `count` lengths at most, which suit `batches`: multiples of `multiple`, or `most`."""
        lengths = self.lengths
        chosen = few_lengths(np.array([lengths[batch].max() for batch in batches]), count, multiple)
        return replace(self, padded_lengths=tuple(min(length, most) for length in chosen))

    def __getitem__(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        rows, source, mask = self.layout(positions)
        batch = {
            "input_ids": _padded(self.ids, source, mask, self.pad_id),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)),
            "labels": torch.from_numpy(self.labels[rows]),
            "index": torch.from_numpy(rows.astype(np.int64)),
        }
        if self.token_types is not None:
            batch["token_type_ids"] = _padded(self.token_types, source, mask, self.pad_token_type)
        return batch


def _padded(values: np.ndarray, source: np.ndarray, mask: np.ndarray, pad: int) -> torch.Tensor:
    return torch.from_numpy(np.where(mask, values[source], pad).astype(np.int64))


def _flat(lists: pa.Array) -> np.ndarray:
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.int32)


@dataclass(frozen=True)
class Share:
    """The part of each batch that is one device's: every `of`-th text, from its `rank` on."""

    rank: int = 0
    of: int = 1

    def __call__(self, batch: Sequence[int]) -> list[int]:
        """Positions of this device's texts."""
        return list(batch[self.rank :: self.of])


class BucketedBatches(Sampler[list[int]]):
    """Lists of positions, each text once an epoch, texts of like length together.

    A seeded shuffle is cut into windows of `window` batches; each window is sorted by length and cut into batches,
    and the batches are shuffled. A window of one batch is plain random order. The order depends on `seed` and the
    epoch alone; of each batch, `share` is given out, so the number of devices does not change what a step learns
    from. The next pass leaves out the first `skip` batches.
    """

    def __init__(
        self, lengths: np.ndarray, batch_size: int, seed: int, window: int = 50, share: Share | None = None
    ) -> None:
        self.share = share or Share()
        if min(len(lengths), batch_size) < self.share.of:
            raise InputError(
                f"{len(lengths):,} texts in batches of {batch_size} are too few for {self.share.of} devices: "
                "use fewer trainer.devices, or a larger data.batch_size"
            )
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.window = window
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        full, left = divmod(len(self.lengths), self.batch_size)
        return full + (left >= self.share.of)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        span = self.window * self.batch_size
        batches = []
        for start in range(0, len(order), span):
            part = order[start : start + span]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[i : i + self.batch_size] for i in range(0, len(part), self.batch_size)]
        if len(batches[-1]) < self.share.of:  # each device needs a text
            batches[-2:] = [np.concatenate(batches[-2:])]
        skip, self.skip = self.skip, 0
        for i in rng.permutation(len(batches))[skip:]:
            yield self.share(batches[i].tolist())


class SortedBatches(Sampler[list[int]]):
    """Lists of positions from the longest text to the shortest, or `share` of them: least padding, peaks first.

    A batch holds `batch_size` texts, but of long ones only as many as take `max_tokens` together, padding included.
    """

    def __init__(
        self, lengths: np.ndarray, batch_size: int, share: Share | None = None, max_tokens: int | None = None
    ) -> None:
        order = (share or Share())(np.argsort(-lengths, kind="stable").tolist())
        self.batches: list[list[int]] = []
        start = 0
        while start < len(order):
            size = batch_size if max_tokens is None else min(batch_size, max(1, max_tokens // lengths[order[start]]))
            self.batches.append(order[start : start + size])
            start += size

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def loader(texts: Dataset, batches: Sampler[list[int]], kind: type[DataLoader] = DataLoader) -> DataLoader:
    """A loader in which the sampler's lists are the batches: one indexing, no collation; pinned where there is a GPU.

    It draws from a generator of its own: passing over texts leaves torch's random state as it was.
    """
    pinned = torch.cuda.is_available() and not getattr(texts, "on_device", False)
    return kind(texts, sampler=batches, batch_size=None, pin_memory=pinned, generator=torch.Generator())


def ahead(batches: Iterator[Any], count: int = 2) -> Iterator[Any]:
    """The same batches, the next `count` of them made in a thread while this one is in use."""
    end = object()
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = deque(thread.submit(next, batches, end) for _ in range(count))
        while (batch := coming.popleft().result()) is not end:
            coming.append(thread.submit(next, batches, end))
            yield batch


class ResumableLoader(DataLoader):
    """A loader over `BucketedBatches` whose place within an epoch goes into Lightning's checkpoints.

    Where batches are pinned, a thread makes them ahead; pinning is not its own, because CUDA may be recording a graph.
    """

    _position = 0

    def __init__(self, *args: Any, pin_memory: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pins = pin_memory

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        self._position = self.sampler.skip
        for batch in ahead(super().__iter__()) if self._pins else super().__iter__():
            self._position += 1
            yield {name: tensor.pin_memory() for name, tensor in batch.items()} if self._pins else batch

    def state_dict(self) -> dict[str, int]:
        """Batches of the epoch that were handed out; 0 at its end."""
        return {"position": self._position % len(self.sampler)}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next pass begin at the saved place."""
        self.sampler.skip = state_dict["position"]
