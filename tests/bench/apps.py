"""Goal 10: what a record of real programs costs the server, at full speed and at steady rates.

Other benchmarks offer prepared bytes; here processes log as users' do (`shop.py`). What is
compared is the server's CPU for a record, and a run in which one record is missing has failed.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import encoders, peers
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.processes import ContenderFailed, Server, free_port
from tests.bench.results import Contest, Goal, Row, Settings, at_least, at_most, compete, ratio_row

RECORD = re.compile(rb"at=(\d+);")
"""Once in each record: when it was logged, in nanoseconds since the epoch."""

LOOK_S = 0.001
STARTING_CPU_S = 0.002
"""A server that uses more in a tenth of a second is still starting."""

SETTLE_S = 60.0
"""How long the server may take for the rest once all programs have ended."""

COUNTED_FROM, COUNTED_UNTIL = 1 / 3, 5 / 6
"""At steady rates the CPU for this part of the records counts: all programs run meanwhile."""

FULL_SPEED_PROGRAMS = 4
STEADY_PROGRAMS = 20

FILTERS = {
    "Categories": "logd.filters:Categories?enable=I",
    "RateLimit": "logd.filters:RateLimit?limit=1000000000",
    "Redact": "logd.filters:Redact",
}

RSYSLOG = "SysLogHandler to rsyslog"
RECEIVER = "SocketHandler to the cookbook's receiver"


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Attributes:
        cpu_us: the server's CPU for a record; at steady rates without start and end.
        whole_us: the same with all there was.
        p50_ms, p99_ms: from the call to the line in the file, as far as that was looked at.
    """

    cpu_us: float
    whole_us: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def apps(settings: Settings) -> Iterator[Row]:
    """CPU of the server for a record, four processes that log as fast as they are taken."""
    records = settings.pick(20_000, 8_000, 400)
    receiver = peers.standard_receiver(buffered=True)
    server = logd(encoders.session)
    for load in _loads(settings):
        share = records // 10 if load == "big" else records
        run = partial(_run, load=load, records=share, rate=0, programs=FULL_SPEED_PROGRAMS)
        contest = compete(
            {
                RECEIVER: partial(run, receiver, "socket"),
                "SocketHandler to logd": partial(run, server, "socket"),
                "LogdHandler to logd": partial(run, server, "logd"),
                RSYSLOG: partial(run, peers.rsyslog("imptcp"), "syslog"),
            },
            settings.rounds,
        )
        goals = {"SocketHandler to logd": 8, "LogdHandler to logd": 20 if load == "plain" else 10}
        goal = at_most(25, "us") if load == "big" else None
        yield from _cost_rows(f"10 apps, {load}", contest, goal)
        for ours, least in goals.items():
            yield ratio_row(f"10 apps, {load}", RECEIVER, ours, _cpu(contest), at_least(least))
    yield from _filters(settings, records)


def _loads(settings: Settings) -> Sequence[str]:
    """What is logged: everything, or in quick runs what most programs do."""
    everything = ("plain", "extras", "sites", "tracebacks", "big")
    return everything if settings.size == "full" else ("extras",)


def _filters(settings: Settings, records: int) -> Iterator[Row]:
    if settings.size != "full":
        return
    run = partial(
        _run, kind="logd", load="plain", records=records, rate=0, programs=FULL_SPEED_PROGRAMS
    )
    servers = {"no filter": logd(encoders.session)} | {
        name: logd(encoders.session, "--filter", spec) for name, spec in FILTERS.items()
    }
    contest = compete(
        {name: partial(run, server) for name, server in servers.items()}, settings.rounds
    )
    yield from _cost_rows("10 apps, filters", contest, None)
    for name in FILTERS:
        yield ratio_row("10 apps, filters", name, "no filter", _cpu(contest), at_most(1.3))


def steady(settings: Settings) -> Iterator[Row]:
    """The same at steady rates from twenty processes, with the time until a line can be read."""
    receiver, server = peers.standard_receiver(buffered=True), logd(encoders.session)
    for rate in (200, 2_000, 10_000) if settings.size == "full" else (200, 2_000):
        seconds = settings.pick(8 if rate < 1_000 else 4, 4 if rate < 1_000 else 2, 1)
        run = partial(
            _run, load="request", records=rate * seconds, rate=rate, programs=STEADY_PROGRAMS
        )
        rsyslog = {}
        if settings.size == "full":
            rsyslog[RSYSLOG] = partial(run, peers.rsyslog("imptcp"), "syslog")
        contest = compete(
            {
                RECEIVER: partial(run, receiver, "socket"),
                "SocketHandler to logd": partial(run, server, "socket"),
                "LogdHandler to logd": partial(run, server, "logd"),
                **rsyslog,
            },
            settings.rounds,
        )
        task = f"11 steady, {rate:,}/s"
        yield from _cost_rows(task, contest, None)
        for name, runs in contest.runs.items():
            goal = at_most(20, "ms") if name.endswith("logd") else None
            yield Row(task, name, [done.p99_ms for done in runs], "ms p99", "", goal)
        for ours in ("SocketHandler to logd", "LogdHandler to logd"):
            bound = at_most(0.5) if rate <= 2_000 else None
            yield ratio_row(task, ours, RECEIVER, _cpu(contest), bound)


