"""The consumer: takes deliveries off the intake and feeds the `LogServer` with them.

One asyncio task takes what waits; one thread (`portionthread.py`) decodes it, runs the filters and
hands the batches to the outputs. While the thread works on one portion the next is already waiting
for it: two portions are under way at most. Little work is done in the loop's own thread.

Portions grow by themselves: whatever arrived while the thread was busy becomes the next one, up to
`PORTION_BYTES`. At modest rates records are gathered some milliseconds, see `gathering.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from logd.daemon.decodedroom import DecodedRoom
from logd.daemon.decoding import Done
from logd.daemon.gathering import ENOUGH_BYTES, GATHER_S, QUIET_S
from logd.daemon.loneway import LoneWay
from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import Hub
from logd.daemon.portionthread import PortionThread
from logd.daemon.sinks import Sink
from logd.daemon.slices import SLICE_S, DecodedPortion, Portion, Slices
from logd.outputs.failpoints import failpoint
from logd.outputs.work import Work
from logd.records.batch import Batch
from logd.wire import Decoder

if TYPE_CHECKING:
    from logd.records.job import MsgJob
    from logd.server import LogServer

PORTION_BYTES = 1 << 20
"""How much the thread gets at a time: enough that costs per portion vanish, little enough that
its memory stays in the processor's cache and a record never waits long for its portion."""

PORTION_S = 0.01
"""How long a portion may be expected to take, decoding and writing: a lone record waits behind the
two that are under way."""

PORTIONS_UNDER_WAY = 2

HERE_BYTES = 65_536
HERE_S = 0.02
"""A portion of at most this many bytes is decoded in the event loop's thread, if nothing is under
way: less work than to wake the other thread, and to be woken by it. It gets this much time; after
one that needed half of that the other thread has them all for `ELSEWHERE_S`."""

ELSEWHERE_S = 1.0
MOMENT_S = 0.005

_Size = tuple[Connection, int]
"""Bytes that count in a connection's budget."""


