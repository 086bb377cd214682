"""Where embeddings, layers, pooler and head live in an encoder, read off its module tree.

A `transformers` classifier is a base model (`bert`, `distilbert`, …) and a head around it. In the base model, the
layers are the outermost `ModuleList` with as many blocks as the config says, lists within lists counted through (as
Funnel has them), or several lists one after the other that hold so many together. What stands before them, or beside
them, is the embeddings; what stands behind the module that holds them (a pooler, a final norm) is called the pooler.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel

from frostline.errors import InputError

EMBEDDINGS, POOLER, HEAD = "embeddings", "pooler", "head"
ENCODER = "encoder"  # the whole base model, where its layers are not known


@dataclass(frozen=True)
class Anatomy:
    """The parts of one classifier; names are dotted paths from its root, without a trailing dot."""

    model_name: str
    base: str  # the base model: everything outside it is the head; "" where there is none
    layers: tuple[str, ...]  # from the bottom up; empty where they are not known
    after_layers: tuple[str, ...]  # children of the base model behind the layers
    parameters: tuple[str, ...]
    runs: int = 0  # how many layers the config says; more than `layers` where these share their weights
    unknown: str | None = None  # what was found instead of layers, in one clause
    norms: tuple[str, ...] = ()  # those of `parameters` that belong to a LayerNorm, an RMSNorm or the like

    @classmethod
    def of(cls, network: PreTrainedModel) -> "Anatomy":
        """Read a classifier's parts; `require_layers` tells where its layers cannot be made out."""
        base = network.base_model_prefix
        unknown, layers = None, ()
        if base not in dict(network.named_children()):
            base, unknown = "", f"{type(network).__name__} has no base model {base!r} within"
        else:
            layers, unknown = _find_layers(network, base)
        return cls(
            model_name=_name(network),
            base=base,
            layers=layers,
            after_layers=_children_after(network.get_submodule(base), base, layers[-1]) if layers else (),
            parameters=tuple(name for name, _ in network.named_parameters()),
            runs=_config_layers(network) or len(layers),
            unknown=unknown,
            norms=tuple(_norm_parameters(network)),
        )

    @property
    def layer_count(self) -> int:
        """How many layers have weights of their own."""
        return len(self.layers)

    @property
    def shares_layers(self) -> bool:
        """Whether several layers are one and the same module, as ALBERT's."""
        return self.runs > len(self.layers) > 0

    def require_head(self, freeze: str) -> None:
        """InputError where the head cannot be told from the rest."""
        if not self.base:
            raise InputError(f"freeze={freeze}: {self.model_name} has no head to be found: {self._way_out()}")

    def require_layers(self, freeze: str, each: bool = False) -> None:
        """InputError where there are no layers to be found, or with `each` where they share their weights."""
        if self.unknown:
            raise InputError(f"freeze={freeze}: {self.model_name} has no layers to be found: {self._way_out()}")
        if each and self.shares_layers:
            raise InputError(
                f"freeze={freeze}: the {self.runs} layers of {self.model_name} share the weights of "
                f"{', '.join(self.layers)}, so that none trains without the others: use freeze=head, embeddings or none"
            )

    def _way_out(self) -> str:
        head = "freeze=head, " if self.base else ""
        return f"{self.unknown}; use {head}freeze=none, or freeze=pattern with freeze.train=[…]"

    def group(self, name: str) -> str:
        """The part that a parameter or module belongs to: embeddings, `layer.0` …, pooler or head."""
        if self.base and not _within(name, self.base):
            return HEAD
        if self.unknown:
            return ENCODER
        for number, layer in enumerate(self.layers):
            if _within(name, layer):
                return f"layer.{number}"
        return POOLER if any(_within(name, after) for after in self.after_layers) else EMBEDDINGS

    def spans_parts(self, name: str) -> bool:
        """Whether a module (such as the root or the base model) holds several parts."""
        return name == "" or any(layer != name and _within(layer, name) for layer in self.layers)

    @property
    def groups(self) -> list[str]:
        """Every part that has parameters, from the embeddings up to the head."""
        order = [EMBEDDINGS, *(f"layer.{i}" for i in range(self.layer_count)), ENCODER, POOLER, HEAD]
        present = {self.group(name) for name in self.parameters}
        return [group for group in order if group in present]

    def found(self) -> dict[str, str]:
        """Each part with parameters and the modules that make it, the layers as one."""
        parts = {group: ", ".join(self._modules(group)) for group in self.groups if not group.startswith("layer.")}
        if not self.layers:
            return parts
        first, last = self.layers[0], self.layers[-1]
        span = first if first == last else f"{first} … {last}"
        return {
            EMBEDDINGS: parts.pop(EMBEDDINGS, "none"),
            "layers": f"{self.layer_count} layer{'s' * (self.layer_count > 1)} {span}"
            + f", run {self.runs} times" * self.shares_layers,
            POOLER: parts.pop(POOLER, "none"),
            **parts,
        }

    def _modules(self, group: str) -> list[str]:
        """The largest modules (or lone parameters) that belong to a part with all they hold."""
        found = {}
        for name in self.parameters:
            if self.group(name) == group:
                path = name.split(".")
                above = (".".join(path[:depth]) for depth in range(1, len(path) + 1))
                found[next(part for part in above if not self.spans_parts(part))] = None
        return list(found)

    def depth(self, group: str) -> int:
        """How far below the head a part is: 0 for the head, 1 for the last layer and the pooler, and so on."""
        if group.startswith("layer."):
            return self.layer_count - int(group.removeprefix("layer."))
        return {HEAD: 0, POOLER: 1, ENCODER: 1, EMBEDDINGS: self.layer_count + 1}[group]

    def describe(self) -> str:
        """What was found, a line for each part."""
        lines = [f"  {part:<10}  {modules}" for part, modules in self.found().items()]
        why = [f"  its layers are not known: {self.unknown}"] if self.unknown else []
        return "\n".join([f"The parts of {self.model_name}:", *lines, *why])


