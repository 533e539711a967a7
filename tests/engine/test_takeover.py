"""Stores that take a ring of a database from each other: nothing twice, nothing lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg

from logd_client import Log, createClientLog
from tests.conftest import Database
from tests.daemon_process import DaemonProcess, running
from tests.engine.engines import Engine
from tests.waiting import wait_for


@contextlib.contextmanager
def store(engine: Engine, database: Database, folder: Path) -> Iterator[DaemonProcess]:
    """A store of one partition, in tables."""
    folder.mkdir()
    pattern = database.pattern.replace("%d", "%p_%d")
    options = ("--db", database.url, "--table-pattern", pattern)
    source = ("--source", engine.source(partitions="0"))
    with running(*source, *options, folder=folder, port=None) as daemon:
        yield daemon


@contextlib.contextmanager
def ingested(engine: Engine, folder: Path) -> Iterator[Log]:
    """A log to an ingest that writes to the engine's only partition."""
    folder.mkdir()
    with (
        running("--output", engine.output(partitions=1), folder=folder) as ingest,
        createClientLog("127.0.0.1", ingest.port, environ={}) as log,
    ):
        yield log


class Table:
    """What stands in the ring."""

    def __init__(self, database: Database) -> None:
        self._url = database.url.replace("postgresql+psycopg://", "postgresql://")
        self._name = database.pattern.replace("%d", "0_0")

    def texts(self) -> list[str]:
        """The records of clients, in their order."""
        with (
            contextlib.suppress(psycopg.errors.UndefinedTable),
            psycopg.connect(self._url) as connection,
        ):
            rows = connection.execute(
                f"select msg from {self._name} where msg like 'record %' order by id".encode()
            )
            return [text for (text,) in rows.fetchall()]
        return []

    def cut_connections(self) -> None:
        """End all other connections to the database, as a fail-over of it does."""
        with psycopg.connect(self._url) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )


def numbered(last: int) -> list[str]:
    """What the first records say."""
    return [f"record {number}" for number in range(1, last + 1)]


def test_a_store_that_lost_its_ring_begins_anew(
    engine: Engine, postgresql: Database, tmp_path: Path
) -> None:
    """One hangs, its standby goes on; when that dies, the first writes nothing again."""
    table = Table(postgresql)
    with (
        ingested(engine, tmp_path / "in") as log,
        store(engine, postgresql, tmp_path / "a") as first,
    ):
        assert log("record 1", sync=60)
        wait_for(lambda: table.texts() == numbered(1), "the first record")
        with store(engine, postgresql, tmp_path / "b") as second:
            second.wait_line("another daemon writes to it, this one waits until it is free")
            first.signal(signal.SIGSTOP)
            # While it hangs there is more than it has asked for, to be written when it goes on.
            assert log("record 2", sync=60)
            table.cut_connections()
            second.wait_line("partition 0 is read behind message 1")
            wait_for(lambda: table.texts() == numbered(2), "the second record")
            first.signal(signal.SIGCONT)
            assert log("record 3", sync=60)
            wait_for(lambda: len(table.texts()) >= 3, "the third record")
            first.wait_line("is unavailable, retrying")
            second.kill()
        first.wait_line("another daemon has written to .*; this daemon starts over with it")
        first.wait_line("partition 0 is read behind message 3")
        assert log("record 4", sync=60)
        wait_for(lambda: len(table.texts()) >= 4, "the fourth record")
        assert first.stop() == 0
    assert table.texts() == numbered(4)


def test_a_cut_connection_to_the_database_is_no_takeover(
    engine: Engine, postgresql: Database, tmp_path: Path
) -> None:
    """A store that gets its ring back untouched goes on with what it has in hand."""
    table = Table(postgresql)
    with (
        ingested(engine, tmp_path / "in") as log,
        store(engine, postgresql, tmp_path / "a") as only,
    ):
        for number in range(1, 301):
            log(f"record {number}")
            if number % 100 == 0:
                table.cut_connections()
                assert log.flush(60)
        wait_for(lambda: len(table.texts()) >= 300, "all records")
        assert "begins anew" not in only.output
        assert only.stop() == 0
    assert table.texts() == numbered(300)
