"""Ports that a test can rely on while others, running beside it, are given ports as well."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given for as long as the block lasts.

    It is bound here without listening: connections are refused, until a server listens on it that
    sets SO_REUSEADDR, as all do that can be restarted; and refused again once that one is gone.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
