"""The daemon's end of any connection: its transport, a refusal, and how it ends."""

from __future__ import annotations

import asyncio
import enum
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from logd.daemon.peers.hub import Hub
from logd.daemon.peers.reading import ReadSwitch
from logd.wire.frames import FrameSplitter
from logd.wire.session import Refusal, encode_refusal

logger = logging.getLogger(__name__)

MAX_UNREAD_ACKS_BYTES = 65_536
"""A client that lets more bytes of acks lie is broken; it is cut off."""

LINGER_S = 5.0
"""How long a peer may take to read our last message before the connection is aborted."""


class PeerKind(enum.Enum):
    """What a connection turned out to be."""

    NEW = "new"
    PLAIN = "plain"
    SESSION = "session"


class PeerEnd(asyncio.BufferedProtocol):
    """What a peer is told, and how its connection ends.

    Attributes:
        peer: its name, for people.
        sock: the socket that was accepted; None if the transport has another one.
        kind: plain or session, known after the first frame.
        queued_bytes: bytes received and not yet held by every output, but for lone records.
        lone_until: number of the last record that was taken in a round; written there.
        acked: what the client was told last.
        is_failed: it was refused; what it still sends is not looked at.
        is_closed: the transport is gone.
        reading: whether its socket is read.
    """

    __slots__ = (
        "_hub",
        "_is_deaf",
        "_plain_sock",
        "_splitter",
        "_transport",
        "acked",
        "is_closed",
        "is_failed",
        "kind",
        "lone_until",
        "peer",
        "queued_bytes",
        "reading",
        "sock",
    )

    def __init__(self, hub: Hub[Any], peer: str, on_resumed: Callable[[], None]) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._splitter = FrameSplitter(hub.limits.max_frame_bytes, may_skip=True)
        self.peer = peer
        self.sock: socket.socket | None = None
        self._plain_sock: socket.socket | None = None
        self._is_deaf = False
        self.kind = PeerKind.NEW
        self.queued_bytes = 0
        self.lone_until = self.acked = 0
        self.is_failed = False
        self.is_closed = False
        self.reading = ReadSwitch(hub.loop, hub.turns, hub.rounds, on_resumed)

    @property
    def is_paused(self) -> bool:
        """Whether reading is paused for any reason."""
        return self.reading.is_paused

    @property
    def is_owed(self) -> bool:
        """Whether something of it is here that is not stored."""
        return self.queued_bytes > 0 or self.acked < self.lone_until

    def _tell(self, answer: bytes) -> None:
        transport = self._writable()
        if transport is None or self._is_deaf:
            return
        if self._plain_sock is not None and not transport.get_write_buffer_size():
            try:
                answer = answer[self._plain_sock.send(answer) :]
            except (BlockingIOError, InterruptedError):
                pass
            except OSError:
                # A process that ends with acks unread resets its connection. What it sent before
                # is here to be read: the transport would close the socket over it.
                self._is_deaf = True
                return
            if not answer:
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

    @property
    def _is_encrypted(self) -> bool:
        transport = self._transport
        return transport is not None and transport.get_extra_info("sslcontext") is not None

    @property
    def is_closing(self) -> bool:
        """Whether it is closed, or will be as soon as its peer has read the last it is told."""
        return self.is_closed or (self._transport is not None and self._transport.is_closing())

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
            if self.kind is PeerKind.SESSION if is_session is None else is_session:
                transport.write(encode_refusal(refusal))
            self.close()

    def give_up(self, reason: str) -> None:
        """Cut this connection off for what the network may have done: a session may come back."""
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
        """Close at once, even while it is being opened."""
        if self._transport is not None:
            self.reading.go_alone()
            self._transport.abort()
        elif self.sock is not None:
            # A handshake that is under way fails by that.
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
