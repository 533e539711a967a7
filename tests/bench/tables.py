"""The databases that records go into, each in a fresh database of the benchmark's own.

The servers are those on this machine; `LOGD_BENCH_POSTGRESQL` and `LOGD_BENCH_MARIADB` name others
as SQLAlchemy URLs. Contenders that bring no table of their own get the same one that logd makes,
with every column; on PostgreSQL their times are numbers.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from logd.outputs.tables.columns import DAEMON_COLUMNS, build_table
from tests.bench import corpus
from tests.bench.debian import PeerMissing
from tests.bench.processes import ContenderFailed

NAME = f"logd_bench_{os.getpid()}"
"""The benchmark's own database on a server; made for each run and dropped after it."""

TABLE = "log_1"
"""The table of contenders that bring none."""

COLUMNS = (
    "time", "ts", "cat", "pid", "msgid", "msg", "threadname", "tid", "cfunc", "cfn", "cln", "path",
)  # fmt: skip
"""What every contender fills in; `id` counts, `peer` and `special` are empty in this corpus."""

COMPARED = ("ts", "cat", "pid", "msgid", "msg", "threadname", "cfunc", "path")
"""What is compared afterwards; the other columns follow from these."""

Values = tuple[object, ...]


def rows(stream: corpus.Stream, zone: str = "+0000") -> Iterator[Values]:
    """The finished rows, with `COLUMNS` in their order."""
    tails = [
        (
            context.threadname,
            context.tid,
            context.cfunc,
            str(context.path[0][0]).rpartition("/")[2],
            context.path[0][1],
            corpus.path_text(context),
        )
        for context in stream.contexts
    ]
    for place, msgid, time_ms, msg in zip(
        stream.places, stream.msgids, stream.times_ms, stream.msgs, strict=True
    ):
        context = stream.contexts[place]
        yield (
            corpus.seconds(time_ms),
            corpus.time_text(time_ms, zone),
            context.cat,
            context.pid,
            msgid,
            msg,
            *tails[place],
        )


def compared(given: Iterable[Values]) -> list[Values]:
    """The part of finished rows that is compared with the table."""
    places = [COLUMNS.index(name) for name in COMPARED]
    return [tuple(row[place] for place in places) for row in given]


class Database(ABC):
    """One database server, or file, with a database of our own in it.

    Attributes:
        url: of our database, as `logd serve --db` takes it.
    """

    url: URL

    @abstractmethod
    def recreate(self) -> None:
        """Drop our database with all that is in it and make it anew, empty.

        Raises:
            PeerMissing: nobody serves there.
        """

    @abstractmethod
    def drop(self) -> None:
        """Leave nothing behind."""

    def create_table(self) -> None:
        """Make `TABLE` with its indexes, just as logd would."""
        with self.engine.begin() as connection:
            build_table(TABLE, DAEMON_COLUMNS, is_indexed=True).create(connection)

    def count(self) -> int:
        """How many records are stored, 0 where there is no table yet."""
        try:
            with self.engine.connect() as connection:
                query = text(f"SELECT count(*) FROM {self._table()}")
                return int(connection.execute(query).scalar_one())
        except SQLAlchemyError:
            return 0

    def await_count(self, wanted: int, deadline: float) -> None:
        """Return when so many are stored; looks every 100 ms.

        Raises:
            ContenderFailed: they were not at `deadline`, a time of `time.perf_counter`.
        """
        while (count := self.count()) < wanted:
            if time.perf_counter() > deadline:
                raise ContenderFailed(f"{count} of {wanted} rows at the timeout")
            time.sleep(0.1)

    def verify(self, expected: list[Values]) -> None:
        """Compare `COMPARED` of all rows, in the order they were stored.

        Raises:
            ContenderFailed: they differ.
        """
        with self.engine.connect() as connection:
            names = ", ".join(COMPARED)
            query = f"SELECT {names} FROM {self._table()} ORDER BY id"
            stored = [tuple(row) for row in connection.execute(text(query))]
        if stored == expected:
            return
        for number, (got, wanted) in enumerate(zip(stored, expected, strict=False), 1):
            if got != wanted:
                raise ContenderFailed(f"row {number}: expected {wanted}, got {got}")
        raise ContenderFailed(f"expected {len(expected)} rows, got {len(stored)}")

    def backends(self) -> list[int]:
        """Processes that serve our database now, where it has one for each connection."""
        return []

    @property
    def engine(self) -> Engine:
        """A way into our database that keeps no connection open."""
        return create_engine(self.url, poolclass=NullPool)

    def _table(self) -> str:
        """The one table of records, whatever number its contender gave it."""
        found = [name for name in inspect(self.engine).get_table_names() if name[:4] == "log_"]
        return found[0] if found else TABLE


class ServedDatabase(Database):
    """A database on a server that is there already; its own settings stay as they are."""

    def __init__(self, address: str, driver: str) -> None:
        self._admin = make_url(address).set(drivername=driver)
        self.url = self._admin.set(database=NAME)

    def recreate(self) -> None:
        self.drop()
        self._execute(f"CREATE DATABASE {NAME}")

    def drop(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {NAME}")

    def _execute(self, statement: str) -> Sequence[Values]:
        engine = create_engine(self._admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                done = connection.execute(text(statement))
                return [tuple(row) for row in done] if done.returns_rows else []
        except OperationalError as exc:
            raise PeerMissing(f"{self._admin!r}: {exc.orig}") from exc


class Postgresql(ServedDatabase):
    """PostgreSQL over TCP."""

    def __init__(self) -> None:
        super().__init__(
            os.environ.get("LOGD_BENCH_POSTGRESQL", "postgresql://root@127.0.0.1:5432/test"),
            "postgresql+psycopg",
        )

    def drop(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")

    def create_table(self) -> None:
        super().create_table()
        with self.engine.begin() as connection:
            changes = (
                "id ADD GENERATED BY DEFAULT AS IDENTITY",
                # The syslog daemons know seconds; a timestamp takes as much space.
                "time TYPE double precision USING date_part('epoch', time)",
            )
            for change in changes:
                connection.execute(text(f"ALTER TABLE {TABLE} ALTER {change}"))

    def backends(self) -> list[int]:
        query = f"SELECT pid FROM pg_stat_activity WHERE datname = '{NAME}'"
        return [int(str(row[0])) for row in self._execute(query)]


class MariaDb(ServedDatabase):
    """MariaDB or MySQL over TCP."""

    def __init__(self) -> None:
        super().__init__(
            os.environ.get("LOGD_BENCH_MARIADB", "mysql://root@127.0.0.1:3306/test"),
            "mysql+pymysql",
        )
        # The server's default may be Latin-1.
        self.url = self.url.update_query_dict({"charset": "utf8mb4"})

    def create_table(self) -> None:
        super().create_table()
        with self.engine.begin() as connection:
            change = f"ALTER TABLE {TABLE} MODIFY id BIGINT NOT NULL AUTO_INCREMENT"
            connection.execute(text(change))


class Sqlite(Database):
    """A SQLite file in a folder."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bench.db"
        self.url = URL.create("sqlite", database=str(self.file))

    def recreate(self) -> None:
        self.drop()

    def drop(self) -> None:
        for file in self.file.parent.glob("bench.db*"):
            file.unlink()
