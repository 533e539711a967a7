"""The database that a log of tables is in: the connection, the ring's catalogue, its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

from sqlalchemy import URL, Connection, create_engine, inspect, select
from sqlalchemy.pool import NullPool

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.backend import Backend, one_line
from logd.outputs.tables.catalogue import TABLES, TABLES_NAME, read_entries
from logd.outputs.tables.columns import split_pattern
from logd.outputs.tables.databases import backend_for
from logd.outputs.tables.ring import TableEntry
from logd.query.positions import CannotRead
from logd.query.tables.pages import LogTable, log_table

# Rows lie in the order of ids and times, so an index leads through them without jumps. Of tables
# that are not analysed yet PostgreSQL can't know, and would read all of them for each page.
_POSTGRESQL_SETTINGS = ("random_page_cost = 1.0", "jit = off")


class LogDatabase:
    """One database as a reader sees it; connects when it is first asked.

    Args:
        address: database URL.
        pattern: of the tables' names; None: of the only ring that the database has.

    Raises:
        CannotRead: the address or pattern is none.
    """

    def __init__(self, address: str, pattern: str | None) -> None:
        try:
            self._backend = backend_for(address, is_durable=False)
            before, after = split_pattern(pattern) if pattern is not None else ("", "")
        except (OutputUnusable, ValueError) as exc:
            raise CannotRead(str(exc)) from exc
        self._pattern = None if pattern is None else f"{before}%d{after}"
        self._connection: Connection | None = None
        self._tables: dict[int, LogTable] = {}

    @property
    def name(self) -> str:
        """What to call it, as the daemon does."""
        return f"db {self._backend.display} {self._pattern or ''}".rstrip()

    @property
    def ring(self) -> str:
        """The pattern of the tables' names; known once they were asked for."""
        return self._pattern or ""

    @property
    def dialect_name(self) -> str:
        """SQLAlchemy's name for the kind of database."""
        return self._backend.dialect_name

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What work with the database may raise."""
        return self._backend.errors

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection, not in a transaction.

        Raises:
            CannotRead: the database refused or is away.
        """
        with self.translated():
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """What goes wrong within is a `CannotRead`."""
        try:
            yield
        except self._backend.errors as exc:
            self.close()
            raise CannotRead(f"{self.name}: {one_line(exc)}") from exc

    def _connect(self) -> Connection:
        backend = self._backend
        try:
            engine = create_engine(
                _reading_url(backend), poolclass=NullPool, connect_args=backend.connect_args()
            )
        except ModuleNotFoundError as exc:
            raise CannotRead(
                f"{self.name}: the driver {exc.name} is not installed: {backend.driver_hint()}"
            ) from exc
        connection = engine.connect()
        if backend.dialect_name == "postgresql":
            with connection.begin():
                for setting in _POSTGRESQL_SETTINGS:
                    connection.exec_driver_sql(f"SET {setting}")
        return connection

    def entries(self, connection: Connection) -> Sequence[TableEntry]:
        """The tables of the ring, oldest first.

        Raises:
            CannotRead: there is no ring, or there are several to choose from.
        """
        with connection.begin():
            if self._pattern is None:
                self._pattern = self._only_ring(connection)
            if not inspect(connection).has_table(TABLES_NAME):
                return ()
            return read_entries(connection, self._pattern)

    def rings(self, connection: Connection) -> list[str]:
        """What the logs in this database are called."""
        with connection.begin():
            return _rings(connection)

    def _only_ring(self, connection: Connection) -> str:
        rings = _rings(connection)
        if len(rings) != 1:
            found = f"tables of several logs: {', '.join(rings)}" if rings else "no logs"
            choose = ": choose one with --table-pattern" if rings else ""
            raise CannotRead(f"{self.name}: has {found}{choose}")
        return rings[0]

    def table(self, connection: Connection, entry: TableEntry) -> LogTable:
        """A table of the catalogue, ready for statements."""
        known = self._tables.get(entry.serial)
        if known is None:
            with connection.begin():
                known = self._tables[entry.serial] = log_table(connection, entry)
        # Meanwhile it may have grown.
        return known if known.entry == entry else replace(known, entry=entry)

    def next_id(self, connection: Connection, entry: TableEntry) -> int:
        """The id of the row that comes next to a table, as of the transaction that is open."""
        found = connection.execute(
            select(TABLES.c.first_id + TABLES.c.records).where(
                TABLES.c.ring == self._pattern, TABLES.c.serial == entry.serial
            )
        ).scalar()
        return entry.next_id if found is None else int(found)

    def is_current(self, connection: Connection, entry: TableEntry) -> bool:
        """Whether the table still is the one of the catalogue, and was before this question."""
        with connection.begin():
            found = connection.execute(
                select(TABLES.c.serial).where(
                    TABLES.c.ring == self._pattern, TABLES.c.serial == entry.serial
                )
            ).first()
        return found is not None

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(*self._backend.errors):
                connection.close()


def _rings(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(TABLES_NAME):
        return []
    return sorted(connection.execute(select(TABLES.c.ring).distinct()).scalars())


def gone_text(entry: TableEntry) -> str:
    """What to tell the reader of a table that is gone."""
    return f"table {entry.table_name} was dropped before it was read: the log goes on faster"


def _reading_url(backend: Backend) -> URL:
    """The address for a reader: an SQLite file must be there, and is not written to."""
    url = backend.url
    if backend.dialect_name != "sqlite":
        return url
    path = str(url.database).removeprefix("file:").partition("?")[0]
    return url.set(database=f"file:{quote(path)}", query={**url.query, "mode": "ro", "uri": "true"})
