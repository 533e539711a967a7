"""Logging into text files, one after the other in a ring.

For local logs and servers that an app makes itself. A record is in the file when the call returns;
whether it survives the death of the machine is for the daemon's outputs (`logd.outputs`) to see to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from logd.appending import AppendedFile
from logd.records.batch import Batch
from logd.rotation.writers import (
    RotateLogWriter,
    RotateWriterFactory,
    check_drop,
    numbered_names,
    rotation_schedule,
)
from logd.server import LogServer
from logd.textwriter import TextlineLogWriter, WriterClosed, encode_lines

if TYPE_CHECKING:
    from logd.records.job import MsgJob
    from logd_client import Log


def open_(path: str, mode: str) -> Any:
    """Open a log file; put another function in its place to write elsewhere.

    Args:
        path: its name.
        mode: "w" clears the file, "a" appends to it.

    Returns:
        What `FileLogWriter._createFile` may return.
    """
    return AppendedFile(path, is_cleared=mode == "w")


class FileClosedEvent:
    """The specified log file was closed.

    Attributes:
        filePath: its full name.
        lineCount: how many entries it has.
    """

    def __init__(self, filePath: str, lineCount: int) -> None:
        self.filePath = filePath
        self.lineCount = lineCount

    def __repr__(self) -> str:
        return f"FileClosedEvent({self.filePath!r}, {self.lineCount})"


class FileConfig:
    """Describes a single log file; rotation needs one for each file.

    Args:
        filepath: full name of the file.
        drop: True: a new writer clears the file. False: it appends to it, which makes no sense
            with rotation.
        lazy: True: the file is opened with the first record. False: at once.
    """

    def __init__(
        self, filepath: str | os.PathLike[str], drop: bool = True, lazy: bool = True
    ) -> None:
        self.filepath = os.fspath(filepath)
        self.drop = drop
        self.lazy = lazy

    def __repr__(self) -> str:
        return f"FileConfig({self.filepath!r}, drop={self.drop}, lazy={self.lazy})"


class FileLogWriter(TextlineLogWriter):
    """Writes entries to one file, in UTF-8, unbuffered. One thread at a time may use it.

    Args:
        config: the file.
        format_line: the layout, see `TextlineLogWriter`.
        fileClosed: called with a `FileClosedEvent` by `close`, if the file was opened.

    Raises:
        OSError: not lazy, and the file can't be opened; a symbolic link never is.
    """

    def __init__(
        self,
        config: FileConfig,
        format_line: Callable[..., Any] | None = None,
        fileClosed: Callable[[FileClosedEvent], Any] | None = None,
    ) -> None:
        super().__init__(format_line)
        self.config = config
        # Programs that subclass this class read the file by this name.
        self._config = config
        self._file_closed = fileClosed
        self._file: Any = None
        self._size = 0
        self._older_lines = 0
        self._is_closed = False
        if not config.lazy:
            self._opened()

    def writeNow(self, job: MsgJob) -> None:
        """Append one record; the file holds it when this returns.

        Raises:
            WriterClosed: after `close()`.
            OSError: the disk refused; no part of the record remains and it may be given again.
        """
        self.write_batch(Batch.from_jobs([job]))

    def write_batch(self, batch: Batch) -> None:
        """Append records with one write: all of them, or none if it raises as `writeNow` does.

        To a file that a subclass or another `open_` made, they are written one by one.
        """
        file = self._opened()
        if isinstance(file, AppendedFile):
            file.append(self.line_format.encode_batch(batch))
            self._line_count += len(batch)
        else:
            self._write_each(file, self.line_format.format_batch(batch))

    def write_part(self, batch: Batch, max_size: int) -> int:
        """Append as many records as fit into a file of `max_size` bytes.

        Returns:
            How many: 0 if not even one fits behind what this writer wrote; its first record
            always fits.
        """
        file = self._opened()
        if isinstance(file, AppendedFile):
            self._size = file.size
        entries = self.line_format.format_batch(batch)
        data = encode_lines(entries)
        count = len(entries)
        if self._size + len(data) > max_size:
            count = self._fitting(entries, max_size)
            data = encode_lines(entries[:count])
        if not isinstance(file, AppendedFile):
            self._write_each(file, entries[:count])
        elif count:
            file.append(data)
            self._line_count += count
        return count

    def _fitting(self, entries: Sequence[str], max_size: int) -> int:
        size = self._size
        for count, entry in enumerate(entries):
            size += len(encode_lines([entry]))
            if size > max_size:
                return count if count or self._line_count else 1
        return len(entries)

    def close(self) -> None:
        """Close the file and report it to `fileClosed`; does nothing when closed.

        Raises:
            Exception: whatever `fileClosed` raises; the file is closed all the same.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._file_closed is not None:
            lines = self._older_lines + self._line_count
            self._file_closed(FileClosedEvent(self.config.filepath, lines))

    def _opened(self) -> Any:
        if self._is_closed:
            raise WriterClosed(f"{self.config.filepath}: the writer is closed")
        if self._file is None:
            made = self._createFile()
            # A subclass may return its file, or put it into `_file` itself.
            self._file = self._file if made is None else made
        return self._file

    def _createFile(self) -> Any:
        """Open the file; a subclass may return another, with `write`, `flush` and `close`.

        Each entry is one `write` of a str to it, with its line end; a `flush` follows.
        """
        file = open_(self.config.filepath, "w" if self.config.drop else "a")
        if isinstance(file, AppendedFile) and file.size and self._file_closed is not None:
            self._older_lines = file.count_entries()
        return file

    def _write_each(self, file: Any, entries: Sequence[str]) -> None:
        """Write entries to a file that is not this module's, one at a time, and count them."""
        for entry in entries:
            file.write(entry + "\n")
            file.flush()
            self._size += len(encode_lines([entry]))
            self._line_count += 1


