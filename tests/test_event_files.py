"""Event files: a signal to stop waits until an event is written whole."""

import signal
import threading

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from frostline.event_files import STOPS, UninterruptedTensorBoardLogger, signals_held


@pytest.fixture
def on_sigterm():
    """As a run does it: the process ends by an exception."""

    def stop(*_: object) -> None:
        raise SystemExit(143)

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_while_an_event_is_written_comes_after_it(number, error, on_sigterm, tmp_path, monkeypatch):
    logger = UninterruptedTensorBoardLogger(tmp_path, name="", version="")
    add_event = logger.experiment._get_file_writer().event_writer.add_event

    def interrupted(event):
        signal.raise_signal(number)
        add_event(event)

    monkeypatch.setattr(logger.experiment._get_file_writer().event_writer, "add_event", interrupted)
    handlers = [signal.getsignal(stop) for stop in STOPS]
    with pytest.raises(error):
        logger.log_metrics({"train/loss": 0.5}, step=3)
    assert [signal.getsignal(stop) for stop in STOPS] == handlers
    monkeypatch.undo()
    logger.finalize("interrupted")
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(3, 0.5)]


def test_an_error_inside_is_not_lost():
    with pytest.raises(ValueError, match="inside"), signals_held():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_is_left_alone():
    held = []

    def work() -> None:
        with signals_held():
            held.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert held == [signal.default_int_handler]
