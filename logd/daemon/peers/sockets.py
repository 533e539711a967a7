"""Options of a connection's socket that asyncio does not offer."""

from __future__ import annotations

import socket
from contextlib import suppress

MAX_NAGLED_BYTES = 65_536
"""A read of fewer bytes may be all that came. `SocketHandler` leaves Nagle's algorithm on: its
kernel keeps a record back while ours has not acknowledged the one before, and ours waits in turn,
10 to 40 ms, for something to send along. So ours is asked to acknowledge at once, after each such
read, as it forgets that again (tcp(7), TCP_QUICKACK). Sessions switch the algorithm off."""

KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""After 30 s of silence the kernel asks three times, every 10 s, whether a session's peer is
there."""

# Linux only.
_ACK_AT_ONCE: int = getattr(socket, "TCP_QUICKACK", 0)


def acknowledge_at_once(sock: socket.socket) -> None:
    """Let the kernel acknowledge what was read just now, if it can be told to."""
    if _ACK_AT_ONCE:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, _ACK_AT_ONCE, 1)
        except OSError:
            # If the peer is cut off already, the next read finds out.
            pass


def watch_for_death(sock: socket.socket) -> None:
    """Let the kernel find out within a minute that the peer is gone."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
