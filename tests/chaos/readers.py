"""Readers that follow a log while it rotates and is compressed under them: every record once.

Some get the daemon's feed, some look at the files themselves, and of each kind one is stopped for
a while, so that the feed leaves records out for it and the files it has open are compressed.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos import oracle
from tests.chaos.scenarios import senders
from tests.daemon_process import running
from tests.waiting import wait_for, wait_stopped

READERS: dict[str, tuple[str, ...]] = {
    "live": (),
    "live, a pattern": ("--grep", r"^sender \d+ record \d+ "),
    "live, stopped": (),
    "files": ("--control", "absent"),
    "files, stopped": ("--control", "absent"),
    "files, a pattern, stopped": ("--control", "absent", "--grep", r"^sender \d+ record \d+ "),
}
"""Options of `logd tail` for each reader; what is called "stopped" is."""

_FIRST, _LAST = 90, 91
"""The senders of the record before and of the one behind all others."""

_DONE_S = 240.0


class _Reader:
    """`logd tail -f` in a process of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        stem = name.replace(", ", "-").replace(" ", "-")
        self.name = name
        self._shown, self._said = folder / f"{stem}.out", folder / f"{stem}.err"
        self._cursor = folder / f"{stem}.cursor"
        options = ["--file", "chaos_%d.log", "--cursor-file", str(self._cursor), *READERS[name]]
        with self._shown.open("wb") as shown, self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "logd", "tail", "-f", "-n", "0", *options],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=said,
            )

    def wait_begun(self) -> None:
        """Return once it misses nothing that comes."""
        wait_for(self._cursor.exists, f"{self.name} to begin")

    def stop(self) -> None:
        """Let it stand still."""
        self.process.send_signal(signal.SIGSTOP)
        wait_stopped(self.process.pid)

    def messages(self) -> Iterator[str]:
        """The texts that it shows, once it has shown the last one."""
        wait_for(self._is_done, f"{self.name} to show the last record", _DONE_S)
        with self._shown.open(encoding="utf-8", newline="\n") as lines:
            yield from oracle.line_messages(lines, self.name)

    @property
    def notes(self) -> str:
        """What it told its user."""
        return self._said.read_text("utf-8").strip().replace("\n", "; ")

    def _is_done(self) -> bool:
        with self._shown.open("rb") as shown:
            shown.seek(max(0, self._shown.stat().st_size - 4096))
            end = shown.read()
        return f"sender {_LAST} record 0 ".encode() in end and end.endswith(b"\n")


@contextlib.contextmanager
def _readers(folder: Path) -> Iterator[list[_Reader]]:
    found: list[_Reader] = []
    try:
        found.extend(_Reader(name, folder) for name in READERS)
        yield found
    finally:
        for reader in found:
            reader.process.kill()
            reader.process.wait()


def follow(
    folder: Path, records: int, rate: float | None, stopped_s: float | None
) -> oracle.Verdict:
    """Let two senders log, and readers follow; what the readers have shown, all together.

    Args:
        folder: empty.
        records: of each sender.
        rate: records a second of each; None: as fast as they can.
        stopped_s: how long some readers stand still; None: until all is sent.
    """
    rotation = ("--rotate-lines", "5000", "--rotate-count", "100000", "--compress", "zstd")
    verdict = oracle.Verdict()
    with (
        running("--file", "chaos_%d.log", *rotation, folder=folder) as daemon,
        _readers_begun(folder, daemon.port) as readers,
    ):
        stopped = [reader for reader in readers if "stopped" in reader.name]
        for reader in stopped:
            reader.stop()
        paced = [] if rate is None else ["--rate", str(rate)]
        with senders(daemon.port, 2, "--records", str(records), *paced) as sending:
            if stopped_s is not None:
                time.sleep(stopped_s)
                _go_on(stopped)
            sent = {**sending.finish(), _LAST: 1}
        _send_one(daemon.port, _LAST)
        _go_on(stopped)
        for reader in readers:
            one = oracle.judge(reader.messages(), sent)
            verdict.add(one, f"{reader.name}: {one.records:,} ({reader.notes or 'no notes'})")
        verdict.notes.append(f"{len(list(folder.glob('chaos_*.zst')))} files compressed")
    return verdict


@contextlib.contextmanager
def _readers_begun(folder: Path, port: int) -> Iterator[list[_Reader]]:
    # There has to be a log before one can follow it.
    _send_one(port, _FIRST)
    with _readers(folder) as readers:
        for reader in readers:
            reader.wait_begun()
        yield readers


def _send_one(port: int, number: int) -> None:
    with senders(port, 1, "--records", "1", base=number) as one:
        one.finish()


def _go_on(readers: list[_Reader]) -> None:
    for reader in readers:
        reader.process.send_signal(signal.SIGCONT)
