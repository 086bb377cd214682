"""A trained run and texts → labels and probabilities: from Python, for a few texts, for files of any size."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from frostline.predict.predictor import Prediction, Predictor

__all__ = ["Prediction", "Predictor"]


def __getattr__(name: str) -> object:
    """The names above; torch is imported when one is asked for, so that `--help` does not wait for it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from frostline.predict import predictor

    return getattr(predictor, name)
