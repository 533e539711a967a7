"""One sender: cuts complete frames out of what arrives and hands them to the intake.

The event loop does as little as possible for each frame: it walks the lengths, copies what is
complete once, and leaves decoding to the pipeline's thread. Only the first frame is looked into
here, because a session's opening wants its answer before the first batch.

    read -> `FrameSplitter` -> first frame: `admission` -> `Intake` -> the pipeline
    acks, a refusal <- `Hub.sessions`, the pipeline

What is not complete yet is kept by the splitter and counted by `Partials`. Whether the socket is
read is `ReadSwitch`'s concern. A session's opening and acks are `SessionEnd`'s, refusals and the
end of a connection `PeerEnd`'s.

All connections of a loop read into one shared buffer (`Hub.read_view`): between `get_buffer` and
`buffer_updated` the loop serves nobody else, and what stays behind for later is only a frame that
is not complete yet. That keeps ten thousand idle connections small.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections import deque
from typing import cast

from logd.daemon.peers.admission import rejection
from logd.daemon.peers.badframes import BadFrames
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Pause
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.overflow import Overflowed
from logd.daemon.peers.peerend import PeerKind
from logd.daemon.peers.rounds import LOOK_S, MAX_LONE_BYTES, QUIET_BYTES_PER_S
from logd.daemon.peers.sessionend import SessionEnd
from logd.daemon.peers.sockets import MAX_NAGLED_BYTES, acknowledge_at_once
from logd.wire.frames import FrameError, Frames
from logd.wire.session import MAX_OPENING_BYTES, Opening, Refusal, read_opening

logger = logging.getLogger(__name__)

FEW_QUEUED = 0.125
"""A sender of which no more than this part of the limit is queued keeps up, and may be quiet."""

ALONE_S = 0.25
"""A connection that was too fast for the rounds is not looked at for this time."""

FOREIGN_LENGTH = 1 << 24
"""No sender ever made a record of 16 MiB: a first frame that long is another protocol's text."""


