"""Rotation of the documented API: a ring of writers, each for its file or table.

The daemon's own outputs rotate by themselves (`logd.outputs`); this serves the create... functions
and classes that build on `RotateLogWriter`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from logd.records.batch import Batch
from logd.records.writing import takes_batches
from logd.rotation.policy import RotationPolicy, Schedule

if TYPE_CHECKING:
    from logd.records.job import MsgJob

_MAX_FAILURES = 16


def numbered_names(pattern: str, count: int) -> list[str]:
    """The names of a ring: `pattern` with 0 to count - 1 in the place of its %d or %s.

    Raises:
        ValueError: the pattern has no such place, or several, or makes the same name twice. A
            ring of one may be a plain name.
    """
    if count < 1:
        raise ValueError(f"rotation count: expected at least 1, got {count}")
    if count == 1 and "%" not in pattern:
        return [pattern]
    try:
        names = [pattern % number for number in range(count)]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"pattern {pattern!r}: expected one %d or %s for the number: {error}"
        ) from error
    if len(set(names)) < count:
        raise ValueError(f"pattern {pattern!r}: all {count} numbers must make different names")
    return names


def rotation_schedule(rotate_at: str | None, rotate_utc: bool) -> Schedule | None:
    """The schedule of a create... function's `rotateAt` and `rotateUtc`."""
    return None if rotate_at is None else Schedule.parse(rotate_at, utc=rotate_utc)


def check_drop(drop: bool, count: int) -> None:
    """Refuse to append (drop=False) to a ring of more than one.

    Raises:
        AssertionError: as documented for it.
    """
    if not drop and count > 1:
        raise AssertionError(f"drop=False is possible with rotateCount=1 only, got {count}")


class RotateWriterFactory:
    """Makes the writers of a ring in turn.

    Args:
        configs: one config per file or table.
        writerFactory: makes a writer of a config.
    """

    def __init__(self, configs: Sequence[Any], writerFactory: Callable[[Any], Any]) -> None:
        if not configs:
            raise ValueError("a ring needs at least one config")
        self._configs = tuple(configs)
        self._writer_factory = writerFactory
        self._made = 0

    def nextWriter(self, history: list[Any]) -> Any:
        """The next writer of the ring.

        Args:
            history: the old writers, oldest at [0]; those whose file or table the new one
                overwrites are removed from it.
        """
        config = self._configs[self._made % len(self._configs)]
        writer = self._writer_factory(config)
        self._made += 1
        del history[: max(0, len(history) + 1 - len(self._configs))]
        return writer


class RotateLogWriter:
    """Writes to one writer at a time, and goes on to the next when that is full.

    What is not known here is asked of the current writer: `rotating.getTable()` is that of the
    current table. One thread at a time may use it; `LogServer` sees to that.

    Attributes:
        writers: the writers whose file or table still exists, oldest at [0], current at [-1].

    Args:
        getNextWriter: takes the list of the writers so far, removes those that its next writer
            overwrites, and returns that.
        rotateLineMin: records of a writer, exactly; None switches rotation by lines off.
        size: bytes that a file is not to exceed unless by its only record; needs a writer with
            `write_part`. None switches it off.
        schedule: times to go on at, unless nothing was written; None switches it off.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        getNextWriter: Callable[[list[Any]], Any],
        rotateLineMin: int | None,
        *,
        size: int | None = None,
        schedule: Schedule | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = RotationPolicy(lines=rotateLineMin, size=size, schedule=schedule)
        self._get_next_writer = getNextWriter
        self._clock = clock
        self._failures: deque[tuple[str, Exception]] = deque(maxlen=_MAX_FAILURES)
        self._is_closed = False
        self._due = float("inf")
        self.writers: list[Any] = []
        self._rotate()
        # A table that is appended to may have rows already.
        count_lines = getattr(self.writers[-1], "estimateLineCount", None)
        self._lines: int = count_lines() if count_lines is not None else 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "writers" not in self.__dict__ or not self.writers:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.writers[-1], name)

    def writeNow(self, logrecord: MsgJob) -> None:
        """Write one record; returns when it is written."""
        if self._policy.size is not None:
            self.write_batch(Batch.from_jobs([logrecord]))
            return
        self._rotate_if_due()
        self.writers[-1].writeNow(logrecord)
        self._wrote(1)

    def write_batch(self, batch: Batch) -> None:
        """Write records, divided exactly where a writer is full; returns when all are written."""
        start = 0
        while start < len(batch):
            self._rotate_if_due()
            stop = len(batch)
            if self._policy.lines is not None:
                stop = min(stop, start + self._policy.lines - self._lines)
            whole = start == 0 and stop == len(batch)
            start += self._write(batch if whole else batch.part(start, stop))

    def _write(self, batch: Batch) -> int:
        """Write as much of `batch` as the size limit allows; returns how many records that is."""
        writer = self.writers[-1]
        written = len(batch)
        if self._policy.size is not None:
            written = writer.write_part(batch, self._policy.size)
            if not written:
                self._rotate()
                return 0
        elif takes_batches(writer):
            writer.write_batch(batch)
        else:
            for job in batch.jobs():
                writer.writeNow(job)
                self._wrote(1)
            return written
        self._wrote(written)
        return written

    def _wrote(self, count: int) -> None:
        if not self._lines and self._policy.schedule is not None:
            self._due = self._policy.due_after(self._clock())
        self._lines += count

    def _rotate_if_due(self) -> None:
        if self._is_closed:
            raise ValueError("records were given to a RotateLogWriter after its close()")
        is_full = self._policy.lines is not None and self._lines >= self._policy.lines
        if is_full or (self._lines and self._clock() >= self._due):
            self._rotate()

    def _rotate(self) -> None:
        """Go on to the next writer; not thread-safe.

        The old one is closed first: its successor may be the same file. Whatever its closing
        fails with, the next record is written; see `take_failures`.
        """
        if self.writers:
            try:
                _close(self.writers[-1])
            except Exception as error:  # also of the user's own `fileClosed`
                self._failures.append(("closing a full log", error))
        self.writers.append(self._get_next_writer(self.writers))
        self._lines = 0
        self._due = float("inf")

    def take_failures(self) -> list[tuple[str, Exception]]:
        """What failed while writers were closed, for `LogServer` to report; returned once."""
        failures = list(self._failures)
        self._failures.clear()
        return failures

    def close(self) -> None:
        """Close the current writer; does nothing when closed."""
        if not self._is_closed:
            self._is_closed = True
            _close(self.writers[-1])


def _close(writer: Any) -> None:
    close = getattr(writer, "close", None)
    if close is not None:
        close()
