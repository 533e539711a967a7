"""A real daemon in a process of its own, for tests that send, signal, kill and restart."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

READY_S = 60.0
STOP_S = 90.0

_READY = re.compile(
    r"ready(?: on|, reading) (?P<addresses>.*), writing to (?P<outputs>.*), pid \d+"
)


class DaemonProcess:
    """`logd serve` with the options given, started in `folder`; see `running`.

    With `has_own_share` it gets a share of the processors as services of systemd do, however many
    processes the test has.

    Attributes:
        process: the process, whose pid is the daemon's.
        lines: what it wrote to standard error so far.
        port: of its first TCP listener; 0 where it has none.
        addresses: what it listens on, as its ready line has them.
    """

    def __init__(
        self,
        *options: str | Path,
        folder: Path,
        environment: dict[str, str] | None = None,
        port: int | None = 0,
        python_options: Sequence[str] = (),
        stdout: int = subprocess.DEVNULL,
        has_own_share: bool = False,
    ) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.port = 0
        self.addresses: list[str] = []
        self._news = threading.Condition()
        listen = [] if port is None else ["--port", str(port)]
        command = [sys.executable, *python_options, "-m", "logd", "serve", *listen]
        self.process = subprocess.Popen(
            [*command, *map(str, options)],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            # Linux gives each session an equal share of the processors (sched(7), autogroup).
            start_new_session=has_own_share,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        self.process.stderr.close()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """All it wrote to standard error so far."""
        return "\n".join(self.lines)

    def wait_line(self, pattern: str, timeout: float = READY_S) -> str:
        """Return the first line that matches the regular expression, as soon as it is there."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._news:
            self._news.wait_for(lambda: found() or not self._reader.is_alive(), timeout)
            line = found()
        if line is None:
            raise AssertionError(f"no line with {pattern!r}; the daemon said:\n{self.output}")
        return line

    def wait_ready(self) -> DaemonProcess:
        """Return once it takes records."""
        match = _READY.search(self.wait_line(r"\bready( on|, reading)\b"))
        assert match is not None
        self.addresses = match["addresses"].split(", ")
        ports = [address.rsplit(":", 1)[1] for address in self.addresses if ":" in address]
        self.port = next((int(port) for port in ports if port.isdigit()), 0)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = STOP_S) -> int:
        """Wait for its end; returns the exit status (negative for a signal)."""
        status = self.process.wait(timeout)
        self._reader.join(timeout)
        return status

    def stop(self, timeout: float = STOP_S) -> int:
        """Stop it gracefully; returns the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.wait()

    def log_text(self, pattern: str = "logs/logd_*.log") -> str:
        """What its files hold, in the order of their names and, within them, numbers."""

        def order(path: Path) -> list[tuple[int, str]]:
            parts = re.split(r"(\d+)", path.name)
            return [(int(part) if part.isdigit() else 0, part) for part in parts]

        paths = sorted(self.folder.glob(pattern), key=order)
        return "".join(path.read_text("utf-8") for path in paths)


@contextlib.contextmanager
def running(
    *options: str | Path,
    folder: Path,
    environment: dict[str, str] | None = None,
    port: int | None = 0,
    python_options: Sequence[str] = (),
    has_own_share: bool = False,
) -> Iterator[DaemonProcess]:
    """A daemon that is ready, and that is gone when the block ends; a leftover one is killed."""
    daemon = DaemonProcess(
        *options,
        folder=folder,
        environment=environment,
        port=port,
        python_options=python_options,
        has_own_share=has_own_share,
    )
    try:
        yield daemon.wait_ready()
    finally:
        if daemon.process.poll() is None:
            daemon.kill()
