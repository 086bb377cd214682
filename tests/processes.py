"""The project's commands as processes of their own, forked from one that has imported torch and Lightning already.

An interpreter of its own spends seconds on imports. The server, started as a script with one end of a socket, runs
nothing but imports; each command is forked from it and then lives, is killed and ends as `python ENTRY ARGUMENTS…`
does. A keeper between the two waits for the command's end and tells its status.
"""

import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
# What a run imports, early or late; the server imports it with no thread, no OpenMP pool and no CUDA started.
HEAVY = (
    "frostline.cell", "frostline.ranks", "frostline.train", "frostline.sweep.hooks", "frostline.report.assemble",
    "frostline.predict.command", "frostline.predict.predictor", "frostline.model.tiny", "matplotlib.figure",
    "tensorboard.summary.writer.event_file_writer", "transformers.models.bert.modeling_bert",
)  # fmt: skip
AT_IMPORT = ("HF_", "TRANSFORMERS_", "OMP_", "MKL_", "PYTHONHASHSEED")  # variables that imports read


@dataclass(frozen=True)
class Outcome:
    """What a command line left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str


class Output:
    """What a command has said so far, read by a thread, so that a command never waits for its reader."""

    def __init__(self, stream: int) -> None:
        self.text = ""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: int) -> None:
        with open(stream, encoding="utf-8") as lines:
            for line in lines:
                self.text += line

    def whole(self, timeout: float | None) -> str:
        """All of it, once neither the command nor a process that it started can say more."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"not silent after {timeout} s")
        return self.text


class Process:
    """A command at work: of `subprocess.Popen`, what tests need."""

    def __init__(self, reply: int, out: int, err: int) -> None:
        self.returncode: int | None = None
        self.stdout, self.stderr = Output(out), Output(err)
        self._reply = os.fdopen(reply, encoding="ascii")
        self.pid = int(self._reply.readline())

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        if self._ended(timeout) is None:
            raise TimeoutError(f"process {self.pid} has not ended after {timeout} s")
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.stdout.whole(timeout), self.stderr.whole(timeout)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._reply], [], [], timeout)[0]:
            with self._reply:
                self.returncode = int(self._reply.readline())
        return self.returncode


class Server:
    """The process that commands are forked from; the environment is that of its start."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._environment = dict(os.environ)

    def start(
        self,
        entry: str,
        *arguments: object,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> Process:
        """Start `python ENTRY ARGUMENTS…` in the folder `cwd`.

        By itself it has the environment of this process, but for what imports read: that is as at the server's start,
        whatever a library that some test imported has set since.
        """
        if env is None:
            now = {name: value for name, value in os.environ.items() if not name.startswith(AT_IMPORT)}
            read = {name: value for name, value in self._environment.items() if name.startswith(AT_IMPORT)}
            env = now | read
        if changed := [name for name, _ in env.items() ^ self._environment.items() if name.startswith(AT_IMPORT)]:
            raise ValueError(f"{changed[0]} is read when modules are imported: use subprocess for a change of it")
        request = {"entry": str(ROOT / entry), "arguments": [str(argument) for argument in arguments]}
        request |= {"cwd": str(cwd), "env": dict(env), "start_new_session": start_new_session}
        pipes = [os.pipe() for _ in range(3)]
        with tempfile.TemporaryFile("w+") as file:
            json.dump(request, file)
            file.flush()
            socket.send_fds(self._channel, [b"!"], [file.fileno(), *(write for _, write in pipes)])
        for _, write in pipes:
            os.close(write)
        return Process(*(read for read, _ in pipes))

    def run(self, entry: str, *arguments: object, timeout: float = 600, **options: Any) -> Outcome:
        """As `start`, to the end."""
        process = self.start(entry, *arguments, **options)
        out, err = process.communicate(timeout)
        return Outcome(process.returncode, out, err)


@contextmanager
def server() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    own, its = socket.socketpair()
    # Whether there is a GPU must be found without CUDA, which does not outlive a fork.
    env = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
    command = [sys.executable, __file__, str(its.fileno())]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}  # not a terminal, as what replaces it is none
    with own, subprocess.Popen(command, pass_fds=[its.fileno()], env=env, **quiet):
        its.close()
        yield Server(own)
        own.close()


def _import_heavy() -> None:
    from frostline.startup import quick_imports

    with quick_imports():
        for name in HEAVY:
            importlib.import_module(name)


def _serve(channel: socket.socket) -> dict[str, Any]:
    """Fork for every request until the tests end; returns, in a forked process alone, what to do there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the commands
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, 4)
        _clear_away_keepers()
        if not message:
            sys.exit()
        if os.fork() == 0:
            channel.close()
            return _keep(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _clear_away_keepers() -> None:
    """Those whose command has ended; with them its processor time is counted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(request: int, reply: int, out: int, err: int) -> dict[str, Any]:
    """Start the command, which returns from here; tell its pid, wait for its end and tell its status."""
    if (pid := os.fork()) == 0:
        os.close(reply)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        with open(request, encoding="utf-8") as file:
            file.seek(0)
            return json.load(file)
    _tell_the_end(pid, reply, out, err)


def _tell_the_end(pid: int, reply: int, *others: int) -> NoReturn:
    for descriptor in (*others, 1, 2):
        os.close(descriptor)
    os.write(reply, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(reply, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _settle(request: dict[str, Any]) -> None:
    """Make the forked process what a new interpreter would be."""
    import numpy as np

    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["start_new_session"]:
        os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    found = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [str(Path(request["entry"]).parent), *(p for p in found if p and p not in sys.path), *sys.path[1:]]
    sys.argv = [request["entry"], *request["arguments"]]
    np.random.seed()  # Python's own generator sees to itself


if __name__ == "__main__":
    _import_heavy()
    request = _serve(socket.socket(fileno=int(sys.argv[1])))
    _settle(request)
    runpy.run_path(request["entry"], run_name="__main__")
