"""Servers and local logs that write into a ring of database tables."""

from __future__ import annotations

import pytest

from logd import dbwriter_sa
from logd.dbwriter_sa import (
    DBConfig,
    DBLogWriter,
    createRotatingServer,
)
from tests.dbwriters import Writers, make_job


def test_a_server_rotates_exactly_and_drops_the_oldest(writers: Writers) -> None:
    """Tables hold exactly rotateLineMin rows; the ring comes round to the first."""
    server = writers.server(2, 3)
    for number in range(1, 9):
        server.logJob(make_job(number))
    assert writers.messages(0) == ["message 7", "message 8"]
    assert writers.messages(1) == ["message 4", "message 5", "message 6"]
    names = [writer.getTable().name for writer in server.writer.writers]
    assert names == [writers.database.pattern % 1, writers.database.pattern % 0]


def test_without_line_min_nothing_rotates(sqlite_writers: Writers) -> None:
    """rotateLineMin=None switches rotation off."""
    server = sqlite_writers.server(2, None)
    for number in range(1, 30):
        server.logJob(make_job(number))
    assert len(sqlite_writers.messages(0)) == 29


def test_drop_false_is_for_one_table_only(sqlite_writers: Writers) -> None:
    """drop=False with several tables is an AssertionError; with one it appends."""
    with pytest.raises(AssertionError):
        sqlite_writers.server(2, 3, drop=False)
    for number in (1, 2):
        sqlite_writers.server(1, None, drop=False).logJob(make_job(number))
    assert sqlite_writers.messages() == ["message 1", "message 2"]


def test_table_name_pattern_defaults_to_the_documented(sqlite_writers: Writers) -> None:
    """The default pattern is log_%s."""
    server = createRotatingServer(sqlite_writers.database.url, 2, 1)
    server.logJob(make_job(1))
    server.logJob(make_job(2))
    names = [writer.getTable().name for writer in server.writer.writers]
    server.writer.close()
    assert names == ["log_0", "log_1"]


def test_logwriter_class_is_looked_up_at_the_call(
    sqlite_writers: Writers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a logwriterFactory the module variable LOGWRITER_CLASS makes the writers."""

    class Own(DBLogWriter):
        pass

    monkeypatch.setattr(dbwriter_sa, "LOGWRITER_CLASS", Own)
    server = sqlite_writers.server(2, 3, format_dict=lambda job: {"msg": "own"})
    server.logJob(make_job())
    assert type(server.writer.writers[-1]) is Own
    assert sqlite_writers.messages() == ["own"]


def test_a_logwriter_factory_gets_a_config(sqlite_writers: Writers) -> None:
    """A logwriterFactory makes one writer per table; format_dict is then ignored."""
    configs: list[DBConfig] = []

    def factory(config: DBConfig) -> DBLogWriter:
        configs.append(config)
        return DBLogWriter(config)

    server = sqlite_writers.server(
        2, 1, logwriterFactory=factory, format_dict=lambda job: {"msg": "ignored"}
    )
    server.logJob(make_job(1))
    server.logJob(make_job(2))
    assert [config.tablename for config in configs] == [
        sqlite_writers.database.pattern % number for number in (0, 1)
    ]
    assert sqlite_writers.messages(0) == ["message 1"]


def test_rotation_by_time(sqlite_writers: Writers) -> None:
    """`rotateAt` takes the schedules of the daemon, and names what it does not understand."""
    server = sqlite_writers.server(2, None, rotateAt="daily 00:00", rotateUtc=True)
    server.logJob(make_job(1))
    server.writer._clock = lambda: 1e11
    server.logJob(make_job(2))
    assert (sqlite_writers.messages(0), sqlite_writers.messages(1)) == (
        ["message 1"],
        ["message 2"],
    )
    with pytest.raises(ValueError, match="fortnightly"):
        sqlite_writers.server(2, None, rotateAt="fortnightly")


def test_a_local_log_writes_before_the_call_returns(writers: Writers) -> None:
    """createLocalLog: rows with message, category, call path and own columns, synchronously."""
    cols = (*DBConfig.COLS_DEFAULT, ("user", DBConfig.String(20)))
    log = writers.local_log(2, 2, cols=cols, stackMax=1)
    for number in range(1, 4):
        log(f"message {number}", "W", special={"user": "ann"})
    (row,) = writers.database.rows(writers.database.pattern % 1)
    assert (row["msg"], row["cat"], row["user"]) == ("message 3", "W", "ann")
    assert (row["cfn"], row["path"]) == ("test_dbwriter_rings", "")
    assert row["ts"][5] == "."
    assert writers.messages(0) == ["message 1", "message 2"]
    assert writers.observed == ["message 1", "message 2", "message 3"]