def max_positions(network: PreTrainedModel) -> int | None:
    """The longest text in tokens that the encoder's positions allow; None where nothing limits it.

    RoBERTa's family counts positions from `padding_idx + 1`, so two of its 514 are never used; XLNet's config says -1.
    """
    told = getattr(network.config, "max_position_embeddings", None)
    limits = [told] if told and told > 0 else []
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - unused)
            break
    return min(limits, default=None)


def _find_layers(network: PreTrainedModel, base: str) -> tuple[tuple[str, ...], str | None]:
    """The layers' paths in order and None, or nothing and what was found in their place."""
    lists = {path: _blocks(path, module) for path, module in _outermost_lists(network.get_submodule(base), base)}
    lists = {path: blocks for path, blocks in lists.items() if blocks}
    wanted = _config_layers(network)
    if wanted is None and len(lists) == 1:
        wanted = len(next(iter(lists.values())))
    fitting = [blocks for blocks in lists.values() if len(blocks) == wanted]
    if len(fitting) == 1:
        return fitting[0], None
    together = [block for blocks in lists.values() for block in blocks]
    shared = len(lists) == 1 and wanted is not None and len(together) < wanted
    if not fitting and together and (shared or len(together) == wanted):
        return tuple(together), None
    found = ", ".join(f"{path} ({len(blocks)})" for path, blocks in lists.items()) or "none"
    return (), f"the config says {wanted or 'no number of'} layers, and the module lists are {found}"


def _outermost_lists(module: nn.Module, path: str) -> Iterable[tuple[str, nn.ModuleList]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield f"{path}.{name}", child
        else:
            yield from _outermost_lists(child, f"{path}.{name}")


def _blocks(path: str, modules: nn.ModuleList) -> tuple[str, ...]:
    """The paths of a list's members, those of lists within it in their place."""
    found: list[str] = []
    for name, module in modules.named_children():
        inner = f"{path}.{name}"
        found += _blocks(inner, module) if isinstance(module, nn.ModuleList) else [inner]
    return tuple(found)


def _config_layers(network: PreTrainedModel) -> int | None:
    return getattr(network.config.get_text_config(), "num_hidden_layers", None)


def _children_after(base_model: nn.Module, base: str, last_layer: str) -> tuple[str, ...]:
    """The base model's children that stand behind the one holding the layers, embeddings-like ones excepted."""
    children = [f"{base}.{name}" for name, _ in base_model.named_children()]
    holder = next(i for i, child in enumerate(children) if _within(last_layer, child))
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
