"""serve.py: who is asked, what the cards show, and the page in a real browser."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from urllib.parse import urlsplit

import numpy as np
import pytest
from chromium import BROWSER, Tab, browse
from conftest import ROOT
from made_cells import write_cell, write_predictions
from made_models import write_model

from frostline.serve.cards import cards
from frostline.serve.judges import benches

HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
LABELS = (HOSTILE, "positive")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Three depths, one of them with two seeds, whose runs disagree about the third test text."""
    folder = tmp_path_factory.mktemp("serve") / "sweep"
    texts = [f"The movie was lovely, {i} times." for i in range(40)]
    texts[2] = f"{HOSTILE} superb"
    labels = np.arange(40) % 2
    for i, (freeze, seed, f1) in enumerate([("none", 1, 0.9), ("top1", 1, 0.6), ("top1", 2, 0.7), ("head", 1, 0.5)]):
        cell = write_cell(folder / f"freeze={freeze},seed={seed}", freeze, seed, names=LABELS, val_f1=f1)
        write_model(cell, labels=LABELS, steps=3, seed=i)
        guesses = labels.copy()
        guesses[2] = i % 2
        write_predictions(cell, labels, guesses, LABELS, texts)
    return folder


def test_a_sweep_asks_the_best_run_of_each_depth(sweep):
    (bench,) = benches(sweep)
    assert [judge.name for judge in bench.judges] == ["none", "top1", "head"]
    assert bench.judges[1].model == sweep / "freeze=top1,seed=2" / "model"
    assert bench.judges[0].cost[0] == ("training", "27.1 s")
    assert dict(bench.judges[2].cost) == {
        "training": "0.5 s + 6.0 s trunk",
        "test F1": f"{bench.judges[2].cell.metric('test/f1'):.3f}",
        "trainable parameters": "770",
    }


def test_examples_begin_with_what_the_depths_disagree_about(sweep):
    (bench,) = benches(sweep)
    assert bench.examples[0] == (f"{HOSTILE} superb",)
    assert len(set(bench.examples)) == 6


def test_each_data_set_has_its_own_judges(sweep, tmp_path):
    for data in ("reviews", "topics"):
        cell = write_cell(tmp_path / "both" / data, "head", data=data)
        (cell / "model").symlink_to(sweep / "freeze=head,seed=1" / "model")
    assert [bench.data for bench in benches(tmp_path / "both")] == ["reviews", "topics"]


def test_a_run_or_a_model_folder_is_asked_alone(sweep, tmp_path):
    for folder in (sweep / "freeze=head,seed=1", sweep / "freeze=head,seed=1" / "model"):
        (bench,) = benches(folder)
        assert [(judge.name, len(judge.cost)) for judge in bench.judges] == [("head", 3)]
    (tmp_path / "alone").symlink_to(sweep / "freeze=head,seed=1" / "model")
    (bench,) = benches(tmp_path / "alone")
    assert [(judge.name, judge.cost) for judge in bench.judges] == [("alone", [])]


