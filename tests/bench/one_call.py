"""Goal 4: what one log call costs the application."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench.debian import PeerMissing, cache_folder
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd_server
from tests.bench.peers import LOG_PATTERN, REPOSITORY
from tests.bench.processes import ContenderFailed, free_port
from tests.bench.results import Contest, Goal, Row, Settings, at_most, compete, ratio_row

TASK = "4 one call"

WITH_PATH, WITHOUT_PATH = "log(), 5-level path", "log(), no path"
HANDLER = "logging + LogdHandler"
ADDED = "added by LogdHandler"
DISCARDED = "logging, discarded"
GOALS_US = {WITH_PATH: 3.0, WITHOUT_PATH: 1.5, ADDED: 1.5}

DISCARDED_US = 5.4
"""What `DISCARDED` took where the goals were set. Beside it they hold on any machine."""

PICOLOGGING = "picologging + SocketHandler"


@dataclass(frozen=True)
class Calls:
    """What the calls of one run cost, in microseconds.

    Attributes:
        median_us: of a call as its thread sees it; the median of blocks of a hundred.
        mean_us: the same, as mean: the moments in which other threads ran are in it.
        cpu_us: CPU of all threads of the application for one call.
    """

    median_us: float
    mean_us: float
    cpu_us: float


def one_call(settings: Settings) -> Iterator[Row]:
    """Goal 4: 3 us with a call path of 5, 1.5 us without; the handler adds 1.5 us at most."""
    calls = settings.pick(200_000, 50_000, 10_000)
    contest = compete(
        {
            WITH_PATH: partial(_to_logd, "log_with_path", calls),
            WITHOUT_PATH: partial(_to_logd, "log_without_path", calls),
            HANDLER: partial(_to_logd, "logd_handler", calls),
            DISCARDED: partial(_to_sink, "discard", calls),
            "logging + SocketHandler": partial(_to_sink, "socket_handler", calls),
            "logging + QueueHandler": partial(_to_sink, "queue_handler", calls),
            PICOLOGGING: partial(_picologging, calls),
        },
        settings.rounds,
    )
    medians = {name: [done.median_us for done in runs] for name, runs in contest.runs.items()}
    for name, runs in contest.runs.items():
        mean = statistics.median(done.mean_us for done in runs)
        cpu = statistics.median(done.cpu_us for done in runs)
        notes = f"mean {mean:.1f} us, CPU of all threads {cpu:.1f} us"
        yield Row(TASK, name, medians[name], "us", notes, _goal(name))
    yield from _absent(contest)
    pairs = zip(medians.get(HANDLER, ()), medians.get(DISCARDED, ()), strict=False)
    medians[ADDED] = [ours - bare for ours, bare in pairs]
    yield Row(TASK, ADDED, medians[ADDED], "us", goal=_goal(ADDED))
    for name, most_us in GOALS_US.items():
        yield ratio_row(TASK, name, DISCARDED, medians, at_most(most_us / DISCARDED_US))


def _goal(name: str) -> Goal | None:
    return at_most(GOALS_US[name], "us") if name in GOALS_US else None


def _absent(contest: Contest[Calls]) -> Iterator[Row]:
    for name, reason in contest.absent.items():
        yield Row(TASK, name, (), "us", reason)


def _to_logd(how: str, calls: int) -> Calls:
    """Call with a daemon at the other end, and count the lines afterwards."""
    port = free_port()
    with scratch_folder() as folder:
        with logd_server(folder, port, "--file", f"{folder}/out_%d.log") as server:
            server.connect(port).close()
            made, done = _call(how, port, calls)
        lines = sum(file.read_bytes().count(b"\n") for file in folder.glob(LOG_PATTERN))
    if lines != made:
        raise ContenderFailed(f"{made} calls made, {lines} lines written")
    return done


def _to_sink(how: str, calls: int, packages: Path | None = None) -> Calls:
    """Call with someone at the other end who takes everything and looks at nothing."""
    with _sink() as port:
        return _call(how, port, calls, packages)[1]


def _picologging(calls: int) -> Calls:
    folder = cache_folder() / f"picologging-{sys.implementation.cache_tag}"
    if not folder.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
        done = subprocess.run([*command, "picologging"], check=False, capture_output=True)
        if done.returncode:
            raise PeerMissing("pip can't install picologging for this Python")
    return _to_sink("picologging_handler", calls, folder)


def _call(how: str, port: int, calls: int, packages: Path | None = None) -> tuple[int, Calls]:
    """Run the caller; how many calls it made in all, and what they cost."""
    path = f"{REPOSITORY}{os.pathsep}{packages or ''}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.caller", how, str(port), str(calls)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise ContenderFailed(done.stderr.strip().rpartition("\n")[2])
    result = json.loads(done.stdout)
    blocks = result["block_us"]
    return result["calls"], Calls(
        statistics.median(blocks), statistics.fmean(blocks), result["cpu_us"]
    )


@contextmanager
def _sink() -> Iterator[int]:
    """A port whose connections are read and forgotten."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_swallow, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _swallow(listener: socket.socket) -> None:
    buffer = bytearray(1 << 18)
    try:
        while True:
            connection, _ = listener.accept()
            with connection:
                while connection.recv_into(buffer):
                    pass
    except OSError:
        return  # the listener was shut down
