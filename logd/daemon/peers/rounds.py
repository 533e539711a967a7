"""Reads the sockets of quiet senders by rounds, some milliseconds apart, in a thread of its own.

At modest rates waking is what a record costs: the loop for each socket that has something, then
the thread that decodes, then the one that writes. Here one thread reads all sockets that have
something, one after the other, decodes what came, and writes it. Nobody else is woken.

    nothing comes    the thread sleeps in the kernel; a lone record is read at once
    something came   it lets `GATHER_S` pass, in which others come, and then reads all of them

A sender is quiet as long as a round brings little of it. A fast one is read by its own transport,
as soon as something comes, and so is one that waits for each ack: it must not wait for a round.

What may not be decoded here (it is odd, filters look at each record, others are at work) goes to
the event loop, and until that has it, its connection is not read by anybody.

If a disk hangs the thread hangs with it. The loop looks now and then, and takes the sockets back.

The lock is held from the look at the sockets until what they had has its place in a line. So a
connection that was removed is not read any more, and what was read of it comes before the rest.
Without epoll there are no rounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from socket import socket
from typing import Generic, Protocol, TypeVar

from logd.daemon.peers.sockets import acknowledge_at_once

GATHER_S = 0.014
"""From the first record to its round: below 20 ms from the call to the readable line, with the
writing."""

PAUSE_S = 0.05
"""After this long without a round a record is read at once."""

READ_BYTES = 16_384
"""Of one sender in one round; one that has more is fast, about 1 MB/s."""

MAX_LONE_BYTES = 8192
"""Longer reads are worth their own way."""

QUIET_BYTES_PER_S = 500_000.0
"""A sender of less, for `LOOK_S` at least, is read by rounds."""

LOOK_S = 0.05

MAX_READS = 64
"""At most this many sockets are read before others get their turn; at most 1 MiB."""

STUCK_S = 0.5
"""A round that takes longer does not come to its end soon."""

WATCH_S = 0.25
"""How often the loop looks at that, while there are rounds."""


class Takes(enum.Enum):
    """Of which connections a round is decoded at once; what the others sent is queued.

    Attributes:
        NONE: of none.
        FRESH: of those that have nothing under way.
        ALL: of all, because everything under way is decoded.
    """

    NONE = enum.auto()
    FRESH = enum.auto()
    ALL = enum.auto()


class RoundMember(Protocol):
    """A connection whose socket is read here instead of by its transport.

    Attributes:
        sock: its socket.
        nagles: its kernel keeps a record back until ours has acknowledged the one before.
        acks: it is told what is stored.
        queued_bytes: what it sent and was queued, and is not stored.
        is_waiting: something of it is in the queue.
    """

    sock: socket | None
    nagles: bool
    acks: bool
    queued_bytes: int
    is_waiting: bool

    def count_lone(self, data: bytes, now: float) -> int:
        """Count a read, and how many frames it is; 0 if it is not whole frames of one in order."""

    def is_in_lockstep(self) -> bool:
        """Whether it seems to wait for each ack; asked once for each read."""

    def hold(self) -> None:
        """Let nobody read it before `take_read`."""

    def take_read(self, data: bytes, counted: int, *, goes_alone: bool) -> None:
        """In the loop's thread: take what was read, and be read on; by its transport perhaps."""

    def read_alone(self) -> None:
        """In the loop's thread: let its transport read its socket from now on."""


M = TypeVar("M", bound=RoundMember)
M_contra = TypeVar("M_contra", bound=RoundMember, contravariant=True)

Lone = tuple[M, bytes, int]
"""A read of whole frames, and how many."""

Other = tuple[M, bytes, int, bool]
"""What the loop gets: a connection, what was read, how many frames of it are counted already, and
whether its transport reads from now on."""


