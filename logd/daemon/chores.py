"""What a running daemon does every few seconds: signs of life, timeouts, figures, old marks.

After a minute in which nothing happened it rests (`rest.py`), but for the watchdog: nothing is
looked after more often than once a minute, until something comes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING

from logd.daemon.crowding import Crowding
from logd.daemon.notify import ServiceManager
from logd.daemon.peers.hub import REPORT_FAULTS_EVERY_S
from logd.daemon.rates import EVERY_S, DiskPace, Rates
from logd.outputs.base import OutputUnavailable

if TYPE_CHECKING:
    from logd.daemon.peers.connection import Connection
    from logd.daemon.peers.hub import Hub
    from logd.daemon.pipeline import Pipeline
    from logd.outputs.fanout import Outputs
    from logd.outputs.worker import OutputWorker

logger = logging.getLogger(__name__)

HOUSEKEEPING_S = 1.0
KEEP_ALIVE_S = 3.0
"""Clients with several servers leave one that says nothing for 8 s."""

STUCK_S = 5.0
"""If marks are shared and a write takes longer, clients may go to another daemon."""

TICK_S = 5.0
STATUS_S = 10.0
PRUNE_S = 10.0

QUIET_S = 61.0
"""After this long without anything the daemon rests: all rates are 0 by then."""

RESTING_S = 60.0
"""How often it looks after everything all the same: a time for a rotation may have come."""


class Chores:
    """The chores of one daemon, done in the event loop's thread.

    Args:
        hub: connections and counts.
        pipeline: the consumer.
        outputs: the durable outputs; None if the daemon has none.
        manager: is told that the daemon lives, and how it is.
        on_fatal: ends the daemon.
        crowding: is told of clients' sessions that were forgotten too early.
        is_shared: see `Parts`.
        give_up_s: see `Parts`.

    Attributes:
        rates: how much comes in.
        paces: how much comes back from the disk, for each output.
    """

    def __init__(
        self,
        hub: Hub[Connection],
        pipeline: Pipeline,
        outputs: Outputs | None,
        manager: ServiceManager,
        on_fatal: Callable[[BaseException], None],
        crowding: Crowding,
        *,
        is_shared: bool,
        give_up_s: float,
    ) -> None:
        self._crowding = crowding
        self._hub = hub
        self._pipeline = pipeline
        self._outputs = outputs
        self._manager = manager
        self._on_fatal = on_fatal
        self.rates = Rates(hub.loop.time())
        self.paces: dict[OutputWorker, DiskPace] = {}
        # What had happened at the last look, and since when nothing else did.
        self._happened: tuple[int, ...] = ()
        self._quiet_since = hub.loop.time()
        self._is_shared = is_shared
        self._give_up_s = give_up_s

    def all(self) -> list[Coroutine[None, None, None]]:
        """Each as something to run until it is cancelled."""
        usual: list[tuple[float, Callable[[], None]]] = [
            (HOUSEKEEPING_S, self._hub.close_late),
            (KEEP_ALIVE_S, self._keep_alive),
            (REPORT_FAULTS_EVERY_S, self._hub.report_faults),
            (PRUNE_S, self._prune),
            (TICK_S, self._tick),
            (EVERY_S, self._measure),
            (STATUS_S, self._tell_status),
        ]
        chores = [self._do(usual, rests=True)]
        if self._manager.watchdog_s:
            watching = (self._manager.watchdog_s / 2, self._feed_watchdog)
            chores.append(self._do([watching], rests=False))
        return chores

    async def _do(self, chores: Sequence[tuple[float, Callable[[], None]]], *, rests: bool) -> None:
        """Do each chore as often as it says, in seconds."""
        clock = self._hub.loop.time
        due = {chore: clock() + interval_s for interval_s, chore in chores}
        while True:
            await asyncio.sleep(min(due.values()) - clock())
            is_idle = rests and self._is_idle()
            if is_idle:
                await self._hub.rest.last(RESTING_S)
            now = clock()
            for interval_s, chore in chores:
                if due[chore] <= now or is_idle:
                    due[chore] = now + interval_s
                    try:
                        chore()
                    except Exception:
                        logger.exception("%s failed", chore.__name__)

    def _is_idle(self) -> bool:
        """Whether nothing has happened for a while, and nobody waits for anything."""
        hub, workers = self._hub, () if self._outputs is None else self._outputs.workers
        now, counts = hub.loop.time(), hub.counts
        happened = (counts.records, hub.received_bytes, counts.connections, len(hub.connections))
        if happened != self._happened:
            self._happened, self._quiet_since = happened, now
        return (
            now - self._quiet_since > QUIET_S
            and not (len(hub.newcomers) or hub.partials.bytes or hub.limits.idle_timeout_s)
            and not (hub.intake.waiting_bytes or hub.intake.queued_bytes)
            and not self._pipeline.lone_way.bytes
            and not any(one.is_failing or one.disk.records or one.waits_s() for one in workers)
        )

    def _keep_alive(self) -> None:
        """Tell clients that wait that the daemon lives, unless another one may do better."""
        is_alone = self._outputs is None or not self._is_shared
        workers = () if is_alone or self._outputs is None else self._outputs.workers
        if not any(worker.is_failing or worker.stuck_s() > STUCK_S for worker in workers):
            self._hub.keep_alive()

    def _prune(self) -> None:
        gone = self._hub.sessions.prune()
        self._crowding.look(self._hub.sessions.pushed_out)
        self._pipeline.forget(gone)
        if self._outputs is not None and gone:
            self._outputs.call_each(lambda worker: lambda: worker.forget(gone))

    def _tick(self) -> None:
        if self._outputs is None:
            return
        now = time.time()
        for worker in self._outputs.workers:
            if self._is_shared and worker.waits_s() > self._give_up_s:
                self._give_up(worker)
            # One that is away has more than enough to do when it is back.
            if not worker.is_failing:
                worker.call(partial(worker.output.tick, now))

    def _give_up(self, worker: OutputWorker) -> None:
        """End: what it holds is so old that others may have forgotten that they stored it."""
        text = f"output {worker.output.name} stores nothing since {self._give_up_s:g} s"
        logger.error("%s: the daemon ends; its clients still have what is not stored", text)
        self._on_fatal(OutputUnavailable(text))

    def _measure(self) -> None:
        counts = self._hub.counts
        now = self._hub.loop.time()
        self.rates.add(now, counts.records, self._hub.received_bytes)
        workers = () if self._outputs is None else self._outputs.workers
        self.paces = {worker: self.paces.get(worker) or DiskPace(now) for worker in workers}
        for worker, pace in self.paces.items():
            queue = worker.disk
            pace.add(now, queue.taken, queue.kept)

    def _tell_status(self) -> None:
        counts = self._hub.counts
        records_per_s, _ = self.rates.over(STATUS_S)
        self._manager.status(
            f"{records_per_s:,.0f} records/s, {counts.records:,} since start, "
            f"{len(self._hub.connections)} connections, "
            f"{self._hub.intake.queued_bytes / 1e6:.1f} MB queued{self._disks()}"
        )

    def _disks(self) -> str:
        """What waits on disk, for people; empty without any."""
        text = ""
        for worker in () if self._outputs is None else self._outputs.workers:
            queue = worker.disk
            if queue.records:
                text += f"; {queue.records:,} records wait on disk for output {worker.output.name}"
            if worker.is_full:
                text += f"; NO ROOM on disk for output {worker.output.name}, senders wait"
        return text

    def stuck_s(self) -> float:
        """The longest time, in seconds, that a thread has been busy with one thing.

        An output that is away does not count as stuck: its worker waits and tries again.
        """
        stuck_s = self._pipeline.thread.stuck_s()
        return stuck_s if self._outputs is None else max(stuck_s, self._outputs.stuck_s())

    def _feed_watchdog(self) -> None:
        """A sign of life, unless a thread has been busy with one thing for too long."""
        stuck_s = self.stuck_s()
        if stuck_s < self._manager.watchdog_s:
            self._manager.alive()
            if self._hub.is_draining:
                # Much may wait that was not decoded: that takes longer than a unit's limit.
                self._manager.goes_on_stopping(self._manager.watchdog_s)
        else:
            logger.error("the pipeline has been stuck for %.0f s", stuck_s)
