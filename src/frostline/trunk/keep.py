"""Fills the cache with what a trunk gives for a run's texts, and reads it back."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from transformers import PreTrainedModel

from frostline import heap
from frostline.cores import part_a_core
from frostline.data.batches import SortedBatches, TokenizedTexts
from frostline.errors import InputError, is_no_room
from frostline.folders import require_writable, usable
from frostline.freeze.policy import Policy
from frostline.model import kernels
from frostline.model.anatomy import EMBEDDINGS, Anatomy
from frostline.model.first_token import FORWARDS
from frostline.trunk.cache import (
    DTYPES,
    Entry,
    Filling,
    Plan,
    Store,
    default_folder,
    fingerprint,
    key,
    parse_size,
    readable,
)
from frostline.trunk.kept import KeptTexts
from frostline.trunk.probe import find_cut
from frostline.trunk.split import FEATURES, Boundary, NoTrunkError, boundary, boundary_of, shown, trunk_pass

log = logging.getLogger(__name__)

FILL_TEXTS, FILL_TEXTS_ON_CPU, FILL_TEXTS_A_CORE = 256, 64, 32  # of one length or nearly so
FILL_TOKENS_A_TEXT = 128  # at most, in the mean: longer texts come in smaller batches
FILL_LENGTHS = 48  # at most: what is kept of more kernels breaks up memory, and so many cost 0.5 % more tokens
SHARE_OF_FREE_DISK = 4  # the budget is a quarter of it
A_BATCH_A_CORE = frozenset(FORWARDS)  # families whose modules are known to keep nothing of a batch
TORCH_DTYPES = {"fp16": torch.float16, "fp32": torch.float32}
# What a config says of the head or of how the file was saved: it does not change the trunk's output.
NOT_THE_TRUNKS = (
    "id2label", "label2id", "num_labels", "_name_or_path", "architectures", "dtype", "problem_type",
    "transformers_version",
)  # fmt: skip


@dataclass(frozen=True)
class Cache:
    """Where trunk outputs are kept, in which `dtype`, and how much a run may add (`budget`, such as 10GB).

    `also` names further depths (`head`, `top1`) to keep in the same pass; a sweep sets it.
    """

    dir: str | None = None
    dtype: str = "fp16"
    budget: str | int | None = None
    also: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"trunk.dtype={self.dtype}: use one of {', '.join(DTYPES)}")
        if self.budget is not None:
            parse_size(str(self.budget), "trunk.budget")

    @cached_property
    def store(self) -> Store:
        """The store under `dir`, or in the user's cache folder."""
        return Store(Path(self.dir).expanduser() if self.dir else default_folder())

    def limit(self) -> int:
        """How many bytes a run may add."""
        if self.budget is not None:
            return parse_size(str(self.budget), "trunk.budget")
        folder = self.store.folder.absolute()
        with usable(folder, "trunk.dir"):
            existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        return shutil.disk_usage(existing).free // SHARE_OF_FREE_DISK


