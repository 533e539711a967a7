"""One output with the threads that feed it.

Each output goes at its own pace. `OutputWorker.submit` queues a `Work` and returns; then

- the feeder (`feeder.py`) gives the output all that waits, in order, as one call;
- the syncer (`syncer.py`) makes durable what was written, while the next is written;
- the keeper (`keeper.py`) moves to disk what the output can't take now: while it is unavailable,
  when senders wait for it, and while much waits on disk already.

What is on disk counts as durable. When the output works, the feeder takes from the disk first, then
from memory, so that order is kept. Every batch belongs to a session; those of senders without acks
belong to the daemon's own. So the output's marks always tell what it holds: after a crash, and also
if a batch went to disk while its write was under way.

An output that is unavailable is tried again with growing pauses, for as long as it takes. From the
end of the time to stop on, all that is left goes to disk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from logd.outputs.backoff import Backoff
from logd.outputs.base import Output
from logd.outputs.feeder import NEAR_END_BYTES, OutputFeeder
from logd.outputs.health import Health, Tell, troubles
from logd.outputs.keeper import Keeper
from logd.outputs.line import Item, Line
from logd.outputs.syncer import Syncer
from logd.outputs.work import Work
from logd.outputs.written import Watcher

if TYPE_CHECKING:
    from logd.outputs.diskqueue import DiskQueue
    from logd.outputs.queuestate import QueueStatus
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

STUCK_S = 3.0
"""How long a stop waits for a call of the output that does not return, over its time."""

Choose = Callable[["Batch"], "Batch | None"]
"""Gives the records of a batch that an output gets; None if there are none."""


class OutputWorker:
    """Feeds one output. Owns the output and its queue from `start` on and closes them in `stop`.

    Args:
        output: opened, with `marks` as its `open` returned them.
        marks: client id -> highest sequence number that the output holds from earlier runs; None
            for an output that is still closed: the worker opens it, however long that takes.
        queue: opened; where records wait on disk.
        keeps: which batches may be kept on disk, which acknowledges them; None for all.
        durable: whether work counts as done only after `output.sync`.
        choose: which records the output gets; None for all.
        on_taken: called in the writing thread if others went on with the log: works that come again
            are dropped when it returns, and none must be submitted before `read_marks` is called.
        read_marks: what `marks` went through, too, for what `open` returns later.
        on_problem: called from the worker's threads with one line when something begins to fail
            and when it works again.
        on_fatal: called when the output failed in a way that only a restart can mend.
    """

    def __init__(
        self,
        output: Output,
        marks: Mapping[bytes, int] | None,
        queue: DiskQueue,
        *,
        durable: bool,
        choose: Choose | None = None,
        read_marks: Callable[[Mapping[bytes, int]], Mapping[bytes, int]] = dict,
        keeps: Callable[[Batch], bool] | None = None,
        on_taken: Callable[[], None] | None = None,
        on_problem: Tell,
        on_fatal: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.output = output
        self._queue = queue
        self._choose = choose
        self._keeps = keeps
        self._on_fatal = on_fatal
        self._clock = clock
        self._backoff = Backoff()
        self._line = Line()
        self._lock = threading.Lock()
        self._for_others = threading.Condition(self._lock)
        self._others = 0
        self._is_finished = False
        self._trouble, self._full, self._sync_trouble = troubles(output.name, on_problem, clock)
        self._feeder = OutputFeeder(
            *(output, marks, queue, self._line, self._lock, self._backoff, self._trouble),
            read_marks=read_marks,
            on_taken=on_taken,
            on_written=self._has_written,
            on_failing=self._is_to_fail,
            on_room=self._has_room,
        )
        self._keeper = Keeper(
            *(queue, self._line, self._lock, self._must_keep),
            *(keeps, self._kept, self._backoff, self._full),
        )
        self._syncer: Syncer | None = None
        if durable and type(output).sync is not Output.sync:
            self._syncer = Syncer(
                *(self._sync, self._line, self._lock, self._finish),
                *(self._backoff, self._sync_trouble),
            )
        self._writing = self._thread("write", self._feeder.run)
        self._keeping = self._thread("keep", self._keeper.run)
        self._syncing = self._thread("sync", self._syncer.run if self._syncer else _nothing)

    def _thread(self, what: str, target: Callable[[], None]) -> threading.Thread:
        name = f"logd-{what} {self.output.name}"
        return threading.Thread(target=self._guarded, args=(target,), name=name, daemon=True)

    # -- called from outside ---------------------------------------------------------------

    def start(self) -> None:
        """Start the threads."""
        for thread in (self._writing, self._keeping, self._syncing):
            thread.start()

    def submit(self, work: Work, *, wakes: bool = True) -> None:
        """Queue `work`; returns at once. Calls from one thread are written in their order.

        Without `wakes` the caller has to call `write_here` next.
        """
        batches = work.batches
        if self._choose is not None:
            batches = [chosen for chosen in map(self._choose, batches) if chosen is not None]
        with self._lock:
            work.unwritten.add(self)
            self._line.waiting.append(Item(batches, work.finish_one, work))
            if not wakes and self._feeder.is_waiting:
                return
            self._feeder.wake()
            if self._is_detour:
                self._keeper.notify()

    def write_here(self) -> None:
        """Write what waits in the calling thread, if the writing thread has nothing else to do."""
        self._feeder.write_here()

    def relieve(self) -> None:
        """Senders wait for this output: move all to disk that it has not got."""
        with self._lock:
            self._keeper.is_relief_wanted = True
            self._keeper.notify()

    def call(self, request: Callable[[], None]) -> None:
        """Run `request` in the writing thread between two writes (rotate, reopen, tick)."""
        self._feeder.call(request)

    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop the marks of sessions that are gone; to be called from a request."""
        self._feeder.written.forget(clients)
        self.output.forget(clients)

    def watch(self, watcher: Watcher) -> None:
        """Show `watcher` every batch from now on, right after it was written.

        To be called from a request given to `call`, so that it begins between two writes: what
        was written before is in the output, what comes after is seen, and nothing is both.
        """
        with self._lock:
            written = self._feeder.written
            written.watchers = (*written.watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """End that; from any thread."""
        with self._lock:
            written = self._feeder.written
            written.watchers = tuple(one for one in written.watchers if one is not watcher)

    @property
    def watchers(self) -> Sequence[Watcher]:
        """The watchers."""
        return self._feeder.written.watchers

    def wait_written(self, work: Work) -> None:
        """Return once the output holds `work`, or won't have it soon."""
        with self._lock:
            self._others += 1
            self._for_others.wait_for(
                lambda: self not in work.unwritten or self.is_failing or self._is_finished
            )
            self._others -= 1

    @property
    def chooses(self) -> bool:
        """Whether it looks at records to see which of them the output gets."""
        return self._choose is not None

    @property
    def is_failing(self) -> bool:
        """Whether the output takes no records now and is tried again."""
        return self._trouble.since is not None

    @property
    def is_full(self) -> bool:
        """Whether the disk takes no more of what waits, so that senders have to wait."""
        return self._full.since is not None

    @property
    def disk(self) -> QueueStatus:
        """What waits on disk."""
        return self._queue.status

    def health(self) -> Health:
        """How the output is."""
        queue = self._queue.status
        with self._lock:
            records, since = self._line.unwritten, self._line.since
        status = self.output.status()
        lags_s = [0.0 if since is None else time.monotonic() - since]
        if queue.oldest_at is not None:
            lags_s.append(self._clock() - queue.oldest_at)
        troubles = (self._trouble, self._sync_trouble, self._full)
        errors = [status.last_error, *(trouble.last_error for trouble in troubles)]
        return Health(
            status=status,
            failing_since=self._trouble.since,
            retries=self._trouble.tries,
            last_error=max(filter(None, errors), key=lambda error: error[1], default=None),
            waiting_records=records + queue.records,
            lag_s=max(lags_s),
            queue=queue,
            queue_full_since=self._full.since,
        )

    def waits_s(self) -> float:
        """For how long the oldest work in memory has waited that is not durable; 0 without any."""
        with self._lock:
            since = self._line.since
        return 0.0 if since is None else time.monotonic() - since

    def stuck_s(self) -> float:
        """Seconds that the writing thread has spent in one call of the output; 0 when it waits."""
        return self._feeder.stuck_s()

    def give_up_at(self, deadline: float) -> None:
        """From `deadline` (by `time.monotonic`) on, all that is left goes to disk.

        What the output refuses goes there from now on, over the limit if it must.
        """
        self._backoff.give_up_at(deadline)
        with self._lock:
            self._feeder.wake()
            self._keeper.notify()

    def stop(self) -> None:
        """Finish what was submitted, close the output, end the threads; returns when that is done.

        Without an earlier `give_up_at` it waits for an output that is away as long as that takes.
        """
        self._feeder.end()
        self._join(self._writing)
        if self._syncer is not None:
            self._syncer.end()
        self._join(self._syncing)
        self._keeper.end()
        self._keeping.join()
        problem = self._keeper.keep_rest(self.output.name)
        if problem is not None:
            self._on_fatal(problem)
        if self._queue.status.records:
            logger.warning(
                "output %s: %d records wait in %s for the next start",
                *(self.output.name, self._queue.status.records, self._queue.path),
            )
        self._queue.close()
        if self._writing.is_alive() or self._syncing.is_alive():
            logger.error(
                "output %s does not return from a call, so the stop does not wait for it",
                self.output.name,
            )
        else:
            self.output.close()

    def abandon(self) -> None:
        """Close the output and its queue without having started."""
        self._queue.close()
        self.output.close()

    def _join(self, thread: threading.Thread) -> None:
        """Wait for the end of a thread, unless it is stuck in a call when time is over."""
        while thread.is_alive():
            thread.join(0.5)
            if time.monotonic() > self._backoff.deadline + STUCK_S:
                return

    # -- any thread ------------------------------------------------------------------------

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as exc:
            # First of all: without memory the next line may fail.
            self._on_fatal(exc)
            logger.exception("output %s failed", self.output.name)
        finally:
            if target == self._feeder.run:
                with self._lock:
                    self._is_finished = True
                    self._tell_others()

    def _tell_others(self) -> None:
        """Wake the threads that wait for writes; the lock is held."""
        if self._others:
            self._for_others.notify_all()

    @property
    def _is_detour(self) -> bool:
        """Whether what comes now goes to disk first."""
        return (
            self.is_failing
            or self._backoff.is_over
            or self._queue.unread_bytes > NEAR_END_BYTES
            or self._keeper.is_relief_wanted
        )

    def _must_keep(self) -> bool:
        if self._backoff.is_over:
            return self._has_to_keep(self._line.unfinished())
        if not (self._queue.limit_bytes or self._backoff.is_ending):
            return False
        if self.is_failing or self._keeper.is_relief_wanted:
            return self._has_to_keep(self._line.unfinished())
        is_behind = self._queue.unread_bytes > NEAR_END_BYTES
        return is_behind and self._has_to_keep(self._line.waiting)

    def _has_to_keep(self, items: Collection[Item]) -> bool:
        """Whether anything of it may be on disk."""
        if self._keeps is None:
            return bool(items)
        return any(self._keeps(batch) for item in items for batch in item.batches)

    def _finish(self, items: Sequence[Item]) -> None:
        """Items are durable, in the output or on disk."""
        with self._lock:
            fresh = self._line.finish(items)
            for item in fresh:
                if item.work is not None:
                    item.work.unwritten.discard(self)
            self._tell_others()
        for item in fresh:
            item.on_durable()

    def _kept(self, items: Sequence[Item]) -> None:
        """Items are on disk, which the writing thread reads."""
        self._finish(items)
        with self._lock:
            self._feeder.wake()

    # -- what the threads tell -------------------------------------------------------------

    def _has_written(self, items: Sequence[Item]) -> None:
        """Items are in the output, to be synced if it has syncs."""
        with self._lock:
            self._line.put_down(to_be_synced=self._syncer is not None)
            for item in items:
                if item.work is not None:
                    item.work.unwritten.discard(self)
            if self._others:
                self._tell_others()
            if self._syncer is not None:
                self._syncer.notify(items)
        if self._syncer is None:
            self._finish(items)

    def _is_to_fail(self) -> None:
        """The output takes nothing now: what waits goes to disk, and nobody waits for it."""
        with self._lock:
            self._tell_others()
            self._keeper.notify()

    def _has_room(self) -> None:
        """Less waits on disk."""
        with self._lock:
            self._keeper.notify_room()

    def _sync(self) -> None:
        if self._feeder.is_open:
            self.output.sync()


def _nothing() -> None:
    """For an output that needs no syncs."""
