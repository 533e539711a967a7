"""What an output of tables needs to know of a database: one class a kind, found by URL.

Rules all of them keep: values travel as parameters, as COPY data, which is no SQL, or, if the
driver knows no parameters, as literals of `literals.py`, which alone makes SQL of values;
no call waits for longer than the limits below, so that a daemon can always stop; and only
the holder of a ring's lock writes to its tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from sqlalchemy import URL, Connection, Engine, MetaData, Table, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql import Executable

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.rows import RowColumns

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 5
"""How long a statement waits for others' locks (a reader in a table that is to be dropped)."""

SHARED_TIMEOUT_S = 5
"""How long a daemon with shared marks may do nothing in a transaction, for others wait for it."""

SHARED_STATEMENT_TIMEOUT_S = 10
"""How long one of its statements may take."""

STATEMENT_TIMEOUT_S = 60
"""How long one statement may take, or the server stay silent, before the connection is given up."""


class ErrorMeaning(Enum):
    """What an error of a database means for the records that were being written."""

    REFUSED = "the content of a record is at fault; the others can be written"
    UNAVAILABLE = "the same may work later"
    UNUSABLE = "it will never work as configured"


class RingLocked(Exception):
    """Another daemon writes to these tables; the text names it."""


class Backend(ABC):
    """One kind of database, and the connection to one of them that an output holds.

    Attributes:
        dialect_name: "sqlite", "postgresql" or "mysql" (MariaDB too), as SQLAlchemy calls it.
        url: where the database is, with the driver that is used.
        driver_errors: base classes of what the driver raises.
        has_transactional_ddl: whether tables are created and dropped by transactions; else such
            a statement commits what went before.
        max_text_bytes: the longest text that one statement can carry; None for no limit.
        text_codec: Python's name of the database's encoding; None for UTF-8, `BYTES_CODEC` for
            one that has no encoding. Known once `prepare` was called.
    """

    dialect_name: str
    driver_errors: tuple[type[Exception], ...] = ()
    has_transactional_ddl = True
    max_text_bytes: int | None = None
    text_codec: str | None = None

    def __init__(self, url: URL, *, is_durable: bool) -> None:
        self.url = url
        self.is_durable = is_durable

    @property
    def display(self) -> str:
        """The URL for people: without the password and without parameters."""
        return self.url.set(query={}).render_as_string(hide_password=True)

    def engine(self) -> Engine:
        """A new engine; connections are not pooled, the output holds its only one.

        Raises:
            OutputUnusable: the driver is not installed.
        """
        try:
            return create_engine(self.url, poolclass=NullPool, connect_args=self.connect_args())
        except ModuleNotFoundError as exc:
            raise OutputUnusable(
                f"{self.display}: the driver {exc.name} is not installed: {self.driver_hint()}"
            ) from exc

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What work with the database may raise."""
        return (SQLAlchemyError, OSError, *self.driver_errors)

    @abstractmethod
    def connect_args(self) -> dict[str, Any]:
        """Arguments of the driver's `connect`, the time limits among them."""

    @abstractmethod
    def driver_hint(self) -> str:
        """What installs the driver."""

    @abstractmethod
    def prepare(self, connection: Connection) -> None:
        """Set up a new connection; nothing of it is left open as a transaction."""

    @abstractmethod
    def acquire(self, connection: Connection, ring: str, wait_s: float) -> None:
        """Lock the tables of `ring` for this connection, or this process.

        A connection of our own that the server has not yet seen die does not stand in the way.

        Raises:
            RingLocked: another daemon had the lock for `wait_s` seconds.
        """

    def lock_catalogue(self, connection: Connection) -> None:
        """Keep other daemons from making the catalogue until the transaction ends, if needed."""

    def release(self) -> None:
        """Give back what `acquire` took besides the connection."""

    def give_up(self, connection: Connection | None) -> None:
        """Let go of a connection, whatever state it is in; nothing if there is none."""
        if connection is not None:
            # It may be broken: what is left of it goes without a message to the server.
            with suppress(*self.errors):
                connection.invalidate()
            with suppress(*self.errors):
                connection.close()

    def empty(self, connection: Connection, name: str) -> None:
        """Remove all rows of a table; rights, comments, views and further indexes stay."""
        connection.exec_driver_sql(f"TRUNCATE TABLE {quoted(connection, name)}")

    def drop(self, connection: Connection, name: str) -> bool:
        """Drop a table; False if it is only emptied, because something else needs it."""
        Table(name, MetaData()).drop(connection)
        return True

    def index_texts(self, connection: Connection, name: str) -> str | None:
        """Give an empty table an index of the texts in its messages, see `textindex.py`.

        Returns:
            Why it has none; None if it has one.
        """
        return "this kind of database has no index that finds parts of words"

    def has_text_index(self, connection: Connection, name: str) -> bool:
        """Whether a table has such an index, and it has to be told of new rows."""
        return False

    def note_texts(self, connection: Connection, name: str, first_id: int, next_id: int) -> None:
        """Bring new rows into that index.

        Args:
            connection: in the transaction that has inserted them.
            name: of the table; it has the index.
            first_id: the first of the rows' ids.
            next_id: the one behind the last.
        """

    def inherit(self, connection: Connection, model: str, name: str) -> None:
        """Give a new table what people gave to the one before: rights, comments, indexes."""

    @abstractmethod
    def insert(
        self, connection: Connection, target: InsertTarget, rows: Iterable[RowColumns]
    ) -> None:
        """Insert the rows, in order, in the connection's transaction."""

    @abstractmethod
    def upsert(self, table: Table, values: Sequence[str]) -> Executable:
        """A statement that inserts rows of `table`, or updates the columns `values` of those that
        are there under the same primary key.
        """

    def insert_missing(self, table: Table) -> Executable:
        """A statement that inserts those rows of `table` whose primary key is not there."""
        raise AssertionError("nothing is shared in this kind of database")

    def prepare_to_share(self, connection: Connection) -> None:
        """Set up a connection whose locks others wait for: it loses them if it stands still."""

    @abstractmethod
    def judge(self, error: BaseException) -> ErrorMeaning:
        """What an error of the driver means."""


class InsertTarget:
    """A table that rows are inserted into, with the SQL for it.

    Attributes:
        name: the table's name, quoted.
        columns: names of its columns, quoted: first those that contexts fill.
    """

    def __init__(
        self,
        connection: Connection,
        table_name: str,
        context_columns: Sequence[str],
        record_columns: Sequence[str],
    ) -> None:
        self.name = quoted(connection, table_name)
        self.columns = [quoted(connection, name) for name in (*context_columns, *record_columns)]

    @property
    def head(self) -> str:
        """`table (column, ...)`."""
        return f"{self.name} ({', '.join(self.columns)})"


def quoted(connection: Connection, name: str) -> str:
    """A name as SQL has it."""
    return connection.dialect.identifier_preparer.quote(name)


def driver_error(error: BaseException) -> BaseException:
    """The driver's own error in what SQLAlchemy made of it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def one_line(error: BaseException, most_chars: int = 300) -> str:
    """What went wrong, for a log line."""
    error = driver_error(error)
    # PyMySQL: (number, text).
    if len(error.args) == 2 and isinstance(error.args[0], int):
        text = f"{error.args[1]} ({error.args[0]})"
    else:
        text = str(error)
    text = " ".join(text.split("\nCONTEXT:")[0].split()) or type(error).__name__
    return text if len(text) <= most_chars else text[: most_chars - 1] + "…"


def dbapi_connection(connection: Connection) -> Any:
    """The driver's own connection, for what SQLAlchemy would only slow down."""
    return connection.connection.driver_connection