def _cpu(contest: Contest[Cost]) -> Mapping[str, Sequence[float]]:
    return {name: [done.cpu_us for done in runs] for name, runs in contest.runs.items()}


def _cost_rows(task: str, contest: Contest[Cost], goal: Goal | None) -> Iterator[Row]:
    for name, samples in _cpu(contest).items():
        p50 = [done.p50_ms for done in contest.runs[name]]
        whole = [done.whole_us for done in contest.runs[name]]
        notes = f"p50 {min(p50):.1f}-{max(p50):.1f} ms" if any(p50) else ""
        if whole != samples:
            notes += f"; with starts {min(whole):.0f}-{max(whole):.0f} us"
        own = goal if name.endswith("logd") else None
        yield Row(task, name, samples, "us CPU a record", notes, own)
    for name, reason in contest.absent.items():
        yield Row(task, name, (), "us CPU a record", reason)


def _run(
    receiver: peers.Receiver, kind: str, *, load: str, records: int, rate: float, programs: int
) -> Cost:
    """Let programs log to a fresh server; what it cost once each record is in its files."""
    port = free_port()
    each = records // programs
    with scratch_folder() as folder, receiver.start(folder, port) as server:
        server.connect(port).close()
        cpu_before = _cpu_once_started(server)
        arguments = [kind, str(port), str(each), str(rate / programs), load]
        with _programs([[*arguments, str(number)] for number in range(programs)]) as running:
            watch = _Watch(folder, each * programs, server)
            waits = watch.follow(running)
        server.check()
        cpu_s = server.cpu_s() - cpu_before
    counted = sorted(waits[len(waits) // 5 :])
    last = len(counted) - 1
    p50_ms, p99_ms = (counted[int(last * part)] / 1e6 for part in (0.5, 0.99))
    whole_us = 1e6 * cpu_s / (each * programs)
    return Cost(watch.cpu_us, whole_us, p50_ms, p99_ms) if rate else Cost(whole_us, whole_us)


def _cpu_once_started(server: Server) -> float:
    """The server's CPU once it has nothing left to do for its start."""
    before_s, cpu_s = -1.0, server.cpu_s()
    while cpu_s - before_s > STARTING_CPU_S:
        time.sleep(0.1)
        before_s, cpu_s = cpu_s, server.cpu_s()
    return cpu_s


@contextlib.contextmanager
def _programs(
    arguments: Sequence[Sequence[str]],
) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    program = Path(__file__).with_name("shop.py")
    environment = {**os.environ, "PYTHONPATH": str(peers.REPOSITORY / "client")}
    running = [
        subprocess.Popen([sys.executable, str(program), *one], env=environment) for one in arguments
    ]
    try:
        yield running
    finally:
        for one in running:
            one.kill()
            one.wait()


class _Watch:
    """Follows a server's files until each record is there.

    Args:
        folder: has the files.
        expected: how many records there will be.
        server: whose CPU is looked at on the way.
    """

    def __init__(self, folder: Path, expected: int, server: Server) -> None:
        self._folder = folder
        self._expected = expected
        self._server = server
        self._places: dict[Path, int] = {}
        self._rest: dict[Path, bytes] = {}
        self._waits: list[int] = []
        self._marks: list[tuple[int, float]] = []

    @property
    def cpu_us(self) -> float:
        """The server's CPU for each record of the part that counts."""
        (first, first_s), (last, last_s) = self._marks
        return 1e6 * (last_s - first_s) / (last - first)

    def follow(self, programs: Sequence[subprocess.Popen[bytes]]) -> list[int]:
        """For each record the nanoseconds since its call.

        Raises:
            ContenderFailed: a record is missing, or there is one too many.
        """
        deadline = None
        waits, bounds = self._waits, [COUNTED_FROM, COUNTED_UNTIL]
        while len(waits) < self._expected:
            if not self._read():
                time.sleep(LOOK_S)
            if bounds and len(waits) >= bounds[0] * self._expected:
                bounds.pop(0)
                self._marks.append((len(waits), self._server.cpu_s()))
            if deadline is None and all(one.poll() is not None for one in programs):
                deadline = time.monotonic() + SETTLE_S
            if deadline is not None and time.monotonic() > deadline:
                break
        if len(waits) != self._expected:
            raise ContenderFailed(f"{len(waits)} of {self._expected} records are in the files")
        return waits

    def _read(self) -> int:
        found = 0
        for file in self._folder.glob(peers.LOG_PATTERN):
            with file.open("rb") as stream:
                stream.seek(self._places.get(file, 0))
                data = self._rest.get(file, b"") + stream.read()
                self._places[file] = stream.tell()
            now = time.time_ns()
            whole, end, self._rest[file] = data.rpartition(b"\n")
            calls = RECORD.findall(whole + end)
            self._waits += [now - int(called) for called in calls]
            found += len(calls)
        return found
