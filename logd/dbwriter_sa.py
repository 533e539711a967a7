"""Logging into database tables by SQLAlchemy, one after the other in a ring.

For local logs and servers that an app makes itself, on any database that SQLAlchemy knows. A record
is committed when the call returns. The daemon's own tables, which keep marks of what was written
and resume after a restart, are `logd.outputs.tables.output`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Connection, Table, func, select
from sqlalchemy.pool import StaticPool

from logd.outputs.tables.adoption import why_not_dropped
from logd.outputs.tables.columns import build_table
from logd.outputs.tables.dbconfig import ColumnConfig as ColumnConfig
from logd.outputs.tables.dbconfig import DBConfig as DBConfig
from logd.outputs.tables.dbconfig import _Coltypes as _Coltypes
from logd.outputs.tables.dbconfig import specs_of
from logd.outputs.tables.fit import fit_for
from logd.outputs.tables.itemtexts import json_text
from logd.outputs.tables.localengine import codec_of_engine, engine_of
from logd.rotation.writers import (
    RotateLogWriter,
    RotateWriterFactory,
    check_drop,
    numbered_names,
    rotation_schedule,
)
from logd.server import LogServer
from logd.textwriter import WriterClosed

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.records.job import MsgJob
    from logd_client import Log


class TableNotDropped(ValueError):
    """A writer with `drop=True` found a table that no log left there; it is as it was."""


def default_format_dict(job: MsgJob) -> dict[str, Any]:
    """Format the row fields for writing.

    Returns:
        Column name -> content. It has the default columns, and the items of the job's `special`
        under their own names, but never in the place of a default column. It also has the job's
        tid, tblen, time, peer, and special (as JSON text), unless an item has that name; they are
        written if you configure such columns. `path` begins after `cfn` and `cln`.
    """
    return {
        "tid": job.tid,
        "tblen": job.tblen,
        "time": job.time,
        "peer": job.peer,
        "special": json_text(job.special) if job.special else None,
        **job.special,
        "pid": job.pid,
        "threadname": job.threadname,
        "msgid": job.msgid,
        "ts": job.ts,
        "cat": job.cat,
        "msg": job.msg,
        "cfunc": job.cfunc,
        "cfn": job.cfn() or None,
        "cln": job.cln() or None,
        "path": job.pathStr(1),
    }


class DBLogWriter:
    """Writes rows to one table. Safe to share between threads.

    The table is made when the writer is; an existing one is dropped if the config says so.

    Args:
        config: the table.
        format_dict: takes a job, returns {column name: content}; None: `default_format_dict`.
            Names without a column are left out, columns without a content get their default.

    Attributes:
        config: as given.
        engine: the SQLAlchemy engine; may be used to read the table, also after `close`.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: no connection, or the table can't be made.
        TableNotDropped: a table of this name is there that no earlier log left, or that is part
            of a daemon's log.
    """

    def __init__(
        self,
        config: DBConfig,
        format_dict: Callable[[MsgJob], Mapping[str, Any]] | None = None,
    ) -> None:
        self.config = config
        self.engine = engine_of(config.engineStr)
        specs = specs_of(config.cols)
        self._table = build_table(config.tablename, specs)
        dialect = "mysql" if self.engine.dialect.name == "mariadb" else self.engine.dialect.name
        codec = codec_of_engine(self.engine)
        self._fits = {spec.name: fit_for(spec.kind, dialect, codec=codec) for spec in specs}
        self._user_format = format_dict
        self._lock = threading.Lock()
        self._is_closed = False
        self._line_count = 0
        try:
            self._make_table()
        except BaseException:
            self.engine.dispose()
            raise

    def _make_table(self) -> None:
        with self.engine.begin() as connection:
            if self.config.drop:
                self._drop_table(connection)
            self._table.create(connection, checkfirst=True)
            if not self.config.drop:
                count = select(func.count()).select_from(self._table)
                self._line_count = connection.execute(count).scalar_one()

    def _drop_table(self, connection: Connection) -> None:
        if self.engine.dialect.name == "sqlite":
            # Python's driver begins no transaction by itself here: if the new table can't be
            # made, the old one is to stay.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        name = self.config.tablename
        reason = why_not_dropped(connection, name, self._fits.keys())
        if reason is not None:
            raise TableNotDropped(
                f"{self.config}: table {name} is not dropped, as {reason}; choose another name, or "
                "drop it yourself"
            )
        self._table.drop(connection, checkfirst=True)

    def _format_dict(self, job: MsgJob) -> Mapping[str, Any]:
        """Return {column name: content} of a single row."""
        return default_format_dict(job) if self._user_format is None else self._user_format(job)

    def _row(self, job: MsgJob) -> dict[str, Any]:
        """The row of `job`: its columns only, each made to fit."""
        values = self._format_dict(job)
        return {name: fit(values[name]) for name, fit in self._fits.items() if name in values}

    def writeNow(self, job: MsgJob) -> None:
        """Write without buffering, return when committed.

        Raises:
            WriterClosed: after `close()`.
            sqlalchemy.exc.SQLAlchemyError: the database refused; nothing was written.
        """
        self._write([self._row(job)])

    def write_batch(self, batch: Batch) -> None:
        """Write records in one transaction: all, or none if it raises as `writeNow` does."""
        self._write([self._row(job) for job in batch.jobs()])

    def _write(self, rows: Sequence[dict[str, Any]]) -> None:
        insert = self._table.insert()
        with self._lock:
            if self._is_closed:
                raise WriterClosed(f"table {self.config.tablename}: the writer is closed")
            with self.engine.begin() as connection:
                # Rows of one statement must have values for the same columns.
                for _, group in groupby(rows, key=dict.keys):
                    connection.execute(insert, list(group))
            self._line_count += len(rows)

    def estimateLineCount(self) -> int:
        """Count of the rows: those found at the start (`drop=False`) and those written since."""
        return self._line_count

    def getTable(self) -> Table:
        """Return the SQLAlchemy table that is written to."""
        return self._table

    def close(self) -> None:
        """Close the connections; does nothing when closed."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                # A database in memory ends with its only connection, and its log with it.
                if not isinstance(self.engine.pool, StaticPool):
                    self.engine.dispose()

    @staticmethod
    def createColumns(colsConfig: Iterable[ColumnConfig]) -> list[Column[Any]]:
        """Make the columns of a log table.

        There is no primary key column unless the config has one; these are content columns only.

        Args:
            colsConfig: as `cols` of `DBConfig`, for example
                (("ipadress", DBConfig.String, {"default": "127.0.0.1"}),).

        Raises:
            ColumnConfigurationMismatch: a column is impossible; names it and the reason.
        """
        return [spec.column() for spec in specs_of(colsConfig)]


