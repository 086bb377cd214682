"""Freeze policies: pure rules from a parameter's name to whether it trains."""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from transformers import PreTrainedModel

from frostline.errors import InputError
from frostline.model.anatomy import EMBEDDINGS, HEAD, POOLER, Anatomy


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """Says for each parameter whether it trains; `trunk_dropout` keeps dropout on in frozen parts too."""

    trunk_dropout: bool = False

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name for tables and file names: what stays trainable."""

    @abstractmethod
    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        """Every parameter's name and whether it ever trains; InputError where the policy does not fit the encoder."""

    def prepare(self, network: PreTrainedModel, anatomy: Anatomy) -> None:  # noqa: B027
        """Change the network in place, where the policy trains what it does not have."""

    def finish(self, network: PreTrainedModel) -> None:  # noqa: B027
        """After training: take back what `prepare` did to the network's structure, its outputs unchanged."""

    def ends(self, anatomy: Anatomy) -> dict[str, float]:
        """Parts whose learning rate falls to zero before the run's end → the share of the steps at which it does."""
        return {}

    @property
    def no_graphs(self) -> str | None:
        """Why steps cannot be recorded as CUDA graphs, in one clause; None where they can."""
        return None

    @property
    def no_trunk(self) -> str | None:
        """Why no trunk is kept whatever the encoder, in one clause; None where the trainable parameters decide."""
        return "freeze.trunk_dropout makes a frozen layer's output differ each time" if self.trunk_dropout else None


@dataclass(frozen=True, kw_only=True)
class Nothing(Policy):
    """Nothing is frozen: full fine-tuning."""

    name = "none"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        return dict.fromkeys(anatomy.parameters, True)


@dataclass(frozen=True, kw_only=True)
class Head(Policy):
    """The classification head alone trains."""

    name = "head"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        anatomy.require_head(self.name)
        return {parameter: anatomy.group(parameter) == HEAD for parameter in anatomy.parameters}


@dataclass(frozen=True, kw_only=True)
class Embeddings(Policy):
    """Everything but the embeddings trains."""

    name = "embeddings"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        anatomy.require_layers(self.name)
        return {parameter: anatomy.group(parameter) != EMBEDDINGS for parameter in anatomy.parameters}


@dataclass(frozen=True, kw_only=True)
class Top(Policy):
    """The last `n` layers, the pooler and the head train."""

    n: int

    @property
    def name(self) -> str:
        return f"top{self.n}"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        anatomy.require_layers(self.name, each=True)
        layers = anatomy.layer_count
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 0 <= self.n <= layers:
            raise InputError(f"freeze.n={self.n}, but {anatomy.model_name} has {layers} layers: use 0 to {layers}")
        kept = {POOLER, HEAD, *(f"layer.{i}" for i in range(layers - self.n, layers))}
        return {parameter: anatomy.group(parameter) in kept for parameter in anatomy.parameters}


@dataclass(frozen=True, kw_only=True)
class Pattern(Policy):
    """What a regular expression of `train` matches, anywhere in a parameter's name, trains."""

    train: Sequence[str]
    name = "pattern"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        if isinstance(self.train, str) or not self.train:
            raise InputError("freeze.train is not a list: give regular expressions, such as freeze.train=[classifier]")
        patterns = [compiled(pattern, "freeze.train") for pattern in self.train]
        for pattern in patterns:
            if not any(pattern.search(parameter) for parameter in anatomy.parameters):
                raise InputError(
                    f"freeze.train: {pattern.pattern!r} matches no parameter of {anatomy.model_name}: "
                    f"names look like {anatomy.parameters[0]} and {anatomy.parameters[-1]}; "
                    "print_parameters=true lists them all"
                )
        return {name: any(pattern.search(name) for pattern in patterns) for name in anatomy.parameters}


@dataclass(frozen=True, kw_only=True)
class BitFit(Policy):
    """The biases and the head train (Ben Zaken et al., arXiv 2106.10199)."""

    name = "bitfit"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        biases = {name for name in anatomy.parameters if name.rpartition(".")[2] == "bias"}
        return _with_head(anatomy, biases, "bitfit", "biases")


@dataclass(frozen=True, kw_only=True)
class Norms(Policy):
    """The normalisation layers' parameters and the head train."""

    name = "norms"

    def trains(self, anatomy: Anatomy) -> dict[str, bool]:
        return _with_head(anatomy, set(anatomy.norms), "norms", "normalisation parameters")


def _with_head(anatomy: Anatomy, chosen: set[str], name: str, what: str) -> dict[str, bool]:
    """`chosen` and the head train; InputError where nothing is chosen outside the head."""
    anatomy.require_head(name)
    trains = {p: p in chosen or anatomy.group(p) == HEAD for p in anatomy.parameters}
    if all(anatomy.group(p) == HEAD for p, trainable in trains.items() if trainable):
        raise InputError(f"freeze={name}: {anatomy.model_name} has no {what} outside its head: use freeze=head or top1")
    return trains


def compiled(pattern: str, option: str) -> re.Pattern[str]:
    """An option's regular expression; InputError where it is none."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(f"{option}: {pattern!r} is not a regular expression: {error}") from error


def fingerprint(trains: dict[str, bool]) -> str:
    """A short hash of the trainable parameters' names."""
    return sha256("\n".join(sorted(name for name, trainable in trains.items() if trainable)).encode()).hexdigest()[:16]
