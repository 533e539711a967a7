"""Goal 3: TCP in, tables out. PostgreSQL, SQLite and MariaDB, each beside what its users do today.

The table and its indexes are the same for all. psql, sqlite3 and PyMySQL are no receivers: they
get finished rows and only store them. The syslog daemons are not told thread ids, file names and
line numbers.
"""

from __future__ import annotations

import os
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench import corpus, encoders, peers, tables
from tests.bench.debian import PeerMissing
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd_server
from tests.bench.processes import Server, free_port, pin
from tests.bench.results import Row, Run, Settings, at_least, compete, rate_rows, rates, ratio_row
from tests.bench.senders import Senders
from tests.bench.tables import COLUMNS, TABLE, Database, MariaDb, Postgresql, Sqlite

ROWS_AN_INSERT = 1000
"""Rows that PyMySQL and sqlite3 are given at a time, each time in a transaction of its own."""

PEER_COLUMNS = ("time", "ts", "cat", "pid", "msgid", "msg", "threadname", "cfunc", "path")
"""What the syslog daemons fill in."""

_RSYSLOG_VALUES = (
    "%timereported:::date-unixtimestamp%.%timereported:::date-subseconds%",
    "%timereported:::date-rfc3339%",
    "%app-name%",
    "%procid%",
    "%msgid%",
    "%msg%",
    "%structured-data:F,34:2%",
    "%structured-data:F,34:4%",
    "%structured-data:F,34:6%",
)
_SYSLOG_NG_VALUES = (
    "${UNIXTIME}",
    "${ISODATE}",
    "${PROGRAM}",
    "${PID}",
    "${MSGID}",
    "${MSGONLY}",
    "${.SDATA.logd@32473.thread}",
    "${.SDATA.logd@32473.func}",
    "${.SDATA.logd@32473.path}",
)

StartServer = Callable[[Path, int, Database], Server]


def databases(settings: Settings) -> Iterator[Row]:
    """Goal 3, database after database."""
    yield from _postgresql(settings)
    yield from _sqlite(settings)
    yield from _mariadb(settings)


