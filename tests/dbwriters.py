"""Writers to database tables of an app's own, closed after the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from logd.dbwriter_sa import (
    DBConfig,
    DBLogWriter,
    createLocalLog,
    createRotatingServer,
)
from logd.records.job import MsgJob
from logd.server import LogServer

if TYPE_CHECKING:
    from tests.conftest import Database


def make_job(number: int = 1, **changes: Any) -> MsgJob:
    """A job whose message tells its number."""
    values: dict[str, Any] = {
        "msgid": number,
        "pid": 4711,
        "tid": 17,
        "threadname": "MainThread",
        "ts": "11:10.00;123",
        "msg": f"message {number}",
        "cat": "E",
        "path": (("/srv/views.py", 42), ("/srv/urls.py", 10)),
        "tblen": 9,
        "cfunc": "pay",
        "special": {},
        "formatter": None,
        "time": 1_790_000_000.0,
    }
    return MsgJob(**{**values, **changes})


class Writers:
    """Makes writers and servers and closes their writers after the test."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._made: list[Any] = []
        self.observed: list[str] = []

    def writer(self, number: int = 0, **config: Any) -> DBLogWriter:
        """A writer to a table of the test."""
        format_dict = config.pop("format_dict", None)
        name = self.database.pattern % number
        writer = DBLogWriter(DBConfig(self.database.url, name, **config), format_dict)
        self._made.append(writer)
        return writer

    def server(self, rotate_count: int, line_min: int | None, **settings: Any) -> LogServer:
        """A server that rotates tables of the test."""
        settings.setdefault("tableNamePattern", self.database.pattern)
        server = createRotatingServer(self.database.url, rotate_count, line_min, **settings)
        self._made.append(server.writer)
        return server

    def local_log(self, rotate_count: int, line_min: int | None, **settings: Any) -> Any:
        """A local log into tables of the test."""
        settings.setdefault("tableNamePattern", self.database.pattern)
        return createLocalLog(
            self.database.url, rotate_count, line_min, observers=[self._observe], **settings
        )

    def _observe(self, history: list[MsgJob], writer: Any) -> None:
        """Note what a local log wrote, and its writer, to close it."""
        self.observed.append(history[-1].msg)
        if writer not in self._made:
            self._made.append(writer)

    def messages(self, number: int = 0) -> list[str]:
        """The messages in one table."""
        rows = self.database.rows(self.database.pattern % number, "msgid")
        return [row["msg"] for row in rows]

    def close_all(self) -> None:
        """Close all writers."""
        for writer in self._made:
            writer.close()


@pytest.fixture
def writers(database: Database) -> Iterator[Writers]:
    """Writers on each kind of database."""
    made = Writers(database)
    yield made
    made.close_all()


@pytest.fixture
def sqlite_writers(sqlite: Database) -> Iterator[Writers]:
    """Writers on SQLite alone, for what does not depend on the database."""
    made = Writers(sqlite)
    yield made
    made.close_all()
