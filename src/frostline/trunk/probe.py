"""Tries on a few texts how an encoder can be cut: what its head reads, how its rest runs, whether both are faithful."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from transformers import PreTrainedModel

from frostline.data.batches import TokenizedTexts
from frostline.model.anatomy import Anatomy
from frostline.model.inputs import encoder_inputs
from frostline.trunk.split import (
    FEATURES,
    READINGS,
    Boundary,
    Habits,
    NoTrunkError,
    Rest,
    base_output,
    hooked,
    trunk_outputs,
)

# Between the whole classifier's logits and those of trunk and rest, both in fp32; less where texts differ by little.
TOLERANCE, SMALLEST_TOLERANCE, SHARE_OF_SPREAD = 1e-4, 1e-6, 0.01
PROBE_TEXTS = 4
FAILURES = (RuntimeError, TypeError, AttributeError, ValueError, LookupError, AssertionError)


@dataclass(frozen=True)
class Cut:
    """A way to cut an encoder that gives its logits, and what each boundary gets for a few texts in that way.

    `given` has (texts, length, hidden), or (texts, hidden) where one vector a text is all that is read.
    """

    rest: Rest
    habits: Habits
    given: dict[Boundary, torch.Tensor]


def find_cut(
    network: PreTrainedModel, anatomy: Anatomy, at: Boundary, also: Sequence[Boundary], sample: TokenizedTexts
) -> Cut:
    """The cut at a boundary, with what those of `also` get that have something to keep.

    NoTrunkError where a text's output depends on more than the text, or where trunk and rest give other logits than
    the whole.
    """
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad():
            return _Probe(network, anatomy, sample).cut(at, also)
    except FAILURES as error:
        why = " ".join(str(error).split())[:100]
        raise NoTrunkError(f"{anatomy.model_name} cannot be cut there ({why})") from error
    finally:
        for module, mode in modes.items():
            module.training = mode


class _Probe:
    """A few texts, the shortest first, and the whole classifier's logits for them."""

    def __init__(self, network: PreTrainedModel, anatomy: Anatomy, sample: TokenizedTexts) -> None:
        self.network, self.anatomy, self.name = network, anatomy, anatomy.model_name
        shortest = int(sample.lengths.argmin())
        texts = [shortest, *(i for i in range(min(PROBE_TEXTS, len(sample))) if i != shortest)]
        self.batch = self._batch(sample, texts)
        if self.mask.shape[0] == self.mask.shape[1]:  # so that texts and tokens are told apart
            self.batch = self._batch(sample, texts := texts[:-1])
        self.habits = Habits()
        settings = _settings(network)
        self.logits = self._whole()
        unpadded = replace(sample, padded_lengths=())
        alone = torch.cat([network(**encoder_inputs(self._batch(unpadded, [text]))).logits for text in texts])
        changed = [name for name, value in _settings(network).items() if settings.get(name, value) != value]
        if changed:
            raise NoTrunkError(f"{self.name} changes its {changed[0]} by the length of the texts that it has seen")
        if not self._same(alone):
            raise NoTrunkError(f"{self.name} gives a text other logits when longer ones stand beside it")

    def _batch(self, sample: TokenizedTexts, texts: list[int]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.network.device) for name, tensor in sample[texts].items()}

    @property
    def mask(self) -> torch.Tensor:
        """(texts, length)."""
        return self.batch["attention_mask"]

    def cut(self, at: Boundary, also: Sequence[Boundary]) -> Cut:
        """As `find_cut` tells."""
        given = self._features() if FEATURES in (at, *also) else {}
        inner = [boundary for boundary in dict.fromkeys((at, *also)) if boundary != FEATURES]
        outputs = trunk_outputs(self.network, self.anatomy, inner, self.batch, self.habits) if inner else {}
        given |= {boundary: rows for boundary in inner if (rows := self._rows(outputs.get(boundary))) is not None}
        if at != FEATURES and at not in given:
            raise NoTrunkError(f"the layers of {self.name} do not give a row for each token")
        for with_ids in (False, True):
            habits = replace(self.habits, with_ids=with_ids)
            rest = Rest(self.network, self.anatomy, at, habits)
            if at in given and self._fits(rest, given[at]):
                return Cut(rest, habits, given)
        raise NoTrunkError(f"{self.name}, cut there, gives other logits than whole")

    def _whole(self) -> torch.Tensor:
        """The logits; notes in which form the layers give their outputs."""

        def look(module: nn.Module, args: tuple, output: torch.Tensor | tuple) -> None:
            several = isinstance(output, tuple)
            shape = (output[0] if several else output).shape[:2]
            self.habits = Habits(returns=len(output) if several else 0, texts_second=shape == self.mask.T.shape)

        with hooked(self.network, dict.fromkeys(self.anatomy.layers[:1], look)) as run:
            return run(self.batch)

    def _features(self) -> dict[Boundary, torch.Tensor]:
        """What the head reads of the base model's output, where that is one vector a text; notes how it reads."""
        output = base_output(self.network, self.anatomy, self.batch)
        rest = Rest(self.network, self.anatomy, FEATURES)
        for reading, read in READINGS.items():
            try:
                features = read(output, self.mask)
            except FAILURES:
                continue
            if features is not None and self._fits(rest, features):
                self.habits = replace(self.habits, reading=reading)
                return {FEATURES: features}
        return {}

    def _rows(self, hidden: torch.Tensor | None) -> torch.Tensor | None:
        """A boundary's output as it is kept; a last layer for the first token alone gives (texts, 1, hidden)."""
        if hidden is None or hidden.shape[:2] == self.mask.shape:
            return hidden
        return hidden[:, 0] if hidden.shape[:2] == (len(self.mask), 1) else None

    def _fits(self, rest: Rest, kept: torch.Tensor) -> bool:
        try:
            return self._same(rest(kept, **encoder_inputs(self.batch)))
        except FAILURES:
            return False

    def _same(self, logits: torch.Tensor) -> bool:
        """Whether these are the probe's logits, to rounding."""
        spread = (self.logits - self.logits.mean(0)).abs().max().item()
        tolerance = max(SMALLEST_TOLERANCE, min(TOLERANCE, SHARE_OF_SPREAD * spread))
        return logits.shape == self.logits.shape and torch.allclose(logits, self.logits, rtol=0, atol=tolerance)


def _settings(network: nn.Module) -> dict[str, str]:
    """Each module's choices among named kinds, such as BigBird's `attention_type`."""
    return {
        f"{name}.{attribute}".lstrip("."): value
        for name, module in network.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, str)
    }
