"""Run folders as a sweep leaves them, made without training, for tests of what is read from them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from frostline.report import bootstrap
from frostline.sweep import ledger

SIZES = {"none": 22_713_986, "top4": 7_250_000, "top2": 3_697_538, "top1": 1_920_000, "head": 770}
SECONDS = {"none": 27.0, "top4": 14.0, "top2": 8.6, "top1": 4.2, "head": 0.4}
LABELS = ("negative", "positive")
VERSIONS = {"python": "3.11.7", "frostline": "0.1.0", "torch": "2.13.0"}


def guesses(labels: np.ndarray, classes: int, error: float, seed: int, test_seed: int = 0) -> np.ndarray:
    """Predictions with about this share of errors, hard texts hard for all, each seed with luck of its own."""
    hardness = np.random.default_rng(test_seed).random(len(labels))
    rng = np.random.default_rng([seed, int(1e6 * error)])
    wrong = 0.8 * hardness + 0.2 * rng.random(len(labels)) > np.quantile(0.8 * hardness + 0.1, 1 - error)
    return np.where(wrong, (labels + 1 + rng.integers(0, classes - 1, len(labels))) % classes, labels)


def write_cell(
    folder: Path,
    freeze: str = "none",
    seed: int | None = 1,
    data: str = "reviews",
    model: str = "minilm",
    lr: float = 2e-5,
    error: float = 0.2,
    predicted: np.ndarray | None = None,
    texts: int = 400,
    names: Sequence[str] = LABELS,
    test_seed: int = 0,
    tested: bool = True,
    val_f1: float | None = None,
    **changed: object,
) -> Path:
    """A finished cell: state.json, metrics.json and, if tested, predictions.parquet; `changed` replaces entries."""
    folder.mkdir(parents=True)
    labels = np.random.default_rng(test_seed).integers(0, len(names), texts)
    if predicted is None:
        predicted = guesses(labels, len(names), error, seed or 0, test_seed)
    f1 = float(bootstrap.f1(np.ones((1, texts)), labels, predicted[None], len(names))[0, 0])
    scores = {"test/f1": f1, "test/accuracy": float((labels == predicted).mean()), "test/loss": 0.5} if tested else {}
    trained = SIZES.get(freeze, 1_000_000)
    results = {
        "cell": f"data={data},freeze={freeze},seed={seed}", "data": data, "model": model, "freeze": freeze,
        "seed": seed, "lr": lr, "batch_size": 16, "max_length": 128, "epochs": 2, "steps": 100,
        "metrics": {**scores, "val/f1": val_f1 if val_f1 is not None else f1 - 0.01, "val/accuracy": 0.8},
        "parameters": {"total": SIZES["none"], "trainable": trained, "frozen": SIZES["none"] - trained},
        "timing": {
            "trunk_seconds": 6.0 if freeze == "head" and seed == 1 else 0.0,
            "fit_seconds": SECONDS.get(freeze, 5.0) + 0.1 * (seed or 0), "total_seconds": 30.0,
        },
        "memory": {"peak_bytes": 1_200_000_000, "device": "cpu"},
        "versions": VERSIONS,
        "history": [{"epoch": e, "step": 50 * e, "val/f1": f1 - 0.05 / e, "val/loss": 0.5} for e in (1, 2, 3)],
        **changed,
    }  # fmt: skip
    ledger.write_json(folder / ledger.METRICS, results)
    if tested:
        write_predictions(folder, labels, predicted, names, [f"text {i} of set {test_seed}" for i in range(texts)])
    ledger.record(folder, ledger.FINISHED)
    return folder


def write_predictions(
    folder: Path, labels: np.ndarray, predicted: np.ndarray, names: Sequence[str], texts: Sequence[str]
) -> None:
    """predictions.parquet with the columns of `results.save_predictions`."""
    table = {"text": list(texts), "label": [names[i] for i in labels], "prediction": [names[i] for i in predicted]}
    shares = np.full((len(labels), len(names)), 0.1)
    shares[np.arange(len(labels)), predicted] = 0.9
    table |= {f"probability/{name}": shares[:, i] for i, name in enumerate(names)}
    pq.write_table(pa.table(table), folder / "predictions.parquet")


def write_sweep(
    sweep: Path,
    errors: dict[str, float],
    seeds: Sequence[int] = (1, 2, 3),
    data: str = "reviews",
    **common: object,
) -> Path:
    """One cell for each depth and seed; `errors` gives each depth's share of wrong predictions."""
    for freeze, error in errors.items():
        for seed in seeds:
            write_cell(sweep / f"data={data},freeze={freeze},seed={seed}", freeze, seed, data, error=error, **common)
    return sweep
