"""Fixtures: no network, caches of their own, small data in files, and the real entry points run in this process."""

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
from processes import ROOT, Outcome

# Before anything imports a hub library: tests reach no hub and leave the user's caches alone.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the tiny encoder's matrices are too small to share
# What a shell starts in the background ignores Ctrl-C, and so would every command that tests start from there.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that tests of the long campaign recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{report.location[2]}: {name}: {value}")


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        cache = tmp_path_factory.mktemp("huggingface")
        patch.setenv("HF_HOME", str(cache))
        patch.setenv("XDG_CACHE_HOME", str(cache))  # the trunk cache's place
        import datasets

        patch.setattr(datasets.config, "HF_DATASETS_CACHE", cache / "datasets")
        yield


@pytest.fixture(scope="session")
def commands(_own_caches: None) -> Iterator[processes.Server]:
    """Start the project's entries as real processes of their own, which need not wait for imports."""
    with processes.server() as server:
        yield server


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run one of the project's entries as `python ENTRY ARGUMENTS…` would, in `tmp_path`."""

    def run(entry: str, *arguments: object) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [entry, *map(str, arguments)])
        capfd.readouterr()
        status = 0
        try:
            runpy.run_path(str(ROOT / entry), run_name="__main__")
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        return Outcome(status, *capfd.readouterr())

    return run


@pytest.fixture
def train(command: Callable[..., Outcome], small_reviews: Path) -> Callable[..., Outcome]:
    """`python train.py` on the tiny encoder and `small_reviews`, without a progress bar, plus the given overrides."""

    def run(*overrides: object) -> Outcome:
        given = [str(override) for override in overrides]
        common = ["model=tiny", "data=files", f"data.path={small_reviews}", "callbacks=none"]
        keys = {override.partition("=")[0] for override in given}
        common = [item for item in common if item.partition("=")[0] not in keys]
        flags = [item for item in given if item.startswith("-")]  # argparse wants them before the overrides
        return command("train.py", *flags, *common, *(item for item in given if item not in flags))

    return run


@pytest.fixture(scope="session")
def small_reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv (120 texts), validation.csv and test.csv (40 each) of generated reviews."""
    from frostline.data.demo_text import generate

    folder = tmp_path_factory.mktemp("small_reviews")
    for split, rows in generate("reviews", 0, {"train": 120, "validation": 40, "test": 40}).items():
        lines = ['"' + text.replace('"', '""') + f'",{label}' for text, label in rows]
        (folder / f"{split}.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    return folder


@pytest.fixture
def tiny_network() -> Callable[..., object]:
    """Make a tiny classifier of a family: `tiny_network("roberta", layers=4)`."""
    from frostline.model.tiny import Tiny

    def make(family: str = "bert", labels: tuple[str, ...] = ("neg", "pos"), **options: int):
        source = Tiny(name="tiny", name_or_path=family, **options)
        return source.network(labels, source.tokenizer(["some words to learn a vocabulary from"] * 3))

    return make


@pytest.fixture
def batches():
    """A loader of eight batches of eight texts with eight tokens each, two labels in turn."""
    import torch

    from frostline.data.batches import BucketedBatches, TokenizedTexts, loader

    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 20, (64 * 8,), generator=rng).numpy()
    texts = TokenizedTexts(ids, torch.arange(0, 65 * 8, 8).numpy(), torch.arange(64).numpy() % 2, pad_id=0)
    return loader(texts, BucketedBatches(texts.lengths, batch_size=8, seed=0))


@pytest.fixture
def padded_batch() -> dict:
    """Token ids and mask of six texts of 2 to 12 tokens."""
    import torch

    rng = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 20, (6, 12), generator=rng)
    mask = torch.ones_like(ids)
    for row, length in enumerate([12, 9, 5, 2, 12, 7]):
        mask[row, length:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}