def _postgresql(settings: Settings) -> Iterator[Row]:
    task = "3 PostgreSQL"
    many = settings.pick(300_000, 60_000, 2_000)
    few = settings.pick(24_000, 8_000, 1_000)
    contest = compete(
        {
            "logd": partial(_receive, _logd, Postgresql(), encoders.session, many),
            "logd, one core": partial(
                _receive, _logd, Postgresql(), encoders.session, many, cores={0}
            ),
            "psql COPY": partial(_copy, many),
            "rsyslog ompgsql": partial(_receive, _ompgsql, Postgresql(), encoders.syslog, few // 2),
            "rsyslog ompgsql, one core": partial(
                _receive, _ompgsql, Postgresql(), encoders.syslog, few, cores={0}
            ),
            "syslog-ng sql(), one core": partial(
                _receive, _syslog_ng, Postgresql(), encoders.syslog, few, cores={0}
            ),
        },
        settings.rounds,
    )
    yield from rate_rows(task, contest, "rows/s")
    yield ratio_row(task, "logd", "rsyslog ompgsql, one core", rates(contest), at_least(4))
    yield ratio_row(task, "logd", "psql COPY", rates(contest), at_least(0.5))


def _sqlite(settings: Settings) -> Iterator[Row]:
    task = "3 SQLite"
    many = settings.pick(400_000, 100_000, 2_000)
    with scratch_folder() as folder:
        database = Sqlite(folder)
        contest = compete(
            {
                "logd": partial(_receive, _logd, database, encoders.session, many),
                "sqlite3 executemany": partial(_insert_sqlite, database, many),
            },
            settings.rounds,
        )
    yield from rate_rows(task, contest, "rows/s")
    yield ratio_row(task, "logd", "sqlite3 executemany", rates(contest), None)
    yield Row(task, "logd", rates(contest).get("logd", ()), "rows/s", goal=at_least(200_000))


def _mariadb(settings: Settings) -> Iterator[Row]:
    task = "3 MariaDB"
    many = settings.pick(100_000, 20_000, 2_000)
    contest = compete(
        {
            "logd": partial(_receive, _logd, MariaDb(), encoders.session, many),
            "PyMySQL multi-row": partial(_insert_mariadb, many),
        },
        settings.rounds,
    )
    yield from rate_rows(task, contest, "rows/s")
    yield ratio_row(task, "logd", "PyMySQL multi-row", rates(contest), at_least(1))


def _receive(
    start: StartServer,
    database: Database,
    encode: encoders.Encoder,
    records: int,
    *,
    cores: set[int] | None = None,
) -> Run:
    """Send the records over one connection; done when the table has them all.

    With `cores` the server, the sender and the database's own process are kept on these.
    """
    load = encode(records, 1)
    zone = "+0000" if encode is encoders.session else "+00:00"
    port = free_port()
    with (
        scratch_folder() as folder,
        fresh(database),
        start(folder, port, database) as server,
        _kept_on(cores),
    ):
        senders = Senders(server, port, load)
        if cores:
            for pid in (server.pid, *database.backends()):
                pin(pid, cores)
        cpu_before = server.cpu_s()
        started = time.perf_counter()
        senders.go()
        if load.is_session:  # the last acknowledgement tells; counting would disturb
            senders.join()
        database.await_count(load.records, started + 60)
        senders.join()
        seconds = time.perf_counter() - started
        done = Run(load.records, seconds, server.cpu_s() - cpu_before, server.rss_bytes())
        server.stop()
        database.verify(tables.compared(tables.rows(corpus.stream(records), zone)))
        return done


@contextmanager
def fresh(database: Database) -> Iterator[None]:
    """An empty database of our own, that is gone when the block ends."""
    database.recreate()
    try:
        yield
    finally:
        database.drop()


@contextmanager
def _kept_on(cores: set[int] | None) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _logd(folder: Path, port: int, database: Database) -> Server:
    return logd_server(folder, port, "--db", database.url.render_as_string(hide_password=False))


def _ompgsql(folder: Path, port: int, database: Database) -> Server:
    database.create_table()
    columns = ", ".join(PEER_COLUMNS)
    values = ", ".join(f"'{value}'" for value in _RSYSLOG_VALUES)
    url = database.url
    return peers.rsyslog_server(
        folder,
        port,
        "imptcp",
        'module(load="ompgsql")\n'
        'template(name="row" type="string" option.stdsql="on" '
        f'string="INSERT INTO {TABLE} ({columns}) VALUES ({values})")',
        f'action(type="ompgsql" server="{url.host}" port="{url.port or 5432}" '
        f'user="{url.username}" pass="{url.password or ""}" db="{url.database}" template="row")',
    )


def _syslog_ng(folder: Path, port: int, database: Database) -> Server:
    driver = Path(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/dbd/libdbdpgsql.so")
    if not driver.exists():  # libdbi looks nowhere else
        raise PeerMissing("its SQL driver works only installed: apt-get install libdbd-pgsql")
    database.create_table()
    columns = ",".join(f'"{name}"' for name in PEER_COLUMNS)
    values = ",".join(f'"{value}"' for value in _SYSLOG_NG_VALUES)
    url = database.url
    return peers.syslog_ng_server(
        folder,
        port,
        f'sql(type(pgsql) host("{url.host}") port("{url.port or 5432}") '
        f'username("{url.username}") password("{url.password or ""}") '
        f'database("{url.database}") table("{TABLE}") '
        f"columns({columns}) values({values}) indexes() "
        "flags(explicit-commits, dont-create-tables) batch-lines(1000) log-fifo-size(200000))",
    )


def _copy(records: int) -> Run:
    """Finished rows through `psql`, all in one transaction."""
    database = Postgresql()
    with scratch_folder() as folder, fresh(database):
        database.create_table()
        finished = tables.rows(corpus.stream(records))
        data = folder / "rows"
        data.write_text("".join(["\t".join(map(str, row)) + "\n" for row in finished]))
        columns = ", ".join(COLUMNS)
        command = [
            "psql",
            "--quiet",
            f"--dbname={database.url.set(drivername='postgresql').render_as_string(False)}",
            f"--command=\\copy {TABLE} ({columns}) FROM '{data}'",
        ]
        started = time.perf_counter()
        try:
            subprocess.run(command, check=True)
        except FileNotFoundError as exc:
            raise PeerMissing("psql is not on this machine") from exc
        seconds = time.perf_counter() - started
        database.verify(tables.compared(tables.rows(corpus.stream(records))))
    return Run(records, seconds)


def _insert_sqlite(database: Sqlite, records: int) -> Run:
    """Finished rows through `sqlite3`, in write-ahead mode and synced at each commit."""
    return _insert(database, records, "?", ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"))


def _insert_mariadb(records: int) -> Run:
    """Finished rows through PyMySQL, which makes one INSERT of what `executemany` is given."""
    return _insert(MariaDb(), records, "%s", ())


def _insert(database: Database, records: int, place: str, setup: Sequence[str]) -> Run:
    finished = list(tables.rows(corpus.stream(records)))
    places = ", ".join([place] * len(COLUMNS))
    statement = f"INSERT INTO {TABLE} ({', '.join(COLUMNS)}) VALUES ({places})"
    with fresh(database):
        database.create_table()
        connection = database.engine.raw_connection()
        cursor = connection.cursor()
        for command in setup:
            cursor.execute(command)
        started = time.perf_counter()
        for first in range(0, records, ROWS_AN_INSERT):
            cursor.executemany(statement, finished[first : first + ROWS_AN_INSERT])
            connection.commit()
        seconds = time.perf_counter() - started
        connection.close()
        database.verify(tables.compared(finished))
    return Run(records, seconds)
