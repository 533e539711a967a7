"""Goal 5: ten thousand connections that all send, beside eight that send the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from tests.bench.crowd import Crowd, allow_descriptors
from tests.bench.encoders import Load, small_batches
from tests.bench.files import await_size, scratch_folder, verify
from tests.bench.logd_receiver import logd
from tests.bench.processes import free_port
from tests.bench.results import Row, Settings, at_least, at_most, compete, ratio_row

FEW = 8


@dataclass(frozen=True)
class CrowdRun:
    """What a crowd cost.

    Attributes:
        rate: records a second, from the first byte until all is in the file and acknowledged.
        opened_per_s: connections a second, from the first connect until all sessions are open.
        idle_bytes: resident memory that the server took for each open session.
        used_bytes: the same after all have sent, with whatever the daemon keeps from the work.
    """

    rate: float
    opened_per_s: float
    idle_bytes: float
    used_bytes: float


def many_connections(settings: Settings) -> Iterator[Row]:
    """Goal 5: at least 80 % of the rate of eight, at most 15 kB a connection."""
    many = settings.pick(10_000, 1_000, 100)
    loads = {count: small_batches(many * 50, count) for count in (FEW, many)}
    contest = compete(
        {f"logd, {count:,} conn.": partial(_run, load) for count, load in loads.items()},
        settings.rounds,
    )
    task = "5 many connections"
    crowd, few = f"logd, {many:,} conn.", f"logd, {FEW} conn."
    for name, runs in contest.runs.items():
        yield Row(task, name, [done.rate for done in runs], "records/s", "batches of 50 records")
    for name, reason in contest.absent.items():
        yield Row(task, name, (), "records/s", reason)
    rates = {name: [done.rate for done in runs] for name, runs in contest.runs.items()}
    yield ratio_row(task, crowd, few, rates, at_least(0.8))
    runs = contest.runs.get(crowd, [])
    used = [done.used_bytes / 1000 for done in runs]
    notes = f"{max(used):.1f} kB after all have sent" if used else ""
    memory = [done.idle_bytes / 1000 for done in runs]
    yield Row(task, crowd, memory, "kB/connection", notes, at_most(15, "kB"))
    yield Row(task, crowd, [done.opened_per_s for done in runs], "opened/s")


def _run(load: Load) -> CrowdRun:
    count = len(load.chunks)
    allow_descriptors(count)
    receiver = logd(small_batches)
    port = free_port()
    with scratch_folder() as folder, receiver.start(folder, port) as server:
        server.connect(port).close()
        before = server.rss_bytes()
        started = time.perf_counter()
        with Crowd(server, port, load) as crowd:
            opened_s = time.perf_counter() - started
            idle = server.rss_bytes()
            started = time.perf_counter()
            crowd.send_all()
            await_size(folder, load.expected_bytes, server, lambda: None, started + 60)
            seconds = time.perf_counter() - started
            used = server.rss_bytes()
        server.stop()
        verify(folder, load)
    return CrowdRun(
        load.records / seconds, count / opened_s, (idle - before) / count, (used - before) / count
    )
