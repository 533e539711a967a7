"""PostgreSQL by psycopg: rows go in by COPY, whose data is made by columns."""

from __future__ import annotations

import codecs
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable

from logd.outputs.tables import heritage
from logd.outputs.tables.backend import (
    CONNECT_TIMEOUT_S,
    LOCK_TIMEOUT_S,
    SHARED_STATEMENT_TIMEOUT_S,
    SHARED_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    Backend,
    ErrorMeaning,
    InsertTarget,
    RingLocked,
    dbapi_connection,
    one_line,
    quoted,
)
from logd.outputs.tables.fit import BYTES_CODEC
from logd.outputs.tables.rows import RowColumns, Sparse
from logd.outputs.tables.textindex import EXTENSION, text_index_name

logger = logging.getLogger(__name__)

# Data exceptions, broken constraints, and rows or index entries over the server's limits.
_REFUSED_CLASSES = ("22", "23", "54")
_LOCK_NOT_AVAILABLE = "55P03"
_OTHERS_DEPEND = "2BP01"
# No right, no such file, no such operator class (the extension is in another schema), not offered.
_NO_EXTENSION = ("42501", "58P01", "42704", "0A000", "22023")
_REFUSED_LOGINS = ("authentication failed", "does not exist", "no password supplied", "no pg_hba")

# A cut network is noticed by both ends after about half a minute, not after hours.
_CONNECT = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "logd",
}
# From the first question on: what comes from a database without an encoding is bytes otherwise.
_ENCODING = {"client_encoding": "utf8"}
_SESSION = {
    "lock_timeout": f"{LOCK_TIMEOUT_S}s",
    "statement_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_S}s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
}

# PostgreSQL's LATIN5 is ISO 8859-9, and so on; the first four are called alike.
_ISO_8859 = {"5": "9", "6": "10", "7": "13", "8": "14", "9": "15", "10": "16"}

ROWS_A_BLOCK = 1024

_KEY = "hashtextextended('logd ' || current_schema() || ' ' || :ring, 0)"
_HOLDER = text(
    "SELECT pg_locks.pid, application_name, client_addr FROM pg_locks "  # noqa: S608 - no input
    "JOIN pg_stat_activity ON pg_stat_activity.pid = pg_locks.pid "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    f"AND (classid::bigint << 32) | objid::bigint = {_KEY}"
)


