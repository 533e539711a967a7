"""Servers under measurement: started with a private folder, watched through /proc, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ContenderFailed(Exception):
    """A contender did not start, died or wrote something else than it was given."""


def free_port() -> int:
    """A TCP port on the loopback address that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Server:
    """A process with its children, from start to end of the `with` block.

    Times are in UTC for it, its output goes to `server.out` in its folder.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.command = command
        self._output = folder / "server.out"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "TZ": "UTC", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Process id of the server itself, not of its children."""
        return self._process.pid

    def output(self) -> str:
        """What it printed up to now, both streams."""
        return self._output.read_text(errors="replace")

    def check(self) -> None:
        """Raises `ContenderFailed` with the last line of its output where it has died."""
        if self._process.poll() is not None:
            lines = self.output().strip().splitlines() or ["it said nothing"]
            raise ContenderFailed(f"ended with status {self._process.returncode}: {lines[-1]}")

    def connect(self, port: int, *, timeout_s: float = 20.0) -> socket.socket:
        """A connection to its port; tries again while it does not listen there yet.

        Raises:
            ContenderFailed: it died, or did not listen within the timeout.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError as exc:
                self.check()
                if time.monotonic() > deadline:
                    raise ContenderFailed(f"nobody listens on port {port}") from exc
                time.sleep(0.005)

    def cpu_s(self) -> float:
        """Seconds of CPU used by all its threads and children since the start."""
        return sum(_cpu_s(pid) for pid in self._family())

    def rss_bytes(self) -> int:
        """Resident memory, children included."""
        return sum(_rss_bytes(pid) for pid in self._family())

    def stop(self, *, timeout_s: float = 40.0) -> int:
        """Ask it to end, insist after the timeout; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode

    def _family(self) -> list[int]:
        family = [self.pid]
        for pid in family:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                # A thread may end between the listing and the look at it.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    family += map(int, children.read_text().split())
        return family


def pin(pid: int, cores: set[int]) -> None:
    """Keep all threads that process `pid` has now, and those they start, on these cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def _cpu_s(pid: int) -> float:
    # The clock of another process, to the nanosecond; its ended children only in ticks. After the
    # ")" that ends the name state is field 3, cutime and cstime are 16 and 17.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(~pid << 3 | 2) + sum(map(int, fields[13:15])) / _TICKS_A_SECOND


def _rss_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
