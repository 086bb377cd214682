"""Which words decided: integrated gradients (Sundararajan et al., arXiv 1703.01365) from an empty text to this one.

What is attributed is the predicted label's log-odds, log p / (1 − p): with two labels the difference of their logits.
An empty text has the mask token's embedding (the padding's where there is none) in place of every word's: pretraining
knows it as a word that says nothing. The words' shares and what the empty text has already add up to the text's
log-odds; how nearly is measured, and more steps are taken until it is near enough.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from tokenizers import Encoding

from frostline.errors import InputError, not_installed
from frostline.predict.predictor import Predictor, Text

STEPS = (32, 64, 128, 256, 512)
TOLERANCE = 0.01  # of the words' sum, or in log-odds where that is below 1
BATCH = 16  # interpolated texts at a time
COMPOUND = re.compile(r"\w+(?:['’-]\w+)+")  # it's, well-made: one word to a reader


@dataclass(frozen=True)
class Word:
    """A word's place in its text, and its share of the log-odds."""

    start: int
    end: int
    share: float


@dataclass(frozen=True)
class Part:
    """A text and its words in order; what is in none of them was cut off, or is space."""

    text: str
    words: tuple[Word, ...]

    def pieces(self) -> list[tuple[str, float | None]]:
        """The whole text in pieces: words with their shares, and what is between them with None."""
        found: list[tuple[str, float | None]] = []
        at = 0
        for word in self.words:
            found += [(self.text[at : word.start], None), (self.text[word.start : word.end], word.share)]
            at = word.end
        return [(text, share) for text, share in [*found, (self.text[at:], None)] if text]


@dataclass(frozen=True)
class Explanation:
    """Why `label`: its log-odds are `empty` (those without any word) plus the words' shares, but for `gap`."""

    label: str
    log_odds: float
    empty: float
    gap: float
    parts: tuple[Part, ...]  # one, or two of a pair

    @property
    def words(self) -> list[tuple[str, float]]:
        """Every word with its share, in order."""
        return [(part.text[word.start : word.end], word.share) for part in self.parts for word in part.words]


def require_captum() -> None:
    """InputError where the library is not installed."""
    if find_spec("captum") is None:
        raise not_installed("which words decided", "captum", "explain")


def explain(predictor: Predictor, text: Text) -> Explanation:
    """The words' shares in the predicted label; InputError for an encoder that cannot be asked."""
    require_captum()
    from captum.attr import IntegratedGradients

    given, empty, others, tokens = _encoded(predictor, text)
    logits = predictor.logits([text])[0]
    asked = int(logits.argmax())

    def log_odds(embeddings: torch.Tensor) -> torch.Tensor:
        batch = {name: value.expand(len(embeddings), -1) for name, value in others.items()}
        found = predictor.network(inputs_embeds=embeddings, **batch).logits.double()
        return found[:, asked] - torch.cat([found[:, :asked], found[:, asked + 1 :]], 1).logsumexp(-1)

    with torch.inference_mode():
        at_text, at_empty = float(log_odds(given)), float(log_odds(empty))
    plain = float(logits[asked] - torch.cat([logits[:asked], logits[asked + 1 :]]).logsumexp(-1))
    if abs(plain - at_text) > TOLERANCE:
        raise InputError(
            f"{predictor.found.model}: this encoder gives other logits for its own embeddings: no --explain"
        )
    method = IntegratedGradients(log_odds)
    for steps in STEPS:
        shares = method.attribute(given, empty, n_steps=steps, internal_batch_size=BATCH)[0].sum(-1)
        gap = at_text - at_empty - float(shares.sum())
        if abs(gap) <= TOLERANCE * max(1.0, abs(at_text - at_empty)):
            break
    texts = [text] if isinstance(text, str) else text
    parts = [Part(part, _words(part, tokens, i, shares.tolist())) for i, part in enumerate(texts)]
    return Explanation(predictor.labels[asked], at_text, at_empty, gap, tuple(parts))


def _encoded(predictor: Predictor, text: Text) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor], Encoding]:
    """Embeddings (1, length, hidden) of the text and of the empty one, the encoder's other inputs, and the tokens."""
    tokenizer, network = predictor.tokenizer, predictor.network
    if not tokenizer.is_fast:
        raise InputError(f"{predictor.found.model}: its tokenizer does not tell where words are: no --explain")
    pair = (text,) if isinstance(text, str) else text
    encoded = tokenizer(*pair, truncation=True, max_length=predictor.max_length, return_tensors="pt")
    tokens = encoded.encodings[0]
    ids = encoded.pop("input_ids").to(predictor.device)
    special = torch.tensor([tokens.special_tokens_mask], dtype=torch.bool, device=predictor.device)
    filler = next((i for i in (tokenizer.mask_token_id, tokenizer.pad_token_id) if i is not None), 0)
    try:
        embed = network.get_input_embeddings()
        with torch.inference_mode():
            given, empty = embed(ids), embed(torch.where(special, ids, filler))
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise InputError(f"{predictor.found.model}: this encoder has no embeddings of words: no --explain") from error
    others = {name: value.to(predictor.device) for name, value in encoded.items()}
    return given.clone(), empty.clone(), others, tokens


def _words(text: str, tokens: Encoding, sequence: int, shares: Sequence[float]) -> tuple[Word, ...]:
    """The tokens of one of the texts, joined to words."""
    compound = {at: match.start() for match in COMPOUND.finditer(text) for at in range(*match.span())}
    words: list[Word] = []
    last: object = None
    places = zip(tokens.sequence_ids, tokens.word_ids, tokens.offsets, shares, strict=True)
    for _, word, (start, end), share in (place for place in places if place[0] == sequence):
        inner = text[start:end]
        start, end = start + len(inner) - len(inner.lstrip()), end - len(inner) + len(inner.rstrip())
        name = ("compound", compound[start]) if start in compound else word
        joined = words and (name == last or start < words[-1].end)  # one letter may be several tokens
        before = words.pop() if joined else Word(start, end, 0.0)
        words.append(Word(before.start, max(before.end, end), before.share + share))
        last = name
    return tuple(words)