class Pipeline:
    """Owns the pipeline's thread, and the knowledge of what passed through it.

    Args:
        hub: whose intake is consumed.
        server: filters and observers, and what makes text of times.
        sink: where batches go.
        marks: client id -> sequence number that every output holds from earlier runs.
        on_fatal: called when the thread failed in a way that only a restart can mend.
        tells_dropped: whether the sink is told of batches of which filters leave nothing.

    Attributes:
        thread: decodes and filters; requests run there.
        lone_way: takes what rounds bring.
    """

    def __init__(
        self,
        hub: Hub[Connection],
        server: LogServer,
        sink: Sink,
        marks: dict[bytes, int],
        on_fatal: Callable[[BaseException], None],
        *,
        tells_dropped: bool = False,
    ) -> None:
        self._hub = hub
        self._server = server
        self._sink = sink
        self._tells_dropped = tells_dropped
        self._max_frame_bytes = hub.limits.max_frame_bytes
        self._slices = Slices(hub, self._new_decoder(), marks)
        self.thread = PortionThread(
            hub.loop, self._process_one, self._process_rest, on_fatal, lambda: self._changed.set()
        )
        self._room = DecodedRoom(hub.intake, sink.relieve)
        self._slots = asyncio.Semaphore(PORTIONS_UNDER_WAY)
        self._unfinished = 0
        # What left the intake is not counted there yet.
        self._is_taking = False
        # Whether the thread has not decoded all that it took.
        self._has_left = False
        # Of which accounts the thread has more of that than is good.
        self._crowded: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._handed_over_at = float("-inf")
        self._elsewhere_until = float("-inf")
        self.lone_way = LoneWay(hub, sink, self._slices, self.thread, self)

    def _new_decoder(self) -> Decoder:
        return Decoder(
            max_frame_bytes=self._max_frame_bytes,
            has_full_names=self._server.cfnMode == self._server.CFN_FULL,
        )

    # -- the event loop's side -------------------------------------------------------------

    async def run(self) -> None:
        """Consume until cancelled. The single consumer task of the daemon."""
        self.thread.start()
        self._hub.rounds.taker = self.lone_way
        while True:
            await self._room.wait()
            await self._gather()
            await self._let_finish()
            self.take_queued()
            if self._hub.intake.is_empty and not self._has_left:
                continue
            self._has_left = False
            portion = self._take_waiting()
            try:
                await self._slots.acquire()
            finally:
                self.thread.put(portion)

    def _take_waiting(self) -> Portion:
        # The rounds' thread may look at any moment whether something is under way.
        self._is_taking = True
        portion = self._hub.intake.take_waiting(PORTION_BYTES, PORTION_S, self._crowded)
        self._unfinished += len(portion)
        self._is_taking = False
        return portion

    async def _let_finish(self) -> None:
        """Give the thread a moment if little waits, which can be done here then.

        Otherwise a busy machine would never be done with one portion before the next comes.
        """
        if (
            self._unfinished
            and not (self._has_left or self._hub.is_draining)
            and self._hub.intake.waiting_bytes <= HERE_BYTES
        ):
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), MOMENT_S)

    def lets_lone_pass(self) -> bool:
        """See `loneway.Others`; called in the rounds' thread, too."""
        server = self._server
        return (
            self._sink.is_quick
            and not (server.filters or server.observers or self._hub.limits.peer_records_per_s)
            and self._room.is_there
            and not self.thread.has_failed
        )

    @property
    def is_idle(self) -> bool:
        """See `loneway.Others`; called in the rounds' thread, too."""
        # In the order in which things move, so that none is missed.
        return self._hub.intake.is_empty and not (self._is_taking or self._unfinished)

    def take_queued(self) -> None:
        """Do what waits in the loop's thread, if it is little and nobody else is at work."""
        intake = self._hub.intake
        if (
            intake.is_empty
            or self._unfinished
            or intake.waiting_bytes > HERE_BYTES
            or not self._may_work_here()
            or not self.thread.at_work.acquire(blocking=False)
        ):
            return
        try:
            portion = self._take_waiting()
            self._handed_over_at = self._hub.loop.time()
            cpu_s = time.thread_time()
            self._process(portion, HERE_S, self._handed_over)
            if time.thread_time() - cpu_s > HERE_S / 2:
                self._elsewhere_until = self._handed_over_at + ELSEWHERE_S
        except Exception as exc:
            self.thread.fail(exc)
        finally:
            self.thread.at_work.release()

    def _may_work_here(self) -> bool:
        """Whether there is room, and nothing that may be slow: filters, an app's own writer."""
        return (
            self._sink.is_quick
            and not (self._server.filters or self._server.observers)
            and self._room.is_there
            and self._hub.loop.time() >= self._elsewhere_until
            and not self.thread.has_failed
        )

    async def _gather(self) -> None:
        """Return when there is something to do, and there won't be much more at once."""
        hub = self._hub
        await hub.intake.wait(lambda: self._has_left)
        is_quiet = hub.loop.time() - self._handed_over_at > QUIET_S
        if not (self._has_left or is_quiet or self._room.is_unbounded or hub.is_draining):
            await hub.intake.gather(GATHER_S, ENOUGH_BYTES)
        self._handed_over_at = hub.loop.time()

    def relieve(self) -> None:
        """Plain senders wait: make room, unless it is decoding that takes so long."""
        self._room.relieve()

    def lift_limit(self) -> None:
        """Decode all that waits, however much memory it takes: there is no more time."""
        self._room.lift()

    def drop_sessions(self) -> None:
        """Decode no more of sessions: their clients keep it, and time is short."""
        self._hub.intake.drop(lambda connection: connection.client is not None)
        self._changed.set()

    async def wait_decoded(self) -> None:
        """Return when all that the intake holds has been handed to the outputs.

        Also when the thread has failed, and nothing will be handed over any more.
        """
        while not self.thread.has_failed and (self._unfinished or not self._hub.intake.is_empty):
            self._changed.clear()
            await self._changed.wait()

    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop what is known of clients that are gone."""

        def drop() -> None:
            for client in clients:
                self._slices.accepted.pop(client, None)

        self.thread.call(drop)

    def _handed_over(self, done: Done, portion: DecodedPortion) -> None:
        """A slice is done: it is decoded, and on its way to the outputs."""
        for connection, size in done.heavy:
            self._hub.intake.charge(connection, size)
        for connection, size, seconds in done.turns:
            self._hub.intake.spent(connection, size, seconds)
        size = sum(size for _, size in done.heavy) + sum(delivery.size for _, delivery in portion)
        self._room.take(size, done.writing_s)
        self._unfinished -= done.deliveries
        self._crowded = done.crowded
        if done.has_left:
            self._has_left = True
            self._hub.intake.look_again()
        self._changed.set()
        for connection, reason in done.dropped:
            self._hub.frame_dropped(connection.peer, reason)
        for failure in done.failures:
            failure.connection.fail(failure.refusal, failure.reason)
        if self._hub.limits.peer_records_per_s:
            self._slow_down({connection for connection, _ in portion})

    def _slow_down(self, connections: set[Connection]) -> None:
        """Pause the connections of peers that sent more than they may in a second."""
        hub = self._hub
        for connection in connections:
            new = connection.records - connection.counted_records
            connection.counted_records += new
            wait_s = hub.rates.spend(connection.account, new, hub.loop.time())
            if wait_s > 0 and not connection.is_closed:
                connection.reading.pause_for(wait_s)

    def _durable(self, work: Work, sizes: Sequence[_Size], writing_s: float) -> None:
        """Every output has `work`: its bytes make room, its senders are told."""
        intake = self._hub.intake
        for connection, size in sizes:
            intake.release(connection, size)
        self._room.give_back(sum(size for _, size in sizes), writing_s)
        failpoint("ack.before_send")
        self._hub.sessions.durable(work.acks)
        failpoint("ack.after_send")
        intake.resume()

    # -- the thread's side -----------------------------------------------------------------

    @property
    def server(self) -> LogServer:
        """The filters and observers in force."""
        return self._server

    def use(self, server: LogServer, max_frame_bytes: int) -> None:
        """Go on with another server and limit; called in the thread, from a request."""
        self._server = server
        # What came before under a higher limit is still decoded.
        self._max_frame_bytes = max(max_frame_bytes, self._max_frame_bytes)
        self._slices.decoder = self._new_decoder()

    def accepted(self, client: bytes) -> int:
        """The highest sequence number of a session that was handed on; from any thread."""
        return self._slices.accepted.get(client, 0)

    def _process_one(self, portion: Portion) -> None:
        self._process(portion, SLICE_S, self._tell_handed_over)

    def _process_rest(self) -> None:
        while self._slices:
            self._process([], SLICE_S, self._tell_handed_over)

    def _tell_handed_over(self, done: Done, portion: DecodedPortion) -> None:
        """Let the loop know that the thread is done with a slice and has room for a portion."""

        def tell() -> None:
            self._slots.release()
            self._handed_over(done, portion)

        self.thread.tell_loop(tell)

    def _process(
        self, taken: Portion, slice_s: float, hand_over: Callable[[Done, DecodedPortion], None]
    ) -> None:
        """Decode for a slice of time, filter, hand it to the sink, show it to the observers.

        What is left then is for the next call, even if that has nothing new.
        """
        self._slices.add(taken)
        done = Done()
        portion: DecodedPortion = []
        batches: list[Batch] = []
        seen: list[MsgJob] = []
        for batch in self._slices.decoded(portion, done, slice_s):
            prepared = self._server.prepare(batch)
            if prepared.batch is not None:
                batches.append(prepared.batch)
            elif self._tells_dropped and batch.client is not None:
                batches.append(Batch.of_none(batch.client, batch.first, batch.last, batch.floor))
            if prepared.jobs:
                seen.extend(prepared.jobs)
        done.has_left = bool(self._slices)
        done.crowded = self._slices.crowded
        hand_over(done, portion)
        if not portion:
            return
        sizes = [(connection, delivery.size) for connection, delivery in portion] + done.heavy
        work = Work(
            batches,
            done.acks,
            lambda work: self.thread.tell_loop(self._durable, work, sizes, done.writing_s),
            is_awaited=any(connection.is_awaiting for connection, _ in portion),
        )
        self._sink.submit(work)
        if seen:
            self._sink.wait_written(work)
            self._server.observe(seen)
        if done.dropped:
            for connection, reason in done.dropped:
                text = f"a frame from {connection.peer} was dropped: {reason}"
                self._server.note(text, ("frame dropped", connection.account), cat="W")
            self._server.write_reports()
