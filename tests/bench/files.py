"""One run of a receiver that writes files: how long, how much CPU, and is the text right."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.encoders import Load
from tests.bench.peers import LOG_PATTERN, Receiver
from tests.bench.processes import ContenderFailed, Server, free_port
from tests.bench.results import Run
from tests.bench.senders import Senders

POLL_S = 0.002
"""How often the files' size is looked at, the resolution of a run's time."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A fresh folder, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="logd-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(receiver: Receiver, load: Load, *, timeout_s: float = 120.0) -> Run:
    """Send the load to a fresh server, wait until the files hold it, compare every byte.

    Raises:
        ContenderFailed: it died, took too long, or wrote something else.
        PeerMissing: it can't be had here.
    """
    port = free_port()
    with scratch_folder() as folder, receiver.start(folder, port) as server:
        senders = Senders(server, port, load)
        cpu_before = server.cpu_s()
        started = time.perf_counter()
        senders.go()
        await_size(folder, load.expected_bytes, server, senders.check, started + timeout_s)
        senders.join()
        seconds = time.perf_counter() - started
        cpu_s = server.cpu_s() - cpu_before
        rss_bytes = server.rss_bytes()
        server.stop()
        verify(folder, load)
    return Run(load.records, seconds, cpu_s, rss_bytes)


def verify(folder: Path, load: Load) -> None:
    """Compare the files with what had to be written, in order for each connection.

    Raises:
        ContenderFailed: they differ; the text shows the first difference.
    """
    files = sorted(folder.glob(LOG_PATTERN), key=lambda file: file.stat().st_mtime_ns)
    written = b"".join(file.read_bytes() for file in files)
    if len(load.expected) == 1:
        _compare(written, load.expected[0])
        return
    by_sender: dict[bytes, list[bytes]] = {}
    for line in written.splitlines(keepends=True):
        by_sender.setdefault(_sender(line), []).append(line)
    for expected in load.expected:
        _compare(b"".join(by_sender.get(_sender(expected), ())), expected)


def _sender(line: bytes) -> bytes:
    """The process id, third in a line and told off by "#"."""
    return line.split(b" ", 3)[2].partition(b"#")[0]


def _compare(written: bytes, expected: bytes) -> None:
    if written == expected:
        return
    pairs = zip(written.splitlines(), expected.splitlines(), strict=False)
    for number, (got, wanted) in enumerate(pairs, 1):
        if got != wanted:
            raise ContenderFailed(f"line {number}: expected {wanted!r}, got {got!r}")
    raise ContenderFailed(f"expected {len(expected)} bytes, got {len(written)}")


def await_size(
    folder: Path,
    expected_bytes: int,
    server: Server,
    check: Callable[[], None],
    deadline: float,
) -> None:
    """Return when the files have so many bytes together.

    Args:
        folder: where the receiver writes.
        expected_bytes: how many.
        server: the receiver; that it has died ends the waiting, too.
        check: raises what else should end it.
        deadline: time of `time.perf_counter` at which it is enough.

    Raises:
        ContenderFailed: it died, or the deadline came.
    """
    size = -1
    while size < expected_bytes:
        time.sleep(POLL_S)
        server.check()
        check()
        if time.perf_counter() > deadline:
            raise ContenderFailed(f"{size} of {expected_bytes} bytes written at the timeout")
        size = sum(_size(file) for file in folder.glob(LOG_PATTERN))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # renamed by a rotation just now; seen again in 2 ms
        return 0
