"""The seeded grammar that both demo data sets share: lexicons, slot filling, text assembly, splits and label noise."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

MIN_WORDS = 3
MAX_WORDS = 80
HELD_OUT_STRIDE = 5
"""In the train split every fifth filler of a long list is left out, so that evaluation also meets unseen wording."""
HELD_OUT_MIN_FILLERS = 10
MAX_DRAWS_PER_TEXT = 200

_SLOT = re.compile(r"\{([=!]?)(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio](?!ne\b|nce\b|uro)|u(?!ni|s[aeiu])|hour|honest)")
_SENTENCE_START = re.compile(r"(^|[.!?] )([a-z])")

Example = tuple[str, str]
Writer = Callable[["Lexicon", str, random.Random], str]


@dataclass(frozen=True)
class Scene:
    """What one text is about: the label it argues for, the label it only mentions, and its domain."""

    same: str
    other: str
    domain: str = ""


class Lexicon:
    """Named lists of fillers, any of which may hold further slots."""

    def __init__(self, fillers: Mapping[str, tuple[str, ...]]) -> None:
        """Wrap the lists, by name."""
        self._fillers = fillers

    @classmethod
    def parse(cls, source: str) -> Lexicon:
        """Read `name: filler | filler` paragraphs, in which an indented line continues the one before."""
        paragraphs = re.sub(r"\n +", " ", source).strip().splitlines()
        fillers: dict[str, tuple[str, ...]] = {}
        for paragraph in paragraphs:
            name, body = paragraph.split(":", 1)
            fillers[name] = tuple(part.strip() for part in body.split("|"))
        return cls(fillers)

    def without_held_out(self) -> Lexicon:
        """Return the lexicon for the train split: every fifth filler of each long list removed."""

        def kept(fillers: tuple[str, ...]) -> tuple[str, ...]:
            if len(fillers) < HELD_OUT_MIN_FILLERS:
                return fillers
            return tuple(filler for i, filler in enumerate(fillers) if i % HELD_OUT_STRIDE != HELD_OUT_STRIDE - 1)

        return Lexicon({name: kept(fillers) for name, fillers in self._fillers.items()})

    def fill(self, template: str, scene: Scene, rng: random.Random) -> str:
        """Replace each slot: `{x}` plainly, `{=x}` by the scene's own label, `{!x}` by the label it only mentions."""

        def chosen(match: re.Match[str]) -> str:
            sign, name = match.groups()
            # A flipped filler is filled in a flipped scene, so that "=" inside it keeps meaning "the same side as it".
            inner = Scene(scene.other, scene.same, scene.domain) if sign == "!" else scene
            filler = rng.choice(self._lookup(name, inner.same if sign else "", scene.domain))
            return self.fill(filler, inner, rng)

        return _SLOT.sub(chosen, template)

    def _lookup(self, name: str, label: str, domain: str) -> tuple[str, ...]:
        """Find a list by name, the domain's own one first."""
        key = f"{name}.{label}" if label else name
        return self._fillers.get(f"{domain}.{key}") or self._fillers[key]


def polish(text: str) -> str:
    """Put in the right articles and capital letters."""
    text = _ARTICLE.sub(r"\1n ", " ".join(text.split()))
    return _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), text)


def target_words(rng: random.Random, median: float, spread: float) -> int:
    """Draw how long a text should be: log-normal, so most are short and a few are long."""
    return min(MAX_WORDS, max(MIN_WORDS, round(median * rng.lognormvariate(0.0, spread))))


def nearest(draw: Callable[[], str], room: int, tries: int) -> str:
    """Draw sentences until one fits the room, or return the shortest of them."""
    best = draw()
    for _ in range(tries):
        if len(best.split()) <= room:
            break
        best = min(best, draw(), key=lambda text: len(text.split()))
    return best


def assemble(target: int, core: Callable[[], str], padding: Callable[[], str], rng: random.Random) -> str:
    """Write the deciding sentence and put padding before or after it until the text is about as long as the target."""
    sentences = [nearest(core, target, tries=6)]
    words = len(sentences[0].split())
    while words < 0.8 * target:
        extra = nearest(padding, target - words + 3, tries=4)
        if extra in sentences:
            continue
        sentences.insert(rng.choice((0, len(sentences))), extra)
        words += len(extra.split())
    return polish(" ".join(sentences))


def generate_splits(
    write: Writer, lexicon: Lexicon, shares: Mapping[str, float], seed: int, sizes: Mapping[str, int], noise: float
) -> dict[str, list[Example]]:
    """Write every split, its labels dealt by their shares; only the split named "train" gets wrong labels, by noise."""
    seen: set[str] = set()
    done: dict[str, list[Example]] = {}
    # Train comes last, so that asking for more or fewer train texts leaves the evaluation texts as they are.
    for split in sorted(sizes, key=lambda name: (name == "train", name)):
        rng = random.Random(f"{seed}:{split}:texts")  # a str seed is hashed with SHA-512, whatever PYTHONHASHSEED is
        fillers = lexicon.without_held_out() if split == "train" else lexicon
        draw = _distinct(lambda label, fillers=fillers, rng=rng: write(fillers, label, rng), seen)
        done[split] = [(draw(label), label) for label in shuffled_labels(shares, sizes[split], rng)]
    if "train" in done:
        done["train"] = mislabel(done["train"], tuple(shares), noise, random.Random(f"{seed}:train:noise"))
    return {split: done[split] for split in sizes}


def shuffled_labels(shares: Mapping[str, float], size: int, rng: random.Random) -> list[str]:
    """Deal out the labels by their shares, in random order."""
    bounds = [round(size * bound) for bound in accumulate(shares.values(), initial=0.0)]
    labels = [label for label, (start, stop) in zip(shares, pairwise(bounds), strict=True) for _ in range(start, stop)]
    rng.shuffle(labels)
    return labels


def _distinct(write: Callable[[str], str], seen: set[str]) -> Callable[[str], str]:
    """Wrap a writer so that it never writes a text that was seen before, whatever its case and punctuation."""

    def draw(label: str) -> str:
        for _ in range(MAX_DRAWS_PER_TEXT):
            text = write(label)
            key = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
            if key not in seen and MIN_WORDS <= len(text.split()) <= MAX_WORDS:
                seen.add(key)
                return text
        raise ValueError(f"the demo grammar has run out of new {label!r} texts after {len(seen)}; ask for fewer")

    return draw


def mislabel(examples: list[Example], labels: tuple[str, ...], rate: float, rng: random.Random) -> list[Example]:
    """Give a random share of the examples another label."""
    return [
        (text, rng.choice([other for other in labels if other != label]) if rng.random() < rate else label)
        for text, label in examples
    ]