LOGWRITER_CLASS: Callable[..., Any] = DBLogWriter
"""Makes the writers of `createRotatingServer` and `createLocalLog` unless they are told another."""


def createRotatingServer(
    engineStr: str,
    rotateCount: int,
    rotateLineMin: int | None,
    tableNamePattern: str = "log_%s",
    tsFormat: str | None = None,
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    logwriterFactory: Callable[[DBConfig], Any] | None = None,
    drop: bool = True,
    cols: Iterable[ColumnConfig] | None = None,
    format_dict: Callable[[MsgJob], Mapping[str, Any]] | None = None,
    *,
    rotateAt: str | None = None,
    rotateUtc: bool = False,
) -> LogServer:
    """Make a server that writes into a ring of tables; whichever limit comes first rotates it.

    Args:
        engineStr: SQLAlchemy engine str.
        rotateCount: how many tables, at least 1.
        rotateLineMin: records of a table, exactly; None to switch rotation by lines off.
        tableNamePattern: table name with a placeholder for the number, e.g. "mylog%d".
        tsFormat: format of timestamps, see `LogServer`.
        filters: see `LogServer`.
        observers: see `LogServer`.
        logwriterFactory: makes a writer of a `DBConfig`; None: `LOGWRITER_CLASS` of this module
            at the time of the call does, with `format_dict`.
        drop: drop existing tables when they come into use, as `DBConfig` says; False appends, for
            one table only.
        cols: columns, see `DBConfig`.
        format_dict: takes a job, returns {column name: content}; not used with a logwriterFactory.
        rotateAt: times to rotate at: "hourly", "daily 00:00" or "weekly mon 03:00".
        rotateUtc: these are times of UTC; else of the local zone.

    Raises:
        AssertionError: `drop=False` with several tables.
        ColumnConfigurationMismatch: a column is impossible.
        TableNotDropped: see `DBLogWriter`.
        ValueError: a bad pattern, count or time; the text says which.
    """
    check_drop(drop, rotateCount)
    columns = None if cols is None else tuple(cols)
    configs = [
        DBConfig(engineStr, name, drop=drop, cols=columns)
        for name in numbered_names(tableNamePattern, rotateCount)
    ]
    if logwriterFactory is None:
        writer_class = LOGWRITER_CLASS

        def logwriterFactory(config: DBConfig) -> Any:
            return writer_class(config, format_dict=format_dict)

    writer = RotateLogWriter(
        RotateWriterFactory(configs, logwriterFactory).nextWriter,
        rotateLineMin,
        schedule=rotation_schedule(rotateAt, rotateUtc),
    )
    return LogServer(writer, filters=filters, observers=observers, tsFormat=tsFormat)