class Elements(HTMLParser):
    """The names of all elements, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_cards_show_every_probability_and_escape_what_comes_from_data(sweep):
    from frostline.predict.explain import explain

    (bench,) = benches(sweep, "cpu")
    text = f"superb {HOSTILE}"
    predictions = {judge.name: judge.predictor.predict([text])[0] for judge in bench.judges}
    reasons = {"none": explain(bench.judges[0].predictor, text), "head": HOSTILE}
    found = Elements(cards(bench.judges, predictions, reasons, message=HOSTILE))
    assert not {"img", "script"} & found.names
    assert found.text.count(HOSTILE) >= 6
    for prediction in predictions.values():
        for probability in prediction.probabilities.values():
            assert f"{100 * probability:.1f} %" in found.text


def test_a_slip_is_one_line(command, tmp_path, sweep, monkeypatch):
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    for arguments, message in [
        ((sweep, "--port", port), f"--host 127.0.0.1 --port {port} is taken"),
        (("nowhere",), "nowhere does not exist: give a run folder"),
        ((sweep, "--port", "70000"), "--port 70000: use a number from 1 to 65535, such as 7860"),
    ]:
        outcome = command("serve.py", *arguments)
        assert outcome.status == 1
        assert outcome.err.strip().startswith(message)
        assert len(outcome.err.strip().splitlines()) == 1
    taken.close()
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert (
        command("serve.py", sweep).err.strip()
        == "serve.py needs gradio: pip install '.[serve]' in the project's folder"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Proxy:
    """Takes note of every connection that a process would make to somewhere else."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.callers: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self.server.accept()
            except OSError:
                return
            self.callers.append(caller.recv(200))
            caller.close()

    @property
    def environment(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        return {**dict.fromkeys([*names, *map(str.upper, names)], address), "no_proxy": "127.0.0.1,localhost"}


def served(folder, tmp_path, visit: Callable[[Tab, str], Awaitable[None]]) -> tuple[str, Proxy]:
    """Start `python serve.py`, visit the page, end it with Ctrl-C; gives what it printed and whom it called."""
    proxy, port = Proxy(), free_port()
    environment = {**os.environ, **proxy.environment, "GRADIO_ANALYTICS_ENABLED": "True", "HF_HUB_OFFLINE": "0"}
    process = subprocess.Popen(
        [sys.executable, ROOT / "serve.py", folder, "--port", str(port), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    printed = ""
    try:
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        address = re.search(r"http://\S+", printed)[0]
        assert urlsplit(address).hostname == "127.0.0.1"
        browse(tmp_path / "profile", lambda tab: visit(tab, address))
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    return printed + rest, proxy


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome is installed here")
def test_type_submit_read_the_bars(sweep, tmp_path):
    text = f"superb {HOSTILE} dreadful"
    found: dict = {}

    async def visit(tab: Tab, address: str) -> None:
        await tab.open(address)
        await tab.until("document.querySelectorAll('.fl-card').length == 3")
        await tab.type("#text textarea", text)
        await tab.press("Enter", 13)
        await tab.until("document.querySelectorAll('.fl-words').length == 3")
        found["shares"] = await tab.run(
            "[...document.querySelectorAll('.fl-card')].map(c => [c.dataset.judge, c.querySelector('.fl-label')"
            ".textContent, ...[...c.querySelectorAll('.fl-share')].map(s => s.textContent)])"
        )
        found["widths"] = await tab.run(
            "[...document.querySelectorAll('.fl-card:first-child .fl-track')].map(t => "
            "t.firstElementChild.getBoundingClientRect().width / t.getBoundingClientRect().width)"
        )
        found["words"] = await tab.run("document.querySelector('.fl-words').textContent.trim()")
        await tab.click("#samples button")
        await tab.until(f"document.querySelector('#text textarea').value != {text!r}")
        await tab.until("((document.querySelector('.fl-words') || {}).textContent || '').trim().endsWith('superb')")
        found["sample"] = await tab.run("document.querySelector('#text textarea').value")
        found["title"] = await tab.run("document.title")
        await tab.type("#text textarea", "  ")
        await tab.press("Enter", 13)
        found["message"] = await tab.until("(document.querySelector('.fl-message') || {}).textContent")
        found["requests"] = tab.requests

    printed, proxy = served(sweep, tmp_path, visit)
    expected = {judge.name: judge.predictor.predict([text])[0] for judge in benches(sweep, "cpu")[0].judges}
    assert {name: (label, shares) for name, label, *shares in found["shares"]} == {
        name: (p.label, [f"{100 * share:.1f} %" for share in p.probabilities.values()]) for name, p in expected.items()
    }
    assert found["widths"] == pytest.approx(list(expected["none"].probabilities.values()), abs=0.02)
    assert found["words"] == text
    assert found["sample"] == f"{HOSTILE} superb"
    assert found["title"] == "Frostline: reviews"
    assert found["message"] == "Give some words, then press Enter."
    assert {urlsplit(url).hostname for url in found["requests"] if url.startswith("http")} == {"127.0.0.1"}
    assert proxy.callers == []
    assert "Traceback" not in printed
