"""One connection's bytes, in and out; never waits.

What the socket does not take at once waits here. Nothing more is taken before that is sent: it
would only queue.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from logd_client.descriptors import GuardedSocket, ShortWay
from logd_client.natives import READABLE, WRITABLE

__all__ = ["NOT_NOW", "Channel"]

_RECEIVE_BYTES = 4096
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""What a socket raises that takes or has nothing at the moment."""


class Channel:
    """Sends and receives on a connected socket, which it takes over.

    Every method may raise OSError: the connection is of no more use.
    """

    def __init__(self, connected: GuardedSocket) -> None:
        self._connected = connected
        self._waiting = memoryview(b"")

    @property
    def is_busy(self) -> bool:
        """True while the socket has not taken all that it was given."""
        return bool(self._waiting)

    @property
    def wanted(self) -> tuple[int, int]:
        """The descriptor to wait for, and the events."""
        return self._connected.fileno(), READABLE | (WRITABLE if self._waiting else 0)

    def check(self) -> None:
        """Make sure that what comes next reaches this connection."""
        self._connected.check()

    def send(self, data: bytes) -> bool:
        """Send what waits, then this; True if the socket has taken all of it."""
        if not self._waiting:
            self._waiting = memoryview(data)
        elif data:
            self._waiting = memoryview(b"".join((self._waiting, data)))
        while self._waiting:
            try:
                sent = self._connected.raw.send(self._waiting)
            except NOT_NOW:
                return False
            self._waiting = self._waiting[sent:]
        return True

    @property
    def short_way(self) -> ShortWay:
        """How to check and to send with fewer calls; see `GuardedSocket`."""
        return self._connected.short_way

    def keep(self, data: bytes) -> None:
        """Let it wait here, for nothing else does: the socket did not take it."""
        self._waiting = memoryview(data)

    def receive(self) -> Iterator[bytes]:
        """What the other end sent so far, in pieces.

        Raises:
            ConnectionResetError: it closed the connection.
        """
        raw = self._connected.raw
        while True:
            try:
                data = raw.recv(_RECEIVE_BYTES)
            except NOT_NOW:
                return
            if not data:
                raise ConnectionResetError("closed by the server")
            yield data
            if len(data) < _RECEIVE_BYTES and not isinstance(raw, ssl.SSLSocket):
                return

    def close(self) -> None:
        """Close the connection."""
        self._connected.close()

    def abandon(self) -> None:
        """Close the copy of the socket that a child process inherited; the parent's goes on."""
        self._connected.abandon()
