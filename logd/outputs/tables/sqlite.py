"""SQLite, embedded: write-ahead log, so that readers and the daemon don't wait for each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, event, inspect
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable

from logd.outputs.base import OutputUnusable
from logd.outputs.disk import make_folder
from logd.outputs.tables.backend import (
    LOCK_TIMEOUT_S,
    Backend,
    ErrorMeaning,
    InsertTarget,
    RingLocked,
    dbapi_connection,
    quoted,
)
from logd.outputs.tables.rows import RowColumns
from logd.outputs.tables.textindex import sqlite_definition, text_index_name

# Of new files; 4096, the default, costs 7 % more for rows of this size.
_PAGE_BYTES = 8192
# 16 MiB between checkpoints: fewer of them than by default, and files of bounded size.
_CHECKPOINT_PAGES = 2048
_CACHE_KIB = 32 * 1024
# A statement of many rows is a fifth cheaper a row, and the driver hands the interpreter to other
# threads, and waits for it again, at each statement.
_ROWS_A_STATEMENT = 256
_FILE_MODE = 0o640
_RETRY_LOCK_S = 0.05

_UNUSABLE = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)


class SQLite(Backend):
    """A database in one file. Two daemons are kept apart by a lock on a file beside it."""

    dialect_name = "sqlite"
    driver_errors = (sqlite3.Error, OverflowError)

    def __init__(self, url: Any, *, is_durable: bool) -> None:
        super().__init__(url, is_durable=is_durable)
        if not url.database or url.database == ":memory:" or "mode=memory" in str(url):
            raise OutputUnusable(
                f"{self.display}: a database in memory loses everything at the end: "
                "give a path, as in sqlite:///logs/logd.db"
            )
        self.path = Path(url.database)
        self._lock_file: int | None = None

    def connect_args(self) -> dict[str, Any]:
        # Opened by one thread and written to by another, never at the same time.
        return {"timeout": LOCK_TIMEOUT_S, "check_same_thread": False}

    def driver_hint(self) -> str:
        return "install a Python with the sqlite3 module"

    def engine(self) -> Engine:
        engine = super().engine()

        # Not before: settings that are only checked leave nothing behind.
        @event.listens_for(engine, "do_connect")
        def make_file(*_: object) -> None:
            self._make_file()

        # The driver begins transactions late and commits before CREATE TABLE if left to itself.
        @event.listens_for(engine, "connect")
        def take_over(dbapi: sqlite3.Connection, _record: object) -> None:
            dbapi.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        return engine

    def _make_file(self) -> None:
        """Create the file for its owner and group only; SQLite's own would be for everyone."""
        try:
            make_folder(self.path.parent)
            flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(self.path, flags, _FILE_MODE))
        except FileExistsError:
            if self.path.is_symlink() or not self.path.is_file():
                raise OutputUnusable(f"{self.display}: {self.path} is not a file") from None
        except OSError as exc:
            raise OutputUnusable(
                f"{self.display}: can't create {self.path}: {exc.strerror}"
            ) from exc

    def prepare(self, connection: Connection) -> None:
        cursor = dbapi_connection(connection).cursor()
        with contextlib.closing(cursor):
            cursor.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute(f"PRAGMA synchronous = {'FULL' if self.is_durable else 'NORMAL'}")
            cursor.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def acquire(self, connection: Connection, ring: str, wait_s: float) -> None:
        if self._lock_file is not None:
            return
        path = self.path.with_name(f"{self.path.name}.{ring.replace('%', '')}.lock")
        flags = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            lock_file = os.open(path, flags, _FILE_MODE)
        except OSError as exc:
            raise OutputUnusable(f"{self.display}: can't open {path}: {exc.strerror}") from exc
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    owner = os.pread(lock_file, 20, 0).decode(errors="replace").strip()
                    os.close(lock_file)
                    raise RingLocked(f"process {owner or '?'} has locked {path}") from None
                time.sleep(_RETRY_LOCK_S)
        os.ftruncate(lock_file, 0)
        os.pwrite(lock_file, f"{os.getpid()}\n".encode(), 0)
        self._lock_file = lock_file

    def release(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def empty(self, connection: Connection, name: str) -> None:
        connection.exec_driver_sql(f"DELETE FROM {quoted(connection, name)}")  # noqa: S608 - quoted
        if self.has_text_index(connection, name):
            index = quoted(connection, text_index_name(name))
            connection.exec_driver_sql(f"INSERT INTO {index}({index}) VALUES ('delete-all')")  # noqa: S608 - quoted

    def drop(self, connection: Connection, name: str) -> bool:
        if self.has_text_index(connection, name):
            index = quoted(connection, text_index_name(name))
            connection.exec_driver_sql(f"DROP TABLE {index}")
        return super().drop(connection, name)

    def index_texts(self, connection: Connection, name: str) -> str | None:
        index = text_index_name(name)
        if inspect(connection).has_table(index):
            return f"a table {index} is there that logd did not make"
        try:
            connection.exec_driver_sql(sqlite_definition(quoted(connection, index)))
        except DBAPIError as exc:
            # Only these two are answered so: the module or the tokenizer is missing.
            if not any(words in str(exc) for words in ("no such module", "no such tokenizer")):
                raise
            return f"this SQLite ({sqlite3.sqlite_version}) has no FTS5 with trigrams"
        return None

    def has_text_index(self, connection: Connection, name: str) -> bool:
        return has_text_index(connection, name)

    def note_texts(self, connection: Connection, name: str, first_id: int, next_id: int) -> None:
        index, table = quoted(connection, text_index_name(name)), quoted(connection, name)
        dbapi_connection(connection).execute(
            f"INSERT INTO {index}(rowid, msg) "  # noqa: S608 - quoted
            f"SELECT id, msg FROM {table} WHERE id >= ? AND id < ?",
            (first_id, next_id),
        )

    def insert(
        self, connection: Connection, target: InsertTarget, rows: Iterable[RowColumns]
    ) -> None:
        head = f"INSERT INTO {target.head} VALUES "  # noqa: S608 - quoted names
        width = len(target.columns)
        marks = f"({', '.join('?' * width)})"
        driver = dbapi_connection(connection)
        most = driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        size = max(1, min(_ROWS_A_STATEMENT, most // width))
        cursor = driver.cursor()
        with contextlib.closing(cursor):
            for part in rows:
                values = part.values()
                blocks = len(part.index) // size
                if blocks:
                    statement = head + ", ".join([marks] * size)
                    cursor.executemany(statement, _cut(values, size * width, blocks))
                cursor.executemany(head + marks, _cut(values, width, len(part.index) % size))

    def upsert(self, table: Table, values: Sequence[str]) -> Executable:
        statement = insert(table)
        return statement.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={name: statement.excluded[name] for name in values},
        )

    def judge(self, error: BaseException) -> ErrorMeaning:
        # OverflowError: an integer of over 64 bits in a column of a type we know nothing of.
        if isinstance(error, sqlite3.IntegrityError | sqlite3.DataError | OverflowError):
            return ErrorMeaning.REFUSED
        if isinstance(error, sqlite3.InterfaceError | sqlite3.ProgrammingError):
            return ErrorMeaning.REFUSED if "bind" in str(error) else ErrorMeaning.UNAVAILABLE
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return ErrorMeaning.UNUSABLE if code in _UNUSABLE else ErrorMeaning.UNAVAILABLE


def has_text_index(connection: Connection, name: str) -> bool:
    """Whether logd has made an index of the texts in a table."""
    index = text_index_name(name)
    found = dbapi_connection(connection).execute(
        "SELECT 1 FROM sqlite_master WHERE name = ? AND sql = ?",
        (index, sqlite_definition(quoted(connection, index))),
    )
    return found.fetchone() is not None


def _cut(values: Iterator[Any], length: int, count: int) -> Iterator[tuple[Any, ...]]:
    """The next `count` pieces, of `length` values each."""
    return (tuple(islice(values, length)) for _ in range(count))
