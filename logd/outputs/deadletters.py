"""Records that an output refused for their content, kept for people and for `logd replay`.

One JSON object a line, ASCII, synced before it counts as kept:

    {"time": 1790000000.0, "output": "db sqlite:///log.db", "reason": "...", "record": {...}}

`time` is when it was refused. The record has the shape that records have everywhere, whole:
`logd.records.shape`. In files of earlier versions it is the list of the 11 items that clients
send, with the peer beside it; such lines are read, too.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from logd.outputs.disk import make_folder, write_all
from logd.outputs.failpoints import failpoint
from logd.records.shape import row_of, whole_of_job

if TYPE_CHECKING:
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

MAX_BYTES = 64 << 20
"""A file of this size takes no more: by then somebody has to look at the cause."""

_REPORT_EVERY_S = 60.0
_MODE = 0o640


@dataclass(frozen=True)
class DeadLetter:
    """One refused record.

    Attributes:
        time: when it was refused, in seconds since the epoch.
        output: which output refused it.
        reason: why.
        peer: where the record came from, "" for this machine.
        record: the 11 items that clients send: msgid, pid, tid, threadname, time, msg, cat, path,
            tblen, cfunc, special.
    """

    time: float
    output: str
    reason: str
    peer: str
    record: tuple[Any, ...]


class DeadLetterFile:
    """Appends refused records to a file. Any thread may call it.

    Args:
        path: the file; made with the first record.
        limit_bytes: beyond this size records are counted and no longer kept.
        clock: tells the time, in seconds since the epoch.

    Attributes:
        kept: records kept since the start.
        lost: records not kept since the start, because the file is full or the disk refused.
    """

    def __init__(
        self,
        path: FilePath,
        *,
        limit_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.kept = 0
        self.lost = 0
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._reported_at = float("-inf")

    def put(self, batch: Batch, row: int, reason: str, output: str) -> None:
        """Keep record `row` of `batch`; it is on disk when this returns.

        What can't be kept is counted in `lost` and reported: one record must not stop a log.
        """
        now = self._clock()
        data = letter_of(batch, row, reason, output, now).encode("ascii") + b"\n"
        with self._lock:
            try:
                problem = self._append(data)
            except OSError as exc:
                problem = str(exc)
            if not problem:
                self.kept += 1
                return
            self.lost += 1
            if now - self._reported_at >= _REPORT_EVERY_S:
                self._reported_at = now
                logger.error(
                    "%s: %d refused records not kept so far: %s", self.path, self.lost, problem
                )

    def _append(self, data: bytes) -> str:
        """Write and sync; returns why that was not done, "" if it was."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        if not self.path.parent.exists():
            # It stood in a log folder that someone replaced.
            make_folder(self.path.parent)
        descriptor = os.open(self.path, flags, _MODE)
        try:
            size = os.fstat(descriptor).st_size
            if size + len(data) > self._limit_bytes:
                return f"it would be larger than {self._limit_bytes} bytes"
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data
            failpoint("deadletters.before_write")
            try:
                write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            failpoint("deadletters.before_sync")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return ""


def letter_of(batch: Batch, row: int, reason: str, output: str, now: float) -> str:
    """The line of one record, without its end."""
    (job,) = batch.part(row, row + 1).jobs()
    letter = {"time": now, "output": output, "reason": reason, "record": whole_of_job(job)}
    return json.dumps(letter, default=str)


def read_lines(path: FilePath) -> Iterator[tuple[bytes, DeadLetter | None]]:
    """The lines of a file, each with its record; None, and a warning, if it holds none.

    Half a line may be left of a crash.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                letter = _letter(json.loads(line.decode("ascii", "replace")))
            except (ValueError, TypeError, KeyError, RecursionError) as exc:
                logger.warning("%s, line %d: not a dead letter: %s", path, number, exc)
                yield line, None
            else:
                yield line, letter


def _letter(item: Any) -> DeadLetter:
    record = item["record"]
    if isinstance(record, dict):
        peer, row = record["peer"], row_of(record)
    else:
        peer, row = item["peer"], _row_of_list(record)
    about = (float(item["time"]), str(item["output"]), str(item["reason"]))
    return DeadLetter(*about, str(peer), row)


def _row_of_list(record: Any) -> tuple[Any, ...]:
    row = list(record)
    if len(row) != 11:
        raise ValueError(f"expected a record of 11 items, got {len(row)}")
    row[7] = tuple((name, line) for name, line in row[7])
    return tuple(row)
