"""The bounded queue between the connections and the consumer.

What a connection has received waits at the connection; the `asyncio.Queue` holds the connections
that have something, each once, and the consumer takes what one read gave from each in turn: a
greedy sender waits behind itself, not in front of the others.

Bytes count from their arrival until every output holds their records. When all of them together,
or those of one connection, reach their limit, reading from the sockets pauses (TCP slows the
sender); it goes on when there is room. Nothing is ever dropped here.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from logd.wire.frames import Frames

RESUME_AT = 0.5
"""Reading goes on when this part of a limit is in use: pausing at every frame would cost more."""


class Pause(enum.Flag):
    """Why reading is paused; it goes on when no reason is left."""

    INTAKE = enum.auto()
    RATE = enum.auto()
    DRAIN = enum.auto()


class Source(Protocol):
    """What the intake asks of a connection.

    Attributes:
        pending: what was read and the consumer has not taken yet.
        queued_bytes: bytes received and not yet held by every output.
        is_waiting: whether the connection stands in the queue.
    """

    pending: deque[Frames]
    queued_bytes: int
    is_waiting: bool

    def pause(self) -> None:
        """Stop reading from the socket."""

    def resume(self) -> None:
        """Go on reading from the socket."""


S = TypeVar("S", bound=Source)


class Intake(Generic[S]):
    """Counts bytes, pauses and resumes connections, and hands out what they sent fairly.

    Not thread-safe: all calls come from the event loop's thread.

    Args:
        limit_bytes: all bytes that may be queued at once.
        connection_limit_bytes: the bytes of one connection that may be.
    """

    def __init__(self, limit_bytes: int, connection_limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.connection_limit_bytes = connection_limit_bytes
        self.queued_bytes = 0
        self._ready: asyncio.Queue[S] = asyncio.Queue()
        self._paused: dict[S, None] = {}

    @property
    def is_full(self) -> bool:
        """Whether all reading should pause."""
        return self.queued_bytes >= self.limit_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return self._ready.empty()

    def change_limits(self, limit_bytes: int, connection_limit_bytes: int) -> None:
        """Put other limits in force; lower ones take effect as what is queued gets less."""
        self.limit_bytes = limit_bytes
        self.connection_limit_bytes = connection_limit_bytes
        self.resume()

    def put(self, source: S, frames: Frames) -> None:
        """Queue what was read from `source` at once; pauses it where a limit is reached."""
        source.pending.append(frames)
        source.queued_bytes += frames.size
        self.queued_bytes += frames.size
        if not source.is_waiting:
            source.is_waiting = True
            self._ready.put_nowait(source)
        self._pause_where_full(source)

    def charge(self, source: S, size: int) -> None:
        """What `source` sent takes more memory than it was taken for."""
        source.queued_bytes += size
        self.queued_bytes += size
        self._pause_where_full(source)

    def _pause_where_full(self, source: S) -> None:
        if self.is_full or source.queued_bytes >= self.connection_limit_bytes:
            self._paused[source] = None
            source.pause()

    async def take(self, at_most_bytes: int) -> list[tuple[S, Frames]]:
        """Wait for frames, then take what else waits, one read of each connection in turn."""
        taken = [self._next(await self._ready.get())]
        size = taken[0][1].size
        while size < at_most_bytes and not self._ready.empty():
            taken.append(self._next(self._ready.get_nowait()))
            size += taken[-1][1].size
        return taken

    def _next(self, source: S) -> tuple[S, Frames]:
        frames = source.pending.popleft()
        if source.pending:
            self._ready.put_nowait(source)
        else:
            source.is_waiting = False
        return source, frames

    def release(self, source: S, size: int) -> None:
        """Bytes of `source` are where they belong (or were refused); call `resume` when done."""
        source.queued_bytes -= size
        self.queued_bytes -= size

    def resume(self) -> None:
        """Let paused connections go on as far as there is room."""
        if not self._paused or self.queued_bytes > self.limit_bytes * RESUME_AT:
            return
        room = self.connection_limit_bytes * RESUME_AT
        for source in [s for s in self._paused if s.queued_bytes <= room]:
            del self._paused[source]
            source.resume()
            if self.is_full:
                return

    def forget(self, source: S) -> None:
        """`source` is closed: it will not be resumed. What it queued is still handed out."""
        self._paused.pop(source, None)
