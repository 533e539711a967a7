"""What all connections share: the read buffer, the intake, the sessions, limits and counts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from logd.daemon.peers import rounds
from logd.daemon.peers.intake import Feeder, Intake, Pause
from logd.daemon.peers.limits import FaultCounts, Limits, PeerRates
from logd.daemon.peers.losses import LossReports
from logd.daemon.peers.markreader import MarkReader
from logd.daemon.peers.newcomers import Newcomers
from logd.daemon.peers.partials import Partials
from logd.daemon.peers.patience import WaitingSenders
from logd.daemon.peers.readturns import READ_BYTES, ReadTurns
from logd.daemon.peers.rounds import Rounds
from logd.daemon.peers.sessions import Sessions
from logd.daemon.peers.shares import Shares
from logd.daemon.rest import Rest

logger = logging.getLogger(__name__)

FULL_READ_BYTES = 512
"""A connection whose peer has filled its share of the queue and that is not paused yet may read
only this much: with ten thousand connections anything larger would be a second queue."""

REPORT_FAULTS_EVERY_S = 60.0

MAX_FAULTS = 5
"""How many of the last faults `logd status` shows."""


class Fault(NamedTuple):
    """What a peer did wrong, and when (seconds since the epoch)."""

    time: float
    peer: str
    reason: str


class Member(Feeder, rounds.RoundMember, Protocol):
    """What the hub asks of a connection.

    Attributes:
        account: what the limits per peer count for.
        has_place: it counts among the connections that may be open at a time.
        last_read: when something came last, by the loop's clock.
        records: records received.
        counted_records: how many of them were counted against the peer's rate.
    """

    account: str
    has_place: bool
    last_read: float
    records: int
    counted_records: int

    @property
    def partial_bytes(self) -> int:
        """Bytes of a frame that is not complete."""

    @property
    def is_paused(self) -> bool:
        """Whether its socket is not read now."""

    @property
    def is_owed(self) -> bool:
        """Whether something of it is here that is not stored."""

    def resume(self, reason: Pause = ...) -> None:
        """Go on reading if no other reason to pause is left."""

    def sip(self) -> None:
        """Go on reading, for a sip, if no other reason to pause is left."""

    def read_alone(self) -> None:
        """Let its transport read its socket from now on."""

    def keep_alive(self) -> None:
        """Say that the daemon lives, if the peer waits."""

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Put another limit of a frame in force."""

    def give_up(self, reason: str) -> None:
        """Refuse what it sends from now on, and close it."""

    def turn_away(self, reason: str) -> None:
        """Close it at once and give its place free."""

    def close(self) -> None:
        """Close it once what is owed to it was sent."""

    def abort(self) -> None:
        """Close it at once."""


C = TypeVar("C", bound=Member)