class Taker(Protocol[M]):
    """What is done with what a round brings."""

    def begin_lone(self) -> Takes:
        """What of the round may be decoded at once; if any, `take_lone` has to follow."""

    def take_lone(self, lone: Sequence[Lone[M]]) -> Sequence[Lone[M]]:
        """Decode reads and put their records into the line; returns those that are odd."""

    def write_lone(self) -> None:
        """Write what stands in the line, if nobody else does."""

    def take_queued(self) -> None:
        """In the loop's thread: there may be something in the intake."""


class Collector(Protocol[M_contra]):
    """What is asked of the intake."""

    def has_room(self, source: M_contra) -> bool:
        """Whether what a connection sends may be queued; from any thread."""

    def begin_round(self) -> None:
        """Tell nobody of what comes until the round is over."""

    def end_round(self) -> None:
        """Tell of what came and is still there."""


class Rounds(Generic[M]):
    """The sockets that are read by rounds. Methods belong to the loop if they say
    nothing of threads.

    Args:
        loop: has what can't be decoded here.
        intake: where that goes.
        on_begin: called in the loop's thread when rounds begin after a pause.

    Attributes:
        taker: decodes and writes; None for nobody.
        bytes, frames: what was decoded here; written by the rounds' thread only.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        intake: Collector[M],
        on_begin: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_begin = on_begin
        self._intake = intake
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None
        self._wakeup = -1
        self._members: dict[int, tuple[M, socket]] = {}
        self._has_ended = not hasattr(select, "epoll")
        # When the round under way began; None between two rounds.
        self._began_at: float | None = None
        self._count = self._seen_count = 0
        self._is_watched = self._is_stuck = False
        self._timer: asyncio.TimerHandle | None = None
        self.taker: Taker[M] | None = None
        self.bytes = 0
        self.frames = 0

    @property
    def takes_members(self) -> bool:
        """Whether there are rounds."""
        return not (self._has_ended or self._is_stuck)

    def add(self, member: M, sock: socket) -> None:
        """Read a socket by rounds from now on; its transport is paused.

        Raises:
            OSError: the system has no descriptors or memory for it.
        """
        epoll = self._epoll or self._start()
        descriptor = sock.fileno()
        with self._lock:
            epoll.register(descriptor, select.EPOLLIN)
            self._members[descriptor] = member, sock

    def remove(self, sock: socket) -> None:
        """Read a socket no more; it is still open."""
        with self._lock:
            self._drop(sock.fileno())

    def _drop(self, descriptor: int) -> None:
        """The lock is held."""
        if self._members.pop(descriptor, None) is not None and self._epoll is not None:
            self._epoll.unregister(descriptor)

    def _start(self) -> select.epoll:
        epoll = select.epoll()
        try:
            self._wakeup = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError:
            epoll.close()
            raise
        epoll.register(self._wakeup, select.EPOLLIN)
        self._epoll = epoll
        threading.Thread(target=self._run, args=(epoll,), name="logd-rounds", daemon=True).start()
        return epoll

    def end(self) -> None:
        """There are no more rounds once this returns; the members have left."""
        with self._lock:
            self._has_ended = True
            if self._wakeup >= 0:
                os.eventfd_write(self._wakeup, 1)
        if self._timer is not None:
            self._timer.cancel()

    # -- the loop's side ---------------------------------------------------------------------

    def _take_others(self, others: list[Other[M]]) -> None:
        """Take what a round read and could not decode."""
        self._intake.begin_round()
        try:
            for member, data, counted, goes_alone in others:
                member.take_read(data, counted, goes_alone=goes_alone)
            if self.taker is not None:
                self.taker.take_queued()
        finally:
            self._intake.end_round()

    def _begin(self) -> None:
        self._on_begin()
        self._watch()

    def _watch(self) -> None:
        """Look after a while how the rounds go on."""
        if not self._has_ended:
            self._timer = self._loop.call_later(WATCH_S, self._look)

    def _look(self) -> None:
        """Take the sockets back if a round is stuck; look no more if there are no rounds."""
        began_at = self._began_at
        self._is_stuck = began_at is not None and time.monotonic() - began_at > STUCK_S
        if self._is_stuck:
            for member, _ in list(self._members.values()):
                member.read_alone()
        # In this order: a round that begins now finds either a watch, or that there is none.
        self._is_watched = False
        if self._began_at is not None or self._count != self._seen_count:
            self._seen_count = self._count
            self._is_watched = True
            self._watch()

    # -- the rounds' thread ------------------------------------------------------------------

    def _run(self, epoll: select.epoll) -> None:
        ended_at = float("-inf")
        is_more = False
        while not self._has_ended:
            if not is_more:
                epoll.poll()
                if time.monotonic() - ended_at < PAUSE_S:
                    time.sleep(GATHER_S)
            try:
                is_more = self._round(epoll)
            finally:
                self._began_at = None
            ended_at = time.monotonic()
        with self._lock:
            self._epoll = None
            epoll.close()
            os.close(self._wakeup)
            self._wakeup = -1

    def _round(self, epoll: select.epoll) -> bool:
        """Read all that have something; True if more may have."""
        self._count += 1
        self._began_at = time.monotonic()
        if not self._is_watched:
            self._is_watched = True
            self._tell_loop(self._begin)
        taker = self.taker
        lone: list[Lone[M]] = []
        others: list[Other[M]] = []
        with self._lock:
            if self._has_ended:
                return False
            takes = Takes.NONE if taker is None else taker.begin_lone()
            try:
                read = self._read(epoll, lone, others, takes)
            finally:
                odd = taker.take_lone(lone) if taker is not None and takes is not Takes.NONE else ()
            # Of a connection these are the earlier ones. Mostly there was no time for them.
            others[:0] = [self._left(*read, goes_alone=False) for read in odd]
        if others:
            self._tell_loop(self._take_others, others)
        if taker is not None and lone:
            taker.write_lone()
        return read >= MAX_READS

    def _read(
        self,
        epoll: select.epoll,
        lone: list[Lone[M]],
        others: list[Other[M]],
        takes: Takes,
    ) -> int:
        """Read the sockets that have something; how many had.

        Twice: the acks that went out just now let kernels send what they had kept back
        (`sockets.MAX_NAGLED_BYTES`).
        """
        now, members, read = self._began_at or 0.0, self._members, 0
        for _ in range(2):
            ready = epoll.poll(0, MAX_READS)
            for descriptor, _ in ready:
                one = members.get(descriptor)
                if one is None:
                    continue  # the wakeup
                member, sock = one
                takes_lone = takes is Takes.ALL or (
                    takes is Takes.FRESH and not (member.queued_bytes or member.is_waiting)
                )
                if not (takes_lone or self._intake.has_room(member)):
                    # What is done then is the transport's.
                    others.append(self._left(member, b""))
                    continue
                try:
                    data = sock.recv(READ_BYTES)
                except (BlockingIOError, InterruptedError):
                    continue
                except OSError:
                    data = b""
                if member.nagles:
                    acknowledge_at_once(sock)
                is_fast = len(data) >= READ_BYTES or (member.acks and member.is_in_lockstep())
                count = member.count_lone(data, now) if takes_lone else 0
                if not count:
                    # The end, or an error: the transport meets it too, and knows what to do.
                    goes_alone = takes_lone or is_fast or not data
                    others.append(self._left(member, data, goes_alone=goes_alone))
                    continue
                lone.append((member, data, count))
                self.bytes += len(data)
                self.frames += count
                if is_fast:
                    others.append(self._left(member, b""))
            read = max(read, len(ready))
            if not 0 < len(ready) < MAX_READS:
                break
        return read

    def _left(self, member: M, data: bytes, counted: int = 0, goes_alone: bool = True) -> Other[M]:
        """Leave a connection, with what was read, to the loop; the lock is held."""
        member.hold()
        if member.sock is not None:
            self._drop(member.sock.fileno())
        return member, data, counted, goes_alone

    def _tell_loop(self, callback: Callable[..., None], *args: object) -> None:
        # The loop is closed if the daemon was told to stop at once: nobody is left to tell.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *args)
