"""What the judges say, as HTML; everything from data is escaped."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from frostline.serve.judges import Judge

if TYPE_CHECKING:
    from frostline.predict.explain import Explanation
    from frostline.predict.predictor import Prediction

MOST_BARS = 8


@cache
def _template():
    environment = Environment(
        loader=PackageLoader("frostline.serve", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("cards.html.j2")


def cards(
    judges: Sequence[Judge],
    predictions: Mapping[str, "Prediction"] | None = None,
    explanations: Mapping[str, "Explanation | str"] | None = None,
    message: str = "",
) -> str:
    """A card for each judge, by name its prediction and what decided it, or why that cannot be said."""
    given, reasons = predictions or {}, explanations or {}
    shown = [_card(judge, given.get(judge.name), reasons.get(judge.name)) for judge in judges]
    shaded = {"for": shade(1.0), "against": shade(-1.0)} if any(card["words"] for card in shown) else None
    return _template().render(cards=shown, shaded=shaded, message=message)


def _card(judge: Judge, prediction: "Prediction | None", why: "Explanation | str | None") -> dict[str, Any]:
    card: dict[str, Any] = {"name": judge.name, "about": judge.about, "cost": judge.cost, "label": "", "bars": []}
    if prediction is not None:
        card |= {"label": prediction.label, "bars": _bars(prediction.probabilities)}
    told = why is not None and not isinstance(why, str)
    words = [[_piece(why, *piece) for piece in part.pieces()] for part in why.parts] if told else []
    return card | {"words": words, "note": why if isinstance(why, str) else ""}


def _bars(probabilities: Mapping[str, float]) -> list[dict[str, str]]:
    """Every label's bar in the model's order; of very many labels the likeliest."""
    chosen = list(probabilities.items())
    if len(chosen) > MOST_BARS:
        chosen = sorted(chosen, key=lambda item: -item[1])[:MOST_BARS]
    return [{"name": name, "shown": f"{100 * p:.1f} %", "width": f"{100 * p:.2f}"} for name, p in chosen]


def _piece(why: "Explanation", text: str, share: float | None) -> dict[str, str]:
    from frostline.predict.shading import strength

    if share is None:
        return {"text": text, "shade": "", "title": ""}
    return {"text": text, "shade": shade(strength(why, share)), "title": f"{share:+.2f}"}


def shade(level: float) -> str:
    """A background for a word, from −1 (against) to 1 (for), that dark and light pages take."""
    from frostline.predict.shading import AGAINST, FOR

    red, green, blue = FOR if level > 0 else AGAINST
    return f"rgba({red},{green},{blue},{0.6 * abs(level):.2f})"
