"""The thread that gives an output all that waits, in order: from the disk first, then from memory.

If the output fails, the thread tries again until it works. It passes over what the output holds
already: the output's marks tell, also after a restart.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from logd.outputs.backoff import Backoff
from logd.outputs.base import Output, OutputTaken, OutputUnavailable
from logd.outputs.health import Trouble
from logd.outputs.line import Item, Line
from logd.outputs.written import Written, left_after, written_before

if TYPE_CHECKING:
    from logd.outputs.diskqueue import DiskQueue
    from logd.outputs.queuestate import QueuePortion
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

READ_BYTES = 1 << 20
"""How much of the disk is given to the output in one call."""

NEAR_END_BYTES = 4 << 20
"""If more waits on disk, new records go there too. The last of it is written while they wait in
memory: else an output that keeps up could never leave the disk."""


class OutputFeeder:
    """Writes to one output. `run` is its thread; the rest may be called from any.

    Args:
        output: as `OutputWorker` takes it.
        marks: as `OutputWorker` takes them.
        queue: what waits on disk.
        line: what waits in memory; `lock` guards it.
        backoff: says when it is enough.
        trouble: an output that takes no records.
        read_marks: see `OutputWorker`.
        on_taken: see `OutputWorker`.
        on_written: called with items that the output has, and that have left the hand.
        on_failing: called when the output begins to fail.
        on_room: called when less waits on disk.

    Attributes:
        is_open: whether the output is.
        is_waiting: whether the thread waits for something to do; `lock` guards it.
        written: what the output holds, and its watchers.
    """

    def __init__(
        self,
        output: Output,
        marks: Mapping[bytes, int] | None,
        queue: DiskQueue,
        line: Line,
        lock: threading.Lock,
        backoff: Backoff,
        trouble: Trouble,
        *,
        read_marks: Callable[[Mapping[bytes, int]], Mapping[bytes, int]],
        on_taken: Callable[[], None] | None,
        on_written: Callable[[Sequence[Item]], None],
        on_failing: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        self.is_open = marks is not None
        self.written = Written(marks or {})
        self._output = output
        self._queue = queue
        self._line = line
        self._lock = lock
        self._backoff = backoff
        self._trouble = trouble
        self._read_marks = read_marks
        self._on_taken = on_taken
        self._on_written = on_written
        self._on_failing = on_failing
        self._on_room = on_room
        # What wakes the thread; at most one thing, and only while it waits.
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self.is_waiting = False
        # Somebody wanted to wake it while another thread wrote in its place.
        self._is_wake_due = False
        self._requests: deque[Callable[[], None]] = deque()
        self._is_stopping = False
        self._busy_since: float | None = None

    # -- from any thread -------------------------------------------------------------------

    def wake(self) -> None:
        """Let the thread look for something to do; the lock is held."""
        if self.is_waiting:
            self.is_waiting = False
            self._wakes.put(None)
        else:
            self._is_wake_due = True

    def call(self, request: Callable[[], None]) -> None:
        """Run `request` in the thread between two writes."""
        with self._lock:
            self._requests.append(request)
            self.wake()

    def end(self) -> None:
        """Finish what waits, or leave it if it is enough, and end."""
        with self._lock:
            self._is_stopping = True
            self.wake()

    def stuck_s(self) -> float:
        """Seconds that the thread has spent in one call of the output; 0 when it waits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def write_here(self) -> None:
        """Write what waits in the calling thread, if the feeder's has nothing else to do.

        That one is not woken meanwhile: to be woken takes it as long as to write a few records.
        What fails here it tries again, as its own.
        """
        with self._lock:
            if not (self.is_waiting and self._line.waiting):
                return
            self.is_waiting = self._is_wake_due = False
            items = self._line.take()
        is_written = False
        try:
            is_written = self._is_written_at_once(items)
        finally:
            with self._lock:
                if not is_written:
                    self._line.put_back()
                # What should have woken the thread meanwhile has said so.
                self.is_waiting = True
                if self._is_wake_due or self._line.waiting:
                    self.wake()

    def _is_written_at_once(self, items: Sequence[Item]) -> bool:
        """Write items if that works at once."""
        try:
            self._write(self.written.without_known(items))
        except Exception:
            return False
        self._on_written(items)
        return True

    # -- the thread ------------------------------------------------------------------------

    def run(self) -> None:
        """Write until `end`, or until it is enough."""
        while self._backoff.persist(self._open, self._failed):
            self._worked()
            try:
                while (items := self._next()) is not None:
                    if items and not self._is_delivered(items):
                        return
            except OutputTaken as exc:
                self._begin_anew(exc)
            else:
                return

    def _begin_anew(self, exc: OutputTaken) -> None:
        """Others went on with the log: what comes again is not ours to write any more."""
        logger.warning("output %s: %s; this daemon starts over with it", self._output.name, exc)
        self.is_open = False
        if self._on_taken is not None:
            self._on_taken()
        with self._lock:
            self._line.drop()

    def _open(self) -> None:
        if not self.is_open:
            self._busy_since = time.monotonic()
            try:
                self.written.marks = dict(self._read_marks(self._output.open()))
            finally:
                self._busy_since = None
            self.is_open = True

    def _next(self) -> Sequence[Item] | None:
        """Wait for what is to be written next; None when it is time to stop."""
        while not self._has_work():
            self._wakes.get()
        with self._lock:
            requests = list(self._requests)
            self._requests.clear()
            unread_bytes = self._queue.unread_bytes
            if not requests:
                if self._backoff.is_over or (self._is_stopping and unread_bytes > NEAR_END_BYTES):
                    return None
                if not unread_bytes:
                    is_end = self._is_stopping and not self._line.waiting
                    return None if is_end else self._line.take()
        for request in requests:
            self._run(request)
        return () if requests else self._from_disk()

    def _has_work(self) -> bool:
        """Whether there is something to do; if not, the next thing to do wakes this thread."""
        with self._lock:
            has_work = bool(
                self._line.waiting
                or self._requests
                or self._is_stopping
                or self._backoff.is_over
                or self._queue.unread_bytes
            )
            self.is_waiting = not has_work
            return has_work

    def _from_disk(self) -> Sequence[Item] | None:
        portion: QueuePortion | None = None

        def read() -> None:
            nonlocal portion
            portion = self._queue.read(READ_BYTES)

        if not self._backoff.persist(read, self._failed):
            return None
        self._worked()
        if portion is None:
            return ()
        items = [Item(portion.batches, partial(self._written_from_disk, portion))]
        with self._lock:
            self._line.in_hand = items
        return items

    def _written_from_disk(self, portion: QueuePortion) -> None:
        self._queue.done(portion)
        self._on_room()

    def _run(self, request: Callable[[], None]) -> None:
        try:
            self._busy_since = time.monotonic()
            request()
        except (OutputUnavailable, OSError) as exc:
            self._trouble.note(exc)
            logger.warning("output %s: %s", self._output.name, exc)
        finally:
            self._busy_since = None

    def _is_delivered(self, items: Sequence[Item]) -> bool:
        """Write items, however long it takes; False if the time to stop was over before."""
        batches = self.written.without_known(items)

        def write() -> None:
            nonlocal batches
            try:
                self._write(batches)
            except OutputUnavailable as exc:
                batches = left_after(batches, exc)
                raise

        if batches and not self._backoff.persist(write, self._failed):
            return False
        self._worked()
        self._on_written(items)
        return True

    def _write(self, batches: Sequence[Batch]) -> None:
        """Write batches, and note what is written, of a part, too."""
        self._busy_since = time.monotonic()
        try:
            written = self._output.write(batches)
        except OutputUnavailable as exc:
            self.written.note(written_before(batches, exc), self._output)
            raise
        finally:
            self._busy_since = None
        self.written.note(batches, self._output, written)

    def _failed(self, exc: Exception) -> None:
        is_first = self._trouble.since is None
        self._trouble.failed(exc)
        if is_first:
            self._on_failing()

    def _worked(self) -> None:
        if self._trouble.since is not None:
            self._trouble.worked()
