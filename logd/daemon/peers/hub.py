"""What all connections share: the read buffer, the intake, the sessions, limits and counts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from logd.daemon.peers.intake import Intake, Pause, Source
from logd.daemon.peers.limits import FaultCounts, Limits, PeerRates
from logd.daemon.peers.losses import Losses
from logd.daemon.peers.sessions import Sessions

logger = logging.getLogger(__name__)

READ_BUFFER_BYTES = 262_144
"""One read takes at most this much: large enough that the kernel, not we, is the limit."""

FULL_READ_BYTES = 512
"""While the intake is full a connection that is not paused yet may read only this much: with ten
thousand connections anything larger would be a second queue."""

REPORT_FAULTS_EVERY_S = 60.0

FAULTS_KEPT = 5
"""How many of the last faults `logd status` shows."""


class Fault(NamedTuple):
    """What a peer did wrong, and when (seconds since the epoch)."""

    time: float
    peer: str
    reason: str


class Member(Source, Protocol):
    """What the hub asks of a connection.

    Attributes:
        account: whom the limits per peer count for.
        is_failed: it was refused.
        is_closed: it is gone.
        last_read: when something came last, by the loop's clock.
        records: records received.
        counted_records: how many of them were counted against the peer's rate.
    """

    account: str
    is_failed: bool
    is_closed: bool
    last_read: float
    records: int
    counted_records: int

    @property
    def partial_bytes(self) -> int:
        """Bytes of a frame that is not complete."""

    @property
    def is_paused(self) -> bool:
        """Whether its socket is not read now."""

    def resume(self, reason: Pause = ...) -> None:
        """Go on reading if no other reason to pause is left."""

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Put another limit of a frame in force."""

    def give_up(self, reason: str) -> None:
        """Refuse what it sends from now on, and close it."""

    def close(self) -> None:
        """Close it once what is owed to it was sent."""

    def abort(self) -> None:
        """Close it at once."""


C = TypeVar("C", bound=Member)


@dataclass
class Counts:
    """Totals since the start."""

    connections: int = 0
    refused_connections: int = 0
    frames: int = 0
    records: int = 0
    bytes: int = 0
    faults: int = 0
    bad_frames: int = 0


class Hub(Generic[C]):
    """Owns the set of connections. All calls come from the event loop's thread.

    Attributes:
        token: what senders without a certificate must open their session with; None for no token.
        connections: open ones, plus those whose TLS handshake is done.
        last_faults: what peers did wrong of late.
        losses: what clients say they lost.
        is_draining: the daemon stops; sessions that open now are not read any more.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        intake: Intake[C],
        sessions: Sessions,
        limits: Limits,
        token: str | None = None,
    ) -> None:
        self.loop = loop
        self.intake = intake
        self.sessions = sessions
        self.limits = limits
        self.token = token
        self.counts = Counts()
        self.rates = PeerRates(limits.peer_records_per_s)
        self.faults = FaultCounts()
        self.last_faults: deque[Fault] = deque(maxlen=FAULTS_KEPT)
        self.losses = Losses()
        self.is_draining = False
        self.started_at = time.time()
        self.connections: set[C] = set()
        self.per_peer: dict[str, int] = {}
        self.read_buffer_view = memoryview(bytearray(READ_BUFFER_BYTES))
        self._small_view = self.read_buffer_view[:FULL_READ_BYTES]
        self._partial: dict[C, float] = {}
        self._partial_bytes = 0
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    def change_limits(self, limits: Limits) -> None:
        """Put other limits in force, for open connections too; none of them is closed for it."""
        if limits.peer_records_per_s != self.limits.peer_records_per_s:
            self.rates = PeerRates(limits.peer_records_per_s)
            for connection in self.connections:
                # What it sent so far counts for nothing under the new rate.
                connection.counted_records = connection.records
        self.limits = limits
        for connection in self.connections:
            connection.limit_frames(limits.max_frame_bytes)

    def lift_rates(self) -> None:
        """From now on nobody is too fast."""
        self.rates = PeerRates(0)
        for connection in self.connections:
            connection.resume(Pause.RATE)

    # -- connections -----------------------------------------------------------------------

    def add(self, connection: C) -> None:
        """A connection is open."""
        self.connections.add(connection)
        self.counts.connections += 1
        self._all_closed.clear()

    def remove(self, connection: C) -> None:
        """A connection is closed."""
        self.intake.forget(connection)
        self._partial.pop(connection, None)
        self.connections.discard(connection)
        self.left(connection.account)
        if not self.connections:
            self._all_closed.set()

    def came(self, account: str) -> None:
        """Count a connection of an address or user, from its accept on."""
        self.per_peer[account] = self.per_peer.get(account, 0) + 1

    def left(self, account: str) -> None:
        """A connection of an address or user is gone."""
        left = self.per_peer.get(account, 0) - 1
        if left > 0:
            self.per_peer[account] = left
        else:
            self.per_peer.pop(account, None)

    async def wait_all_closed(self, at_most_s: float) -> None:
        """Return when no connection is left, or after `at_most_s` seconds."""
        try:
            await asyncio.wait_for(self._all_closed.wait(), at_most_s)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()

    # -- reading ---------------------------------------------------------------------------

    def read_view(self) -> memoryview:
        """Where the next read goes."""
        return self._small_view if self.intake.is_full else self.read_buffer_view

    def note_partial(self, connection: C, change: int, *, has_completed: bool = False) -> None:
        """Keep count of the bytes of frames that are not complete, and since when they are not."""
        self._partial_bytes += change
        if not connection.partial_bytes or connection.is_failed or connection.is_closed:
            self._partial.pop(connection, None)
        elif has_completed or connection not in self._partial:
            self.restart_frame_clock(connection, starts=True)
        if change > 0 and self._partial_bytes > self.limits.max_partial_bytes:
            self._give_up_oldest_frame()

    def restart_frame_clock(self, connection: C, *, starts: bool = False) -> None:
        """The time that a frame takes counts from now."""
        if self._partial.pop(connection, None) is not None or starts:
            self._partial[connection] = self.loop.time()

    def _give_up_oldest_frame(self) -> None:
        oldest = next(iter(self._partial), None)
        if oldest is not None:
            oldest.give_up("too many incomplete frames, this one the oldest")

    # -- faults and time -------------------------------------------------------------------

    def fault(self, peer: str, reason: str) -> None:
        """Count a fault of a peer; the first in a minute is told at once, the others together."""
        self.counts.faults += 1
        self.last_faults.append(Fault(time.time(), peer, reason))
        host = peer.rsplit(":", 1)[0]
        if self.faults.add(host, reason):
            logger.info("%s refused: %s", peer, reason)
        else:
            logger.debug("%s refused: %s", peer, reason)

    def report_faults(self) -> None:
        """Tell what was counted; to be called about every `REPORT_FAULTS_EVERY_S`."""
        for line in self.faults.take():
            logger.warning("%s", line)

    def close_late(self) -> None:
        """Close connections whose frame takes too long, or that were idle too long."""
        now = self.loop.time()
        if self.limits.frame_timeout_s:
            for connection, since in list(self._partial.items()):
                if now - since <= self.limits.frame_timeout_s:
                    break
                if not connection.is_paused:
                    connection.give_up("frame not complete in time")
        if self.limits.idle_timeout_s:
            for connection in list(self.connections):
                is_idle = not connection.queued_bytes and not connection.is_paused
                if is_idle and now - connection.last_read > self.limits.idle_timeout_s:
                    connection.close()
