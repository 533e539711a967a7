"""A view of all tables of a ring as one, such as `log_all`: for people with psql, DuckDB, Grafana.

Tables come and go, the view stays, with the rights that people gave on it. It has the columns of
new tables; older tables are made to fit: their times become timestamps, their items JSON. A table
or view of that name that logd did not make is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import DateTime

from logd.outputs.tables import heritage
from logd.outputs.tables.backend import Backend, one_line, quoted
from logd.outputs.tables.columns import ColumnSpec, split_pattern
from logd.outputs.tables.ring import TableEntry

logger = logging.getLogger(__name__)

MAX_TABLES = 400
"""The view has at most this many of the newest tables: SQLite takes 500 in one statement."""

_MARK = "kept by logd"
_LOCK_TIMEOUT = "300ms"


def view_name(pattern: str) -> str:
    """What the view of a ring is called: `log_%d` has `log_all`."""
    before, after = split_pattern(pattern)
    return f"{before}all{after}"


class RingView:
    """The view of one ring. Methods run in a transaction.

    Args:
        backend: the kind of database.
        pattern: of the tables' names.
        columns: of new tables.

    Attributes:
        is_stale: whether tables are missing in it, because somebody was reading it.
    """

    def __init__(self, backend: Backend, pattern: str, columns: Sequence[ColumnSpec]) -> None:
        self._backend = backend
        self._columns = columns
        self.name = view_name(pattern)
        self.is_stale = False
        self._told = ""

    def refresh(self, connection: Connection, entries: Sequence[TableEntry], layout: str) -> None:
        """Make the view one of these tables. What goes wrong is told, and costs the view alone.

        Args:
            connection: in a transaction.
            entries: the tables, oldest first; they are there.
            layout: of tables that have all columns as they are now.
        """
        if len(entries) > MAX_TABLES:
            self._tell(f"has the newest {MAX_TABLES} tables only")
        self.is_stale = True
        with self._told_of(connection):
            if self._is_ours(connection):
                self._make(connection, entries[-MAX_TABLES:], layout)
            self.is_stale = False

    def let_go(self, connection: Connection, kept: Sequence[TableEntry], layout: str) -> None:
        """Before others are dropped: make the view one of the tables that are kept.

        PostgreSQL would not drop what the view needs, and a view that lacks a table is of no use.
        """
        if self._is_view(connection) and self._is_ours(connection):
            self._replace(connection, kept[-MAX_TABLES:], layout)

    def drop(self, connection: Connection) -> None:
        """Drop it, if it is ours: the tables belong to another ring now."""
        with self._told_of(connection):
            if self._is_view(connection) and self._is_ours(connection):
                connection.exec_driver_sql(f"DROP VIEW {quoted(connection, self.name)}")

    # -- whose it is ---------------------------------------------------------------------------

    def _is_view(self, connection: Connection) -> bool:
        return self.name in inspect(connection).get_view_names()

    def _is_ours(self, connection: Connection) -> bool:
        """Whether the name is free, or of a view that logd has made."""
        look = inspect(connection)
        if self._is_view(connection):
            is_ours = _MARK in (look.get_view_definition(self.name) or "")
        else:
            is_ours = not look.has_table(self.name)
        if not is_ours:
            self._tell("is not of logd, or can't be looked at, and is left alone")
        return is_ours

    def _tell(self, text: str) -> None:
        if text != self._told:
            logger.warning("%s: the view %s %s", self._backend.display, self.name, text)
        self._told = text

    @contextmanager
    def _told_of(self, connection: Connection) -> Iterator[None]:
        """Records are worth more than the view: they are written even if it can't be made."""
        savepoint = None
        if self._backend.has_transactional_ddl:
            savepoint = connection.begin_nested()
        try:
            yield
        except DBAPIError as exc:
            if savepoint is None and exc.connection_invalidated:
                raise
            if savepoint is not None:
                savepoint.rollback()
            self._tell(f"is not up to date: {one_line(exc)}")
        else:
            if savepoint is not None:
                savepoint.commit()

    # -- making it -----------------------------------------------------------------------------

    def _make(self, connection: Connection, entries: Sequence[TableEntry], layout: str) -> None:
        if self._backend.dialect_name == "postgresql":
            # Somebody may be reading it for minutes; the next rotation tries it again.
            was = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            self._replace(connection, entries, layout)
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{was}'")
        else:
            self._replace(connection, entries, layout)

    def _replace(self, connection: Connection, entries: Sequence[TableEntry], layout: str) -> None:
        text = self._definition(connection, entries, layout).replace("%", "%%")
        name = quoted(connection, self.name)
        if self._backend.dialect_name == "sqlite":
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
            connection.exec_driver_sql(f"CREATE VIEW {name} AS {text}")
        elif self._backend.dialect_name == "mysql" or not self._is_view(connection):
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {text}")
        else:
            self._replace_with_rights(connection, name, text)

    def _replace_with_rights(self, connection: Connection, name: str, text: str) -> None:
        savepoint = connection.begin_nested()
        try:
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {text}")
        except DBAPIError as exc:
            savepoint.rollback()
            if getattr(exc.orig, "sqlstate", None) != "42P16":
                raise
        else:
            savepoint.commit()
            return
        # Its columns are others now, which PostgreSQL only allows of a new view.
        given = list(heritage.statements(connection, self.name, self.name, kind="VIEW"))
        connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {text}")
        for statement in given:
            with self._told_of(connection):
                connection.exec_driver_sql(statement.replace("%", "%%"))

    def _definition(
        self, connection: Connection, entries: Sequence[TableEntry], layout: str
    ) -> str:
        known = self._types(connection, entries, layout)
        selects = []
        for entry in entries:
            types = known.get(entry.table_name)
            values = ", ".join(
                f"{self._value(connection, spec, types)} AS {quoted(connection, spec.name)}"
                for spec in self._columns
            )
            selects.append(f"SELECT {values} FROM {quoted(connection, entry.table_name)}")  # noqa: S608 - quoted
        if not selects:
            values = ", ".join(
                f"{self._value(connection, spec, {})} AS {quoted(connection, spec.name)}"
                for spec in self._columns
            )
            return f"SELECT {values} WHERE '{_MARK}' = ''"
        # The mark is always true and costs nothing: it says whose the view is.
        selects[0] += f" WHERE '{_MARK}' <> ''"
        return " UNION ALL ".join(selects)

    def _types(
        self, connection: Connection, entries: Sequence[TableEntry], layout: str
    ) -> dict[str, Mapping[str, object]]:
        """The types of the columns of those tables that may have others than new ones."""
        names = [entry.table_name for entry in entries if entry.layout != layout]
        if self._backend.dialect_name == "postgresql":
            # Tables that others' views need keep their types when they are used again.
            names = [entry.table_name for entry in entries]
        if not names:
            return {}
        found = inspect(connection).get_multi_columns(filter_names=names)
        return {
            name: {column["name"]: column["type"] for column in columns}
            for (_, name), columns in found.items()
        }

    def _value(
        self, connection: Connection, spec: ColumnSpec, types: Mapping[str, object] | None
    ) -> str:
        """What a table has in a column.

        Args:
            connection: for names.
            spec: the column.
            types: of the table's columns; None: they are as they should be.
        """
        name = quoted(connection, spec.name)
        is_postgresql = self._backend.dialect_name == "postgresql"
        kind = spec.kind.compile(connection.dialect)
        if types is not None and spec.name not in types:
            return f"CAST(NULL AS {kind})" if is_postgresql else "NULL"
        if types is None or not is_postgresql:
            return name
        there = types[spec.name]
        if _compiled(there, connection) == kind:
            return name
        if spec.name == "time" and not isinstance(there, DateTime):
            return f"to_timestamp({name})"
        if kind == "JSONB":
            # The one character that it can't hold.
            return rf"CAST(replace({name}, '\u0000', '\ufffd') AS JSONB)"
        return f"CAST({name} AS {kind})"


def _compiled(kind: object, connection: Connection) -> str:
    compile_type = getattr(kind, "compile", None)
    return "" if compile_type is None else str(compile_type(connection.dialect))
