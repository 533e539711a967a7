"""Goal 6: from the log call to the line being readable in the file, at 10,000 records a second."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import encoders, peers
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.paced import MARK
from tests.bench.processes import ContenderFailed, free_port
from tests.bench.results import Row, Settings, compete

RATE = 10_000

LOOK_S = 0.0002
"""Distance of two looks at the file's end, and so the error of each figure."""

WARM_UP_SHARE = 0.2
"""The first calls are not counted: connecting and first imports are in them."""

_CALL_TIME = re.compile(rb"%b(\d+)" % MARK.encode())


@dataclass(frozen=True)
class Latency:
    """Percentiles in milliseconds."""

    p50: float
    p99: float
    p999: float


def latency(settings: Settings) -> Iterator[Row]:
    """Goal 6: p50, p99 and p99.9 with `sync=batch` and `sync=none`, beside the peers."""
    seconds = settings.pick(4, 1, 1)
    daemon = logd(encoders.session)
    unsynced = logd(encoders.session, "--sync", "none")
    contest = compete(
        {
            "log() to logd, sync=batch": partial(_run, daemon, "log_with_path", seconds),
            "log() to logd, sync=none": partial(_run, unsynced, "log_with_path", seconds),
            "SocketHandler to logd": partial(_run, daemon, "socket_handler", seconds),
            "SocketHandler to standard library": partial(
                _run, peers.standard_receiver(), "socket_handler", seconds
            ),
            "syslog frames to rsyslog": partial(_run, peers.rsyslog("imptcp"), "syslog", seconds),
        },
        settings.rounds,
    )
    task = f"6 latency at {RATE:,}/s"
    for name, runs in contest.runs.items():
        yield Row(task, name, [done.p50 for done in runs], "ms p50")
        yield Row(task, name, [done.p99 for done in runs], "ms p99")
        yield Row(task, name, [done.p999 for done in runs], "ms p99.9")
    for name, reason in contest.absent.items():
        yield Row(task, name, (), "ms", reason)


def _run(receiver: peers.Receiver, how: str, seconds: int) -> Latency:
    port = free_port()
    with scratch_folder() as folder, receiver.start(folder, port) as server:
        server.connect(port).close()
        application = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.paced", how, str(port), str(seconds), str(RATE)],
            env={**os.environ, "PYTHONPATH": str(peers.REPOSITORY)},
        )
        try:
            waits = _watch(folder, seconds * RATE, application, time.monotonic() + seconds + 20)
        finally:
            application.kill()
            application.wait()
    counted = sorted(waits[int(len(waits) * WARM_UP_SHARE) :])
    last = len(counted) - 1
    return Latency(*(counted[int(last * share)] / 1e6 for share in (0.5, 0.99, 0.999)))


def _watch(
    folder: Path, expected: int, application: subprocess.Popen[bytes], deadline: float
) -> list[int]:
    """Follow the file as it grows; for each line the nanoseconds since its call."""
    waits: list[int] = []
    rest = b""
    descriptor = _opened_when_there(folder, application, deadline)
    try:
        while len(waits) < expected:
            data = os.read(descriptor, 1 << 20)
            now = time.time_ns()
            if not data:
                if time.monotonic() > deadline:
                    raise ContenderFailed(f"{len(waits)} of {expected} lines at the timeout")
                _check(application)
                time.sleep(LOOK_S)
                continue
            whole, newline, rest = (rest + data).rpartition(b"\n")
            waits += [now - int(called) for called in _CALL_TIME.findall(whole + newline)]
    finally:
        os.close(descriptor)
    return waits


def _opened_when_there(folder: Path, application: subprocess.Popen[bytes], deadline: float) -> int:
    while time.monotonic() < deadline:
        for file in folder.glob(peers.LOG_PATTERN):
            return os.open(file, os.O_RDONLY)
        _check(application)
        time.sleep(LOOK_S)
    raise ContenderFailed("no file at the timeout")


def _check(application: subprocess.Popen[bytes]) -> None:
    if application.poll():
        raise ContenderFailed(f"the application ended with status {application.returncode}")