LOGWRITER_CLASS: Callable[..., Any] = FileLogWriter
"""Makes the writers of `createRotatingServer` and `createLocalLog` unless they are told another."""


def createRotatingServer(
    filePathPattern: str,
    rotateCount: int,
    rotateLineMin: int | None,
    tsFormat: str | None = "std1",
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    logwriterFactory: Callable[[FileConfig], Any] | None = None,
    drop: bool = True,
    format_line: Callable[..., Any] | None = None,
    fileClosed: Callable[[FileClosedEvent], Any] | None = None,
    *,
    rotateSize: int | None = None,
    rotateAt: str | None = None,
    rotateUtc: bool = False,
) -> LogServer:
    """Make a server that writes into a ring of files; whichever limit comes first rotates it.

    Args:
        filePathPattern: full file name with a placeholder for the number, e.g. "./mylog%d.txt".
        rotateCount: how many files, at least 1.
        rotateLineMin: records of a file, exactly; None to switch rotation by lines off.
        tsFormat: format of timestamps, see `LogServer`.
        filters: see `LogServer`.
        observers: see `LogServer`.
        logwriterFactory: makes a writer of a `FileConfig`; None: `LOGWRITER_CLASS` of this module
            at the time of the call does, with `format_line` and `fileClosed`.
        drop: clear existing files when they come into use; False appends, for one file only.
        format_line: the layout, see `TextlineLogWriter`.
        fileClosed: called with a `FileClosedEvent` when a file is full.
        rotateSize: largest size of a file in bytes; only a single record may exceed it.
        rotateAt: times to rotate at: "hourly", "daily 00:00" or "weekly mon 03:00".
        rotateUtc: these are times of UTC; else of the local zone.

    Raises:
        AssertionError: `drop=False` with several files.
        ValueError: a bad pattern, count or time; the text says which.
    """
    check_drop(drop, rotateCount)
    configs = [FileConfig(name, drop=drop) for name in numbered_names(filePathPattern, rotateCount)]
    if logwriterFactory is None:
        writer_class = LOGWRITER_CLASS

        def logwriterFactory(config: FileConfig) -> Any:
            return writer_class(config, format_line=format_line, fileClosed=fileClosed)

    writer = RotateLogWriter(
        RotateWriterFactory(configs, logwriterFactory).nextWriter,
        rotateLineMin,
        size=rotateSize,
        schedule=rotation_schedule(rotateAt, rotateUtc),
    )
    return LogServer(writer, filters=filters, observers=observers, tsFormat=tsFormat)


def createLocalLog(
    filePathPattern: str,
    rotateCount: int,
    rotateLineMin: int | None,
    filters: Iterable[Callable[..., Any]] | None = None,
    observers: Iterable[Callable[..., Any]] | None = None,
    traceOffset: int = 0,
    tsFormat: str | None = "std1",
    stackMax: int = 5,
    drop: bool = True,
    catsEnable: Collection[str] | None = None,
    catsDisable: Collection[str] | None = None,
    seFilesExclude: Callable[[str], object] | None = None,
    format_line: Callable[..., Any] | None = None,
    name: str | None = None,
    extractStack: bool = True,
    fileClosed: Callable[[FileClosedEvent], Any] | None = None,
    *,
    rotateSize: int | None = None,
    rotateAt: str | None = None,
    rotateUtc: bool = False,
) -> Log:
    """Make a log that writes into a ring of files in this process, before each call returns.

    Args:
        filePathPattern: see `createRotatingServer`, as for all that is not listed here.
        rotateCount: see there.
        rotateLineMin: see there.
        filters: see there.
        observers: see there.
        traceOffset: see `logd_client.Log`.
        tsFormat: see `createRotatingServer`.
        stackMax: how many stack lines are logged, see `logd_client.Log`.
        drop: see `createRotatingServer`.
        catsEnable: see `logd_client.Log`.
        catsDisable: see there.
        seFilesExclude: see there.
        format_line: see `createRotatingServer`.
        name: shown by the log's `repr`.
        extractStack: see `logd_client.Log`.
        fileClosed: see `createRotatingServer`.
        rotateSize: see there.
        rotateAt: see there.
        rotateUtc: see there.

    Returns:
        A `logd_client.Log`, ready to use.

    Raises:
        AssertionError, ValueError: as `createRotatingServer`.
    """
    from logd_client import Log

    server = createRotatingServer(
        filePathPattern,
        rotateCount,
        rotateLineMin,
        tsFormat=tsFormat,
        filters=filters,
        observers=observers,
        drop=drop,
        format_line=format_line,
        fileClosed=fileClosed,
        rotateSize=rotateSize,
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
