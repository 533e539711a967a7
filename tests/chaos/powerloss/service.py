"""The whole daemon under the recorder: `logd serve`, clients of its sessions, and `logd query`.

The commands run in forks of the job's process, which has imported everything: a start costs a
fraction of what a new interpreter would take, and there are thousands.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from logd.cli import main
from logd.outputs.files import output as file_output
from logd_client.session import REFUSAL_BASE, AnswerDecoder, encode_frame, encode_opening

READY_S = 30.0
LOOK_AROUND_EVERY_S = 0.05
"""How often the daemon looks for what hands did; each 3 s would be longer than the runs."""


def forked(arguments: Sequence[str], output: Path) -> int:
    """Begin a command of logd; returns the process.

    Args:
        arguments: its command line.
        output: a file for its standard output; its standard error goes to one of `.err`.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for number, path in ((1, output), (2, output.with_suffix(".err"))):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
        file_output._LOOK_AROUND_EVERY_S = LOOK_AROUND_EVERY_S
        status = main(arguments)
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def ended(process: int) -> int:
    """Wait for a process; returns its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Service:
    """A running daemon; use it in a `with` block, which ends it in order.

    Args:
        config: its settings file.
        files: a folder for its socket and what it says, not a recorded one.
    """

    def __init__(self, config: Path, files: Path) -> None:
        # A path of a socket has 107 bytes at most.
        self._socket = Path(f"/tmp/logd-{os.getpid()}.sock")
        self._output = files / "serve"
        options = ["--port", "", "--socket", str(self._socket)]
        options += ["--control", f"{self._socket}.control"]
        self.process = forked(["serve", "--config", str(config), *options], self._output)
        self._is_running = True

    def connect(self) -> socket.socket:
        """A connection, as soon as the daemon listens."""
        deadline = time.monotonic() + READY_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self._socket))
            except OSError:
                connection.close()
                if os.waitpid(self.process, os.WNOHANG)[0]:
                    self._is_running = False
                if not self._is_running or time.monotonic() > deadline:
                    raise AssertionError(f"the daemon does not serve: {self.said}") from None
                time.sleep(0.002)
            else:
                connection.settimeout(READY_S)
                return connection

    @property
    def said(self) -> str:
        """What the daemon wrote to standard error."""
        return self._output.with_suffix(".err").read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.process, number)

    def stop(self) -> None:
        """End it in order."""
        if self._is_running:
            self._is_running = False
            self.signal(signal.SIGTERM)
            status = ended(self.process)
            for path in (self._socket, Path(f"{self._socket}.control")):
                path.unlink(missing_ok=True)
            if status:
                raise AssertionError(f"the daemon ended with status {status}: {self.said}")

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


class Sender:
    """A client of a session, which holds what is not acknowledged, as its machine lives on.

    Args:
        connection: to the daemon; taken over.
        name: how its records are called.
        session: 16 bytes.
        acked: up to this number it has acknowledgements.
        total: its last record.

    Attributes:
        sent: number of the last record that was sent, or that the daemon had.
        acked: number of the last record that is acknowledged.
        told: what the daemon said first.
    """

    def __init__(
        self, connection: socket.socket, name: str, session: bytes, acked: int, total: int
    ) -> None:
        self._connection = connection
        self._name = name
        self._total = total
        self._answers = AnswerDecoder()
        self.acked = acked
        connection.sendall(encode_opening(session, acked + 1))
        self.told = self._next_answer()
        self.sent = self.acked = max(acked, self.told)

    def send(self, count: int) -> int:
        """Send further records, as far as there are more; returns the number of the last."""
        first = self.sent + 1
        last = min(self.sent + count, self._total)
        records = [
            (n, 7, 9, "t", time.time(), f"{self._name} record {n}", "I", (("a.py", 3),), 1, "f", {})
            for n in range(first, last + 1)
        ]
        if records:
            payload = pickle.dumps(("batch", first, records), 4)
            self._connection.sendall(encode_frame(payload))
        self.sent = last
        return last

    def wait(self) -> Iterator[int]:
        """The numbers of acknowledgements, until all that was sent is acknowledged."""
        while self.acked < self.sent:
            number = self._next_answer()
            if number > self.acked:
                self.acked = number
                yield number

    def _next_answer(self) -> int:
        while True:
            data = self._connection.recv(4096)
            if not data:
                raise AssertionError("the daemon closed the connection")
            numbers = self._answers.receive_data(data)
            if numbers:
                if numbers[-1] >= REFUSAL_BASE:
                    raise AssertionError(f"the daemon refused: {numbers[-1] - REFUSAL_BASE}")
                return numbers[-1]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def query(config: Path, files: Path) -> tuple[int, list[str]]:
    """What `logd query` finds: its exit status, and the messages in its order."""
    output = files / "query"
    output.unlink(missing_ok=True)
    arguments = ["query", "--config", str(config), "--format", "%(message)s"]
    status = ended(forked(arguments, output))
    return status, output.read_text(errors="replace").splitlines()
