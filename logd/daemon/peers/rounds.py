"""Reads the sockets of quiet senders by rounds, some milliseconds apart.

A loop that wakes for each socket that has a record spends ten times on waking what it spends on the
record: at 2,000 records a second from twenty programs that was the largest part of all work. Here
all sockets that have something are read one after the other, and what they brought goes on as one
portion: records that came alone, from whole programs, are not even queued.

    nothing comes    the loop watches the set of sockets, and a lone record is read at once
    something came   for as long as it goes on, a round each `ROUND_S`; the loop sleeps in between

A sender is quiet as long as a round brings little of it. A fast one is read by its own transport,
as soon as something comes, and so is one that waits for each ack: it must not wait for a round.
Event loop's thread only. Without epoll there are no rounds.
"""

from __future__ import annotations

import asyncio
import select
from socket import socket
from typing import Generic, Protocol, TypeVar

ROUND_S = 0.015
"""From one round to the next: below 20 ms from the call to the readable line, with the writing."""

EMPTY_ROUNDS = 4
"""After this many rounds without anything the loop watches the sockets again."""

READ_BYTES = 16_384
"""Of one sender in one round; one that has more is fast, about 1 MB/s."""

MAX_LONE_BYTES = 8192
"""Longer reads are worth their own way."""

QUIET_BYTES_PER_S = 500_000.0
"""A sender of less, for `LOOK_S` at least, is read by rounds."""

LOOK_S = 0.05

MAX_READS = 64
"""At most this many sockets are read before the loop serves others; at most 1 MiB."""


class RoundMember(Protocol):
    """A connection whose socket is read here instead of by its transport."""

    def read_round(self: M, sock: socket, lone: list[tuple[M, bytes, int]] | None) -> None:
        """Read once, at most `READ_BYTES`; the socket has something, its end, or an error.

        Args:
            sock: the socket.
            lone: where to put what was read, with the number of its frames, 0 if it is not whole
                frames of a sender in good standing; None if all is to be queued at once.
        """


M = TypeVar("M", bound=RoundMember)


class Taker(Protocol[M]):
    """What is done with what a round brings."""

    def is_free(self) -> bool:
        """Whether nothing that came before is under way, so that lone records may go first."""

    def take_lone(self, lone: list[tuple[M, bytes, int]]) -> None:
        """Take what was read; in this order, as far as it is of one member."""

    def take_queued(self) -> None:
        """There may be something in the intake."""


class Collector(Protocol):
    """What is asked of the intake."""

    def begin_round(self) -> None:
        """Tell nobody of what comes until the round is over."""

    def end_round(self) -> None:
        """Tell of what came and is still there."""


class Rounds(Generic[M]):
    """The sockets that are read by rounds.

    Args:
        loop: runs the rounds.
        intake: where what is read goes, but for lone records.

    Attributes:
        taker: told of what a round brought before the intake tells others; None for nobody.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, intake: Collector) -> None:
        self._loop = loop
        self._intake = intake
        self._epoll: select.epoll | None = None
        self._members: dict[int, tuple[M, socket]] = {}
        self._is_watched = False
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._empty_rounds = 0
        self._has_ended = not hasattr(select, "epoll")
        self.taker: Taker[M] | None = None

    @property
    def takes_members(self) -> bool:
        """Whether there are rounds."""
        return not self._has_ended

    def add(self, member: M, sock: socket) -> None:
        """Read a socket by rounds from now on; its transport is paused."""
        epoll = self._epoll
        if epoll is None:
            epoll = self._epoll = select.epoll()
        descriptor = sock.fileno()
        epoll.register(descriptor, select.EPOLLIN)
        self._members[descriptor] = member, sock
        if self._timer is None:
            self._watch()

    def remove(self, sock: socket) -> None:
        """Read a socket no more; it is still open."""
        descriptor = sock.fileno()
        if self._members.pop(descriptor, None) is not None and self._epoll is not None:
            self._epoll.unregister(descriptor)

    def end(self) -> None:
        """There are no more rounds; the members have left."""
        self._has_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._epoll is not None:
            self._unwatch()
            self._epoll.close()
            self._epoll = None

    def _watch(self) -> None:
        if not self._is_watched and self._epoll is not None:
            self._is_watched = True
            self._loop.add_reader(self._epoll.fileno(), self._woken)

    def _unwatch(self) -> None:
        if self._is_watched and self._epoll is not None:
            self._is_watched = False
            self._loop.remove_reader(self._epoll.fileno())

    def _woken(self) -> None:
        self._unwatch()
        self._empty_rounds = 0
        self._round()

    def _round(self) -> None:
        """Read all that have something, and say when the next round is."""
        self._timer = None
        self._intake.begin_round()
        taker = self.taker
        lone: list[tuple[M, bytes, int]] | None = []
        if taker is None or not taker.is_free():
            lone = None
        read = MAX_READS
        try:
            read = self._read_some(lone)
            if 0 < read < MAX_READS:
                # The acks that went out just now let kernels send what they had kept back
                # (`sockets.MAX_NAGLED_BYTES`).
                self._read_some(lone)
            if taker is not None and lone:
                taker.take_lone(lone)
            if taker is not None and read:
                taker.take_queued()
        finally:
            self._intake.end_round()
            self._go_on(read)

    def _go_on(self, read: int) -> None:
        """See to the next round, after one that read that many sockets."""
        self._empty_rounds = 0 if read else self._empty_rounds + 1
        if self._has_ended:
            return
        if read >= MAX_READS:
            self._timer = self._loop.call_soon(self._round)
        elif self._empty_rounds < EMPTY_ROUNDS:
            self._timer = self._loop.call_later(ROUND_S, self._round)
        else:
            self._watch()

    def _read_some(self, lone: list[tuple[M, bytes, int]] | None) -> int:
        """Read the next sockets that have something, each once; how many had."""
        if self._epoll is None:
            return 0
        ready = self._epoll.poll(0, MAX_READS)
        for descriptor, _ in ready:
            # The one before may have closed it.
            one = self._members.get(descriptor)
            if one is not None:
                member, sock = one
                member.read_round(sock, lone)
        return len(ready)