@dataclass
class Counts:
    """Totals since the start; bytes and frames but for what rounds decoded."""

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
        connections: open ones; those in their TLS handshake are not.
        places: how many connections of each account there are, from their accept on.
        patience: plain senders that wait for room.
        newcomers: those that have not shown a good frame yet.
        partials: incomplete frames.
        turns: connections that wait to be read on.
        last_faults: what peers did wrong last.
        losses: what clients say they lost.
        marks: asks for marks that other daemons share; None if there are no others.
        rounds: read the sockets of quiet senders.
        rest: while nothing comes for long.
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
        self.last_faults: deque[Fault] = deque(maxlen=MAX_FAULTS)
        self.losses = LossReports()
        self.rest = Rest()
        self.rounds: Rounds[C] = Rounds(loop, intake, self.rest.stir)
        self.is_draining = False
        self.marks: MarkReader | None = None
        self.started_at = time.time()
        self.connections: set[C] = set()
        self.places = Shares()
        self.newcomers: Newcomers[C] = Newcomers()
        self.patience: WaitingSenders[C] = WaitingSenders(loop, intake)
        self.partials: Partials[C] = Partials()
        self.turns = ReadTurns(loop)
        self.read_buffer_view = memoryview(bytearray(READ_BYTES))
        self._small_view = self.read_buffer_view[:FULL_READ_BYTES]
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

    def end_rounds(self) -> None:
        """From now on each socket is read as soon as it has something."""
        for connection in self.connections:
            connection.read_alone()
        self.rounds.end()

    def lift_rates(self) -> None:
        """From now on nobody is too fast."""
        self.rates = PeerRates(0)
        for connection in self.connections:
            connection.resume(Pause.RATE)

    # -- connections -----------------------------------------------------------------------

    def add(self, connection: C) -> None:
        """A connection is open."""
        self.connections.add(connection)
        self.rest.stir()
        self.counts.connections += 1
        self._all_closed.clear()

    def remove(self, connection: C) -> None:
        """A connection is closed."""
        self.intake.forget(connection)
        self.partials.forget(connection)
        self.connections.discard(connection)
        self.left(connection)
        if not self.connections:
            self._all_closed.set()

    def came(self, connection: C) -> None:
        """A connection was accepted: it takes a place until it is gone."""
        self.rest.stir()
        connection.has_place = True
        self.places.add(connection.account, 1)
        self.newcomers.came(connection, self.loop.time())

    def settled(self, connection: C) -> None:
        """The first frame of a connection was let in."""
        self.newcomers.settled(connection)

    def make_room(self, account: str | None = None) -> bool:
        """Turn a silent connection away for another one; see `Newcomers.make_room`."""
        return self.newcomers.make_room(self.loop.time(), account)

    def left(self, connection: C) -> None:
        """A connection is gone, or as good as that; may be said more than once."""
        if connection.has_place:
            connection.has_place = False
            self.places.add(connection.account, -1)
            self.newcomers.settled(connection)

    def keep_alive(self) -> None:
        """Tell all clients that wait for an ack that the daemon lives: it is slow, not dead."""
        for connection in list(self.connections):
            connection.keep_alive()

    async def wait_all_closed(self, at_most_s: float) -> None:
        """Return when no connection is left, or after `at_most_s` seconds."""
        try:
            await asyncio.wait_for(self._all_closed.wait(), at_most_s)
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()

    # -- reading ---------------------------------------------------------------------------

    @property
    def received_bytes(self) -> int:
        """Bytes received since the start."""
        return self.counts.bytes + self.rounds.bytes

    @property
    def frames(self) -> int:
        """Frames received since the start."""
        return self.counts.frames + self.rounds.frames

    def read_view(self, connection: C) -> memoryview:
        """Where the read of a connection goes that follows at once."""
        self.turns.begin_read()
        if not self.intake.has_room(connection) and not self.patience.is_sipping(connection):
            return self._small_view
        return self.read_buffer_view[: self.turns.read_bytes]

    def note_partial(self, connection: C, *, begins: bool) -> None:
        """See what a connection holds of a frame now; see `Partials.note`."""
        self.partials.note(
            connection, self.loop.time(), self.limits.max_partial_bytes, begins=begins
        )

    def restart_frame_clock(self, connection: C) -> None:
        """The time that a frame takes counts from now."""
        self.partials.restart(connection, self.loop.time())

    def forget_partial(self, connection: C) -> None:
        """What there was of a frame was let go."""
        self.partials.forget(connection)

    # -- faults and time -------------------------------------------------------------------

    def fault(self, peer: str, reason: str, outcome: str = "refused") -> None:
        """Count a fault of a peer; the first in a minute is told at once, the others together."""
        self.counts.faults += 1
        self.last_faults.append(Fault(time.time(), peer, reason))
        host = peer.rsplit(":", 1)[0]
        if self.faults.add(host, reason):
            logger.info("%s %s: %s", peer, outcome, reason)
        else:
            logger.debug("%s %s: %s", peer, outcome, reason)

    def frame_dropped(self, peer: str, reason: str) -> None:
        """A frame could not be decoded; its connection stays."""
        self.counts.bad_frames += 1
        self.fault(peer, reason, "frame dropped")

    def report_faults(self) -> None:
        """Tell what was counted; to be called about every `REPORT_FAULTS_EVERY_S`."""
        for line in self.faults.take():
            logger.warning("%s", line)

    def close_late(self) -> None:
        """Close connections that say nothing, whose frame takes too long, or that were idle."""
        now = self.loop.time()
        limits = self.limits
        if limits.first_frame_timeout_s:
            reason = f"no frame in {limits.first_frame_timeout_s:g} s"
            for connection in self.newcomers.since_before(now - limits.first_frame_timeout_s):
                connection.turn_away(reason)
        if limits.frame_timeout_s:
            for connection in self.partials.begun_before(now - limits.frame_timeout_s):
                if not connection.is_paused:
                    connection.give_up("frame not complete in time")
        if limits.idle_timeout_s:
            for connection in list(self.connections):
                is_idle = not connection.is_owed and not connection.is_paused
                if is_idle and now - connection.last_read > limits.idle_timeout_s:
                    connection.close()
