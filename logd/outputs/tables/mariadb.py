"""MariaDB and MySQL by PyMySQL: inserts of many rows a statement, whose text is made by columns."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any

from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable

from logd.outputs.tables.backend import (
    CONNECT_TIMEOUT_S,
    LOCK_TIMEOUT_S,
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
from logd.outputs.tables.literals import row_literals
from logd.outputs.tables.rows import RowColumns

logger = logging.getLogger(__name__)

_RIGHTS = text(
    "SELECT grantee, privilege_type, is_grantable FROM information_schema.table_privileges "
    "WHERE table_schema = DATABASE() AND table_name = :model"
)

# More a statement is no faster, but a record that is refused would cost more to find.
ROWS_A_STATEMENT = 4096
_PACKET_HEAD_BYTES = 16

# MariaDB's numbers for "check constraint", "field has no default", "row too big", "packet too big",
# "truncated", "incorrect value", which PyMySQL does not always sort under data errors.
_REFUSED_CODES = frozenset({1048, 1062, 1118, 1153, 1264, 1265, 1292, 1364, 1366, 1406, 3819, 4025})
_UNUSABLE_CODES = frozenset({1044, 1045, 1046, 1049, 1142, 1698})


class MariaDB(Backend):
    """A MariaDB or MySQL server. Two daemons are kept apart by GET_LOCK."""

    dialect_name = "mysql"
    has_transactional_ddl = False
    _connection_id: int | None = None
    _packet_bytes = 1 << 20
    _refusals: tuple[type[Exception], ...] = ()

    def connect_args(self) -> dict[str, Any]:
        return {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": STATEMENT_TIMEOUT_S,
            "write_timeout": STATEMENT_TIMEOUT_S,
            "charset": "utf8mb4",
            # Autocommit and local files stay off whatever the server says.
            "autocommit": False,
            "local_infile": False,
        }

    def engine(self) -> Engine:
        engine = super().engine()
        driver = engine.dialect.loaded_dbapi
        self.driver_errors = (driver.Error,)
        self._refusals = (driver.DataError, driver.IntegrityError)
        return engine

    def driver_hint(self) -> str:
        return "pip install 'logd[mysql]'"

    def prepare(self, connection: Connection) -> None:
        with connection.begin():
            for name in ("innodb_lock_wait_timeout", "lock_wait_timeout"):
                connection.exec_driver_sql(f"SET SESSION {name} = {LOCK_TIMEOUT_S}")
            # Without strict mode values would be cut in silence; what backslashes mean must be
            # what `row_literals` takes them to mean.
            connection.exec_driver_sql(
                "SET SESSION sql_mode = REPLACE(CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), "
                "'NO_BACKSLASH_ESCAPES', '')"
            )
            packet = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
        self._packet_bytes = int(packet)
        # Escapes may double a text, and a row has three of them that are long.
        self.max_text_bytes = self._packet_bytes // 8

    def acquire(self, connection: Connection, ring: str, wait_s: float) -> None:
        own = dbapi_connection(connection).thread_id()
        values = {"ring": f"logd.{ring}", "wait": wait_s}
        # GET_LOCK takes at most 64 characters and knows no databases, hence the hash.
        name = "CONCAT('logd ', MD5(CONCAT(COALESCE(DATABASE(), ''), ' ', :ring)))"
        with connection.begin():
            user = connection.execute(text(f"SELECT IS_USED_LOCK({name})"), values).scalar()
            if user is not None and user == self._connection_id:
                # Our own connection of before, which the server has not seen die.
                connection.exec_driver_sql(f"KILL {int(user)}")
            if connection.execute(text(f"SELECT GET_LOCK({name}, :wait)"), values).scalar() != 1:
                raise RingLocked(f"connection {user} of the server holds the lock")
        self._connection_id = own

    def inherit(self, connection: Connection, model: str, name: str) -> None:
        # Rights belong to names here: those of a table that is used again are never lost.
        rights = connection.execute(_RIGHTS, {"model": model}).all()
        try:
            for right in rights:
                option = " WITH GRANT OPTION" if right.is_grantable == "YES" else ""
                connection.exec_driver_sql(
                    f"GRANT {right.privilege_type} ON {quoted(connection, name)} "
                    f"TO {right.grantee}{option}".replace("%", "%%")
                )
        except DBAPIError as exc:
            logger.warning(
                "%s: table %s lacks rights that %s has: %s",
                self.display,
                name,
                model,
                one_line(exc),
            )

    def insert(
        self, connection: Connection, target: InsertTarget, rows: Iterable[RowColumns]
    ) -> None:
        head = f"INSERT INTO {target.head} VALUES "  # noqa: S608 - quoted names
        with dbapi_connection(connection).cursor() as cursor:

            def other(value: object) -> str:
                return str(cursor.mogrify("%s", (value,)))

            # Of many small batches one statement is made.
            values = chain.from_iterable(row_literals(part, other) for part in rows)
            while some := list(islice(values, ROWS_A_STATEMENT)):
                self._insert_values(cursor, head, some)

    def _insert_values(self, cursor: Any, head: str, values: Sequence[str]) -> None:
        """One statement, or two if one would be longer than the server takes."""
        statement = f"{head}({'),('.join(values)})"
        if _size(statement) > self._packet_bytes - _PACKET_HEAD_BYTES and len(values) > 1:
            half = len(values) // 2
            self._insert_values(cursor, head, values[:half])
            self._insert_values(cursor, head, values[half:])
        else:
            cursor.execute(statement)

    def upsert(self, table: Table, values: Sequence[str]) -> Executable:
        statement = insert(table)
        return statement.on_duplicate_key_update(
            {name: statement.inserted[name] for name in values}
        )

    def insert_missing(self, table: Table) -> Executable:
        return insert(table).prefix_with("IGNORE")

    def prepare_to_share(self, connection: Connection) -> None:
        with connection.begin():
            # Else a row that is not there yet is locked with all that are near it.
            connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            with suppress(DBAPIError):  # MySQL has no such limit
                connection.exec_driver_sql(
                    f"SET SESSION idle_transaction_timeout = {SHARED_TIMEOUT_S}"
                )

    def judge(self, error: BaseException) -> ErrorMeaning:
        code = error.args[0] if error.args else None
        if code in _UNUSABLE_CODES:
            return ErrorMeaning.UNUSABLE
        if isinstance(error, self._refusals) or code in _REFUSED_CODES:
            return ErrorMeaning.REFUSED
        return ErrorMeaning.UNAVAILABLE


def _size(statement: str) -> int:
    """Bytes of UTF-8."""
    return len(statement) if statement.isascii() else len(statement.encode())
