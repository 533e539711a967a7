"""Goal 8: from the start of the process until it serves, also with a hundred gigabytes of log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.bench import peers
from tests.bench.encoders import session
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.processes import ContenderFailed, Server, free_port
from tests.bench.results import Row, Settings, at_most, compete, ratio_row
from tests.bench.senders import Senders, open_session

RING_FILES = 100
LARGE_FILE_BYTES = 1_000_000_000

Start = Callable[[Path, int], Server]


def startup(settings: Settings) -> Iterator[Row]:
    """Goal 8: 300 ms; a ring of 100 files of 1 GB costs nothing that grows with their size."""
    task = "8 start to ready"
    rounds = settings.pick(10, 3, 1)
    contest = compete(
        {
            "logd": partial(_start, logd(session).start, is_logd=True),
            "rsyslog": partial(_start, peers.rsyslog("imptcp").start),
            "syslog-ng": partial(_start, peers.syslog_ng().start),
            "standard library": partial(_start, peers.standard_receiver().start),
        },
        rounds,
    )
    goals = {"logd": at_most(300, "ms")}
    for name, samples in contest.runs.items():
        yield Row(task, name, samples, "ms", goal=goals.get(name))
    with scratch_folder() as small, scratch_folder() as large:
        rings = compete(
            {
                "ring of 100 small files": partial(_resume, small, 0),
                "ring of 100 files of 1 GB": partial(_resume, large, LARGE_FILE_BYTES),
            },
            rounds,
        )
    for name, reason in {**contest.absent, **rings.absent}.items():
        yield Row(task, name, (), "ms", reason)
    for name, samples in rings.runs.items():
        yield Row(task, name, samples, "ms")
    yield ratio_row(
        task, "ring of 100 files of 1 GB", "ring of 100 small files", rings.runs, at_most(1.1)
    )


def _start(start: Start, *, is_logd: bool = False) -> float:
    """Milliseconds from the start to the first connection served."""
    with scratch_folder() as folder:
        return _start_in(folder, start, is_logd=is_logd)


def _start_in(folder: Path, start: Start, *, is_logd: bool) -> float:
    port = free_port()
    started = time.perf_counter()
    with start(folder, port) as server, server.connect(port) as connection:
        if is_logd:  # it serves once it has answered; of the others only the connection tells
            open_session(connection)
        return (time.perf_counter() - started) * 1000


def _resume(folder: Path, file_bytes: int) -> float:
    """The same in a folder with a full ring; fills it at the first call."""
    receiver = logd(session, "--rotate-count", str(RING_FILES), "--rotate-lines", "100")
    if not any(folder.glob(peers.LOG_PATTERN)):
        _fill(receiver, folder)
        for file in folder.glob(peers.LOG_PATTERN):
            _grow(file, file_bytes)
    return _start_in(folder, receiver.start, is_logd=True)


def _fill(receiver: peers.Receiver, folder: Path) -> None:
    load = receiver.encode(RING_FILES * 100, 1)
    port = free_port()
    with receiver.start(folder, port) as server:
        senders = Senders(server, port, load)
        senders.go()
        senders.join()
    files = len(list(folder.glob(peers.LOG_PATTERN)))
    if files < RING_FILES:
        raise ContenderFailed(f"{files} files in the ring, expected {RING_FILES}")


def _grow(file: Path, size: int) -> None:
    """Make the file so large, with a hole that takes no space; it ends with a line's end."""
    if size > file.stat().st_size:
        with file.open("r+b") as stream:
            stream.seek(size - 1)
            stream.write(b"\n")
