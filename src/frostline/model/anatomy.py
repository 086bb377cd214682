"""Where embeddings, layers, pooler and head live in an encoder, read off its module tree.

A `transformers` classifier is a base model (`bert`, `distilbert`, …) and a head around it. In the base model, the
list of layers is the `ModuleList` with as many blocks as the config says; what stands before it is the embeddings,
what stands after it (a pooler, a final norm) is called the pooler here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from frostline.errors import InputError

EMBEDDINGS, POOLER, HEAD = "embeddings", "pooler", "head"


@dataclass(frozen=True)
class Anatomy:
    """The parts of one classifier; names are dotted paths from its root, without a trailing dot."""

    model_name: str
    base: str  # the base model: everything outside it is the head
    layers: str  # the list of layers
    layer_count: int
    after_layers: tuple[str, ...]  # children of the base model behind the layers
    parameters: tuple[str, ...]
    norms: tuple[str, ...] = ()  # those of `parameters` that belong to a LayerNorm, an RMSNorm or the like

    @classmethod
    def of(cls, network: PreTrainedModel) -> "Anatomy":
        """Read a classifier's parts; InputError where its layers cannot be found."""
        base = network.base_model_prefix
        if base not in dict(network.named_children()):
            raise InputError(
                f"{_name(network)}: {type(network).__name__} has no base model {base!r}: use freeze=pattern"
            )
        layers, blocks = _find_layers(network, base)
        return cls(
            model_name=_name(network),
            base=base,
            layers=layers,
            layer_count=len(blocks),
            after_layers=_children_after(network.get_submodule(base), base, layers),
            parameters=tuple(name for name, _ in network.named_parameters()),
            norms=tuple(_norm_parameters(network)),
        )

    def group(self, name: str) -> str:
        """The part that a parameter or module belongs to: embeddings, `layer.0` …, pooler or head."""
        if not _within(name, self.base):
            return HEAD
        if _within(name, self.layers) and name != self.layers:
            return f"layer.{name[len(self.layers) + 1 :].split('.')[0]}"
        if any(_within(name, after) for after in self.after_layers):
            return POOLER
        return EMBEDDINGS

    def spans_parts(self, name: str) -> bool:
        """Whether a module (such as the root or the base model) holds several parts."""
        return name == "" or _within(self.layers, name)

    @property
    def groups(self) -> list[str]:
        """Every part that has parameters, from the embeddings up to the head."""
        order = [EMBEDDINGS, *(f"layer.{i}" for i in range(self.layer_count)), POOLER, HEAD]
        present = {self.group(name) for name in self.parameters}
        return [group for group in order if group in present]

    def depth(self, group: str) -> int:
        """How far below the head a part is: 0 for the head, 1 for the last layer and the pooler, and so on."""
        if group.startswith("layer."):
            return self.layer_count - int(group.removeprefix("layer."))
        return {HEAD: 0, POOLER: 1, EMBEDDINGS: self.layer_count + 1}[group]

    def describe(self) -> str:
        """One line a part, as found."""
        first, last = f"{self.layers}.0", f"{self.layers}.{self.layer_count - 1}"
        behind = ", ".join(self.after_layers) or "none"
        return (
            f"base model {self.base}; {self.layer_count} layers {first} … {last}; "
            f"behind the layers: {behind}; the head is everything outside {self.base}"
        )


def max_positions(network: PreTrainedModel) -> int | None:
    """The longest text in tokens that the encoder's positions allow; None where nothing limits it.

    RoBERTa's family counts positions from `padding_idx + 1`, so two of its 514 are never used.
    """
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - unused
    return getattr(network.config, "max_position_embeddings", None)


def _find_layers(network: PreTrainedModel, base: str) -> tuple[str, nn.ModuleList]:
    wanted = network.config.num_hidden_layers
    lists = {name: module for name, module in network.named_modules() if isinstance(module, nn.ModuleList)}
    inside = {name: module for name, module in lists.items() if _within(name, base)}
    fitting = [name for name, module in inside.items() if len(module) == wanted]
    if not fitting:
        found = ", ".join(f"{name} ({len(module)})" for name, module in inside.items()) or "none"
        raise InputError(
            f"{_name(network)} has {wanted} layers by its config, but no module list of that length "
            f"(lists found: {found}): use freeze=pattern with freeze.train=[…]"
        )
    outermost = min(fitting, key=lambda name: name.count("."))
    return outermost, inside[outermost]


def _children_after(base_model: nn.Module, base: str, layers: str) -> tuple[str, ...]:
    """The base model's children that stand behind the one holding the layers, embeddings-like ones excepted."""
    children = [f"{base}.{name}" for name, _ in base_model.named_children()]
    holder = next(i for i, child in enumerate(children) if _within(layers, child))
    return tuple(child for child in children[holder + 1 :] if "emb" not in child.rsplit(".", 1)[-1])


def _norm_parameters(network: nn.Module) -> Iterable[str]:
    for name, module in network.named_modules():
        if "norm" in type(module).__name__.lower():
            yield from (f"{name}.{own}" for own, _ in module.named_parameters(recurse=False))


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _name(network: PreTrainedModel) -> str:
    return network.config.name_or_path.rstrip("/").rsplit("/", 1)[-1] or type(network).__name__


def parameter_counts(named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, int]:
    """Total, trainable and frozen parameter counts."""
    sizes = [(parameter.numel(), parameter.requires_grad) for _, parameter in named]
    total = sum(size for size, _ in sizes)
    trainable = sum(size for size, trains in sizes if trains)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}
