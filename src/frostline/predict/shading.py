"""An explanation as shaded text on a terminal, and as numbers where there are no colours."""

from rich.console import Console
from rich.text import Text

from frostline.predict.explain import Explanation, Part

FOR, AGAINST = (0, 114, 178), (208, 90, 0)  # blue and orange: told apart by colour-blind people, too
FAINT = 0.08  # of the largest share: less is left unshaded


def for_terminal(explanation: Explanation, console: Console | None = None) -> str:
    """The text with its words shaded, or where there is no colour with a signed number behind each."""
    console = console or Console()
    coloured = console.color_system is not None
    lines = [_coloured(explanation, part) if coloured else _numbered(part) for part in explanation.parts]
    with console.capture() as caught:
        for line in [*lines, _sum(explanation), *([_legend(explanation)] if coloured else [])]:
            console.print(Text("  ") + line, soft_wrap=True, highlight=False)
    return caught.get().rstrip("\n")


def strength(explanation: Explanation, share: float) -> float:
    """From −1 to 1: a share as a part of the text's largest."""
    largest = max((abs(other) for _, other in explanation.words), default=0.0)
    return share / largest if largest else 0.0


def _coloured(explanation: Explanation, part: Part) -> Text:
    line = Text()
    for text, share in part.pieces():
        level = strength(explanation, share or 0.0)
        line.append(text, style=_style(level) if abs(level) >= FAINT else "")
    return line


def _style(level: float) -> str:
    """Black on a colour between white and full."""
    full = FOR if level > 0 else AGAINST
    shade = [round(255 + (channel - 255) * 0.75 * abs(level)) for channel in full]
    return "black on #{:02x}{:02x}{:02x}".format(*shade)


def _numbered(part: Part) -> Text:
    return Text("  ".join(f"{text} {share:+.2f}" for text, share in part.pieces() if share is not None))


def _sum(explanation: Explanation) -> Text:
    words = sum(share for _, share in explanation.words)
    return Text(
        f"log-odds of {explanation.label} {explanation.log_odds:+.2f} = {explanation.empty:+.2f} without any word "
        f"{words:+.2f} by these words"
        + (f" {explanation.gap:+.2f} unexplained" if abs(explanation.gap) >= 0.01 else "")
    )


def _legend(explanation: Explanation) -> Text:
    legend = Text()
    legend.append("for", style=_style(1.0)).append(" and ").append("against", style=_style(-1.0))
    return legend.append(f" {explanation.label}")
