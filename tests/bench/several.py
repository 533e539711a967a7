"""Several daemons on one PostgreSQL: what shared marks cost, and what a second daemon brings.

Eight sessions each, a table that is made by logd, every record counted at the end. All share one
machine with the database, so a second daemon brings what processors are left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from sqlalchemy import inspect, text

from tests.bench import encoders
from tests.bench.databases import fresh
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd_server
from tests.bench.processes import ContenderFailed, free_port
from tests.bench.results import Row, Run, Settings, compete, rate_rows, rates, ratio_row
from tests.bench.senders import Senders
from tests.bench.tables import Postgresql

TASK = "several daemons, PostgreSQL"
SESSIONS = 8
OWN, SHARED, TWO = "one daemon", "one, shared marks", "two, shared marks"


def several(settings: Settings) -> Iterator[Row]:
    """One daemon, the same with shared marks, and two of those."""
    records = settings.pick(300_000, 60_000, 4_000)
    contest = compete(
        {
            OWN: partial(_receive, 1, records, is_shared=False),
            SHARED: partial(_receive, 1, records, is_shared=True),
            TWO: partial(_receive, 2, records, is_shared=True),
        },
        settings.rounds,
    )
    yield from rate_rows(TASK, contest, "rows/s")
    yield ratio_row(TASK, SHARED, OWN, rates(contest), None)
    yield ratio_row(TASK, TWO, SHARED, rates(contest), None)
    costs = {name: [run.cpu_per_million for run in runs] for name, runs in contest.runs.items()}
    for name in (SHARED, TWO):
        yield ratio_row(f"{TASK}: CPU", name, OWN, costs, None)


def _receive(daemons: int, records: int, *, is_shared: bool) -> Run:
    """Send the records to so many daemons, the sessions evenly; done when all is acknowledged."""
    database = Postgresql()
    url = database.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        stack.enter_context(fresh(database))
        servers, senders = [], []
        for number in range(daemons):
            folder = stack.enter_context(scratch_folder())
            port = free_port()
            pattern = ("--table-pattern", f"log_{number}_%d")
            options = ("--db", url, *pattern, *(("--shared-marks",) if is_shared else ()))
            servers.append(stack.enter_context(logd_server(folder, port, *options)))
            load = encoders.session(records // daemons, SESSIONS // daemons)
            senders.append(Senders(servers[-1], port, load))
        before = sum(server.cpu_s() for server in servers)
        started = time.perf_counter()
        for sender in senders:
            sender.go()
        for sender in senders:
            sender.join()
        seconds = time.perf_counter() - started
        cpu_s = sum(server.cpu_s() for server in servers) - before
        memory = sum(server.rss_bytes() for server in servers)
        for server in servers:
            server.stop()
        stored = _count(database)
        if stored != records:
            raise ContenderFailed(f"{stored} of {records} rows are stored")
        return Run(records, seconds, cpu_s, memory)


def _count(database: Postgresql) -> int:
    with database.engine.connect() as connection:
        names = [
            name
            for name in inspect(connection).get_table_names()
            if name.startswith("log_") and name.removeprefix("log_")[0].isdigit()
        ]
        return sum(
            int(connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one())
            for name in names
        )
