"""Two built-in data sets, written by a seeded grammar, for running everything with no download."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

LABELS: dict[str, tuple[str, ...]] = {
    "reviews": ("negative", "positive"),
    "topics": ("science", "money", "sport", "food", "politics"),
}
"""Label names of each kind, in index order."""

SHARES: dict[str, tuple[float, ...]] = {
    "reviews": (0.49, 0.51),
    "topics": (0.20, 0.22, 0.21, 0.18, 0.19),
}
"""Share of each label in every split, in index order: near enough to balance, but not exactly."""

NOISE: dict[str, float] = {"reviews": 0.03, "topics": 0.03}
"""Share of train texts that carry a wrong label, by kind; the other splits carry none."""


def generate(
    kind: str, seed: int, sizes: Mapping[str, int], noise: float | None = None
) -> dict[str, list[tuple[str, str]]]:
    """Write the splits of one kind: name of split to (text, label name) pairs, the same for the same arguments.

    No text occurs twice, within or across splits. The split named "train" has a share of wrong labels (`noise`, by
    default the kind's NOISE) and lacks a fifth of the wording that the other splits draw on.
    """
    if kind not in LABELS:
        raise ValueError(f"unknown demo data {kind!r}; choose one of {', '.join(sorted(LABELS))}")
    # Imported here so that naming the kinds does not cost building their lexicons.
    from frostline.data.demo_text import grammar

    source = import_module(f"{__name__}.{kind}")
    shares = dict(zip(LABELS[kind], SHARES[kind], strict=True))
    rate = NOISE[kind] if noise is None else noise
    return grammar.generate_splits(source.write, source.LEXICON, shares, seed, sizes, rate)