class Connection(SessionEnd):
    """The daemon's end of one connection; lives from accept to close.

    Attributes, besides those of `SessionEnd` and `PeerEnd`:
        account, is_trusted: see `Origin`; a certificate makes a peer trusted, too.
        origin: what records say of where they came from: `host`, or "" from this machine itself.
        has_place: it counts among the connections that may be open at a time.
        pending: what was read and the pipeline has not taken yet.
        nagles: its peer's kernel keeps records back until ours acknowledges what came before.
        records: records received; written by the thread that decodes.
        counted_records: how many of them were counted against the peer's rate.
        bad_frames: counts frames that were dropped; used by the pipeline's thread only.
        is_undecodable: a bad frame was found: nothing after it is decoded. Written by the
            pipeline's thread only.
    """

    __slots__ = (
        "_looked_at",
        "_looked_bytes",
        "_nagling",
        "_offered",
        "account",
        "bad_frames",
        "counted_records",
        "frames",
        "has_place",
        "is_trusted",
        "is_undecodable",
        "is_waiting",
        "last_read",
        "nagles",
        "origin",
        "pending",
        "read_bytes",
        "records",
        "since",
    )

    def __init__(self, hub: Hub[Connection], origin: Origin) -> None:
        super().__init__(hub, origin, self._reads_on)
        self._nagling: socket.socket | None = None
        self.nagles = False
        self._offered = 0
        self.account, self.is_trusted = origin.account, origin.is_trusted
        self.origin = origin.recorded
        self.has_place = False
        self.pending: deque[Frames | Overflowed] = deque()
        self.is_waiting = False
        self.is_undecodable = False
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
        if not self._is_encrypted:
            self._plain_sock = self.sock
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
        if self.last_read - self._looked_at > LOOK_S or (
            # As long as nothing speaks against it a sender is quiet.
            self.read_bytes == nbytes < min(self._offered, MAX_LONE_BYTES)
            and self.kind is not PeerKind.NEW
        ):
            self._look_at_pace()

    def received(self, data: bytes | memoryview) -> None:
        """Take what was read: its frames, with those parts that were there, are queued."""
        hub = self._hub
        if hub.rest.is_on:
            hub.rest.stir()
        self.last_read = hub.loop.time()
        self.read_bytes += len(data)
        hub.counts.bytes += len(data)
        had_partial = self._splitter.has_partial
        try:
            frames = self._splitter.feed(data)
        except FrameError as exc:
            if exc.frames is not None:
                self._deliver(exc.frames)
            is_foreign = self.kind is PeerKind.NEW and exc.length >= FOREIGN_LENGTH
            self.fail(Refusal.FRAME, exc.reason, is_stranger=is_foreign or bool(exc.looks_like))
            return
        if had_partial or self._splitter.has_partial:
            hub.note_partial(self, begins=frames is not None)
        if frames is not None:
            self._deliver(frames)
        elif self.kind is PeerKind.NEW and self._splitter.partial_bytes > MAX_OPENING_BYTES:
            # No opening is that long: a peer that has to show a token gets no room for more.
            self._is_admitted(None)

    # -- read by rounds, in their thread ---------------------------------------------------

    def count_lone(self, data: bytes, now: float) -> int:
        """See `rounds.RoundMember`."""
        if (
            len(data) > MAX_LONE_BYTES
            or self.is_undecodable
            or self._early is not None
            or not self.bad_frames.is_clean
        ):
            return 0
        count = self._splitter.count_whole(data)
        if count:
            self.last_read = now
            self.read_bytes += len(data)
            self.frames += count
        return count

    def hold(self) -> None:
        """See `rounds.RoundMember`."""
        self.reading.hold()

    # -- the same in the loop's thread -----------------------------------------------------

    def take_read(self, data: bytes, counted: int, *, goes_alone: bool) -> None:
        """See `rounds.RoundMember`."""
        if counted:
            self._hub.intake.put(self, Frames.of_reads([data]))
        elif data and not self.is_failed:
            self.received(data)
            if self.is_closed:
                self._hub.forget_partial(self)
        if goes_alone:
            self.reading.go_alone()
            self._looked_at, self._looked_bytes = self.last_read + ALONE_S, self.read_bytes
        self.reading.release()

    def _look_at_pace(self) -> None:
        """Go on by rounds if little came since the last look."""
        most = QUIET_BYTES_PER_S * max(LOOK_S, self.last_read - self._looked_at)
        is_quiet = self.read_bytes - self._looked_bytes < most
        self._looked_at, self._looked_bytes = self.last_read, self.read_bytes
        if is_quiet and self._may_go_by_rounds and self.sock is not None:
            self.reading.go_by_rounds(self, self.sock)

    @property
    def _may_go_by_rounds(self) -> bool:
        return (
            self._hub.rounds.takes_members
            and self.kind is not PeerKind.NEW
            and not (self.is_failed or self.is_awaiting or self._is_encrypted)
            and self.queued_bytes < self._hub.intake.connection_limit_bytes * FEW_QUEUED
            and self._writable() is not None
        )

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self.reading.stop()
        self._hub.patience.waits_no_more(self)
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
        is_scanner = self.kind is PeerKind.NEW and self.read_bytes < 4
        return self._splitter.has_partial and not self.is_failed and not is_scanner

    # -- frames ----------------------------------------------------------------------------

    def _deliver(self, frames: Frames) -> None:
        if self.kind is PeerKind.NEW:
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
        if self._early is not None:
            self._early.append(frames)
        elif self._hub.patience.is_sipping(self):
            self._take_sip(frames)
        else:
            self._hub.intake.put(self, frames)

    def _take_sip(self, frames: Frames) -> None:
        """The queue has no room for a plain sender, but it can't wait."""
        goes_on = self._hub.patience.sipped(self, frames.size)
        self._hub.intake.put(self, frames, is_sip=True)
        if not goes_on:
            self.pause()

    def _is_admitted(self, opening: Opening | None) -> bool:
        """Whether a first frame may begin this connection; refuses it otherwise."""
        token = None if self.is_trusted else self._hub.token
        rejected = rejection(opening, token)
        if rejected is not None:
            self.fail(*rejected, is_session=opening is not None)
        return rejected is None

    def _begin_plain(self) -> None:
        self.kind = PeerKind.PLAIN
        if self.host:
            self._nagling = self.sock or self.raw_socket()
            self.nagles = True

    # -- what others ask of it -------------------------------------------------------------

    def pause(self, reason: Pause = Pause.INTAKE) -> None:
        """Stop reading, for a reason."""
        if reason is Pause.INTAKE and self._hub.patience.is_sipping(self):
            return
        self.reading.pause(reason)
        if reason is Pause.INTAKE:
            # A round would read too little of it when it goes on.
            self.reading.go_alone()
            if self.kind is PeerKind.PLAIN and not self.is_closed:
                self._hub.patience.paused(self)

    def resume(self, reason: Pause = Pause.INTAKE) -> None:
        """A reason to pause is gone; reads on if it was the last."""
        if reason is Pause.INTAKE:
            self._hub.patience.waits_no_more(self)
        self.reading.resume(reason)

    def sip(self) -> None:
        """Read on for a sip; see `WaitingSenders`."""
        self.reading.resume(Pause.INTAKE)

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
    def may_hold_back(self) -> bool:
        """Whether bytes may wait here that the kernel no longer has: decrypted, while paused."""
        return self.is_paused and self._is_encrypted

    @property
    def partial_bytes(self) -> int:
        """Bytes of a frame that is not complete yet."""
        return self._splitter.partial_bytes
