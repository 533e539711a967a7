"""The documented writer to a database table, against real databases."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table, event, select

from logd.dbwriter_sa import (
    DBConfig,
    DBLogWriter,
    TableNotDropped,
    default_format_dict,
)
from logd.records.batch import Batch
from logd.records.job import MsgJob
from logd.textwriter import WriterClosed
from tests.daemon_process import running
from tests.dbwriters import Writers, make_job
from tests.hostile.attack import Peer, plain


def test_a_job_becomes_a_row_of_the_default_columns(writers: Writers) -> None:
    """Each default column holds its field; file names are short, path begins after cfn and cln."""
    writer = writers.writer()
    writer.writeNow(make_job())
    assert writers.database.rows(writer.getTable().name) == [
        {
            "pid": 4711,
            "threadname": "MainThread",
            "msgid": 1,
            "ts": "11:10.00;123",
            "cat": "E",
            "msg": "message 1",
            "cfunc": "pay",
            "cfn": "views.py",
            "cln": 42,
            "path": "urls.py(10)",
        }
    ]


def test_a_batch_is_one_transaction(writers: Writers) -> None:
    """All records of a batch are committed together, or none."""
    cols = (*DBConfig.COLS_DEFAULT, ("order", Integer, {"unique": True}))
    writer = writers.writer(cols=cols)
    commits: list[Any] = []
    event.listen(writer.engine, "commit", commits.append)
    jobs = [make_job(number, special={"order": number}) for number in range(100)]
    writer.write_batch(Batch.from_jobs(jobs))
    assert len(commits) == 1
    assert len(writers.messages()) == writer.estimateLineCount() == 100
    jobs = [make_job(number, special={"order": number}) for number in (100, 5)]
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        writer.write_batch(Batch.from_jobs(jobs))
    assert len(writers.messages()) == writer.estimateLineCount() == 100


def test_values_are_made_to_fit_their_columns(writers: Writers) -> None:
    """Too long texts end with an ellipsis; NULs and lone surrogates become visible escapes."""
    writer = writers.writer()
    writer.writeNow(make_job(2**40, msg="é" * 600, cat="EW", threadname="a\x00b\udc80", cfunc=""))
    (row,) = writers.database.rows(writer.getTable().name)
    assert row["msg"] == "é" * 511 + "…"
    assert (row["cat"], row["threadname"], row["cfunc"]) == ("…", "a\\x00b\\udc80", "")
    assert row["msgid"] == (2**40 if writers.database.kind == "sqlite" else None)


def test_drop_true_starts_with_an_empty_table(writers: Writers) -> None:
    """drop=True, the default, deletes an existing table."""
    writers.writer().writeNow(make_job(1))
    writer = writers.writer()
    assert (writers.messages(), writer.estimateLineCount()) == ([], 0)


def test_drop_true_spares_what_no_log_left(writers: Writers) -> None:
    """A table of other columns than a log's, or of a daemon, is not dropped: an error names it."""
    name = writers.database.pattern % 0
    engine = writers.writer().engine
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.exec_driver_sql(f"CREATE TABLE {name} (customer INTEGER, pid INTEGER)")
        connection.exec_driver_sql(f"INSERT INTO {name} VALUES (7, 1)")
    with pytest.raises(TableNotDropped, match=f"{name}.*no log table.*customer, pid"):
        writers.writer()
    assert writers.database.rows(name) == [{"customer": 7, "pid": 1}]
    # An earlier log may have had fewer columns, or more.
    own = (("customer", DBConfig.Integer), ("pid", DBConfig.Integer))
    writers.writer(cols=(*own, ("text", DBConfig.String(9))))
    writers.writer(cols=own)
    assert writers.database.rows(name) == []


def test_drop_true_spares_tables_of_a_daemon(writers: Writers, tmp_path: Path) -> None:
    """What a daemon's catalogue names is its own, though it has a log's columns."""
    name = writers.database.pattern % 0
    pattern = writers.database.pattern
    options = ("--db", writers.database.url, "--table-pattern", pattern)
    with running(*options, folder=tmp_path) as daemon:
        with Peer(daemon.port) as peer:
            peer.send(plain("the daemon's")).end()
        assert daemon.stop() == 0
    with pytest.raises(TableNotDropped, match=f"{name}.*belongs to the log of a daemon"):
        writers.writer()
    assert writers.messages() == ["the daemon's"]


def test_drop_false_extends_an_existing_table(writers: Writers) -> None:
    """drop=False keeps what is in the table, counts it, and makes the table where it is missing."""
    writers.writer(drop=False).writeNow(make_job(1))
    writer = writers.writer(drop=False)
    assert writer.estimateLineCount() == 1
    writer.writeNow(make_job(2))
    assert writers.messages() == ["message 1", "message 2"]
    assert writer.estimateLineCount() == 2