def createLocalLog(
    engineStr: str,
    rotateCount: int,
    rotateLineMin: int | None,
    traceOffset: int = 0,
    tableNamePattern: str = "log_%s",
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    tsFormat: str | None = "std1",
    stackMax: int = 5,
    drop: bool = True,
    catsEnable: Collection[str] | None = None,
    catsDisable: Collection[str] | None = None,
    seFilesExclude: Callable[[str], object] | None = None,
    name: str | None = None,
    cols: Iterable[ColumnConfig] | None = None,
    extractStack: bool = True,
    *,
    rotateAt: str | None = None,
    rotateUtc: bool = False,
) -> Log:
    """Make a log that writes into a ring of tables in this process, before each call returns.

    Args:
        engineStr: see `createRotatingServer`, as for all that is not listed here.
        rotateCount: see there.
        rotateLineMin: see there.
        traceOffset: see `logd_client.Log`.
        tableNamePattern: see `createRotatingServer`.
        filters: see there.
        observers: see there.
        tsFormat: see there.
        stackMax: how many stack lines are logged, see `logd_client.Log`.
        drop: see `createRotatingServer`.
        catsEnable: see `logd_client.Log`.
        catsDisable: see there.
        seFilesExclude: see there.
        name: shown by the log's `repr`.
        cols: see `createRotatingServer`.
        extractStack: see `logd_client.Log`.
        rotateAt: see `createRotatingServer`.
        rotateUtc: see there.

    Returns:
        A `logd_client.Log`, ready to use.

    Raises:
        AssertionError, ColumnConfigurationMismatch, ValueError: as `createRotatingServer`.
    """
    from logd_client import Log

    server = createRotatingServer(
        engineStr,
        rotateCount,
        rotateLineMin,
        tableNamePattern=tableNamePattern,
        tsFormat=tsFormat,
        filters=filters,
        observers=observers,
        drop=drop,
        cols=cols,
        rotateAt=rotateAt,
        rotateUtc=rotateUtc,
    )
    return Log(
        server,
        traceOffset=traceOffset,
        stackMax=stackMax,
        catsEnable=catsEnable,
        catsDisable=catsDisable,
        seFilesExclude=seFilesExclude,
        name=name,
        extractStack=extractStack,
    )
