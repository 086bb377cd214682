"""Demo topics: what a news snippet is mainly about, among wording borrowed from the other topics."""

from __future__ import annotations

import random

from frostline.data.demo_text import LABELS, grammar
from frostline.data.demo_text.topic_words import WORDS

LEXICON = grammar.Lexicon.parse(WORDS)

MEDIAN_WORDS = 17.0
SPREAD_WORDS = 0.55

# "=" marks wording of the snippet's own topic and "!" wording of the topic it only mentions. The main clause decides,
# and in it what is done decides rather than who does it: a club that refinances its debts is money, not sport.
PURE = (
    "{=actor} {=act}.",
    "{=actor} {=act}, {source} said.",
    "{=actor} {=act}, with talk of {=noun} and {=noun}.",
    "{=noun}: {=actor} {=act} on {weekday}.",
    "{=actor} {=act} as {=actor} {=act}.",
)
SINGLE = (
    "{!actor} {=act}.",
    "{!actor} {=act}, {source} said.",
    "{=actor} {=act}, according to {!actor}.",
    "{=borrowed}.",
    "{=borrowed}, says {!actor}.",
    "{=clause}, {source} said on {weekday}.",
    "{=clause}, and {!actor} watches.",
    "on {weekday}, {=clause}.",
)
MENTIONING = (
    "{=clause}, for all the talk of {!noun}.",
    "{!noun} can wait: {=clause}.",
    "{=clause}, with {!noun} and {!noun} forgotten.",
    "never mind {!noun}, never mind {!noun}; {=clause}.",
    "{!actor} once cared for {!noun}, but these days {=act}.",
    "from {!noun} to {=noun}: {=clause}.",
)
SUBORDINATE = (
    "{link} {!clause}, {=clause}.",
    "{=clause}, {link} {!clause}.",
    "{=clause}, {when} {!clause}.",
    "{when} {!clause}, {=clause}.",
    "it hardly matters that {!clause}; what matters is that {=clause}.",
    "the story is not that {!clause} but that {=clause}.",
    "the story is that {=clause}, not that {!clause}.",
    "{!actor}, which usually {!act}, now {=act}.",
    "{!actor}, best known because it {!act}, {=act}.",
)
PICKED = (
    "of {!actor} and {=actor}, only the latter makes news today.",
    "of {=actor} and {!actor}, only the former makes news today.",
    "two notices, on {!noun} and {=noun}; here is the second.",
    "two notices, on {=noun} and {!noun}; here is the first.",
    "more about {=noun} than about {!noun}.",
    "less about {!noun} than about {=noun}.",
    "{!actor} has changed trades and talks only of {=noun}.",
)
WAYS = (PURE, SINGLE, MENTIONING, SUBORDINATE, PICKED)
WAY_WEIGHTS = (22, 22, 14, 24, 18)
TERSE = ("{=noun} again.", "{!actor} {=act}.", "{=borrowed}.", "{=actor}, {=noun}.")
TERSE_BELOW_WORDS = 7
PADDING = (
    "{colour}.",
    "{colour}, and {colour}.",
    "{source} had spoken of {=noun}.",
    "{source} had spoken of {!noun}.",
    "the same page carries a picture of {!noun}.",
    "there is more to read about {=noun}.",
    "asked about {!noun}, {!actor} would not comment.",
    "{=actor} was not available on {weekday}.",
    "elsewhere, {!clause}.",
)


def write(lexicon: grammar.Lexicon, label: str, rng: random.Random) -> str:
    """Write one snippet that is mainly about the label and mentions one other topic."""
    other = rng.choice([topic for topic in LABELS["topics"] if topic != label])
    scene = grammar.Scene(label, other)
    target = grammar.target_words(rng, MEDIAN_WORDS, SPREAD_WORDS)

    def core() -> str:
        ways = TERSE if target < TERSE_BELOW_WORDS else rng.choices(WAYS, WAY_WEIGHTS)[0]
        return lexicon.fill(rng.choice(ways), scene, rng)

    def padding() -> str:
        return lexicon.fill(rng.choice(PADDING), scene, rng)

    return grammar.assemble(target, core, padding, rng)
