"""One sender: cuts complete frames out of what arrives and hands them to the intake.

The event loop does as little as possible for each frame: it walks the lengths, copies what is
complete once, and leaves decoding to the pipeline's thread. Only the first frame is looked into
here, because a session's opening wants its answer before the first batch.

    read -> `FrameSplitter` -> first frame: `admission` -> `Intake` -> the pipeline
    acks, a refusal <- `Hub.sessions`, the pipeline

What is not complete yet is kept by the splitter and counted by `Partials`; whether the socket is
read is `Reading`'s concern; how a connection ends stands at the end of this file.

All connections of a loop read into one shared buffer (`Hub.read_view`): between `get_buffer` and
`buffer_updated` the loop serves nobody else, and what stays behind for later is only a frame that
is not complete yet. That keeps ten thousand idle connections small.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import logging
import socket
from collections import deque
from contextlib import suppress
from typing import cast

from logd.daemon.gathering import Lockstep
from logd.daemon.peers.admission import rejection
from logd.daemon.peers.badframes import BadFrames
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Pause
from logd.daemon.peers.markreader import MarkReader
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.reading import Reading
from logd.daemon.peers.rounds import (
    LOOK_S,
    MAX_LONE_BYTES,
    QUIET_BYTES_PER_S,
    READ_BYTES,
    ROUND_S,
)
from logd.daemon.peers.sockets import MAX_NAGLED_BYTES, acknowledge_at_once, watch_for_death
from logd.wire.frames import FrameError, Frames, FrameSplitter, whole_frames
from logd.wire.session import (
    KEEP_ALIVE,
    MAX_OPENING_BYTES,
    Opening,
    Refusal,
    encode_ack,
    encode_refusal,
    read_opening,
)

logger = logging.getLogger(__name__)

MAX_UNREAD_ACKS_BYTES = 65_536
"""A client that lets more bytes of acks lie is broken; it is cut off."""

FEW_QUEUED = 0.125
"""A sender of which no more than this part of the limit is queued keeps up, and may be quiet."""

LINGER_S = 5.0
"""How long a peer may take to read our last message before the connection is aborted."""

FOREIGN_LENGTH = 1 << 24
"""No sender ever made a record of 16 MiB: a first frame that long is another protocol's text."""


class Kind(enum.Enum):
    """What a connection turned out to be."""

    NEW = "new"
    PLAIN = "plain"
    SESSION = "session"


