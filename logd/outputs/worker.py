"""One output with the threads that feed it: retries, group commit, and what is left at the end.

Each output goes at its own pace. `OutputWorker.submit` queues a `Work` and returns; the worker's
thread gives the output all that waits, in order, as one call. While the syncer thread waits for
the disk, the next batches are already being written, so that a sync costs latency and next to no
throughput; everything written by the time it starts is made durable by it (group commit).

An output that is unavailable is tried again with growing pauses, for as long as it takes: what
waits is bounded by whoever submits (the intake's byte budget). From the end of the drain time on,
what it refuses goes to its spool, which the next start writes first.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from logd.outputs.base import Output, OutputUnavailable, OutputUnusable
from logd.outputs.work import Work

if TYPE_CHECKING:
    from logd.outputs.spool import Spool
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
REPORT_EVERY_S = 60.0
"""How often an output that stays away is mentioned again in the daemon's own log."""

RECORDS_A_WRITE = 65_536
"""At most about this many records are given to an output in one call; more make it no faster."""


Watcher = Callable[[Sequence["Batch"], "Output"], None]
"""Sees batches in the thread that wrote them; must be quick and must not raise."""


class Lag(NamedTuple):
    """How far an output is behind.

    Attributes:
        records: how many wait to be written.
        seconds: how long the oldest record has waited that is not durable yet.
    """

    records: int
    seconds: float


@dataclass
class WorkerState:
    """What an operator wants to know of a worker, beside the output's own status."""

    waiting: int = 0
    failing_since: float | None = None
    retries: int = 0
    last_error: tuple[str, float] | None = None