def test_own_columns_are_filled_from_special(writers: Writers) -> None:
    """A column's name can be used as item of a log call; kwargs of a 3-tuple go to `Column`."""
    cols = (
        *DBConfig.COLS_DEFAULT,
        ("mycolumn", DBConfig.Integer),
        ("ipadress", DBConfig.String, {"default": "127.0.0.1"}),
        ("special", DBConfig.String(100)),
        ("tid", DBConfig.Integer),
    )
    writer = writers.writer(cols=cols)
    jobs = [
        make_job(1, special={"mycolumn": 5, "other": "x", "msg": "not me"}),
        make_job(2, special={"ipadress": "10.0.0.1"}),
    ]
    writer.writeNow(jobs[0])
    writer.write_batch(Batch.from_jobs([jobs[1]]))
    rows = writers.database.rows(writer.getTable().name, "msgid")
    assert [(row["mycolumn"], row["ipadress"], row["msg"]) for row in rows] == [
        (5, "127.0.0.1", "message 1"),
        (None, "10.0.0.1", "message 2"),
    ]
    assert json.loads(rows[0]["special"])["other"] == "x"
    assert rows[0]["tid"] == 17


def test_own_primary_key(writers: Writers) -> None:
    """An own column can be the primary key; the database numbers it unless the app does."""
    cols = (*DBConfig.COLS_DEFAULT, ("mycolumn", DBConfig.Integer, {"primary_key": True}))
    writer = writers.writer(cols=cols)
    assert [column.name for column in writer.getTable().primary_key] == ["mycolumn"]
    writer.writeNow(make_job(1))
    writer.writeNow(make_job(2, special={"mycolumn": 50}))
    rows = writers.database.rows(writer.getTable().name, "msgid")
    assert [row["mycolumn"] for row in rows] == [1, 50]


def test_columns_may_be_fewer(writers: Writers) -> None:
    """`cols` are all columns: what is not among them is not written."""
    writer = writers.writer(cols=[("msgid", Integer), ("msg", DBConfig.String(20))])
    writer.writeNow(make_job())
    rows = writers.database.rows(writer.getTable().name)
    assert rows == [{"msgid": 1, "msg": "message 1"}]


def test_create_columns_makes_content_columns_only() -> None:
    """`createColumns` returns SQLAlchemy columns, without a primary key of its own."""
    columns = DBLogWriter.createColumns((*DBConfig.COLS_DEFAULT, ("user", DBConfig.String)))
    assert {type(column) for column in columns} == {Column}
    assert not any(column.primary_key for column in columns)
    assert [column.name for column in columns][-2:] == ["path", "user"]


def test_format_dict_decides_the_content(writers: Writers) -> None:
    """format_dict takes a job and returns {column name: content}; names without column go."""

    def shout(job: MsgJob) -> dict[str, Any]:
        return {**default_format_dict(job), "msg": job.msg.upper(), "no_column": 1}

    writer = writers.writer(format_dict=shout)
    writer.writeNow(make_job())
    assert writers.messages() == ["MESSAGE 1"]


def test_a_subclass_may_format_by_its_own_method(sqlite_writers: Writers) -> None:
    """`_format_dict` is the default formatting method, and can be overridden."""

    class Loud(DBLogWriter):
        def _format_dict(self, job: MsgJob) -> dict[str, Any]:
            return {"msgid": job.msgid, "msg": job.msg + "!"}

    config = DBConfig(sqlite_writers.database.url, sqlite_writers.database.pattern % 0)
    writer = Loud(config)
    writer.writeNow(make_job())
    writer.close()
    assert sqlite_writers.messages() == ["message 1!"]


def test_a_closed_writer_takes_no_more(sqlite_writers: Writers) -> None:
    """After close() a record is refused, and closing again does nothing."""
    writer = sqlite_writers.writer()
    writer.close()
    writer.close()
    with pytest.raises(WriterClosed):
        writer.writeNow(make_job())


def test_get_table_is_a_table_to_query(sqlite_writers: Writers) -> None:
    """`getTable` returns the SQLAlchemy table, which the writer's engine can read."""
    writer = sqlite_writers.writer()
    writer.writeNow(make_job())
    table = writer.getTable()
    assert isinstance(table, Table)
    with writer.engine.connect() as connection:
        assert connection.execute(select(table.c.msg)).scalar_one() == "message 1"


def test_threads_share_a_writer(writers: Writers) -> None:
    """Records of several threads all get in, also where the database lives in memory."""
    writer = writers.writer()

    def write(start: int) -> None:
        for number in range(start, start + 20):
            writer.writeNow(make_job(number))

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert writer.estimateLineCount() == len(writers.messages()) == 80


def test_a_database_in_memory_serves_all_threads() -> None:
    """A log into sqlite:// can be written to by a thread that did not make it."""
    writer = DBLogWriter(DBConfig("sqlite://", "log_0"))
    thread = threading.Thread(target=writer.writeNow, args=(make_job(),))
    thread.start()
    thread.join(60)
    with writer.engine.connect() as connection:
        assert connection.execute(select(writer.getTable().c.msg)).scalars().all() == ["message 1"]
    writer.close()
    writer.engine.dispose()