class Connection(asyncio.BufferedProtocol):
    """The daemon's end of one connection; lives from accept to close.

    Attributes:
        peer, host, account, is_trusted: see `Origin`; a certificate makes a peer trusted, too.
        identity: the owner of a session: the certificate, else the account.
        origin: what records say of where they came from: `host`, or "" from this machine itself.
        sock: the socket that was accepted; None if the transport has another one.
        has_place: it counts among the connections that may be open at a time.
        kind: plain or session, known after the first frame.
        client: the session's key, see `SessionKeys`; None without one.
        first: the lowest sequence number that the session's opening announced.
        pending: what was read and the pipeline has not taken yet.
        queued_bytes: bytes received and not yet held by every output.
        records: records received; written by the pipeline's thread only.
        counted_records: how many of them were counted against the peer's rate.
        bad_frames: counts frames that were dropped; used by the pipeline's thread only.
        is_failed: it was refused; what it still sends is not looked at.
        is_undecodable: a bad frame was found: nothing after it is decoded. Written by the
            pipeline's thread only.
        reading: whether its socket is read.
    """

    __slots__ = (
        "_early",
        "_hub",
        "_lockstep",
        "_looked_at",
        "_looked_bytes",
        "_nagling",
        "_offered",
        "_splitter",
        "_transport",
        "account",
        "bad_frames",
        "client",
        "counted_records",
        "first",
        "frames",
        "has_place",
        "host",
        "identity",
        "is_closed",
        "is_failed",
        "is_trusted",
        "is_undecodable",
        "is_waiting",
        "kind",
        "last_read",
        "origin",
        "peer",
        "pending",
        "queued_bytes",
        "read_bytes",
        "reading",
        "records",
        "since",
        "sock",
    )

    def __init__(self, hub: Hub[Connection], origin: Origin) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._splitter = FrameSplitter(hub.limits.max_frame_bytes, may_skip=True)
        self._nagling: socket.socket | None = None
        self._offered = 0
        self._lockstep: Lockstep | None = None
        # What came before the session's mark was known.
        self._early: list[Frames] | None = None
        self.reading = Reading(hub.loop, hub.turns, hub.rounds, self._reads_on)
        self.host, self.account, self.peer, self.is_trusted = origin
        self.origin = origin.recorded
        self.identity = origin.account
        self.sock: socket.socket | None = None
        self.has_place = False
        self.kind = Kind.NEW
        self.client: bytes | None = None
        self.first = 0
        self.pending: deque[Frames] = deque()
        self.queued_bytes = 0
        self.is_waiting = False
        self.is_failed = False
        self.is_undecodable = False
        self.is_closed = False
        self.since = self.last_read = hub.loop.time()
        # When its pace was looked at, and what it had sent by then.
        self._looked_at, self._looked_bytes = self.since, 0
        self.frames = 0
        self.read_bytes = 0
        self.records = 0
        self.counted_records = 0
        self.bad_frames = BadFrames()

    # -- asyncio's side: open, read, lost --------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("peercert"):
            self.is_trusted = True
            certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
            self.identity = f"certificate {hashlib.sha256(certificate).hexdigest()}"
        self._hub.add(self)
        self.reading.start(transport)
        if self.is_failed:
            self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        view = self._hub.read_view(self)
        self._offered = len(view)
        return view

    def buffer_updated(self, nbytes: int) -> None:
        if self.is_failed:
            return
        if self._nagling is not None and nbytes < MAX_NAGLED_BYTES:
            acknowledge_at_once(self._nagling)
        hub = self._hub
        if nbytes == self._offered or hub.turns.is_over:
            # uvloop would read on, up to 32 times, before it looks at anyone else.
            self.reading.end_turn(self.account)
        self.received(hub.read_buffer_view[:nbytes])
        if self.last_read - self._looked_at > LOOK_S:
            self._look_at_pace()

    def received(self, data: bytes | memoryview) -> None:
        """Take what was read: its frames, with those parts that were there, are queued."""
        hub = self._hub
        self.last_read = hub.loop.time()
        self.read_bytes += len(data)
        hub.counts.bytes += len(data)
        had_partial = self._splitter.has_partial
        try:
            frames = self._splitter.feed(data)
        except FrameError as exc:
            if exc.frames is not None:
                self._deliver(exc.frames)
            is_foreign = self.kind is Kind.NEW and exc.length >= FOREIGN_LENGTH
            self.fail(Refusal.FRAME, exc.reason, is_stranger=is_foreign or bool(exc.looks_like))
            return
        if had_partial or self._splitter.has_partial:
            hub.note_partial(self, begins=frames is not None)
        if frames is not None:
            self._deliver(frames)
        elif self.kind is Kind.NEW and self._splitter.partial_bytes > MAX_OPENING_BYTES:
            # No opening is that long: a peer that has to show a token gets no room for more.
            self._is_admitted(None)

    def read_round(
        self, sock: socket.socket, lone: list[tuple[Connection, bytes, int]] | None
    ) -> None:
        """See `rounds.Member`."""
        hub = self._hub
        if lone is None and not hub.intake.has_room(self):
            # What is done then is the transport's.
            self.reading.go_alone()
            return
        try:
            data = sock.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            # The end, or an error: the transport meets it too, and knows what to do.
            self.reading.go_alone()
            return
        if self._nagling is not None:
            acknowledge_at_once(self._nagling)
        lockstep = self._lockstep
        is_fast = len(data) >= READ_BYTES or (
            lockstep is not None
            and lockstep.received_late(hub.loop.time(), ROUND_S, is_all_acked=not self.queued_bytes)
        )
        if lone is None:
            self.received(data)
        else:
            lone.append((self, data, self._lone_frames(data)))
        if is_fast:
            self._looked_at, self._looked_bytes = self.last_read, self.read_bytes
            self.reading.go_alone()

    def _lone_frames(self, data: bytes) -> int:
        """Count a read of whole frames, and how many; 0, and nothing is counted, if it is odd."""
        if (
            len(data) > MAX_LONE_BYTES
            or self.is_undecodable
            or self._early is not None
            or self._splitter.has_partial
            or not self.bad_frames.is_clean
        ):
            return 0
        count = whole_frames(data, self._splitter.max_frame_bytes)
        if count:
            counts, size = self._hub.counts, len(data)
            self.last_read = self._hub.loop.time()
            self.read_bytes += size
            self.frames += count
            counts.bytes += size
            counts.frames += count
        return count

    def _look_at_pace(self) -> None:
        """Go on by rounds if little came since the last look."""
        most = QUIET_BYTES_PER_S * (self.last_read - self._looked_at)
        is_quiet = self.read_bytes - self._looked_bytes < most
        self._looked_at, self._looked_bytes = self.last_read, self.read_bytes
        if is_quiet and self._may_go_by_rounds and self.sock is not None:
            self.reading.go_by_rounds(self, self.sock)

    @property
    def _may_go_by_rounds(self) -> bool:
        return (
            self._hub.rounds.takes_members
            and self.kind is not Kind.NEW
            and not (self.is_failed or self.is_awaiting or self._is_encrypted)
            and self.queued_bytes < self._hub.intake.connection_limit_bytes * FEW_QUEUED
            and self._writable() is not None
        )

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self.reading.stop()
        self._hub.patience.gone(self)
        if self._is_cut_off():
            self._hub.fault(self.peer, "connection closed inside a frame")
        if self.client is not None:
            self._hub.sessions.closed(self.client, self)
        self._hub.remove(self)
        logger.debug(
            "%s closed after %.1f s: %s, %d frames, %d records, %d bytes",
            self.peer,
            self._hub.loop.time() - self.since,
            self.kind.value,
            self.frames,
            self.records,
            self.read_bytes,
        )

    def _is_cut_off(self) -> bool:
        """Whether a frame is missing its end. Fewer than four bytes in all are a scanner's."""
        is_scanner = self.kind is Kind.NEW and self.read_bytes < 4
        return self._splitter.has_partial and not self.is_failed and not is_scanner

    # -- frames ----------------------------------------------------------------------------

    def _deliver(self, frames: Frames) -> None:
        if self.kind is Kind.NEW:
            opening = read_opening(frames.payload(0))
            if not self._is_admitted(opening):
                return
            self._hub.settled(self)
            if opening is None:
                self._begin_plain()
            else:
                frames = frames.from_frame(1)
                if not self._open_session(opening) or not frames.count:
                    return
        self.frames += frames.count
        self._hub.counts.frames += frames.count
        if self._lockstep is not None:
            self._lockstep.received(self.last_read)
        if self._early is None:
            self._hub.intake.put(self, frames)
        else:
            self._early.append(frames)

    def _is_admitted(self, opening: Opening | None) -> bool:
        """Whether a first frame may begin this connection; refuses it otherwise."""
        token = None if self.is_trusted else self._hub.token
        rejected = rejection(opening, token)
        if rejected is not None:
            self.fail(*rejected, is_session=opening is not None)
        return rejected is None

    def _begin_plain(self) -> None:
        self.kind = Kind.PLAIN
        if self.host:
            self._nagling = self.sock or self.raw_socket()

    def _open_session(self, opening: Opening) -> bool:
        """Begin or go on with a session; False if another peer has it."""
        sessions = self._hub.sessions
        client = sessions.keys.of(opening.client)
        holder = sessions.holder_elsewhere(client, self.identity)
        if holder is not None:
            # The client may have moved: it comes back until its old connection has died.
            self.give_up(f"its session is open from {holder}: a client that moved, or a stranger")
            return False
        self.kind = Kind.SESSION
        self._splitter.may_skip = False
        self.client = client
        self._lockstep = Lockstep()
        self.first = opening.first
        sock = self.raw_socket() if self.host else None
        if sock is not None:
            watch_for_death(sock)
        mark = sessions.opened(client, self)
        if self._hub.marks is None:
            self.send_ack(mark)
        else:
            self._ask_for_mark(self._hub.marks, client)
        if self._hub.is_draining:
            self.pause(Pause.DRAIN)
        return True

    def _ask_for_mark(self, marks: MarkReader, client: bytes) -> None:
        """Other daemons may have written of this session: its answer waits for what they know."""
        self._tell(KEEP_ALIVE)  # says that the session may go on at any of them
        self._early = []
        self.pause(Pause.MARK)
        marks.ask(client, self._mark_is_known)

    def _mark_is_known(self, mark: int | None, problem: str) -> None:
        if self.client is None or self.is_closed or self.is_failed:
            return
        if mark is None:
            self.give_up(f"its mark is not known: {problem}")
            return
        # What others have of it never comes again.
        self.first = max(self.first, mark + 1)
        self.send_ack(max(mark, self._hub.sessions.acknowledged(self.client)))
        early, self._early = self._early or (), None
        for frames in early:
            self._hub.intake.put(self, frames)
        self.resume(Pause.MARK)

    def send_ack(self, number: int) -> None:
        """Tell the client that all up to `number` is durable."""
        self._tell(encode_ack(number))
        if self._lockstep is not None:
            self._lockstep.acked(self._hub.loop.time())

    def keep_alive(self) -> None:
        """Tell a client that waits for an ack that the daemon lives."""
        if self.kind is Kind.SESSION and (self.queued_bytes or self.is_paused):
            self._tell(KEEP_ALIVE)

    def _tell(self, answer: bytes) -> None:
        transport = self._writable()
        if transport is None:
            return
        transport.write(answer)
        if transport.get_write_buffer_size() > MAX_UNREAD_ACKS_BYTES:
            self._hub.fault(self.peer, "does not read its acks")
            transport.abort()

    def _writable(self) -> asyncio.Transport | None:
        """The transport, unless it is closed or closing: then uvloop's raises at a write."""
        transport = self._transport
        if self.is_closed or transport is None or transport.is_closing():
            return None
        return transport

    # -- what others ask of it -------------------------------------------------------------

    def pause(self, reason: Pause = Pause.INTAKE) -> None:
        """Stop reading, for a reason."""
        self.reading.pause(reason)
        if reason is Pause.INTAKE:
            # A round would read too little of it when it goes on.
            self.reading.go_alone()
            if self.kind is Kind.PLAIN and not self.is_closed:
                self._hub.patience.paused(self)

    def resume(self, reason: Pause = Pause.INTAKE) -> None:
        """A reason to pause is gone; reads on if it was the last."""
        if reason is Pause.INTAKE:
            self._hub.patience.read_on(self)
        self.reading.resume(reason)

    def read_alone(self) -> None:
        """Let its transport read its socket from now on."""
        self.reading.go_alone()

    def _reads_on(self) -> None:
        # The time it was not read from is not the peer's.
        self.last_read = self._looked_at = self._hub.loop.time()
        self._looked_bytes = self.read_bytes
        self._hub.restart_frame_clock(self)

    def limit_frames(self, max_frame_bytes: int) -> None:
        """Refuse frames that are longer from now on."""
        self._splitter.max_frame_bytes = max_frame_bytes

    @property
    def is_awaiting(self) -> bool:
        """Whether its peer waits for what it sent to be stored, as far as can be seen."""
        return self._lockstep is not None and self._lockstep.is_awaiting

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused for any reason."""
        return self.reading.is_paused

    @property
    def may_hold_back(self) -> bool:
        """Whether bytes may wait here that the kernel no longer has: decrypted, while paused."""
        return self.is_paused and self._is_encrypted

    @property
    def _is_encrypted(self) -> bool:
        transport = self._transport
        return transport is not None and transport.get_extra_info("sslcontext") is not None

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or will be as soon as its peer has read the last it is told."""
        return self.is_closed or (self._transport is not None and self._transport.is_closing())

    @property
    def partial_bytes(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return self._splitter.partial_bytes

    def raw_socket(self) -> socket.socket | None:
        """The socket, for asking the kernel about it; None when closed."""
        if self._transport is None or self.is_closed:
            return None
        sock = self.sock or cast("socket.socket", self._transport.get_extra_info("socket"))
        return sock if sock.fileno() >= 0 else None

    # -- the end ---------------------------------------------------------------------------

    def fail(
        self,
        refusal: Refusal,
        reason: str,
        *,
        is_session: bool | None = None,
        is_stranger: bool = False,
    ) -> None:
        """Refuse this connection: tell a session why, look at nothing it still sends, close.

        Args:
            refusal: what a session is told.
            reason: what the daemon's own log says.
            is_session: whether the peer understands answers; by its kind if None.
            is_stranger: the peer speaks another protocol: no fault worth more than a debug line.
        """
        if self.is_failed:
            return
        if refusal is Refusal.FRAME:
            self._hub.counts.bad_frames += 1
        if is_stranger:
            logger.debug("%s refused: %s", self.peer, reason)
        else:
            self._hub.fault(self.peer, reason)
        self._look_at_no_more()
        transport = self._writable()
        if transport is not None:
            if self.kind is Kind.SESSION if is_session is None else is_session:
                transport.write(encode_refusal(refusal))
            self.close()

    def give_up(self, reason: str) -> None:
        """Cut this connection off, for what may be the network's fault: a session may come back."""
        if not self.is_failed:
            self._hub.fault(self.peer, reason)
            self._look_at_no_more()
            self.abort()

    def turn_away(self, reason: str) -> None:
        """Cut off a connection that has said nothing yet; its place is free at once."""
        self.give_up(reason)
        self._hub.left(self)

    def _look_at_no_more(self) -> None:
        self.is_failed = True
        self.reading.go_alone()
        self._splitter.drop()
        self._hub.forget_partial(self)

    def close(self) -> None:
        """Close after what was written to the peer has been sent, or when it does not read that."""
        transport = self._transport
        # A second close breaks asyncio's own TLS transport.
        if transport is None or self.is_closing:
            return
        self.reading.go_alone()
        # With TLS the peer is to answer, too.
        if transport.get_write_buffer_size() or self._is_encrypted:
            self._hub.loop.call_later(LINGER_S, transport.abort)
        transport.close()

    def abort(self) -> None:
        """Close at once, be it while it is being opened."""
        if self._transport is not None:
            self.reading.go_alone()
            self._transport.abort()
        elif self.sock is not None:
            # A handshake that is under way fails by that.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