class OutputWorker:
    """Feeds one output. Owns the output from `start` on and closes it in `stop`.

    Args:
        output: opened, with `marks` as its `open` returned them.
        marks: client id -> highest sequence number that the output holds from earlier runs; None
            for an output that is still closed: the worker opens it, however long that takes.
        spool: where the rest goes when the time to drain is over.
        durable: whether work counts as done only after `output.sync`.
        on_problem: called from the worker's thread with one line when the output begins to fail
            and when it works again.
        on_fatal: called when the output failed in a way that only a restart can mend.
    """

    def __init__(
        self,
        output: Output,
        marks: Mapping[bytes, int] | None,
        spool: Spool,
        *,
        durable: bool,
        on_problem: Callable[[str], None],
        on_fatal: Callable[[BaseException], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.output = output
        self.state = WorkerState()
        self._is_open = marks is not None
        self._marks = dict(marks or {})
        self._spool = spool
        self._syncs = durable and type(output).sync is not Output.sync
        self._on_problem = on_problem
        self._on_fatal = on_fatal
        self._clock = clock
        self._waiting: deque[Work] = deque()
        self._in_hand: Sequence[Work] = ()
        self._written: deque[Work] = deque()
        self._syncing: Sequence[Work] = ()
        self._requests: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._give_up_at = math.inf
        self._has_given_up = False
        self._is_stopping = False
        self._is_finished = False
        self._no_more_written = False
        self._watchers: tuple[Watcher, ...] = ()
        self._reported_at = 0.0
        self._busy_since: float | None = None
        self._writer = threading.Thread(
            target=self._guarded,
            args=(self._write_all,),
            name=f"logd-write {output.name}",
            daemon=True,
        )
        self._syncer = threading.Thread(
            target=self._guarded,
            args=(self._sync_all,),
            name=f"logd-sync {output.name}",
            daemon=True,
        )

    # -- called from outside ---------------------------------------------------------------

    def start(self) -> None:
        """Start the threads."""
        self._writer.start()
        if self._syncs:
            self._syncer.start()

    def submit(self, work: Work) -> None:
        """Queue `work`; returns at once. Calls from one thread are written in their order."""
        with self._changed:
            work.unwritten.add(self)
            self._waiting.append(work)
            self.state.waiting = len(self._waiting)
            self._changed.notify_all()

    def call(self, request: Callable[[], None]) -> None:
        """Run `request` in the writing thread between two writes (rotate, reopen, tick)."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def watch(self, watcher: Watcher) -> None:
        """Show `watcher` every batch from now on, right after it was written.

        To be called from a request given to `call`, so that it begins between two writes: what
        was written before is in the output, what comes after is seen, and nothing is both.
        """
        with self._changed:
            self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """End that; from any thread."""
        with self._changed:
            self._watchers = tuple(one for one in self._watchers if one is not watcher)

    @property
    def watchers(self) -> Sequence[Watcher]:
        """Who watches."""
        return self._watchers

    def wait_written(self, work: Work) -> None:
        """Return once the output holds `work`, or is failing and won't have it soon."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self not in work.unwritten
                    or self.state.failing_since is not None
                    or self._is_finished
                )
            )

    def lag(self) -> Lag:
        """How far the output is behind."""
        with self._changed:
            unwritten = [*self._in_hand, *self._waiting]
            oldest = next(iter([*self._syncing, *self._written, *unwritten]), None)
            records = sum(len(batch) for work in unwritten for batch in work.batches)
        return Lag(records, 0.0 if oldest is None else time.monotonic() - oldest.since)

    def stuck_s(self) -> float:
        """Seconds that the writing thread has spent in one call of the output; 0 when it waits."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def give_up_at(self, deadline: float) -> None:
        """From `deadline` (by `time.monotonic`) on, what the output refuses goes to the spool."""
        with self._changed:
            self._give_up_at = min(deadline, self._give_up_at)
            self._changed.notify_all()

    def stop(self) -> None:
        """Finish what was submitted, close the output, end the threads; returns when that is done.

        Without an earlier `give_up_at` it waits for an output that is away as long as that takes.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._writer.join()

    # -- the writing thread ----------------------------------------------------------------

    def _guarded(self, target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as exc:
            logger.exception("output %s failed", self.output.name)
            self._on_fatal(exc)
        finally:
            with self._changed:
                self._is_finished = True
                self._changed.notify_all()

    def _write_all(self) -> None:
        if self._opened():
            self._feed_spooled()
        while works := self._next_works():
            rest = self._deliver(self._unknown(works))
            if rest:
                self._spool.append(rest)
                logger.warning(
                    "output %s: %d records wait in %s for the next start",
                    self.output.name,
                    sum(map(len, rest)),
                    self._spool.path,
                )
            self._report_written(works)
        self._finish_syncs()
        self.output.close()

    def _opened(self) -> bool:
        """Open the output where that is still to be done; False where the drain time was over."""
        pause_s = FIRST_PAUSE_S
        while not self._is_open:
            try:
                with self._busy():
                    self._marks = dict(self.output.open())
            except (OutputUnavailable, OutputUnusable, OSError) as exc:
                self._report_failure(exc)
                if not self._pause(pause_s):
                    return False
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                self._is_open = True
                self._report_success()
        return True

    def _feed_spooled(self) -> None:
        """Write what an earlier run left in the spool, before anything new."""
        if not self._spool.path.exists():
            return
        marks = self._marks
        for batch in self._spool.batches():
            client = batch.client or b""
            unknown = batch.after(marks.get(client, 0))
            if unknown is not None and self._deliver([unknown]):
                return
            # A client that never heard of it sends the same records again.
            marks[client] = max(batch.last, marks.get(client, 0))
        if self._sync():
            self._spool.clear()

    def _next_works(self) -> list[Work]:
        """Wait for work; an empty list means that it is time to stop."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._requests or self._is_stopping)
                requests = list(self._requests)
                self._requests.clear()
                works = [] if requests else self._take_works()
            if works or not requests:
                return works
            for request in requests:
                self._run(request)

    def _take_works(self) -> list[Work]:
        works: list[Work] = []
        records = 0
        while self._waiting and records < RECORDS_A_WRITE:
            work = self._waiting.popleft()
            records += sum(map(len, work.batches))
            works.append(work)
        self.state.waiting = len(self._waiting)
        self._in_hand = works
        return works

    def _run(self, request: Callable[[], None]) -> None:
        if not self._is_open:
            return
        try:
            with self._busy():
                request()
        except (OutputUnavailable, OSError) as exc:
            self.state.last_error = (str(exc), self._clock())
            logger.warning("output %s: %s", self.output.name, exc)

    def _unknown(self, works: Sequence[Work]) -> list[Batch]:
        """The batches of `works` without what the output holds from earlier runs."""
        marks = self._marks
        batches = [batch for work in works for batch in work.batches]
        if not marks:
            return batches
        trimmed = (
            batch.after(marks.get(batch.client, 0)) if batch.client is not None else batch
            for batch in batches
        )
        return [batch for batch in trimmed if batch is not None]

    def _deliver(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Write `batches`, however long it takes; returns what the drain time left unwritten."""
        if self._has_given_up:
            # What is spooled comes first: written now, these would make it look written too.
            return batches
        pause_s = FIRST_PAUSE_S
        while batches:
            try:
                with self._busy():
                    self.output.write(batches)
            except OutputUnavailable as exc:
                self._show(_done(batches, exc))
                batches = _rest(batches, exc)
                self._report_failure(exc)
                if not self._pause(pause_s):
                    return batches
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                self._show(batches)
                self._report_success()
                return ()
        return ()

    def _show(self, batches: Sequence[Batch]) -> None:
        for watcher in self._watchers:
            watcher(batches, self.output)

    def _pause(self, pause_s: float) -> bool:
        """Wait before the next try; False when it is time to give up."""
        until = time.monotonic() + pause_s
        with self._changed:
            while (now := time.monotonic()) < min(until, self._give_up_at):
                self._changed.wait(min(until, self._give_up_at) - now)
            self._has_given_up = now >= self._give_up_at
            return not self._has_given_up

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._busy_since = None

    def _report_failure(self, exc: Exception) -> None:
        now = self._clock()
        state = self.state
        state.retries += 1
        state.last_error = (str(exc), now)
        if state.failing_since is None:
            self._reported_at = now
            self._on_problem(f"output {self.output.name} is unavailable, retrying: {exc}")
            with self._changed:
                state.failing_since = now
                self._changed.notify_all()
        elif now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            logger.warning(
                "output %s is still unavailable after %.0f s and %d tries: %s",
                self.output.name,
                now - state.failing_since,
                state.retries,
                exc,
            )

    def _report_success(self) -> None:
        state = self.state
        if state.failing_since is not None:
            away_s = self._clock() - state.failing_since
            state.failing_since = None
            state.retries = 0
            self._on_problem(f"output {self.output.name} works again after {away_s:.1f} s")

    def _report_written(self, works: Sequence[Work]) -> None:
        with self._changed:
            for work in works:
                work.unwritten.discard(self)
            self._in_hand = ()
            if self._syncs:
                self._written.extend(works)
            self._changed.notify_all()
        if not self._syncs:
            for work in works:
                work.finish_one()

    # -- the syncing thread ----------------------------------------------------------------

    def _sync_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._written or self._no_more_written)
                works = self._syncing = list(self._written)
                self._written.clear()
            if not works:
                return
            if self._is_open and not self._sync():
                self._tell_unsynced()
                return
            self._syncing = ()
            for work in works:
                work.finish_one()

    def _sync(self) -> bool:
        """Sync, however long it takes; False when the drain time is over before.

        What it failed for may pass (no descriptors left, a disk that is away); the output sees to
        it that the next try makes good what this one missed.
        """
        pause_s = FIRST_PAUSE_S
        failing_since = None
        while True:
            try:
                self.output.sync()
            except OutputUnavailable as exc:
                now = self._clock()
                self.state.last_error = (str(exc), now)
                if failing_since is None:
                    failing_since = now
                    self._on_problem(f"output {self.output.name} can't sync, retrying: {exc}")
                if not self._pause(pause_s):
                    return False
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            else:
                if failing_since is not None:
                    away_s = self._clock() - failing_since
                    self._on_problem(f"output {self.output.name} syncs again after {away_s:.1f} s")
                return True

    def _tell_unsynced(self) -> None:
        """The time is over: whoever stops or goes on now must know that not all is durable."""
        with self._changed:
            works = [*self._syncing, *self._written]
        records = sum(len(batch) for work in works for batch in work.batches)
        reason = self.state.last_error[0] if self.state.last_error else "out of time"
        error = OutputUnavailable(
            f"output {self.output.name}: {records} records are written, "
            f"but could not be synced: {reason}"
        )
        logger.error("%s", error)
        self._on_fatal(error)

    def _finish_syncs(self) -> None:
        with self._changed:
            self._no_more_written = True
            self._changed.notify_all()
        if self._syncs:
            self._syncer.join()


def _done(batches: Sequence[Batch], exc: OutputUnavailable) -> list[Batch]:
    """What of `batches` was written before a write ended in `exc`."""
    done = list(batches[: exc.batches_done])
    if exc.rows_done:
        done.append(batches[exc.batches_done].part(0, exc.rows_done))
    return done


def _rest(batches: Sequence[Batch], exc: OutputUnavailable) -> list[Batch]:
    """What is left of `batches` after a write that ended in `exc`."""
    rest = list(batches[exc.batches_done :])
    if rest and exc.rows_done:
        rest[0] = rest[0].part(exc.rows_done, len(rest[0]))
    return rest
