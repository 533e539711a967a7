"""Whether a descriptor is still what it was when it was opened.

Programs close descriptors that are not theirs (`os.closerange`, daemons that detach), and the next
file or socket of the program gets the same number. What the client writes then would stand in that
file, and closing its own would close the program's. So it looks before each.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from socket import SOL_SOCKET
from typing import NamedTuple

__all__ = ["SOL_SOCKET", "SO_COOKIE", "Descriptor", "GuardedSocket", "ShortWay"]

SO_COOKIE = 57 if sys.platform == "linux" else -1
"""Linux; asking for it costs a fraction of what `fstat` does."""

ShortWay = tuple[bytes, Callable[[int, int, int], bytes], Callable[[bytes], int]]
"""A socket's cookie, b"" if it has none; its `getsockopt`, to ask for that; and its `send`."""


class Descriptor(NamedTuple):
    """A descriptor's number, and the device and inode that tell what is behind it."""

    number: int
    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> Descriptor:
        """What the number stands for now."""
        found = os.fstat(number)
        return cls(number, found.st_dev, found.st_ino)

    @property
    def is_same(self) -> bool:
        """Whether the number still stands for it."""
        try:
            found = os.fstat(self.number)
        except OSError:
            return False
        return found.st_ino == self.inode and found.st_dev == self.device

    def close(self) -> None:
        """Close it, unless the number stands for something else by now."""
        if self.is_same:
            os.close(self.number)


class GuardedSocket:
    """A connected, non-blocking socket that is never mistaken for another one.

    Attributes:
        raw: the socket itself, with TLS around it if there is any.
    """

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._descriptor = Descriptor.of(raw.fileno())
        self._cookie = self._read_cookie()

    def fileno(self) -> int:
        """The number of its descriptor."""
        return self._descriptor.number

    def check(self) -> None:
        """Make sure that the next call reaches this socket.

        Raises:
            ConnectionResetError: the program closed it behind our back.
        """
        try:
            is_same = self.raw.getsockopt(SOL_SOCKET, SO_COOKIE, 8) == self._cookie
        except OSError:
            is_same = False
        if not is_same and not self._descriptor.is_same:
            self._let_go()
            raise ConnectionResetError("the app closed the connection's descriptor")

    @property
    def short_way(self) -> ShortWay:
        """What `check` and a `send` after it do, for callers that make no call more than these."""
        return self._cookie, self.raw.getsockopt, self.raw.send

    def _read_cookie(self) -> bytes:
        """What Linux calls the socket, and no other; b"" if it does not."""
        try:
            return self.raw.getsockopt(SOL_SOCKET, SO_COOKIE, 8)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the connection."""
        if self._descriptor.is_same:
            self.raw.close()
        else:
            self._let_go()

    def abandon(self) -> None:
        """Close a child process's copy of the descriptor, no more: the connection goes on."""
        # Without a TLS farewell, which would be sent in the parent's name.
        if self._let_go() >= 0:
            self._descriptor.close()

    def __del__(self) -> None:
        # At the end of the process nobody else closes it: records may come until then.
        with contextlib.suppress(Exception):
            self.close()

    def _let_go(self) -> int:
        """Make the socket object forget its descriptor, for it closes it when it is freed."""
        return self.raw.detach()
