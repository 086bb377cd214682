"""Demo reviews: whether the writer was pleased, which single words seldom give away."""

from __future__ import annotations

import random

from frostline.data.demo_text import grammar
from frostline.data.demo_text.review_words import WORDS

LEXICON = grammar.Lexicon.parse(WORDS)
DOMAINS = ("film", "book", "meal", "gadget", "hotel")
DOMAIN_SHARES = {"positive": (20, 28, 14, 12, 26), "negative": (20, 12, 26, 28, 14)}
"""Readers and guests are pleased more often than diners and shoppers: a weak hint, worth about 64% accuracy."""
OPPOSITE = {"positive": "negative", "negative": "positive"}

MEDIAN_WORDS = 15.0
SPREAD_WORDS = 0.6

# In every template "=" marks wording of the review's own label and "!" wording of the other one. Each way of arguing
# has its share; most of them put wording of both labels into the text, so that only the construction decides.
PLAIN = (
    "{=simple}.",
    "{=simple} and {=clause}.",
    "a {degree} {=adj} {thing}.",
    "{=adj}, {=adj} {thing}.",
    "{=noun}, this {thing}.",
    "{=verdict}.",
    "{=clause}; {=verdict}.",
)
NEGATION = (
    "{negator} {!noun}.",
    "this {thing} is {negator} {!noun}.",
    "{aspect} is {negator} {!adj}.",
    "{denial} {!adj}.",
    "{denial} {!adj} or {!adj}.",
    "{negator} {!adj}, this {thing}.",
    "I cannot say that {!simple}.",
    "it is not true that {!simple}.",
    "{negator} {!noun}, and {aspect} is {negator} {!adj} either.",
)
CONTRAST = (
    "{!clause}, {but} {=clause}.",
    "{!adj} {thing}, {but} {=verdict}.",
    "{although} {!simple}, {=simple}.",
    "{=simple}, {although} {!simple}.",
    "{concede} {!clause}. {=clause}, though.",
    "{concede} {aspect} is {!adj} and {!adj}; all the same, {=verdict}.",
    "whatever {!adj} things there are to say about {aspect}, {=clause}.",
    "{=verdict}, {although} {!clause}.",
    "I would forgive or forget the rest, {!simple} for a start, were it not that {=simple}.",
)
IRONY = ("{=irony}.", "{=irony}.", "{=irony}, and {=irony}.", "{!simple}, they said. {=irony}.")
OTHERS = (
    "{person} {called} {!noun}, {wrong}.",
    "{person} {called} {!adj}, {wrong}.",
    "{person} {called} {!adj} and {!adj}, {wrong}: {=clause}.",
    "{person} {called} {=adj}, {right}.",
    "{person} {called} {=noun}, {right}.",
    "{person} says that {!simple}. {=simple}, if you ask me.",
    "I had read that {!simple}, and I had read wrong.",
    "I had read that {=simple}, and I had read right.",
)
COMPARISON = (
    "{reference} was {!adj}; this {thing} is the opposite.",
    "{reference} was {=adj}, and this {thing} is more of the same.",
    "I expected {!noun} and got {=noun}.",
    "next to {reference}, which was {!noun}, {aspect} is {=adj}.",
    "unlike {reference}, this {thing} is {=adj}; {reference} was {!adj}.",
    "people who found {reference} {!adj} should know that {aspect} is {negator} so here.",
    "{=than}.",
)
COUNTERFACTUAL = (
    "it could so easily have been {!adj}, and somehow it is not.",
    "in other hands it would have been {!noun}; in these it is {=noun}.",
    "had {aspect} been {!adj} I would say so, and it is not.",
    "I wish I could tell you that {!simple}.",
    "I kept waiting for it to turn {!adj}, and it never did.",
    "the first time I thought it {!adj}; the second time I saw that {=clause}.",
    "I used to think this sort of thing {=adj}, and nothing here has changed my mind.",
    "I used to think this sort of thing {!adj}; this {thing} has changed my mind.",
)
WAYS = (PLAIN, NEGATION, CONTRAST, IRONY, OTHERS, COMPARISON, COUNTERFACTUAL)
WAY_WEIGHTS = (60, 7, 14, 5, 6, 4, 4)
TERSE = (
    "{negator} {!adj}.",
    "{aspect} is {=adj}.",
    "{=noun}, this {thing}.",
    "{=verdict}.",
    "{=local}.",
    "{=adj}, {=adj}, {=adj}.",
)
TERSE_BELOW_WORDS = 6
PADDING = (
    "{=simple}.",
    "{=simple}.",
    "{=simple}.",
    "{=simple} and {=simple}.",
    "{=verdict}.",
    "{aside}.",
    "{aside}.",
    "{aside}, and {aside}.",
    "when I first tried this {thing}, {aside}.",
    "{concede} {!simple}.",
    "{person} {called} {!adj}, {wrong}.",
    "the story behind it: {event}.",
)


def write(lexicon: grammar.Lexicon, label: str, rng: random.Random) -> str:
    """Write one review of a random thing that argues for the label."""
    scene = grammar.Scene(label, OPPOSITE[label], rng.choices(DOMAINS, DOMAIN_SHARES[label])[0])
    target = grammar.target_words(rng, MEDIAN_WORDS, SPREAD_WORDS)

    def core() -> str:
        ways = TERSE if target < TERSE_BELOW_WORDS else rng.choices(WAYS, WAY_WEIGHTS)[0]
        return lexicon.fill(rng.choice(ways), scene, rng)

    def padding() -> str:
        return lexicon.fill(rng.choice(PADDING), scene, rng)

    return grammar.assemble(target, core, padding, rng)