class PostgreSQL(Backend):
    """A PostgreSQL server. Two daemons are kept apart by an advisory lock."""

    dialect_name = "postgresql"
    _pid: int | None = None

    def connect_args(self) -> dict[str, Any]:
        usual = {name: value for name, value in _CONNECT.items() if name not in self.url.query}
        return usual | _ENCODING

    def engine(self) -> Engine:
        engine = super().engine()
        self.driver_errors = (engine.dialect.loaded_dbapi.Error,)
        return engine

    def driver_hint(self) -> str:
        return "pip install 'logd[postgresql]'"

    def prepare(self, connection: Connection) -> None:
        settings = {
            **_SESSION,
            "synchronous_commit": "on" if self.is_durable else "off",
        }
        with connection.begin():
            for name, value in settings.items():
                connection.execute(
                    text("SELECT set_config(:name, :value, false)"), {"name": name, "value": value}
                )
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        self.text_codec = codec_of(str(encoding))

    def acquire(self, connection: Connection, ring: str, wait_s: float) -> None:
        own = dbapi_connection(connection).info.backend_pid
        if self._pid is not None:
            self._end_lost_connection(connection, ring, self._pid)
        try:
            with connection.begin():
                connection.execute(
                    text("SELECT set_config('lock_timeout', :wait, true)"),
                    {"wait": f"{max(1, int(wait_s * 1000))}ms"},
                )
                connection.execute(text(f"SELECT pg_advisory_lock({_KEY})"), {"ring": ring})
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise RingLocked(self._holder(connection, ring)) from exc
        self._pid = own

    def _end_lost_connection(self, connection: Connection, ring: str, pid: int) -> None:
        """End our own connection of before if the server has not seen it die."""
        with connection.begin():
            holders = connection.execute(_HOLDER, {"ring": ring}).all()
            if any(holder.pid == pid for holder in holders):
                connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

    def _holder(self, connection: Connection, ring: str) -> str:
        with connection.begin():
            holder = connection.execute(_HOLDER, {"ring": ring}).first()
        if holder is None:
            return "another session holds the lock"
        place = f" from {holder.client_addr}" if holder.client_addr else ""
        return f"server process {holder.pid} ({holder.application_name}{place}) holds the lock"

    def lock_catalogue(self, connection: Connection) -> None:
        # CREATE TABLE IF NOT EXISTS fails if another transaction creates the same at that moment.
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended('logd catalogue', 0))"
        )

    def drop(self, connection: Connection, name: str) -> bool:
        savepoint = connection.begin_nested()
        try:
            super().drop(connection, name)
        except DBAPIError as exc:
            savepoint.rollback()
            if getattr(exc.orig, "sqlstate", None) != _OTHERS_DEPEND:
                raise
            logger.warning(
                "%s: table %s is emptied, not dropped: %s", self.display, name, one_line(exc)
            )
            self.empty(connection, name)
            return False
        savepoint.commit()
        return True

    def index_texts(self, connection: Connection, name: str) -> str | None:
        index, table = quoted(connection, text_index_name(name)), quoted(connection, name)
        savepoint = connection.begin_nested()
        try:
            connection.exec_driver_sql(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}")
            connection.exec_driver_sql(
                f"CREATE INDEX IF NOT EXISTS {index} ON {table} USING gin (msg gin_trgm_ops)"
            )
        except DBAPIError as exc:
            savepoint.rollback()
            if getattr(exc.orig, "sqlstate", None) not in _NO_EXTENSION:
                raise
            return (
                f"the extension {EXTENSION} can't be made ({one_line(exc)}): it is part of "
                "PostgreSQL's package contrib, and making it needs the right CREATE in the database"
            )
        savepoint.commit()
        return None

    def inherit(self, connection: Connection, model: str, name: str) -> None:
        savepoint = connection.begin_nested()
        try:
            for statement in heritage.statements(connection, model, name):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        except DBAPIError as exc:
            savepoint.rollback()
            logger.warning(
                "%s: table %s lacks some of what %s has (rights, comments, indexes): %s",
                self.display,
                name,
                model,
                one_line(exc),
            )
        else:
            savepoint.commit()

    def insert(
        self, connection: Connection, target: InsertTarget, rows: Iterable[RowColumns]
    ) -> None:
        statement = f"COPY {target.head} FROM STDIN"
        with (
            dbapi_connection(connection).cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for part in rows:
                for block in copy_blocks(part):
                    copy.write(block)

    def upsert(self, table: Table, values: Sequence[str]) -> Executable:
        statement = insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={name: statement.excluded[name] for name in values},
        )

    def insert_missing(self, table: Table) -> Executable:
        return insert(table).on_conflict_do_nothing()

    def prepare_to_share(self, connection: Connection) -> None:
        with connection.begin():
            connection.exec_driver_sql(
                f"SET idle_in_transaction_session_timeout = '{SHARED_TIMEOUT_S}s'"
            )
            connection.exec_driver_sql(f"SET statement_timeout = '{SHARED_STATEMENT_TIMEOUT_S}s'")

    def judge(self, error: BaseException) -> ErrorMeaning:
        state = getattr(error, "sqlstate", None)
        if state is not None:
            return (
                ErrorMeaning.REFUSED if state[:2] in _REFUSED_CLASSES else ErrorMeaning.UNAVAILABLE
            )
        # Refused before the session began: libpq tells it by its text only.
        if any(words in str(error) for words in _REFUSED_LOGINS):
            return ErrorMeaning.UNUSABLE
        return ErrorMeaning.UNAVAILABLE


def copy_blocks(rows: RowColumns) -> Iterator[bytes]:
    """`rows` in COPY's text format, some at a time: one line a row, values parted by tabs.

    The server stores what it has while the next block is made.
    """
    shared = ["\t".join(map(_copy_value, values)) for values in rows.contexts]
    columns = [_copy_column(column, len(rows.index)) for column in rows.columns]
    lines = map("\t".join, zip(map(shared.__getitem__, rows.index), *columns, strict=True))
    while block := "\n".join(islice(lines, ROWS_A_BLOCK)):
        yield block.encode() + b"\n"


def codec_of(encoding: str) -> str | None:
    """Python's codec for a PostgreSQL encoding, as `Backend.text_codec` has it.

    Of an encoding that Python does not know ASCII is taken, which all of them hold.
    """
    if encoding in ("UTF8", "SQL_ASCII"):
        return None if encoding == "UTF8" else BYTES_CODEC
    name = encoding.lower().replace("win", "cp").replace("koi8", "koi8-")
    if name.startswith("latin"):
        number = name.removeprefix("latin")
        name = f"iso8859-{_ISO_8859.get(number, number)}"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"


def _copy_column(column: Sequence[Any] | Sparse, length: int) -> Iterable[str]:
    if isinstance(column, Sparse):
        return column.filled(length, _copy_value)
    if isinstance(column[0], str):
        return _copy_texts(column)
    convert: Callable[[Any], str] = str if isinstance(column, range) else _copy_value
    if isinstance(column[0], float):
        convert = repr
    return map(convert, column)


def _copy_texts(texts: Iterable[str]) -> list[str]:
    """All of a column escaped at once: NUL, which no storable text has, parts them."""
    joined = "\0".join(texts)
    for char, escape in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        if char in joined:
            joined = joined.replace(char, escape)
    return joined.split("\0")


def _copy_value(value: object) -> str:
    if value is None:
        return "\\N"
    return _copy_texts([value])[0] if isinstance(value, str) else str(value)
