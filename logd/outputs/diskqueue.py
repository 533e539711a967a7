"""The queue on disk of one output: what it could not take yet, in segments, in order.

    STATE_DIR/queue-NAME.CHECKSUM/0000000001.queue, 0000000002.queue, ...

`append` adds behind, `read` takes from the front, `done` removes segments whose records are all
durable in the output. Nothing notes how far was read: after a crash reading begins anew with the
oldest segment, and the output's marks tell what it holds already. `segment.py` has the format.

A segment with damage is read around, and once the rest of it is written it is not removed, but
renamed to `damaged-...` beside the folder: people may find in it what we can't.

Threads: `append` from one thread at a time, `read` from one, `done` from any.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path as FilePath
from typing import BinaryIO

import msgspec

from logd.outputs.base import OutputUnusable
from logd.outputs.batchbytes import decode_batch
from logd.outputs.failpoints import failpoint
from logd.outputs.queuefolder import QueueFolder
from logd.outputs.queuestate import NoRoom, QueueFull, QueuePortion, QueueStatus, check_room
from logd.outputs.segment import Damage, StoredBatch, read_segment
from logd.outputs.segmentfile import Segment, begin, damage_text, found, packed, remove
from logd.records.batch import Batch
from logd.records.callpath import PathFormatter

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20
"""A segment of about this size is closed: small enough that room comes back while one reads."""

MIN_SEGMENTS = 16
"""A small limit makes smaller segments, so that there are at least this many."""

GROUP_BYTES = 4 << 20
"""This much is written before it is synced; memory holds it twice while it is encoded."""


class DiskQueue:
    """The queue on disk of one output, for one daemon at a time. `open` before anything else.

    Args:
        folder: of this queue alone; made with the first record.
        output: the output's name, for people.
        limit_bytes: what it may take on disk; 0 switches it off, but for a stop of the daemon.
        min_free_bytes: it leaves at least this much of the disk free.
        durable: whether what is kept must survive the death of the machine.
        formatter: given to the batches that are read, see `Batch.formatter`.
        on_damage: called with a line for people when something can't be read.
        clock: tells the time, in seconds since the epoch.
    """

    def __init__(
        self,
        folder: FilePath,
        output: str,
        *,
        limit_bytes: int,
        min_free_bytes: int = 0,
        durable: bool = True,
        formatter: PathFormatter | None = None,
        on_damage: Callable[[str], None] = logger.warning,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = QueueFolder(folder)
        self.limit_bytes = limit_bytes
        self._output = output
        self._min_free_bytes = min_free_bytes
        self._durable = durable
        self._formatter = formatter
        self._on_damage = on_damage
        self._clock = clock
        self._segment_bytes = min(SEGMENT_BYTES, max(limit_bytes // MIN_SEGMENTS, 1 << 16))
        self._lock = threading.Lock()
        # Held while the last segment is written to, or removed.
        self._appending = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._active: int | None = None
        self._reading: tuple[int, BinaryIO] | None = None
        self._place = (0, 0)
        self._status = QueueStatus(limit_bytes=limit_bytes)
        self._unread_bytes = 0

    # -- opening ---------------------------------------------------------------------------------

    def open(self) -> dict[bytes, int]:
        """Take up what an earlier run left.

        Returns:
            For each session that is in it, the highest sequence number: it counts as stored.

        Raises:
            OutputUnusable: another process has it.
            OSError: the disk refused.
        """
        marks: dict[bytes, int] = {}
        if self._folder.exists():
            self._folder.lock()
            for path in self._folder.segments():
                self._take_up(path, marks)
            self._folder.sync()
        self._place = (self._segments[0].number, 0) if self._segments else (0, 0)
        return marks

    def _take_up(self, path: FilePath, marks: dict[bytes, int]) -> None:
        segment = found(self._folder, path, marks, self._tell)
        if segment is None:
            return
        if segment.damage:
            self._tell_damage(segment, segment.damage.values())
        self._segments.append(segment)
        self._count(segment.records, segment.size, segment.oldest_at)

    # -- what it holds ---------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The output it is for."""
        return self._output

    @property
    def path(self) -> FilePath:
        """Its folder."""
        return self._folder.path

    @property
    def unread_bytes(self) -> int:
        """What `read` has not returned yet."""
        return self._unread_bytes

    @property
    def status(self) -> QueueStatus:
        """A snapshot for people; from any thread."""
        return self._status

    def _count(self, records: int, size: int, at: float | None) -> None:
        with self._lock:
            old = self._status
            self._unread_bytes += size
            self._status = old._replace(
                records=old.records + records,
                bytes=sum(segment.size for segment in self._segments),
                oldest_at=old.oldest_at or at,
            )

    # -- appending -------------------------------------------------------------------------------

    def append(self, batches: Sequence[Batch], *, beyond_limit: bool = False) -> None:
        """Keep batches behind those that are there; they are on disk when this returns.

        Raises:
            QueueFull: there is no room for all of them; tells how many are kept.
        """
        kept = 0
        with self._appending:
            while kept < len(batches):
                try:
                    kept += self._append_group(batches, kept, beyond_limit=beyond_limit)
                except OSError as exc:
                    raise QueueFull(f"{self._folder.path}: {exc.strerror or exc}", kept) from exc
                except NoRoom as exc:
                    raise QueueFull(str(exc), kept) from exc

    def _append_group(self, batches: Sequence[Batch], start: int, *, beyond_limit: bool) -> int:
        """Write and sync some of the batches from `start` on; returns how many."""
        now = self._clock()
        segment, file = self._writable()
        try:
            pieces: list[bytes] = []
            count = records = 0
            size = segment.size
            for batch in batches[start:]:
                if pieces and size - segment.size >= GROUP_BYTES:
                    break
                entry = packed(batch, segment.size, now)
                size += len(entry)
                count += 1
                records += len(batch)
                pieces.append(entry)
            if not beyond_limit:
                used = sum(segment.size for segment in tuple(self._segments))
                more = size - segment.size
                check_room(self._folder.path, used, more, self.limit_bytes, self._min_free_bytes)
            failpoint("queue.before_write")
            segment.write(file, pieces, is_durable=self._durable)
        except OSError:
            # What a failed sync leaves is unknown: this file gets nothing more.
            self._active = None
            raise
        finally:
            os.close(file)
        written = size - segment.size
        with self._lock:
            segment.size = size
            segment.records += records
            segment.oldest_at = segment.oldest_at or now
            old = self._status
            self._status = old._replace(kept=old.kept + records)
        self._count(records, written, now)
        return count

    def _writable(self) -> tuple[Segment, int]:
        """The segment to append to, and a descriptor of it."""
        if self._active is not None:
            segment = self._segments[-1]
            if segment.size < self._segment_bytes and not self._folder.is_moved:
                with contextlib.suppress(FileNotFoundError):
                    return segment, segment.open()
            self._close_segment()
        return self._begin_segment()

    def _begin_segment(self) -> tuple[Segment, int]:
        if self._folder.is_moved:
            self._tell(f"{self._folder.path} was moved or removed; what comes goes to a new one")
        self._folder.make()
        try:
            self._folder.lock()
        except OutputUnusable as exc:
            raise NoRoom(str(exc)) from exc
        number = 1 + max(self._place[0], self._segments[-1].number if self._segments else 0)
        segment, file = begin(self._folder, number, self._output)
        with self._lock:
            if not self._segments:
                self._place = (segment.number, 0)
            self._segments.append(segment)
            self._unread_bytes += segment.size
        self._active = segment.number
        return segment, file

    def _close_segment(self) -> None:
        """Say in the last segment that all of it is on disk."""
        if self._active is None:
            return
        self._active = None
        segment = self._segments[-1]
        with contextlib.suppress(OSError):
            segment.end(self._clock(), is_durable=self._durable)

    def close(self) -> None:
        """End; what is there stays for the next `open`."""
        with self._appending:
            self._close_segment()
            self._stop_reading()
            for segment in self._segments:
                segment.folder = None
            self._folder.unlock()

    # -- reading ---------------------------------------------------------------------------------

    def read(self, at_most_bytes: int) -> QueuePortion | None:
        """Take the next batches, at least one unless they are damaged; None if nothing is left.

        Raises:
            OSError: the disk refused; the same call may work later.
        """
        front = self._front()
        if front is None:
            return None
        segment, file, start, stop, is_last = front
        batches: list[Batch] = []
        end, newest_at = start, None
        for part in read_segment(file, start, stop):
            end = part.end
            batch = None if isinstance(part, Damage) else self._decoded(part)
            if batch is not None:
                batches.append(batch)
            elif isinstance(part, Damage) or not part.head.is_end:
                self._note_damage(segment, Damage(part.start, part.end, part.records))
            if isinstance(part, StoredBatch) and part.head.at:
                newest_at = part.head.at
            if end - start >= at_most_bytes:
                break
        end = max(end, stop) if end == start else end
        with self._lock:
            self._unread_bytes -= end - start
            # All of a segment that gets nothing more was read: the next one follows.
            goes_on = end >= stop and not is_last
            self._place = (self._after(segment.number), 0) if goes_on else (segment.number, end)
            place = self._place
        return QueuePortion(batches, sum(map(len, batches)), *place, end - start, newest_at)

    def _front(self) -> tuple[Segment, BinaryIO, int, int, bool] | None:
        """What is read next: segment, file, from where, up to where, whether it is the last."""
        while True:
            number, start = self._place
            segment, stop, is_last = self._segment_at(number)
            if segment is None or (start >= stop and is_last):
                return None
            try:
                return segment, self._file_of(segment), start, stop, is_last
            except FileNotFoundError:
                self._lose(segment, start)

    def _segment_at(self, number: int) -> tuple[Segment | None, int, bool]:
        with self._lock:
            for segment in self._segments:
                if segment.number >= number:
                    is_last = segment is self._segments[-1]
                    if segment.number > number:
                        self._place = (segment.number, 0)
                    return segment, segment.size, is_last
        return None, 0, True

    def _after(self, number: int) -> int:
        return min(segment.number for segment in self._segments if segment.number > number)

    def _file_of(self, segment: Segment) -> BinaryIO:
        if self._reading is None or self._reading[0] != segment.number:
            self._stop_reading()
            self._reading = (segment.number, segment.reader())
        return self._reading[1]

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading[1].close()
            self._reading = None

    def _decoded(self, entry: StoredBatch) -> Batch | None:
        if entry.head.is_end:
            return None
        try:
            return decode_batch(entry.payload, self._formatter)
        except (ValueError, TypeError, msgspec.DecodeError):
            # Whole, but of another version, perhaps.
            return None

    def _note_damage(self, segment: Segment, damage: Damage) -> None:
        if damage.start not in segment.damage:
            segment.damage[damage.start] = damage
            self._tell_damage(segment, [damage])

    def _tell_damage(self, segment: Segment, damage: Iterable[Damage]) -> None:
        aside = self._folder.aside(segment.path)
        self._tell(f"{damage_text(segment, [*damage])}; the file will be kept as {aside}")

    def _tell(self, text: str) -> None:
        self._on_damage(f"queue of output {self._output}: {text}")

    def _lose(self, segment: Segment, start: int) -> None:
        """Somebody removed a segment whose records from `start` on were not written yet."""
        with self._appending, self._lock:
            self._segments.remove(segment)
            if self._active == segment.number:
                self._active = None
            # Those before it are read, and perhaps not written yet.
            self._place = (segment.number, 0)
            self._unread_bytes -= segment.size - start
            old = self._status
            left = max(0, old.records - segment.records) if self._segments else 0
            size = sum(other.size for other in self._segments)
            self._status = old._replace(records=left, bytes=size)
        self._tell(f"{segment.path} was removed: {segment.records} records in it are lost")

    # -- removing --------------------------------------------------------------------------------

    def done(self, portion: QueuePortion) -> None:
        """All that was read up to and with `portion` is durable in the output."""
        with self._lock:
            old = self._status
            left = max(0, old.records - portion.records)
            self._status = old._replace(
                records=left,
                taken=old.taken + portion.records,
                oldest_at=(portion.newest_at or old.oldest_at) if left else None,
            )
            gone = []
            while self._segments and self._segments[0].number < portion.segment:
                gone.append(self._segments.popleft())
        if self._is_all_done(portion) and self._appending.acquire(blocking=False):
            try:
                with self._lock:
                    if self._is_all_done(portion):
                        self._active = None
                        gone += self._segments
                        self._segments.clear()
            finally:
                self._appending.release()
        remove(self._folder, gone)
        if gone:
            with self._lock:
                size = sum(segment.size for segment in self._segments)
                self._status = self._status._replace(bytes=size)

    def _is_all_done(self, portion: QueuePortion) -> bool:
        last = self._segments[-1] if self._segments else None
        is_end = last is not None and (last.number, last.size) == (portion.segment, portion.end)
        return is_end and not self._unread_bytes
