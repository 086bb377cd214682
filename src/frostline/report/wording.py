"""Verdicts → one sentence for each data set."""

import math
import re

from frostline.report.answer import ALONE, APART, UNLEARNED, UNPAIRED, UNTESTED, Answer, Verdict
from frostline.report.compare import FULL, Depth

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MANY_SEEDS, MANY_TEXTS = 30, 1_000_000  # beyond these nobody goes

NAMED = {
    FULL: "everything",
    "head": "the head alone",
    "embeddings": "all but the embeddings",
    "bitfit": "the biases and the head",
    "norms": "the normalisation layers and the head",
    "lora": "low-rank adapters and the head",
    "gradual": "more and more layers from the head down",
    "progressive": "fewer and fewer layers",
    "auto": "fewer and fewer layers as their gradients settle",
}


def sentence(answer: Answer, several_models: bool = False) -> str:
    """The answer for one data set (and model) in a sentence."""
    where = answer.group.data + (f" with {answer.group.model}" if several_models else "")
    if answer.missing:
        return f"On {where} {_missing(answer)}."
    if answer.chosen is None:
        return f"On {where} it cannot be told yet {_open(answer)}."
    return f"On {where} {_chosen(answer)}{_reservations(answer)}."


def training(depth: str) -> str:
    """What a freeze policy trains, in words."""
    top = re.fullmatch(r"top(\d+)", depth)
    if top:
        layers = int(top[1])
        few = ("the pooler and the head", "the last layer")
        return few[layers] if layers < len(few) else f"the last {_word(layers)} layers"
    return NAMED.get(depth, "what the pattern names")


def _missing(answer: Answer) -> str:
    best = answer.best
    if best is None:
        return "no run has told its F1 yet"
    if answer.missing == UNTESTED:
        return (
            f"nothing was tested (test=false): by validation freeze={best.name} leads with F1 {best.f1.mean:.3f}"
            if len(answer.group.depths) > 1
            else f"nothing was tested (test=false), and freeze={best.name} alone was run: validation F1 {best.f1}"
        )
    if answer.missing == ALONE:
        seeds = _count(best.f1.count, "seed")
        return f"there is nothing to compare: freeze={best.name} alone was tested, F1 {best.f1} over {seeds}"
    if answer.missing == UNLEARNED:
        return (
            "no depth has learned anything: every run gives all test texts the same label; train for more steps or at "
            "a higher learning rate"
        )
    why = {
        APART: f"the depths ({', '.join(answer.apart)}) were tested on different texts, which cannot be paired",
        UNPAIRED: "too few runs left their predictions (predictions.parquet) for a comparison text by text",
    }[answer.missing]
    return f"it cannot be told: {why}; by its mean alone freeze={best.name} leads with F1 {best.f1.mean:.3f}"


def _chosen(answer: Answer) -> str:
    chosen, best = answer.chosen, answer.best
    if chosen is not best:
        verdict = next(verdict for verdict in answer.verdicts if verdict.depth is chosen)
        return f"it is enough to train {training(chosen.name)} (freeze={chosen.name}): {_against(answer, verdict)}"
    if not answer.candidates:
        fewest = "the fewest trainable parameters and the best F1 of all"
        return (
            f"it is enough to train {training(best.name)} (freeze={best.name}): "
            f"{fewest}, {best.f1.mean:.3f}{_speed(answer, best)}"
        )
    nearest = max(answer.candidates, key=lambda verdict: verdict.difference)
    return (
        f"train {training(best.name)} (freeze={best.name}): F1 {best.f1.mean:.3f}, and whatever trains less is more "
        f"than {answer.margin:g} lower (the nearest, freeze={nearest.depth.name}, F1 {nearest.depth.f1.mean:.3f}, "
        f"with probability {probability(1 - nearest.probability)})"
    )


def _open(answer: Answer) -> str:
    verdict = max(answer.open, key=lambda verdict: verdict.probability)
    name = verdict.depth.name
    return (
        f"whether training {training(name)} (freeze={name}) is enough: {_against(answer, verdict)}; "
        f"{_what_would_tell(answer, verdict)}"
    )


def _against(answer: Answer, verdict: Verdict) -> str:
    """The two F1, the probability and the speed."""
    depth, best = verdict.depth, answer.best
    return (
        f"F1 {depth.f1.mean:.3f} against {best.f1.mean:.3f} for freeze={best.name}, at most {answer.margin:g} lower "
        f"with probability {probability(verdict.probability)}{_speed(answer, depth)}"
    )


def _speed(answer: Answer, depth: Depth) -> str:
    """How fast it trains, against full fine-tuning where that was run, else against the best."""
    rival = answer.group.full or answer.best
    if depth is rival or not depth.fit or not rival.fit:
        return ""
    return f", at {ratio(rival.fit / depth.fit)} the training speed" + (
        "" if rival is answer.best else f" of freeze={rival.name}"
    )


def _what_would_tell(answer: Answer, verdict: Verdict) -> str:
    if verdict.more_seeds is None:
        return "that is one seed alone: two more would tell more (seed=1,2,3)"
    if verdict.more_seeds <= MANY_SEEDS:
        count = int(verdict.more_seeds)
        return f"about {_count(count, 'more seed')} would tell"
    if math.isfinite(verdict.more_seeds):
        return f"it would take more than {MANY_SEEDS} more seeds, so near the margin the difference is"
    if verdict.enough_texts < MANY_TEXTS:
        return (
            "more seeds alone would not tell: it takes more test texts, about "
            f"{_rounded(verdict.enough_texts):,} instead of {answer.texts:,}"
        )
    return "neither more seeds nor more test texts are likely to tell, so near the margin the difference is"


def _reservations(answer: Answer) -> str:
    """What limits a verdict: cheaper depths that are open, one seed, depths left out, no full fine-tuning."""
    parts = []
    still = [verdict for verdict in answer.open if verdict.depth is not answer.chosen]
    if still:
        verdict = max(still, key=lambda verdict: verdict.probability)
        name = verdict.depth.name
        told = f"whether freeze={name} is enough too cannot be told yet"
        parts.append(f"{told} (probability {probability(verdict.probability)}): {_what_would_tell(answer, verdict)}")
    decisive = [v for v in answer.verdicts if v.depth is answer.chosen or (answer.chosen is answer.best)]
    if any(verdict.seeds == 1 for verdict in decisive) and not still:
        parts.append("but that is one seed alone, and says nothing of how much seeds matter (seed=1,2,3)")
    if answer.apart:
        parts.append(f"freeze={', '.join(answer.apart)} was tested on other texts and is not compared")
    if answer.without:
        parts.append(f"freeze={', '.join(answer.without)} left no predictions and is not compared")
    if answer.group.full is None:
        parts.append("full fine-tuning (freeze=none) was not run")
    return "".join(f"; {part}" for part in parts)


def probability(value: float) -> str:
    """Two decimals, but never 0 or 1: a bootstrap knows neither."""
    if value > 0.99:
        return "above 0.99"
    return "below 0.01" if value < 0.01 else f"{math.floor(value * 100 + 1e-9) / 100:.2f}"


def ratio(value: float) -> str:
    """`3.1×`, `86×`."""
    return f"{value:.1f}×" if value < 10 else f"{value:,.0f}×"


def _rounded(value: float) -> int:
    """Two figures: it is an estimate."""
    return int(float(f"{value:.1e}"))


def _count(number: int, noun: str) -> str:
    return f"{_word(number)} {noun}{'' if number == 1 else 's'}"


def _word(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
