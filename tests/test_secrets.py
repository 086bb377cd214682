"""Tokens and passwords: known by their names, and nowhere in what a run or a sweep leaves behind or shows."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostline import secrets
from frostline.sweep import ledger

IN_THE_ENVIRONMENT, AS_AN_OPTION = "hf_AbCdEf0123456789", "sk-live 42/+x"
QUICK = ("trainer.max_steps=1", "+tracking.url=http://localhost")


@pytest.fixture(autouse=True)
def _two_secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One in the environment, one for the test to give; nothing that a sweep hands to its cells is left behind."""
    monkeypatch.setenv("HF_TOKEN", IN_THE_ENVIRONMENT)
    monkeypatch.setattr(secrets, "_known", set())
    yield
    for name in [name for name in os.environ if name.startswith("FROSTLINE_SECRET_")]:
        del os.environ[name]


def nothing_told(folder: Path, *shown: str) -> None:
    """Neither secret is in any file below, nor in what was shown."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 3
    for secret in (IN_THE_ENVIRONMENT, AS_AN_OPTION):
        assert not [file for file in files if secret.encode() in file.read_bytes()]
        assert not [text for text in shown if secret in text]


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN", "token", "model.token", "WANDB_API_KEY", "apiKey", "db_password", "AWS_SECRET_ACCESS_KEY",
        "client-secret", "logger.api_key", "accessToken",
    ],
)  # fmt: skip
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert secrets.is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["TOKENIZERS_PARALLELISM", "tokens_per_second", "max_tokens", "secretary", "data.text_column", "key", "passage"],
)  # fmt: skip
def test_other_names_are_not(name: str) -> None:
    assert not secrets.is_secret(name)


def test_whatever_stands_under_a_secret_name_is_hidden() -> None:
    content = {
        "a": {"token": 1, "lr": 0.1, "api_key": None},
        "task": ["+x.token=1", "lr=1"],
        "text": f"{IN_THE_ENVIRONMENT}!",
    }

    assert secrets.redacted(content) == {
        "a": {"token": "<hidden>", "lr": 0.1, "api_key": None}, "task": ["+x.token=<hidden>", "lr=1"],
        "text": "<hidden>!",
    }  # fmt: skip


def test_a_short_value_does_not_take_words_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_TOKEN", "true")
    secrets.learn({"token": "a"})

    assert secrets.redact("a true story") == "a true story"


def test_a_record_loses_it_in_its_arguments_and_its_traceback() -> None:
    try:
        raise ValueError(IN_THE_ENVIRONMENT)
    except ValueError as error:
        caught = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.INFO, "a.py", 1, "with %s", (IN_THE_ENVIRONMENT,), caught)

    assert secrets.Redact().filter(record)
    told = logging.Formatter("%(message)s").format(record)
    assert told.startswith("with <hidden>\nTraceback")
    assert IN_THE_ENVIRONMENT not in told


def test_a_run_keeps_both_to_itself(train, tmp_path: Path) -> None:
    asked = (f"+tracking.api_key='{AS_AN_OPTION}'", f"+tracking.note='uses {IN_THE_ENVIRONMENT}'")
    outcome = train(*asked, *QUICK, "hydra.run.dir=out")

    assert outcome.status == 0, outcome.err
    nothing_told(tmp_path, outcome.out, outcome.err)
    kept = (tmp_path / "out" / ".hydra" / "config.yaml").read_text()
    assert "api_key: <hidden>" in kept
    assert "note: uses <hidden>" in kept
    assert "url: http://localhost" in kept


def test_a_failed_run_keeps_them_too(train, tmp_path: Path) -> None:
    outcome = train(
        f"resume='{AS_AN_OPTION} {IN_THE_ENVIRONMENT}'", f"+my.password='{AS_AN_OPTION}'", "hydra.run.dir=out"
    )

    assert outcome.status == 1
    assert outcome.err.startswith("resume=<hidden> <hidden> is not a file")
    nothing_told(tmp_path, outcome.out, outcome.err)


def test_a_traceback_keeps_them_too(train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.py").write_text("def broken(**_):\n    raise KeyError('" + IN_THE_ENVIRONMENT + "')\n")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = train("+callbacks.other._target_=broken.broken", "hydra.run.dir=out")
    (tmp_path / "broken.py").unlink()

    assert outcome.status == 1
    assert "<hidden>" in (tmp_path / "out" / "traceback.txt").read_text()
    for cached in tmp_path.rglob("*.pyc"):
        cached.unlink()
    nothing_told(tmp_path, outcome.out, outcome.err)


def test_a_sweep_and_its_report_keep_them(train, tmp_path: Path) -> None:
    given = (f"+tracking.api_key='{AS_AN_OPTION}'", f"+tracking.token={IN_THE_ENVIRONMENT}", *QUICK)
    outcome = train("-m", "freeze=head,top1", *given, "hydra.sweep.dir=out")

    assert outcome.status == 0, outcome.err
    nothing_told(tmp_path, outcome.out, outcome.err)
    assert (tmp_path / "out" / "report.html").exists()
    assert {cell.name for cell in ledger.cells(tmp_path / "out")} == {"freeze=head", "freeze=top1"}
    again = train("-m", "freeze=head,top1", "+tracking.api_key=another", *given[1:], "hydra.sweep.dir=out")
    assert again.out.count("done before") == 2, again.out


def test_the_cells_get_what_was_given(train, tmp_path: Path) -> None:
    """A model that a secret names, so that its name shows whether it arrived."""
    given = ("+my.token=distilbert", "model.name_or_path=${my.token}", *QUICK)
    outcome = train("-m", *given, "seed=1,2", "hydra.sweep.dir=out")

    assert outcome.status == 0, outcome.err
    assert "DistilBert" in (tmp_path / "out" / "seed=1" / "model" / "config.json").read_text()
