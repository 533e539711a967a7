"""Logging to stdout, for people who watch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from logd.records.batch import Batch
from logd.server import LogServer
from logd.text.escaping import ItemTexts
from logd.textwriter import TextlineLogWriter, WriterClosed

if TYPE_CHECKING:
    from logd.records.job import MsgJob
    from logd_client import Log


def print_(text: str) -> None:
    """Write text to the stdout of the moment, and flush it; put another function in its place."""
    stdout = sys.stdout
    if stdout is None:  # a program without a console
        return
    try:
        stdout.write(text)
    except UnicodeEncodeError:
        encoding = stdout.encoding or "ascii"
        stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stdout.flush()


class PrintLogWriter(TextlineLogWriter):
    """Writes entries by this module's `print_`, whichever function that is at the time.

    A line is `{ts} {msgid} {cat} {message} :::{function} |{file}({line})<-{further path}
    {special}`, without what a record does not have. One thread at a time may use it.

    Args:
        writeMsgid: whether lines show message ids.
        format_line: the layout instead, see `TextlineLogWriter`.
    """

    def __init__(
        self, writeMsgid: bool = False, format_line: Callable[..., Any] | None = None
    ) -> None:
        self._write_msgid = writeMsgid
        self._item_texts = ItemTexts()
        self._is_closed = False
        super().__init__(format_line)

    def writeNow(self, job: MsgJob) -> None:
        """Print one record; returns when it is written.

        Raises:
            WriterClosed: after `close()`.
        """
        self.write_batch(Batch.from_jobs([job]))

    def write_batch(self, batch: Batch) -> None:
        """Print records, all by one call of `print_`."""
        if self._is_closed:
            raise WriterClosed("the writer to stdout is closed")
        print_("\n".join(self.line_format.format_batch(batch)) + "\n")
        self._line_count += len(batch)

    def close(self) -> None:
        """Take no more records; stdout stays open."""
        self._is_closed = True

    def _format_line(self, job: MsgJob) -> str:
        """The default layout: a single entry, further lines of a message after its first."""
        first, line_end, further = job.msg.partition("\n")
        fields = (
            job.ts,
            str(job.msgid) if self._write_msgid else "",
            job.cat,
            first,
            self._where(job),
            self._item_texts.text(job.special),
        )
        return " ".join(filter(None, fields)) + line_end + further

    def _where(self, job: MsgJob) -> str:
        return f":::{job.cfunc} |{job.pathStr()}" if job.path else ""


LOGWRITER_CLASS: Callable[..., Any] = PrintLogWriter
"""Makes the writers of `createServer` and `createLocalLog` unless they are given one."""


def createServer(
    writer: Any = None,
    tsFormat: str | None = None,
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    writeMsgid: bool = False,
    format_line: Callable[..., Any] | None = None,
) -> LogServer:
    """Make a server that writes to stdout.

    Args:
        writer: the writer; None: `LOGWRITER_CLASS` of this module at the time of the call makes
            one, with `writeMsgid` and `format_line`.
        tsFormat: format of timestamps, see `LogServer`; None shows none.
        filters: see `LogServer`.
        observers: see `LogServer`.
        writeMsgid: whether lines show message ids.
        format_line: the layout, see `TextlineLogWriter`.
    """
    if writer is None:
        writer = LOGWRITER_CLASS(writeMsgid=writeMsgid, format_line=format_line)
    return LogServer(writer, filters=filters, observers=observers, tsFormat=tsFormat)


def createLocalLog(
    writer: Any = None,
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    traceOffset: int = 0,
    tsFormat: str | None = None,
    writeMsgid: bool = False,
    stackMax: int = 1,
    catsEnable: Collection[str] | None = None,
    catsDisable: Collection[str] | None = None,
    seFilesExclude: Callable[[str], object] | None = None,
    format_line: Callable[..., Any] | None = None,
    name: str | None = None,
    extractStack: bool = True,
) -> Log:
    """Make a log that writes to stdout in this process, before each call returns.

    The document gives 1 as the default of `stackMax` in the signature and 5 in the text below it;
    the signature holds.

    Args:
        writer: see `createServer`, as for all that is not listed here.
        filters: see there.
        observers: see there.
        traceOffset: see `logd_client.Log`.
        tsFormat: see `createServer`.
        writeMsgid: see there.
        stackMax: how many stack lines are logged, see `logd_client.Log`.
        catsEnable: see there.
        catsDisable: see there.
        seFilesExclude: see there.
        format_line: see `createServer`.
        name: shown by the log's `repr`.
        extractStack: see `logd_client.Log`.

    Returns:
        A `logd_client.Log`, ready to use.
    """
    from logd_client import Log

    server = createServer(
        writer,
        tsFormat=tsFormat,
        filters=filters,
        observers=observers,
        writeMsgid=writeMsgid,
        format_line=format_line,
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