class Trunk:
    """The frozen part of `network` up to `at`, and `rest`, which makes logits of what it gives.

    Raises NoTrunkError where the encoder, cut there, does not give the same logits as whole; `sample` is tried.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        anatomy: Anatomy,
        at: Boundary,
        cache: Cache,
        sample: TokenizedTexts,
        device: torch.device,
        about: Mapping[str, str],
    ) -> None:
        self.about = about
        self.network, self.anatomy, self.at, self.cache, self.device = network, anatomy, at, cache, device
        also = {boundary_of(name, anatomy) for name in cache.also} - {None}
        self._cut = find_cut(network, anatomy, at, sorted(also, key=str), sample)
        self.rest = self._cut.rest
        self.boundaries = sorted(self._cut.given, key=str)

    def per_text(self, at: Boundary) -> bool:
        """Whether one vector a text is kept, not one a token."""
        return self._cut.given[at].ndim == 2

    def plan(self, texts: TokenizedTexts, at: Boundary) -> Plan:
        """What an entry for these texts takes."""
        rows = len(texts) if self.per_text(at) else int(texts.offsets[-1])
        return Plan(rows, self._cut.given[at].shape[-1], self.cache.dtype, len(texts))

    @cached_property
    def _facts(self) -> dict[Boundary, dict[str, object]]:
        """For each boundary what decides its outputs, besides the texts."""
        config = {k: v for k, v in self.network.config.to_dict().items() if k not in NOT_THE_TRUNKS}
        return {
            at: {
                "weights": self._weights(at),
                "config": config,
                "boundary": at,
                "per_text": self.per_text(at),
                "reading": self._cut.habits.reading if at == FEATURES else None,
                "dtype": self.cache.dtype,
                "kernels": kernels.used(self.network),
            }
            for at in self.boundaries
        }

    def _weights(self, at: Boundary) -> str:
        """A hash of the weights below a boundary as they are now."""
        return fingerprint((name, p) for name, p in self.network.named_parameters() if self._below(name, at))

    def keys(self, texts: TokenizedTexts) -> dict[Boundary, str]:
        """The cache's key for these texts at each boundary."""
        return {at: key(texts, **facts) for at, facts in self._facts.items()}

    def _below(self, parameter: str, at: Boundary) -> bool:
        group = self.anatomy.group(parameter)
        if at == FEATURES:
            return group != "head"
        return group == EMBEDDINGS or (group.startswith("layer.") and int(group.removeprefix("layer.")) < at)

    def require_room(self, splits: Sequence[TokenizedTexts]) -> None:
        """NoTrunkError where what these splits take is over the budget."""
        size = sum(self.plan(texts, at).bytes for texts in splits for at in self.boundaries)
        limit = self.cache.limit()
        if size > limit:
            raise NoTrunkError(
                f"its outputs take {readable(size)}, over trunk.budget ({readable(limit)}), "
                "so it is computed anew at each step"
            )

    def describe(self, splits: Sequence[TokenizedTexts]) -> str:
        """Where it ends, for how many texts, and the room that takes, as one line."""
        size = sum(self.plan(texts, at).bytes for texts in splits for at in self.boundaries)
        count = sum(len(texts) for texts in splits)
        return (
            f"Trunk: {shown(self.at)}, frozen, computed once for {count:,} texts and kept "
            f"({readable(size)} in {self.cache.dtype}, {self.cache.store.folder})."
        )

    def outputs(self, texts: TokenizedTexts) -> KeptTexts:
        """The kept outputs for these texts, computed now where the cache does not have them."""
        keys, store = self.keys(texts), self.cache.store
        require_writable(store.folder, "trunk.dir")
        entry = store.get(keys[self.at])
        if entry is None:
            with ExitStack() as locks:
                for name in sorted(keys.values()):  # in one order everywhere, so that nobody waits in a circle
                    locks.enter_context(store.lock(name))
                entry = store.get(keys[self.at])  # another process may have filled it while this one waited
                # Training may have changed layers that are frozen at a boundary of another run.
                missing = {
                    at: name
                    for at, name in keys.items()
                    if (at == self.at and entry is None)
                    or (at != self.at and not store.has(name) and self._weights(at) == self._facts[at]["weights"])
                }
                filled = self._filled(texts, missing)
                heap.give_back_freed()
                entry = entry or filled[self.at]
        return KeptTexts(texts, entry.values, self.per_text(self.at), self._cut.habits.with_ids)

    def _filled(self, texts: TokenizedTexts, keys: dict[Boundary, str]) -> dict[Boundary, Entry]:
        try:
            return self._fill(texts, keys)
        except FileNotFoundError:
            log.warning(f"{self.cache.store.folder} was deleted while it was being filled: it is filled again.")
            return self._fill(texts, keys)
        except OSError as error:
            if not is_no_room(error):
                raise
            size = readable(sum(self.plan(texts, at).bytes for at in keys))
            raise InputError(
                f"no room for the trunk's outputs ({size}) in {self.cache.store.folder}: make room "
                "(python -m frostline.trunk.cache prune), or use trunk.dir=… or trunk=none"
            ) from error

    def _fill(self, texts: TokenizedTexts, keys: dict[Boundary, str]) -> dict[Boundary, Entry]:
        """One pass over the texts, longest first, that writes every boundary in `keys`."""
        if not keys:
            return {}
        self.network.to(self.device)
        apart = self.device.type == "cpu" and self.network.config.model_type in A_BATCH_A_CORE
        batches = fill_batches(texts, self.device, apart)
        texts = replace(texts, padded_lengths=())
        if self.device.type == "cpu" and kernels.used(self.network) == "amd":  # which makes kernels for each length
            texts = texts.in_few_lengths(batches, FILL_LENGTHS, most=int(texts.lengths.max()))
        with ExitStack() as stack:
            stack.enter_context(kernels.by_columns(self.network))
            fillings: dict[Boundary, Filling] = {
                at: stack.enter_context(self.cache.store.create(name, self.plan(texts, at)))
                for at, name in keys.items()
            }
            outputs = stack.enter_context(trunk_pass(self.network, self.anatomy, list(fillings), self._cut.habits))

            def fill(positions: list[int]) -> None:
                rows, source, mask = texts.layout(positions)
                batch = {name: tensor.to(self.device) for name, tensor in texts[positions].items()}
                for at, given in outputs(batch).items():
                    values = self._rounded(given)
                    if self.per_text(at):
                        fillings[at].write(rows, values.reshape(len(rows), -1))
                    else:
                        fillings[at].write(source[mask], values[mask])

            done = stack.enter_context(closing(part_a_core(fill, batches, torch.get_num_threads() if apart else 1)))
            for _ in track(done, description="Trunk", total=len(batches), transient=True):
                pass
            return {
                at: filling.finish({**self.about, "kept": f"after {shown(at)}"}) for at, filling in fillings.items()
            }

    def _rounded(self, given: torch.Tensor) -> np.ndarray:
        """In the cache's dtype; InputError where a number is too large for it."""
        rounded = given.to(TORCH_DTYPES[self.cache.dtype])
        if not torch.isfinite(rounded).all():
            raise InputError(
                f"the trunk gives numbers up to {given.abs().max().item():.3g}, which {self.cache.dtype} cannot hold: "
                "use trunk.dtype=fp32, or trunk=none"
            )
        return rounded.cpu().numpy()


def fill_batches(texts: TokenizedTexts, device: torch.device, apart: bool = False) -> SortedBatches:
    """The batches of a pass that fills the cache: large, for it keeps no gradients; less so if `apart`, one a core."""
    size = FILL_TEXTS if device.type != "cpu" else FILL_TEXTS_A_CORE if apart else FILL_TEXTS_ON_CPU
    return SortedBatches(texts.lengths, size, max_tokens=size * FILL_TOKENS_A_TEXT)


def open_trunk(
    cache: Cache | None,
    network: PreTrainedModel,
    anatomy: Anatomy,
    policy: Policy,
    splits: Sequence[TokenizedTexts],
    device: torch.device,
    about: Mapping[str, str],
) -> Trunk | str:
    """The policy's trunk, with room to keep its outputs for `splits`, or why there is none: the run trains plainly.

    `about` is what the cache's list says of the entries.
    """
    if cache is None:
        return "trunk=none"
    if policy.no_trunk:
        return policy.no_trunk
    try:
        at = boundary(policy.trains(anatomy), anatomy)
        trunk = Trunk(network, anatomy, at, cache, splits[0], device, about)
        trunk.require_room(splits)
    except NoTrunkError as why:
        return str(why)
    return trunk
