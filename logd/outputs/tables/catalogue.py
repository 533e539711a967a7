"""The two small tables beside the log tables: which tables a ring has, and the marks.

`logd_tables` has a row for each table of each ring, in the order they were begun (`serial`), with
the number of its records and the times they are of; a reader of the log finds its tables, oldest
first, by this. `logd_marks` says how far each session has been written (`markrows.py`). Both change
in the transactions that write the records.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.mysql import LONGBLOB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from logd.outputs.base import OutputUnavailable
from logd.outputs.marks import MAX_AGE_S, MAX_MARKS, PLACE_PREFIX
from logd.outputs.tables.backend import Backend, one_line
from logd.outputs.tables.columns import LongText
from logd.outputs.tables.counts import CountedRow
from logd.outputs.tables.markrows import checksum_of, sound_rows
from logd.outputs.tables.ring import Ring, TableEntry

logger = logging.getLogger(__name__)

TABLES_NAME = "logd_tables"
MARKS_NAME = "logd_marks"

_METADATA = MetaData()
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

TABLES = Table(
    TABLES_NAME,
    _METADATA,
    Column("ring", String(64), primary_key=True),
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("table_name", String(64), nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("opened", Double, nullable=False),
    Column("written", Double),
    Column("first_time", Double),
    Column("last_time", Double),
    Column("transactions", BigInteger, nullable=False),
    Column("layout", String(64), nullable=False),
    **_OPTIONS,
)

MARKS = Table(
    MARKS_NAME,
    _METADATA,
    Column("ring", String(64), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("seen", Double, nullable=False),
    Column("checksum", BigInteger),
    **_OPTIONS,
)

KEYS = Table(
    "logd_keys",
    _METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", String(128), nullable=False),
    **_OPTIONS,
)
"""What daemons with shared marks have in common besides."""

COUNTS = Table(
    "logd_counts",
    _METADATA,
    Column("ring", String(64), primary_key=True),
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("table_name", String(64), nullable=False),
    Column("next_id", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),
    Column("behind_ms", BigInteger, nullable=False),
    Column("head", LongText, nullable=False),
    Column("cells", LargeBinary().with_variant(LONGBLOB(), "mysql", "mariadb"), nullable=False),
    **_OPTIONS,
)
"""See `counts.py`. Nothing needs it: it may be missing, or lack rows."""

SHARED = "*"
"""In the place of the ring: marks of all daemons that share them. No pattern is called so."""

_SESSION_KEY = "session"

_ENTRY_COLUMNS = [column.name for column in TABLES.columns if column.name != "ring"]
_ENTRY_VALUES = [name for name in _ENTRY_COLUMNS if name != "serial"]


def read_entries(connection: Connection, ring: str) -> tuple[TableEntry, ...]:
    """The tables of a ring, oldest first, as the database has them."""
    rows = connection.execute(
        select(*(TABLES.c[name] for name in _ENTRY_COLUMNS))
        .where(TABLES.c.ring == ring)
        .order_by(TABLES.c.serial)
    )
    return tuple(TableEntry(**row._mapping) for row in rows)


def _marks_of(rows: Iterable[Any]) -> dict[bytes, int]:
    """Marks as they stand in their table; one that a disk has damaged is left out."""
    return {row.client: row.last for row in sound_rows(rows)}


class Catalogue:
    """The rows of one ring in the catalogue and among the marks. Methods run in a transaction.

    Args:
        backend: the kind of database.
        ring: the ring's pattern of table names; rings of other patterns are left alone.
        is_shared: whether its marks are those of all daemons that share them.
        max_sessions: how many marks are taken up at most.
    """

    def __init__(
        self,
        backend: Backend,
        ring: str,
        *,
        is_shared: bool = False,
        max_sessions: int = MAX_MARKS,
    ) -> None:
        self._backend = backend
        self._ring = ring
        self._is_shared = is_shared
        self._max_sessions = max_sessions
        self._marks_of = SHARED if is_shared else ring
        # Earlier versions made the table without it.
        self._has_checksums = not is_shared
        self._has_counts = False

    def create(self, connection: Connection) -> None:
        """Make the tables that don't exist yet."""
        wanted = (TABLES, MARKS, KEYS) if self._is_shared else (TABLES, MARKS)
        there = set(inspect(connection).get_table_names())
        if MARKS_NAME in there and self._has_checksums:
            self._has_checksums = self._see_checksums(connection)
        if not {table.name for table in wanted} <= there:
            # Other daemons with tables of their own may start at the same moment.
            self._backend.lock_catalogue(connection)
            for table in wanted:
                connection.execute(CreateTable(table, if_not_exists=True))
        self._has_counts = COUNTS.name in there or self._can_create_counts(connection)

    def _can_create_counts(self, connection: Connection) -> bool:
        """Make the table of counts; False if it can't be, which costs readers time only."""
        self._backend.lock_catalogue(connection)
        # MariaDB's statement ends whatever transaction there is.
        savepoint = connection.begin_nested() if self._backend.has_transactional_ddl else None
        try:
            connection.execute(CreateTable(COUNTS, if_not_exists=True))
        except DBAPIError as exc:
            if savepoint is not None:
                savepoint.rollback()
            elif exc.connection_invalidated:
                raise
            logger.warning(
                "%s: no counts are kept beside the tables: %s", self._backend.display, one_line(exc)
            )
            return False
        if savepoint is not None:
            savepoint.commit()
        return True

    def _see_checksums(self, connection: Connection) -> bool:
        """Whether the table of marks has checksums; SQLite's gets them."""
        columns = {column["name"] for column in inspect(connection).get_columns(MARKS_NAME)}
        if "checksum" not in columns and connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"ALTER TABLE {MARKS_NAME} ADD COLUMN checksum BIGINT")
            return True
        return "checksum" in columns

    @property
    def _mark_columns(self) -> Sequence[Column[Any]]:
        columns = MARKS.c
        own = [columns.client, columns.last, columns.seen]
        return [*own, columns.checksum] if self._has_checksums else own

    def load(self, connection: Connection, ring: Ring) -> Ring:
        """`ring` with the tables that the database knows."""
        entries = read_entries(connection, self._ring)
        transactions = max((entry.transactions for entry in entries), default=0)
        return replace(ring, entries=entries, transactions=transactions)

    def take_along(self, connection: Connection, old: str) -> tuple[int, int]:
        """Make the tables of another ring, and its marks, those of this one.

        Returns:
            How many tables and records; none if this ring has tables of its own.
        """
        entries = read_entries(connection, old)
        if not entries or read_entries(connection, self._ring):
            return 0, 0
        connection.execute(delete(MARKS).where(MARKS.c.ring == self._ring))
        for table in (TABLES, MARKS, *([COUNTS] if self._has_counts else [])):
            connection.execute(update(table).where(table.c.ring == old).values(ring=self._ring))
        return len(entries), sum(entry.records for entry in entries)

    def store(self, connection: Connection, before: Ring, after: Ring) -> None:
        """Write what differs between two states of the ring."""
        known = {entry.serial: entry for entry in before.entries}
        changed = [entry for entry in after.entries if known.get(entry.serial) != entry]
        gone = known.keys() - {entry.serial for entry in after.entries}
        for table in (TABLES, *([COUNTS] if self._has_counts else [])) if gone else ():
            connection.execute(
                delete(table).where(table.c.ring == self._ring, table.c.serial.in_(gone))
            )
        if changed:
            connection.execute(
                self._backend.upsert(TABLES, _ENTRY_VALUES),
                [{"ring": self._ring, **asdict(entry)} for entry in changed],
            )

    def note_counts(self, connection: Connection, rows: Iterable[CountedRow]) -> None:
        """Write how many records of which kinds there are."""
        values = [{"ring": self._ring, **row._asdict()} for row in rows]
        if not values or not self._has_counts:
            return
        savepoint = connection.begin_nested()
        try:
            connection.execute(insert(COUNTS), values)
        except DBAPIError as exc:
            if exc.connection_invalidated:
                raise
            # Records are worth more: what no row tells of is counted when somebody asks.
            savepoint.rollback()
            logger.warning("%s: counts were not kept: %s", self._backend.display, one_line(exc))
        else:
            savepoint.commit()

    def marks(self, connection: Connection) -> dict[bytes, int]:
        """The marks, after those are dropped that nobody can ask for any more.

        A day is counted back from when the ring last saw any session, not from now: after a
        weekend of the daemon's, its senders still hold what they had on Friday. Shared marks are
        asked for one by one, when their sessions are opened.
        """
        if self._is_shared:
            return {}
        own = select(*self._mark_columns).where(MARKS.c.ring == self._ring)
        newest = own.order_by(MARKS.c.seen.desc()).limit(self._max_sessions)
        rows = [
            # The one unseen for longest first, because it is the first to be forgotten.
            *reversed(connection.execute(newest).all()),
            *connection.execute(own.where(MARKS.c.client.like(f"{PLACE_PREFIX.hex()}%"))),
        ]
        # By sound rows: a damaged time, far in the future, would make all others old.
        found = list(sound_rows(rows))
        latest = max((row.seen for row in found), default=None)
        if latest is None:
            return {}
        self.prune_marks(connection, latest)
        return {
            row.client: row.last
            for row in found
            if row.seen >= latest - MAX_AGE_S or row.client.startswith(PLACE_PREFIX)
        }

    def note_marks(self, connection: Connection, marks: Mapping[bytes, int], now: float) -> None:
        """Write how far sessions have come."""
        values: list[dict[str, Any]] = [
            {"ring": self._marks_of, "client": client.hex(), "last": last, "seen": now}
            # In one order, so that two transactions can never wait for each other.
            for client, last in sorted(marks.items())
        ]
        columns = ["last", "seen"]
        if self._has_checksums:
            columns.append("checksum")
            for row in values:
                row["checksum"] = checksum_of(row["client"], row["last"], row["seen"])
        if values:
            connection.execute(self._backend.upsert(MARKS, columns), values)

    def forget_marks(self, connection: Connection, clients: Iterable[bytes]) -> None:
        """Drop the marks of sessions that this daemon alone knows."""
        if self._is_shared:
            return
        names: Sequence[str] = [client.hex() for client in clients]
        for start in range(0, len(names), 500):
            connection.execute(
                delete(MARKS).where(
                    MARKS.c.ring == self._marks_of, MARKS.c.client.in_(names[start : start + 500])
                )
            )

    def prune_marks(self, connection: Connection, now: float) -> None:
        """Drop the marks of sessions unseen for a day."""
        connection.execute(
            delete(MARKS).where(
                MARKS.c.ring == self._marks_of,
                MARKS.c.seen < now - MAX_AGE_S,
                MARKS.c.client.not_like(f"{PLACE_PREFIX.hex()}%"),
            )
        )

    # -- marks that are shared ---------------------------------------------------------------

    def share_marks(self, connection: Connection) -> None:
        """Give what the ring knew alone to all; for the first time that it shares."""
        own = MARKS.c.ring == self._ring
        rows = connection.execute(select(*self._mark_columns).where(own)).all()
        if not rows:
            return
        found = list(sound_rows(rows))
        latest = max((row.seen for row in found), default=0.0)
        own_marks = {row.client: row.last for row in found}
        self.make_marks(connection, own_marks, latest)
        known = self.lock_marks(connection, own_marks)
        marks = {client: last for client, last in own_marks.items() if last > known[client]}
        self.note_marks(connection, marks, latest)
        connection.execute(delete(MARKS).where(own))

    def make_marks(self, connection: Connection, clients: Iterable[bytes], now: float) -> None:
        """See that there is a mark of each session, to be locked by the next transaction."""
        names = sorted(client.hex() for client in clients)
        there = set(
            connection.execute(
                select(MARKS.c.client).where(MARKS.c.ring == SHARED, MARKS.c.client.in_(names))
            ).scalars()
        )
        missing = [
            {"ring": SHARED, "client": name, "last": 0, "seen": now}
            for name in names
            if name not in there
        ]
        if missing:
            connection.execute(self._backend.insert_missing(MARKS), missing)

    def lock_marks(self, connection: Connection, clients: Iterable[bytes]) -> dict[bytes, int]:
        """The marks of sessions, held until the transaction ends: nobody else moves them on.

        They are locked in one order, and none is made in the same transaction: so two of these
        never wait for each other.

        Raises:
            OutputUnavailable: one was dropped just now, after a day.
        """
        names = [client.hex() for client in clients]
        rows = connection.execute(
            select(*self._mark_columns)
            .where(MARKS.c.ring == SHARED, MARKS.c.client.in_(names))
            .order_by(MARKS.c.client)
            .with_for_update()
        )
        found = _marks_of(rows)
        if len(found) < len(names):
            raise OutputUnavailable("a mark was dropped before it was locked")
        return found

    def read_marks(self, connection: Connection, clients: Iterable[bytes]) -> dict[bytes, int]:
        """The marks of sessions as they are now."""
        names = [client.hex() for client in clients]
        rows = connection.execute(
            select(*self._mark_columns).where(MARKS.c.ring == SHARED, MARKS.c.client.in_(names))
        )
        return _marks_of(rows)

    def session_key(self, connection: Connection, proposed: bytes) -> bytes:
        """The key that all daemons use; the one proposed if there is none yet."""
        connection.execute(
            self._backend.insert_missing(KEYS), [{"name": _SESSION_KEY, "value": proposed.hex()}]
        )
        found = connection.execute(select(KEYS.c.value).where(KEYS.c.name == _SESSION_KEY))
        return bytes.fromhex(found.scalar_one())
