r"""Records on disk before the log call returns, until the server has stored them.

So that not even the last one is lost when the app is killed. The files are in the folder of the
session (`spool.py`), and are named by a number, `1.rows`: 12 bytes "logd rows 1\n" and 4 random
ones, the salt, then frames, big-endian:

    length of what follows the checksum, 4 bytes; its CRC-32, begun with the salt, 4 bytes;
    sequence number, 8; message id, 8; time, double; length of the context, 4; of the message, 4;
    the context, JSON of its seven fields; the message, UTF-8; the items, JSON, or nothing.

Writing is a copy into a mapped file, see `journalfile.py`. A file whose rows are all stored is used
again with another salt, so that what is left in it from its earlier life is no row any more,
whatever it looks like. Of files that wait for a server that is away only the last few stay mapped.

Each row has its sequence number: a reader passes over those that are stored already.

Signal handlers and finalizers may log in the midst of a log call. So everything that writing
changes is one tuple, replaced at once. At worst a call that was interrupted writes the bytes that
stand there once more, at the same place.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import struct
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from logd_client.journalfile import JournalFile
from logd_client.natives import monotonic
from logd_client.records import AnyRow, Items
from logd_client.rows import NumberedRows, fitted
from logd_client.sizes import MAX_FRAME_BYTES
from logd_client.spoolreader import ROW_FIELDS, ROW_HEADER, ROWS_BEGIN

__all__ = ["ROWS_SUFFIX", "RowJournal"]

ROWS_SUFFIX = ".rows"

_MAX_FILE_BYTES = 1 << 20
_MIN_FILE_BYTES = 16 << 10
_FILES_OF_BOUND = 16
"""A file has at most this part of the bound of all, within the limits above."""

_GROWTH = 4
_QUICK_S = 1.0
"""A file that was full in less time is followed by a larger one, for an app that logs much."""

_MAX_SMALL = 4
"""If more files wait for the server, the next is larger, too: it is away for long."""

_MAX_FREE = 3
"""Files kept for further use: as many as fill until the server has stored them, in a busy app."""

_MAX_MAPPED = 8
"""Full files that stay mapped, to be used again."""

_RETRY_S = 1.0
_MAX_ITEMS = 1024

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class RowJournal:
    """Writes rows for one session. Its caller's lock admits one thread at a time.

    When the disk refuses, it is reported, and rows are not written until it works again.

    Args:
        open_folder: returns the folder of the session, made if it is not there yet.
        max_bytes: with that much in use `is_full` becomes true.
        report: takes the error of a disk that refuses.
        new_folder: returns the folder to move to if the session's is not its own any more.

    Attributes:
        is_full: True while no rows should come. Not counted are the file that is written and
            those kept for further use, a quarter of `max_bytes` together.
    """

    def __init__(
        self,
        open_folder: Callable[[], Path],
        max_bytes: int,
        report: Callable[[BaseException], None],
        new_folder: Callable[[], Path | None] = lambda: None,
    ) -> None:
        self._open_folder = open_folder
        self._max_bytes = max_bytes
        self._report = report
        self._new_folder = new_folder
        self._largest_bytes = min(
            max(max_bytes // _FILES_OF_BOUND, _MIN_FILE_BYTES), _MAX_FILE_BYTES
        )
        self._file_bytes = _MIN_FILE_BYTES
        self._begun_at = 0.0
        self._released = 0
        self._numbers = itertools.count(1)
        self._in_use: deque[JournalFile] = deque()
        self._free: list[JournalFile] = []
        # Sequence number of the next row, and where it will stand.
        self._at: tuple[int, int, JournalFile | None] = (1, 0, None)
        self._item_texts: dict[Items, bytes] = {}
        self._last_read: tuple[JournalFile | None, int, dict[int, AnyRow]] = (None, 0, {})
        self._retry_at = 0.0
        self._is_making = False
        self._is_closed = False
        self.is_full = False

    def write(self, rows: NumberedRows) -> None:
        """Write all of `rows` that is not written yet. Never raises for what the disk does."""
        while True:
            sequence, start, file = self._at
            first = rows.first
            if sequence < first:  # some were not written: these go into another file
                sequence, file = first, None
            if sequence - first >= len(rows):
                return
            if file is None:
                frame = b""
            else:
                frame = self._frame(sequence, rows[sequence - first], file.salt)
                stop = start + len(frame)
                if stop <= file.size:
                    try:
                        file.map[start:stop] = frame
                        self._at = (sequence + 1, stop, file)
                    except ValueError:  # closed: as a rule, a handler has gone on meanwhile
                        if self._at[2] is file:
                            self._at = (sequence, 0, None)
                    continue
            if self._is_making:
                # A handler interrupted this thread there: it goes on with these rows, too.
                return
            found = self._next_file(sequence, len(frame))
            self._at = (
                (first + len(rows), 0, None) if found is None else (sequence, ROWS_BEGIN, found)
            )
            self._look_at_bound()

    def _frame(self, sequence: int, row: AnyRow, salt: int) -> bytes:
        try:
            frame = self._plain_frame(sequence, row, salt)
            if len(frame) <= MAX_FRAME_BYTES:
                return frame
        except (ValueError, TypeError, OverflowError, AttributeError, struct.error):
            pass
        return self._plain_frame(sequence, fitted(row), salt)

    def _plain_frame(self, sequence: int, row: AnyRow, salt: int) -> bytes:
        context, msgid, when, msg, items = row
        try:
            place = context.json
        except AttributeError:
            place = context.json = _to_json(context.fields).encode()
        text = msg.encode("utf-8", "surrogatepass")
        body = ROW_FIELDS.pack(sequence, msgid, when, len(place), len(text)) + place + text
        if items:
            body += self._items(items)
        return ROW_HEADER.pack(len(body), zlib.crc32(body, salt)) + body

    def _items(self, items: Items) -> bytes:
        # The name of a logger, as a rule. Only text: 1 and True are equal as keys of a dict.
        if len(items) != 2 or type(items[1]) is not str:
            return _to_json(items).encode()
        text = self._item_texts.get(items)
        if text is None:
            text = _to_json(items).encode()
            if len(self._item_texts) >= _MAX_ITEMS:
                self._item_texts.clear()
            self._item_texts[items] = text
        return text

    def _next_file(self, first: int, frame_bytes: int) -> JournalFile | None:
        """An empty file for that row, a frame of that length; None if the disk refuses."""
        written, _, full = self._at
        if full is not None:
            full.last = written - 1
        self._file_bytes = self._next_bytes()
        self._begun_at = monotonic()
        size = max(self._file_bytes, ROWS_BEGIN + frame_bytes)
        while self._free and self._free[-1].size < size:
            self._free.pop().remove()
        if self._free:
            file: JournalFile | None = self._free.pop()
        else:
            self._is_making = True
            try:
                file = self._make_file(size)
            finally:
                self._is_making = False
        if file is not None:
            file.begin(first)
            for old in list(self._in_use)[:-_MAX_MAPPED]:
                old.close()
            self._in_use.append(file)
        return file

    def _next_bytes(self) -> int:
        """The size of the file that follows the one that is written."""
        is_quick = monotonic() - self._begun_at < _QUICK_S
        if self._at[2] is None or not (is_quick or len(self._in_use) > _MAX_SMALL):
            return self._file_bytes
        return min(self._file_bytes * _GROWTH, self._largest_bytes)

    def _make_file(self, size: int) -> JournalFile | None:
        if self._is_closed or monotonic() < self._retry_at:
            return None
        try:
            path = self._open_folder() / f"{next(self._numbers)}{ROWS_SUFFIX}"
            return JournalFile(path, size)
        except (OSError, ValueError) as exc:
            self._retry_at = monotonic() + _RETRY_S
            self._report(exc)
            return None

    def prepare(self) -> None:
        """Make the next file if it is time: here nobody waits for it. Needs no lock."""
        _, used, file = self._at
        if self._free or (file is not None and used < file.size // 2):
            return
        made = self._make_file(self._next_bytes())
        if made is not None:
            self._free.append(made)

    def has(self, first: int, last: int) -> bool:
        """Whether all rows from one number to the other are written. Needs no lock."""
        written, _, current = self._at
        for file in list(self._in_use):
            until = written - 1 if file is current else file.last
            if file.first <= first <= until:
                first = until + 1
        return first > last

    def read(self, first: int, last: int) -> dict[int, AnyRow]:
        """The rows from one number to the other, as far as they can be read. Needs no lock."""
        found: dict[int, AnyRow] = {}
        for file in list(self._in_use):
            is_current = file is self._at[2]
            if file.first <= last and (is_current or file.last >= first):
                rows = self._rows_of(file, is_current=is_current)
                found.update({n: rows[n] for n in range(first, last + 1) if n in rows})
        return found

    def _rows_of(self, file: JournalFile, *, is_current: bool) -> dict[int, AnyRow]:
        """All rows of a file; those of the last full one are kept: its parts are read in turn."""
        of, salt, rows = self._last_read
        if of is not file or salt != file.salt:
            rows = {}
            with contextlib.suppress(OSError):
                rows = file.read()
            if not is_current:
                self._last_read = file, file.salt, rows
        return rows

    def release(self, sequence: int) -> None:
        """Rows up to that number are stored by the server.

        The caller writes afterwards whatever a handler logged in the midst of this.
        """
        self._released = sequence
        used = self._in_use
        while used and used[0] is not self._at[2] and used[0].last <= sequence:
            file = used.popleft()
            is_usual = file.size == self._largest_bytes and not file.is_sealed
            if is_usual and len(self._free) < _MAX_FREE:
                self._free.append(file)
            else:
                file.remove()
        self._look_at_bound()
        self._look_at_folder()

    def _look_at_folder(self) -> None:
        """Take along what is not stored, if the folder is another process's now."""
        if self._is_making:
            return
        self._is_making = True
        try:
            folder = self._new_folder()
            if folder is None:
                return
            sequence, start, current = self._at
            moved: deque[JournalFile] = deque()
            for file in self._in_use:
                # What is gone with the folder was sent by the other process.
                with contextlib.suppress(OSError, ValueError):
                    moved.append(file.copy_to(folder / f"{next(self._numbers)}{ROWS_SUFFIX}"))
                    if file is current:
                        self._at = (sequence, start, moved[-1])
            if self._at[2] is current:
                self._at = (sequence, 0, None)
            for file in [*self._in_use, *self._free]:
                file.close()
            self._free.clear()
            self._in_use = moved
        finally:
            self._is_making = False

    def shrink(self) -> None:
        """Keep no more than a small file if no row waits; for times in which nothing is logged.

        The caller writes afterwards whatever a handler logged in the midst of this.
        """
        self._look_at_folder()
        sequence, _, file = self._at
        if self._is_making or sequence - 1 > self._released:
            return
        self._file_bytes = _MIN_FILE_BYTES
        self._last_read = (None, 0, {})
        kept = file
        if file is not None and file.size > _MIN_FILE_BYTES:
            kept = None
        gone = [one for one in self._in_use if one is not kept]
        if kept is None:
            self._at = (sequence, 0, None)
        for one in gone:
            self._in_use.remove(one)
            one.remove()
        while self._free:
            self._free.pop().remove()

    def _look_at_bound(self) -> None:
        waiting = sum([file.size for file in self._in_use if file is not self._at[2]])
        self.is_full = waiting >= self._max_bytes

    def close(self) -> None:
        """Write no more; what is written stays for the next process that opens the directory."""
        self._is_closed = True
        self._at = (self._at[0], 0, None)
        for file in [*self._in_use, *self._free]:
            file.close()
        self._in_use.clear()
        self._free.clear()
