"""One trial: a daemon, a server that logs to it, and what of its records is in the log."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.daemon_process import DaemonProcess
from tests.servers.recipes import Recipe, with_sockethandler

START_S = 60.0
STOP_S = 60.0

_NUMBER = re.compile(r" bought (\d+)\t")
_WORD = re.compile(r" ((?:startup|shutdown) complete)\t")
_FURTHER = {
    "access log": re.compile(r'"GET /buy/(\d+) HTTP/1\.1"'),
    "request_id": re.compile(r" bought (\d+)\t[^\n]*\brequest_id=r-\1\b"),
}
"""What some recipes log besides for each request, and how a request's number is found in it."""


class Trial:
    """Lives for one row of the table. `expected` grows with what the application logs.

    Args:
        folder: an empty one.
        recipe: which server and how.
        ports: a free one for the daemon, a free one for the server.
        is_ours: False for SocketHandler in place of LogdHandler.
        changes: further texts to replace in the recipe.
        arguments: further arguments of the command.
        environment: further variables.
        further: what else there must be of each request, of `access log` and `request_id`.

    Attributes:
        expected: records that the log must have, by their texts.
        stop_s: how long the stop took.
        port: of the server.
        process: the server.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        ports: tuple[int, int],
        *,
        is_ours: bool,
        changes: dict[str, str],
        arguments: Iterable[str] = (),
        environment: dict[str, str],
        further: Iterable[str] = (),
    ) -> None:
        # Items that are bound are for LogdHandler only.
        self.further = [name for name in further if is_ours or name != "request_id"]
        self.expected: Counter[str] = Counter()
        self.stop_s = 0.0
        self.folder = folder
        self._daemon_port, self.port = ports
        self.daemon = self._start_daemon()
        replaced = {"8000": str(self.port), **changes}
        if not is_ours:
            replaced |= with_sockethandler(self._daemon_port)
        self.command = [*recipe.write(folder, replaced), *arguments]
        self.environment = {
            **os.environ,
            "LOGD_HOST": "127.0.0.1",
            "LOGD_PORT": str(self._daemon_port),
            "PYTHONPATH": str(folder),
            **environment,
        }
        self._lock = threading.Lock()
        self._numbers = iter(range(1_000_000))
        self.output = (folder / "output").open("w")
        self.process = subprocess.Popen(
            self.command, cwd=folder, env=self.environment, stdout=self.output, stderr=self.output
        )

    def _start_daemon(self) -> DaemonProcess:
        options = ("--file", "logs/logd_%d.log", "--host", "127.0.0.1")
        return DaemonProcess(*options, folder=self.folder, port=self._daemon_port).wait_ready()

    def restart_daemon(self, away_s: float = 0.5) -> None:
        """Stop the daemon and start it again."""
        self.daemon.stop()
        time.sleep(away_s)
        self.daemon = self._start_daemon()

    def wait_listening(self) -> None:
        """Return once the server takes requests."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._get("/", "-")
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "output").read_text()
                time.sleep(0.05)
            else:
                return

    def _get(self, path: str, request_id: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"x-request-id": request_id})
            return connection.getresponse().status
        finally:
            connection.close()

    def _buy(self, count: int) -> None:
        for _ in range(count):
            with self._lock:
                number = next(self._numbers)
            try:
                status = self._get(f"/buy/{number}", f"r-{number}")
            except (OSError, http.client.HTTPException):
                continue  # a worker ended in the midst of it
            if status == 200:
                with self._lock:
                    self.expected[str(number)] += 1
                    self.expected.update(f"{name} {number}" for name in self.further)

    def load(self, requests: int = 200, threads: int = 4) -> list[threading.Thread]:
        """Begin to send requests, each of which logs one record; join what is returned."""
        each = requests // threads
        started = [threading.Thread(target=self._buy, args=(each,)) for _ in range(threads)]
        for thread in started:
            thread.start()
        return started

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal and wait for the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(STOP_S)
        self.stop_s = time.monotonic() - began

    def wait(self, timeout_s: float = STOP_S) -> None:
        """Wait for an end that comes by itself."""
        self.process.wait(timeout_s)

    def missing(self) -> int:
        """How many of the records sent so far are not in the log yet."""
        return (self.expected - self._found()).total()

    def result(self) -> tuple[int, int, int]:
        """How many records were sent, how many of them are in the log, how many twice."""
        deadline = time.monotonic() + 5.0
        # What kernels hold is on its way.
        while self.missing() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.daemon.stop()
        found = self._found()
        present = sum(min(found[text], count) for text, count in self.expected.items())
        twice = sum(count > max(1, self.expected[text]) for text, count in found.items())
        return self.expected.total(), present, twice

    def _found(self) -> Counter[str]:
        text = self.daemon.log_text()
        found = Counter(_NUMBER.findall(text)) + Counter(_WORD.findall(text))
        for name in self.further:
            found.update(f"{name} {number}" for number in _FURTHER[name].findall(text))
        return found

    def end(self) -> None:
        """Leave no process behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.daemon.process.poll() is None:
            self.daemon.kill()
        self.output.close()
