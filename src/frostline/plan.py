"""What a sweep would do: its cells, their state, and the trunk outputs that they need; nothing is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.table import Table

from frostline.display import rendered
from frostline.freeze.callback import apply
from frostline.freeze.policy import Policy
from frostline.frozen import texts_in_use, trunk_or_reason
from frostline.model.anatomy import max_positions
from frostline.sweep import ledger
from frostline.sweep.identity import settings
from frostline.trunk.cache import readable
from frostline.trunk.split import shown

WIDE = 200  # columns: a cell's name is shown whole


@dataclass(frozen=True)
class Need:
    """What a cell needs of the cache: where its trunk ends; key → bytes, and which are there; or why it has none."""

    trunk: str = "–"
    entries: Mapping[str, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    why_none: str | None = None


def show(cells: Mapping[Path, DictConfig]) -> None:
    """Print a row for each cell, and what the cache will grow by."""
    needs = [need for _, need in sorted(_needs(list(cells.values())).items())]
    table = Table(title=f"{len(cells)} cells; nothing is run (sweep.dry_run=true)")
    for column in ("cell", "state", "trunk kept", "size", "in the cache"):
        table.add_column(column, justify="right" if column == "size" else "left", no_wrap=True)
    for folder, need in zip(cells, needs, strict=True):
        found = ledger.state(folder)
        size = readable(sum(need.entries.values())) if need.entries else "–"
        there = f"{len(need.kept)} of {len(need.entries)} splits" if need.entries else "–"
        table.add_row(folder.name, found["state"] if found else "not started", need.trunk, size, there)
    print(rendered(table, WIDE).rstrip())
    for reason, names in _reasons(cells, needs).items():
        print(f"No trunk for {', '.join(names)}: {reason}.")
    wanted = {key: size for need in needs for key, size in need.entries.items() if key not in need.kept}
    print(f"The trunk cache will grow by {readable(sum(wanted.values()))} ({len(wanted)} entries).")


def _reasons(cells: Mapping[Path, DictConfig], needs: Sequence[Need]) -> dict[str, list[str]]:
    """Why cells have no trunk → the freeze policies of those cells, each once."""
    found: dict[str, list[str]] = {}
    for cfg, need in zip(cells.values(), needs, strict=True):
        name = f"freeze={instantiate(cfg.freeze).name}"
        if need.why_none and name not in found.setdefault(need.why_none, []):
            found[need.why_none].append(name)
    return found


def _needs(cells: Sequence[DictConfig]) -> dict[int, Need]:
    """Each cell's need, by position; cells with the same texts and the same encoder are looked at together."""
    groups: dict[str, list[int]] = {}
    for position, cfg in enumerate(cells):
        about = {key: value for key, value in settings(cfg).items() if key.startswith(("data.", "model.", "trunk"))}
        groups.setdefault(str({key: value for key, value in about.items() if key != "data.seed"}), []).append(position)
    return {place: need for places in groups.values() for place, need in _group(cells, places)}


def _group(cells: Sequence[DictConfig], places: Sequence[int]) -> list[tuple[int, Need]]:
    from frostline.train import load_data, load_model
    from frostline.trainer import quiet

    quiet()
    first = cells[places[0]]
    torch.manual_seed(0)
    data = load_data(first)
    tokenizer, network, anatomy = load_model(first, data)
    data.tokenize(tokenizer, max_positions(network))
    found = []
    for place in places:
        cfg = cells[place]
        policy: Policy = instantiate(cfg.freeze)
        apply(policy, network, anatomy)
        trunk = trunk_or_reason(cfg, data, network, anatomy, policy, torch.device("cpu"))
        if isinstance(trunk, str):
            found.append((place, Need(why_none=trunk)))
            continue
        entries = {trunk.keys(texts)[trunk.at]: trunk.plan(texts, trunk.at).bytes for texts in texts_in_use(cfg, data)}
        kept = frozenset(key for key in entries if trunk.cache.store.has(key))
        found.append((place, Need(shown(trunk.at), entries, kept)))
    return found
