"""What the socket says of the other end of a connection."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple, cast

from logd.settings.loopback import is_loopback


class Origin(NamedTuple):
    """Where a connection comes from.

    Attributes:
        host: the address that the rules look at, "" on a Unix socket.
        account: what limits count for: the address, or the user on a Unix socket.
        name: for people: `127.0.0.1:50312`, `unix pid 4711`.
        is_trusted: the socket itself vouches for the peer.
    """

    host: str
    account: str
    name: str
    is_trusted: bool

    @property
    def recorded(self) -> str:
        """What records say of where they came from: "" for this machine itself."""
        return "" if not self.host or is_loopback(self.host) else self.host


def origin_of(sock: socket.socket, address: object) -> Origin:
    """The peer at the other end of an accepted socket."""
    if sock.family == socket.AF_UNIX:
        pid, uid = _credentials(sock)
        return Origin("", f"unix uid {uid}", f"unix pid {pid}", True)
    host, port = cast("tuple[str, int]", address)[:2]
    with_brackets = f"[{host}]" if ":" in host else host
    return Origin(host, host, f"{with_brackets}:{port}", False)


def _credentials(sock: socket.socket) -> tuple[int, int]:
    """Process and user id of the other end of a Unix socket, 0 if the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return 0, 0
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, size))
    return int(pid), int(uid)
