"""Goals 1 and 2: TCP in, rotating text files out, as fast as they are taken.

Batches of `logd_client` beside rsyslog and syslog-ng, frames of `SocketHandler` beside the
standard library's receiver; on one connection and on eight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from tests.bench import encoders, peers
from tests.bench.files import run
from tests.bench.logd_receiver import logd
from tests.bench.results import (
    Contest,
    Goal,
    Row,
    Run,
    Settings,
    at_least,
    at_most,
    compete,
    rate_rows,
    rates,
    ratio_row,
)

CONNECTIONS = (1, 8)


def batches(settings: Settings) -> Iterator[Row]:
    """Goal 1: at least syslog-ng's rate, then rsyslog's, at 3.0 s of CPU a million."""
    records = settings.pick(1_200_000, 150_000, 10_000)
    receivers = [logd(encoders.session), peers.rsyslog("imptcp"), peers.syslog_ng()]
    # The slowest gets fewer, so that all run for seconds and none for many.
    counts = {receiver.name: records for receiver in receivers[:-1]}
    counts[receivers[-1].name] = records // 2
    goals = {"syslog-ng": at_least(1), "rsyslog imptcp": at_least(1)}
    for connections in CONNECTIONS:
        task = f"1 batches to file, {connections} conn."
        contest = _contest(receivers, counts, connections, settings)
        yield from _rows(task, contest, goals)
        cpu = [done.cpu_per_million for done in contest.runs.get("logd", ())]
        yield Row(task, "logd CPU", cpu, "s/million", goal=at_most(3.0, "s"))


def frames(settings: Settings) -> Iterator[Row]:
    """Goal 2: 4 times the standard receiver on one connection, 10 times on eight."""
    receivers = [
        logd(encoders.socket_handler),
        peers.standard_receiver(),
        peers.standard_receiver(buffered=True),
    ]
    few = settings.pick(40_000, 12_000, 2_000)
    records = {
        "logd": settings.pick(400_000, 80_000, 4_000),
        **{receiver.name: few for receiver in receivers[1:]},
    }
    for connections, factor in zip(CONNECTIONS, (4, 10), strict=True):
        task = f"2 SocketHandler to file, {connections} conn."
        contest = _contest(receivers, records, connections, settings)
        goals = {"standard library": at_least(factor), "standard library, buffered": None}
        yield from _rows(task, contest, goals)
        samples = rates(contest).get("logd", ())
        yield Row(task, "logd", samples, "records/s", goal=at_least(120_000))


def _contest(
    receivers: Sequence[peers.Receiver],
    records: Mapping[str, int],
    connections: int,
    settings: Settings,
) -> Contest[Run]:
    loads = {
        (receiver.encode, records[receiver.name]): receiver.encode(
            records[receiver.name], connections
        )
        for receiver in receivers
    }
    return compete(
        {
            receiver.name: partial(run, receiver, loads[receiver.encode, records[receiver.name]])
            for receiver in receivers
        },
        settings.rounds,
    )


def _rows(task: str, contest: Contest[Run], goals: Mapping[str, Goal | None]) -> Iterator[Row]:
    yield from rate_rows(task, contest, "records/s")
    for peer, goal in goals.items():
        yield ratio_row(task, "logd", peer, rates(contest), goal)
