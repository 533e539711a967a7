r"""Rows on disk before the log call returns, until the sender has encoded them into the spool.

So that not even the last record is lost when the app is killed. The files stand beside those of
`spool.py`, in the folder of the same session, and are named by a number, `1.rows`: 12 bytes
"logd rows 1\n" and 4 random ones, the salt, then frames, big-endian:

    length of what follows the checksum, 4 bytes; its CRC-32, begun with the salt, 4 bytes;
    sequence number, 8; message id, 8; time, double; length of the context, 4; of the message, 4;
    the context, JSON of its seven fields; the message, UTF-8; the items, JSON, or nothing.

A file has its full size from the beginning and is mapped into memory. Writing a row is a copy: no
system call, which would cost 1.5 us more, and which would let another thread have the interpreter
for milliseconds. When the process dies, the system keeps the pages; only the death of the machine
can lose them. A file whose rows are all in the spool is used again with another salt, so that what
is left in it from its earlier life is no row any more, whatever it looks like.

Each row has its sequence number: a reader passes over those that are in the spool already, and
stops at the first that is torn or does not follow.

Signal handlers and finalizers may log in the midst of a log call. So everything that writing
changes is one tuple, replaced at once; whoever continues after an interruption at worst writes
again, at the same place, the bytes that stand there.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import struct
import sys
import zlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

from logd_client.encoding import MAX_FRAME_BYTES, AnyRow, Items
from logd_client.mappedfile import MappedFile
from logd_client.natives import monotonic
from logd_client.rows import NumberedRows, fitted
from logd_client.spoolreader import ROW_FIELDS, ROW_HEADER, ROWS_BEGIN, ROWS_MAGIC, SALT

__all__ = ["ROWS_SUFFIX", "RowJournal"]

ROWS_SUFFIX = ".rows"

_MAX_SEGMENT_BYTES = 1 << 20
_SEGMENT_BYTES_MIN = 16 << 10
_SEGMENTS_OF_BOUND = 16
"""A file has at most this part of the bound of all, within the limits above."""

_GROWTH = 4
_QUICK_S = 1.0
"""A file that was full in less time is followed by a larger one, for an app that logs much."""

_MAX_FREE = 3
"""Files kept for further use: as many as are full while the sender encodes, in a busy app."""

_RETRY_S = 1.0
_MAX_ITEMS = 1024

_to_json = json.JSONEncoder(separators=(",", ":")).encode


class _Segment:
    """One mapped file.

    Attributes:
        size: bytes of the file.
        salt: where its checksums begin.
        last: sequence number of its last row, once another file is written.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size
        self.salt = 0
        self.last = 0
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _write_in_place(fd)
            # Every block must be there: if the disk is full, a write into a hole of a mapped
            # file ends the process.
            _fill(fd, size)
            self._mapped = MappedFile(fd, size)
            self.map = self._mapped.bytes
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(fd)

    def begin(self) -> None:
        """Make it empty."""
        salt = os.urandom(SALT.size)
        self.map[:ROWS_BEGIN] = ROWS_MAGIC + salt
        (self.salt,) = SALT.unpack(salt)

    def close(self) -> None:
        """Close it; what is written stays."""
        self._mapped.close()

    def remove(self) -> None:
        """Close and delete it."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _write_in_place(fd: int) -> None:
    """Ask btrfs to write the file in place, as others do: else each write needs room anew."""
    if sys.platform == "linux":
        set_flags, no_copy_on_write = 0x40086602, struct.pack("l", 0x00800000)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, set_flags, no_copy_on_write)


def _fill(fd: int, size: int) -> None:
    zeros = bytes(min(size, 1 << 20))
    written = 0
    while written < size:
        written += os.pwrite(fd, zeros[: size - written], written)


class RowJournal:
    """Writes rows for one session. Its caller's lock admits one thread at a time.

    When the disk refuses, it is reported, and rows are not written until it works again.

    Args:
        open_folder: returns the folder of the session, made if it is not there yet.
        max_bytes: with that much in use, by this and by the batches, `is_full` becomes true.
        batch_bytes: tells the bytes of the batches beside.
        report: takes the error of a disk that refuses.

    Attributes:
        is_full: True while no rows should come. Not counted are the file that is written and
            those kept for further use, a quarter of `max_bytes` together.
    """

    def __init__(
        self,
        open_folder: Callable[[], Path],
        max_bytes: int,
        batch_bytes: Callable[[], int],
        report: Callable[[BaseException], None],
    ) -> None:
        self._open_folder = open_folder
        self._max_bytes = max_bytes
        self._batch_bytes = batch_bytes
        self._report = report
        self._largest_bytes = min(
            max(max_bytes // _SEGMENTS_OF_BOUND, _SEGMENT_BYTES_MIN), _MAX_SEGMENT_BYTES
        )
        self._segment_bytes = _SEGMENT_BYTES_MIN
        self._begun_at = 0.0
        self._released = 0
        self._numbers = itertools.count(1)
        self._in_use: deque[_Segment] = deque()
        self._free: list[_Segment] = []
        # Sequence number of the next row, and where it will stand.
        self._at: tuple[int, int, _Segment | None] = (1, 0, None)
        self._item_texts: dict[Items, bytes] = {}
        self._retry_at = 0.0
        self._is_making = False
        self._is_closed = False
        self.is_full = False

    def write(self, rows: NumberedRows) -> None:
        """Write all of `rows` that is not written yet. Never raises for what the disk does."""
        while True:
            sequence, start, segment = self._at
            first = rows.first
            if sequence < first:
                sequence = first
            if sequence - first >= len(rows):
                return
            if segment is None:
                frame = b""
            else:
                frame = self._frame(sequence, rows[sequence - first], segment.salt)
                stop = start + len(frame)
                if stop <= segment.size:
                    segment.map[start:stop] = frame
                    self._at = (sequence + 1, stop, segment)
                    continue
                segment.last = sequence - 1
            if self._is_making:
                # A handler interrupted this thread there: it goes on with these rows, too.
                return
            found = self._next_segment(len(frame))
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

    def _next_segment(self, frame_bytes: int) -> _Segment | None:
        """An empty file that takes a frame of that length; None if the disk refuses."""
        self._segment_bytes = self._next_bytes()
        self._begun_at = monotonic()
        size = max(self._segment_bytes, ROWS_BEGIN + frame_bytes)
        while self._free and self._free[-1].size < size:
            self._free.pop().remove()
        if self._free:
            segment: _Segment | None = self._free.pop()
        else:
            self._is_making = True
            try:
                segment = self._make_segment(size)
            finally:
                self._is_making = False
        if segment is not None:
            segment.begin()
            self._in_use.append(segment)
        return segment

    def _next_bytes(self) -> int:
        """The size of the file that follows the one that is written."""
        is_quick = monotonic() - self._begun_at < _QUICK_S
        if self._at[2] is None or not is_quick:
            return self._segment_bytes
        return min(self._segment_bytes * _GROWTH, self._largest_bytes)

    def _make_segment(self, size: int) -> _Segment | None:
        if self._is_closed or monotonic() < self._retry_at:
            return None
        try:
            path = self._open_folder() / f"{next(self._numbers)}{ROWS_SUFFIX}"
            return _Segment(path, size)
        except (OSError, ValueError) as exc:
            self._retry_at = monotonic() + _RETRY_S
            self._report(exc)
            return None

    def prepare(self) -> None:
        """Make the next file if it is time: here nobody waits for it. Needs no lock."""
        _, used, segment = self._at
        if self._free or (segment is not None and used < segment.size // 2):
            return
        made = self._make_segment(self._next_bytes())
        if made is not None:
            self._free.append(made)

    def release(self, sequence: int) -> None:
        """Rows up to that number are in the spool, or stored by the server."""
        self._released = sequence
        used = self._in_use
        while used and used[0] is not self._at[2] and used[0].last <= sequence:
            segment = used.popleft()
            if segment.size == self._largest_bytes and len(self._free) < _MAX_FREE:
                self._free.append(segment)
            else:
                segment.remove()
        self._look_at_bound()

    def shrink(self) -> None:
        """Keep no more than a small file if no row waits; for times in which nothing is logged.

        The caller writes afterwards whatever a handler logged in the midst of this.
        """
        sequence, _, segment = self._at
        if self._is_making or sequence - 1 > self._released:
            return
        self._segment_bytes = _SEGMENT_BYTES_MIN
        kept = segment
        if segment is not None and segment.size > _SEGMENT_BYTES_MIN:
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
        waiting = sum([segment.size for segment in self._in_use if segment is not self._at[2]])
        self.is_full = waiting + self._batch_bytes() >= self._max_bytes

    def close(self) -> None:
        """Write no more; what is written stays for the next process that opens the directory."""
        self._is_closed = True
        self._at = (self._at[0], 0, None)
        for segment in [*self._in_use, *self._free]:
            segment.close()
        self._in_use.clear()
        self._free.clear()
