"""A hub out of reach is found out within seconds, and the message names the way round it."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostline import hub

ROOT = Path(__file__).parents[1]

# Runs train.py in a process that has imported everything heavy, and prints how long it took.
TIMED = """
import runpy, sys, time
import frostline.train
started = time.monotonic()
try:
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
finally:
    print("seconds", time.monotonic() - started)
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Nothing found out about the hub yet, and whatever is found out is forgotten afterwards."""
    import datasets
    import huggingface_hub

    for module in (datasets.config, huggingface_hub.constants):
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", module.HF_HUB_OFFLINE)
    monkeypatch.setenv("HF_HUB_OFFLINE", "")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    hub.reachable.cache_clear()
    hub._forbidden.cache_clear()
    yield monkeypatch
    hub.reachable.cache_clear()
    hub._forbidden.cache_clear()


@pytest.fixture
def closed() -> str:
    """An address where nothing listens."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{port.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def serving(status: bytes) -> Iterator[str]:
    """An address that answers every request with this status line."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.rfile.readline()
            self.wfile.write(status + b"\r\nContent-Length: 0\r\n\r\n")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "there"),
    [(b"HTTP/1.0 200 OK", True), (b"HTTP/1.0 404 Not Found", True), (b"HTTP/1.0 503 Busy", True), (b"hello", False)],
)
def test_a_hub_that_answers_is_there(status: bytes, there: bool, fresh) -> None:
    for address in serving(status):
        fresh.setenv("HF_ENDPOINT", address)
        assert hub.reachable() is there


def test_a_closed_port_is_not_there_and_libraries_are_told(closed: str, fresh) -> None:
    import datasets
    import huggingface_hub

    fresh.setenv("HF_ENDPOINT", closed)

    assert not hub.reachable()
    assert huggingface_hub.constants.HF_HUB_OFFLINE
    assert datasets.config.HF_HUB_OFFLINE
    assert hub.why_not() == f"the hub ({closed}) cannot be reached"


def test_a_silent_hub_is_given_up(silent: str, fresh) -> None:
    fresh.setenv("HF_ENDPOINT", silent)
    fresh.setattr(hub, "TIMEOUT_SECONDS", 0.2)

    assert not hub.reachable()


@pytest.mark.parametrize("setting", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_an_offline_setting_is_heeded_and_named(setting: str, fresh) -> None:
    fresh.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    fresh.setenv(setting, "1")

    assert not hub.reachable()
    assert hub.why_not() == f"{setting}=1 forbids the hub (http://127.0.0.1:9)"


@pytest.mark.slow
@pytest.mark.parametrize("address", ["closed", "silent"])
@pytest.mark.parametrize(
    ("overrides", "names"),
    [(["data=ag_news"], "data.path="), (["data=demo_reviews", "model=bert_base"], "model.name_or_path=")],
)
def test_a_run_without_a_hub_ends_within_ten_seconds(
    address: str, overrides: list[str], names: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "http_proxy", "HTTP_PROXY", "ALL_PROXY")
    environment = {name: value for name, value in os.environ.items() if name not in offline}
    endpoint = request.getfixturevalue(address)
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "cache")}

    command = [sys.executable, "-c", TIMED, str(ROOT / "train.py"), *overrides, "callbacks=none", "hydra.run.dir=out"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert names in done.stderr
    assert f"the hub ({endpoint}) cannot be reached" in done.stderr
    assert float(done.stdout.rpartition("seconds ")[2]) < 10
    assert json.loads((tmp_path / "out" / "state.json").read_text())["state"] == "failed"
