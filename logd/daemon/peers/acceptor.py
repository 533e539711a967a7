"""Takes connections off the listening sockets and decides which may stay.

The daemon accepts by itself instead of through `create_server`, for two reasons. If descriptors
run out, libuv accepts and closes what it can't serve, and asyncio's own loop differs; here the
connection waits in the kernel until there is a descriptor again. And at a stop every connection
that the kernel has already taken is still served: senders without acks wrote into it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import resource
import socket
import ssl
from collections.abc import Sequence

from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.listeners import Listener
from logd.daemon.peers.origin import Origin, origin_of
from logd.daemon.peers.tls import tls_reason

logger = logging.getLogger(__name__)

ACCEPTS_A_TURN = 32
"""After this many accepts the loop serves others before it goes on."""

TURNED_AWAY_A_TURN = 16
"""How many silent connections make room at a time when descriptors run short."""

PAUSE_S = 0.5
"""How long accepting pauses when the system has no descriptor or memory left."""

EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

RESERVED_DESCRIPTORS = 64
"""Kept for what the daemon opens besides connections: the next log file, a database. If few
are allowed at all, a quarter of them."""

REPORT_PAUSE_EVERY_S = 60.0
"""How often lasting lack of descriptors is mentioned again."""

TLS_HANDSHAKE_S = 10.0

HANDSHAKE_AT_STOP_S = 1.0
"""How long a stop waits for handshakes: a peer that dawdles must not delay it."""

FOREIGN_TO_TLS = frozenset(
    [
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_EOF_WHILE_READING",
        "WRONG_VERSION_NUMBER",
    ]
)
"""How OpenSSL calls what is no TLS at all."""


class Acceptor:
    """Accepts from all listeners of the daemon. Event loop's thread only.

    Attributes:
        tls: the context for handshakes to come, on listeners with TLS.
        needs_tls: whether there are such.
    """

    def __init__(
        self, hub: Hub[Connection], listeners: Sequence[Listener], tls: ssl.SSLContext | None
    ) -> None:
        self._hub = hub
        self._listeners = list(listeners)
        self.tls = tls
        self._starting: set[asyncio.Task[None]] = set()
        self._pauses: dict[int, asyncio.TimerHandle] = {}
        self._pause_reported_at = float("-inf")
        self._is_stopping = False
        self._allowed = 0
        # The connections left few of the descriptors that are allowed.
        self._most_open = math.inf

    @property
    def needs_tls(self) -> bool:
        """Whether a listener is for TLS."""
        return any(listener.is_tls for listener in self._listeners)

    def start(self) -> None:
        """Begin to accept."""
        for listener in self._listeners:
            self._watch(listener)

    async def stop(self) -> None:
        """Accept what the kernel has taken so far, then no more; the sockets are closed.

        Returns when every accepted connection is open or was refused.
        """
        self._is_stopping = True
        for listener in self._listeners:
            self._hub.loop.remove_reader(listener.sock)
            pause = self._pauses.pop(listener.sock.fileno(), None)
            if pause is not None:
                pause.cancel()
            await self._accept_rest(listener)
            listener.close()
        if self._starting:
            await asyncio.wait(self._starting, timeout=HANDSHAKE_AT_STOP_S)

    async def _accept_rest(self, listener: Listener) -> None:
        more = True
        while more:
            more = self._accept_some(listener) == ACCEPTS_A_TURN
            await asyncio.sleep(0)

    def _watch(self, listener: Listener) -> None:
        self._hub.loop.add_reader(listener.sock, self._accept_some, listener)

    def _accept_some(self, listener: Listener) -> int:
        """Accept a bounded number; returns how many there were."""
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if allowed != self._allowed:
            self._allowed, self._most_open = allowed, math.inf
        for count in range(ACCEPTS_A_TURN):
            if self._open_now() >= self._most_open:
                self._make_room_or_pause(listener, "no descriptors to spare")
                return count
            try:
                sock, address = listener.sock.accept()
            except (BlockingIOError, InterruptedError):
                return count
            except OSError as exc:
                if exc.errno in EXHAUSTED:
                    self._make_room_or_pause(listener, exc.strerror or str(exc))
                    return count
                # Linux hands over what went wrong with one connection before it was accepted.
                logger.debug("a connection was gone before it was accepted: %s", exc)
                continue
            # The system gives the lowest free number: so high a one tells that few are left.
            is_last = sock.fileno() >= allowed - min(RESERVED_DESCRIPTORS, allowed // 4)
            self._admit(listener, sock, address)
            if is_last:
                self._most_open = self._open_now()
        return ACCEPTS_A_TURN

    def _open_now(self) -> int:
        """Connections, those in their TLS handshake included."""
        return self._hub.places.total

    def _make_room_or_pause(self, listener: Listener, reason: str) -> None:
        """Descriptors run short: silent connections go first; only without any all wait."""
        # Those of the ones turned away are free in the loop's next turn.
        gone = sum(self._hub.make_room() for _ in range(TURNED_AWAY_A_TURN))
        if not gone:
            self._pause(listener, reason)

    def _pause(self, listener: Listener, reason: str) -> None:
        """Leave new connections in the kernel's queue until there is room again."""
        now = self._hub.loop.time()
        if now - self._pause_reported_at >= REPORT_PAUSE_EVERY_S:
            self._pause_reported_at = now
            logger.warning(
                "new connections on %s wait: %s (%d are open)",
                listener.address,
                reason,
                self._open_now(),
            )
        if self._is_stopping:
            return
        self._hub.loop.remove_reader(listener.sock)
        self._pauses[listener.sock.fileno()] = self._hub.loop.call_later(
            PAUSE_S, self._watch, listener
        )

    def _admit(self, listener: Listener, sock: socket.socket, address: object) -> None:
        sock.setblocking(False)
        origin = origin_of(sock, address)
        refusal = self._refusal(origin)
        if refusal is not None:
            self._hub.counts.refused_connections += 1
            self._hub.fault(origin.name, refusal)
            sock.close()
            return
        connection = Connection(self._hub, origin)
        connection.sock = sock
        self._hub.came(connection)
        task = self._hub.loop.create_task(self._start(listener, sock, connection))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _refusal(self, origin: Origin) -> str | None:
        """Why a peer may not connect; None if it may. Silent connections make room for it."""
        hub, limits = self._hub, self._hub.limits
        if not limits.is_allowed(origin.host):
            return "not in the allow-list"
        most = limits.max_connections_per_peer
        held = hub.places.held(origin.account)
        if most and held >= most and not hub.make_room(origin.account):
            return f"over {most} connections of one peer"
        if self._open_now() >= limits.max_connections and not hub.make_room():
            return f"over {limits.max_connections} connections in all"
        return None

    async def _start(self, listener: Listener, sock: socket.socket, connection: Connection) -> None:
        context = self.tls if listener.is_tls else None
        try:
            await self._hub.loop.connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=TLS_HANDSHAKE_S if context is not None else None,
            )
        except OSError as exc:
            reason = f"TLS handshake failed: {tls_reason(exc)}"
            if _is_foreign(exc):
                logger.debug("%s refused: %s", connection.peer, reason)
            else:
                self._hub.fault(connection.peer, reason)
        finally:
            if connection not in self._hub.connections:
                sock.close()
                self._hub.left(connection)


def _is_foreign(exc: OSError) -> bool:
    """Whether the peer never meant to speak TLS: a port scanner, a browser, a plain sender."""
    if isinstance(exc, ssl.SSLError):
        return exc.reason in FOREIGN_TO_TLS or isinstance(exc, ssl.SSLEOFError)
    return isinstance(exc, ConnectionError)
