"""Fixtures that several parts of the suite share: records, and databases to write to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, Table, create_engine, inspect, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from logd.records.job import MsgJob
from logd_client import createClientLog
from logd_client.log import Log
from tests.clients import Connect
from tests.dbwriters import sqlite_writers, writers
from tests.shared_fixtures import berlin, free_port, no_client_is_left

__all__ = ["berlin", "free_port", "no_client_is_left", "sqlite_writers", "writers"]

POSTGRESQL_URL = "postgresql+psycopg://postgres@127.0.0.1:5432/test"
MARIADB_URL = "mysql+pymysql://root@127.0.0.1:3306/test"

OWN_NAME = f"logd_test_{uuid.uuid4().hex[:10]}"
"""The database of this process on each server. Other processes test at the same time: they must
not wait for our locks on the catalogue, nor lose the connections that some of our tests kill."""


@dataclass
class Database:
    """A database for one test, whose tables all begin with `prefix` and are dropped after it.

    Attributes:
        kind: "sqlite", "postgresql" or "mariadb".
        url: for SQLAlchemy.
        prefix: begins the names of the test's tables; also of its pattern.
        engine: for the test's own looks at what was written.
    """

    kind: str
    url: str
    prefix: str
    engine: Engine

    @property
    def pattern(self) -> str:
        """A pattern of table names for this test alone."""
        return f"{self.prefix}_%d"

    def table_names(self) -> list[str]:
        """The test's tables, without the catalogue and the marks."""
        names = inspect(self.engine).get_table_names()
        return sorted(name for name in names if name.startswith(self.prefix))

    def rows(self, table_name: str, order_by: str | None = None) -> list[dict[str, Any]]:
        """All rows of a table: times in seconds and objects as JSON, whatever the database has."""
        statement = f"SELECT * FROM {table_name}"
        if order_by is not None:
            statement += f" ORDER BY {order_by}"
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql(statement)
            return [{name: _plain(value) for name, value in row._mapping.items()} for row in rows]

    def run(self, statement: str, **values: object) -> None:
        """Run one statement in a transaction of its own."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def take_away(self) -> None:
        """Let every write to the first table fail, and every try to make another: PostgreSQL."""
        self.run(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'no tables just now'; END $$"
        )
        self.run(
            "CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE TABLE') "
            "EXECUTE FUNCTION refuse()"
        )
        self.run(f'ALTER TABLE "{self.prefix}_0" RENAME TO "{self.prefix}_x"')

    def bring_back(self) -> None:
        """Let writes succeed again."""
        self.run(f'ALTER TABLE "{self.prefix}_x" RENAME TO "{self.prefix}_0"')
        self.run("DROP EVENT TRIGGER refuse")
        self.run("DROP FUNCTION refuse")

    def drop_all(self) -> None:
        """Remove what the test made, its rows in the catalogue included."""
        if self.kind == "postgresql":
            self.run("DROP EVENT TRIGGER IF EXISTS refuse")
            self.run("DROP FUNCTION IF EXISTS refuse")
        for name in inspect(self.engine).get_view_names():
            if name.startswith(self.prefix):
                self.run(f"DROP VIEW {name}")
        names = inspect(self.engine).get_table_names()
        for name in names:
            if name.startswith(self.prefix):
                # Those of an index of texts in SQLite go with it.
                Table(name, MetaData()).drop(self.engine, checkfirst=True)
        for name in ("logd_tables", "logd_marks"):
            if name in names and self.kind != "sqlite":
                self.run(f"DELETE FROM {name} WHERE ring LIKE :ring", ring=f"{self.prefix}%")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return json.dumps(value) if isinstance(value, dict) else value


@pytest.fixture
def make_job() -> Callable[..., MsgJob]:
    """Makes a record; keyword arguments replace what an ordinary one has."""

    def make(msg: str = "hello", **changes: Any) -> MsgJob:
        job = MsgJob(
            17,
            4711,
            1,
            "MainThread",
            "11:10.00",
            msg,
            "E",
            (("/app/views.py", 42), ("/app/urls.py", 10)),
            12,
            "charge",
            {"user": "ann"},
            None,
            time=1_795_000_000.0,
            peer="192.0.2.7",
        )
        return job.copy_update(changes)

    return make


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes logs to a daemon; they are closed after the test, whatever is left in them."""
    logs: list[Log] = []

    def make(port: int, **settings: Any) -> Log:
        # Rather than lose a record an app waits, also for a daemon on a very busy machine.
        settings.setdefault("block_timeout_s", 60.0)
        log = createClientLog("127.0.0.1", (port,), **settings)
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close(0)


@pytest.fixture(scope="session")
def own_databases() -> Iterator[Callable[[str], str]]:
    """Gives the URL of this process's database on a server; skips the test where none runs."""
    made: dict[str, Engine] = {}

    def url_of(kind: str) -> str:
        url = {"postgresql": POSTGRESQL_URL, "mariadb": MARIADB_URL}[kind]
        driver = {"postgresql": "psycopg", "mariadb": "pymysql"}[kind]
        pytest.importorskip(driver, reason=f"{driver} is not installed")
        if kind not in made:
            engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
            try:
                with engine.connect() as connection:
                    connection.exec_driver_sql(f"CREATE DATABASE {OWN_NAME}")
            except DBAPIError as error:
                pytest.skip(f"no {kind} at {engine.url.host}:{engine.url.port}: {error.orig}")
            made[kind] = engine
        return make_url(url).set(database=OWN_NAME).render_as_string(hide_password=False)

    yield url_of
    for kind, engine in made.items():
        # Of a daemon that was killed the server may not know yet.
        how = " WITH (FORCE)" if kind == "postgresql" else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {OWN_NAME}{how}")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, own_databases: Callable[[str], str]
) -> Iterator[Database]:
    """Each kind of database in turn; a server that does not run skips the test."""
    yield from _database(request.param, tmp_path, own_databases)


@pytest.fixture
def sqlite(tmp_path: Path, own_databases: Callable[[str], str]) -> Iterator[Database]:
    """An SQLite database."""
    yield from _database("sqlite", tmp_path, own_databases)


@pytest.fixture
def postgresql(tmp_path: Path, own_databases: Callable[[str], str]) -> Iterator[Database]:
    """The PostgreSQL server; the test is skipped where none runs."""
    yield from _database("postgresql", tmp_path, own_databases)


@pytest.fixture
def mariadb(tmp_path: Path, own_databases: Callable[[str], str]) -> Iterator[Database]:
    """The MariaDB server; the test is skipped where none runs."""
    yield from _database("mariadb", tmp_path, own_databases)


def _database(kind: str, tmp_path: Path, own_databases: Callable[[str], str]) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'logs.db'}" if kind == "sqlite" else own_databases(kind)
    engine = create_engine(url, poolclass=NullPool)
    engine.connect().close()  # an SQLite file begins to exist
    database = Database(kind, url, f"t{uuid.uuid4().hex[:10]}", engine)
    try:
        yield database
    finally:
        database.drop_all()
        engine.dispose()
