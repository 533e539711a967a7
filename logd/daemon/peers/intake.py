"""The bounded queue between the connections and the consumer.

What was read from a connection waits at the connection. Accounts (the address of a peer, or a user
of the Unix socket) take turns by cost: next is always the one whose records have taken least of
the pipeline's time of late, and of its connections each in turn. A greedy sender waits behind
itself, not in front of the others, with however many connections it comes and however dear its
records are.

Bytes count from their arrival until every output holds their records. When those of a connection
reach its limit, or those of an account its share, reading from the socket pauses (TCP slows the
sender); it goes on when there is room. Plain senders can't wait for long, and sip meanwhile, see
`WaitingSenders`: that waits on disk, see `Overflow`. Nothing is ever dropped here.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

from logd.daemon.peers.overflow import Overflow, Overflowed
from logd.wire.frames import Frames

RESUME_AT = 0.5
"""Reading goes on when this part of a limit is in use: pausing at every frame would cost more."""

SHARE = 3
"""An account may hold this many times what is free: one alone three quarters of the queue, two
three sevenths each. So there is always room for one more."""

FULL_AT = SHARE / (SHARE + 1)

USUAL_S_PER_BYTE = 30e-9
"""What a byte costs until an account has shown what its bytes cost: about 3 us a record."""

FORGET_COST = 0.8
"""How much of an earlier cost is believed in at least: a sender that alternates dear and cheap
records pays for dear ones."""

MAX_IDLE_ACCOUNTS = 1024


class Pause(enum.Flag):
    """Why reading is paused; it goes on when no reason is left.

    Attributes:
        TURN: the rest is for the loop's next turn; nothing that a peer would notice.
    """

    TURN = enum.auto()
    INTAKE = enum.auto()
    RATE = enum.auto()
    DRAIN = enum.auto()
    MARK = enum.auto()


class Feeder(Protocol):
    """What the intake asks of a connection.

    Attributes:
        account: what its bytes and its time count for.
        pending: what was read and the consumer has not taken yet.
        queued_bytes: bytes received and not yet held by every output.
        is_waiting: whether the connection stands in the queue.
        is_awaiting: whether its peer waits for what it sent to be stored, as far as can be seen.
    """

    account: str
    pending: deque[Frames | Overflowed]
    queued_bytes: int
    is_waiting: bool

    @property
    def is_awaiting(self) -> bool:
        """See above."""

    def pause(self) -> None:
        """Stop reading from the socket."""

    def resume(self) -> None:
        """Go on reading from the socket."""


S = TypeVar("S", bound=Feeder)


class _Account(Generic[S]):
    """The connections of one peer.

    Attributes:
        ready: those that have something, each once.
        paused: those that are not read.
        queued_bytes: of all of them.
        used_s: the pipeline's time that was taken for them, or the least that anyone has taken
            that waited meanwhile: nobody saves up turns.
        s_per_byte: what a byte of theirs costs of it.
    """

    __slots__ = ("paused", "queued_bytes", "ready", "s_per_byte", "used_s")

    def __init__(self) -> None:
        self.ready: deque[S] = deque()
        self.paused: dict[S, None] = {}
        self.queued_bytes = 0
        self.used_s = 0.0
        self.s_per_byte = USUAL_S_PER_BYTE


class Intake(Generic[S]):
    """Counts bytes, pauses and resumes connections, and hands out what they sent fairly.

    Not thread-safe: all calls come from the event loop's thread.

    Args:
        limit_bytes: all bytes that may be queued at once.
        connection_limit_bytes: the bytes of one connection that may be.
        overflow: where sips of plain senders wait; without room it if None.
    """

    def __init__(
        self, limit_bytes: int, connection_limit_bytes: int, overflow: Overflow | None = None
    ) -> None:
        self.overflow = overflow or Overflow()
        self.limit_bytes = limit_bytes
        self.connection_limit_bytes = connection_limit_bytes
        self.queued_bytes = 0
        self._accounts: dict[str, _Account[S]] = {}
        self._paused: dict[str, _Account[S]] = {}
        self._forget_at = MAX_IDLE_ACCOUNTS
        # Accounts that have something, by the time they have used; each once.
        self._turns: list[tuple[float, str]] = []
        self._least_used_s = 0.0
        self._has_news = asyncio.Event()
        # Of what waits to be taken.
        self._waiting_bytes = 0
        self._enough_bytes = 0
        self._gathering: asyncio.Future[None] | None = None
        # What a round brings is gathered already, and nobody is told of it before its end.
        self._is_in_round = False
        self._is_gathered = False

    @property
    def is_full(self) -> bool:
        """Whether the peers that fill the queue have to wait."""
        return self.queued_bytes >= self.limit_bytes * FULL_AT

    @property
    def waiting_bytes(self) -> int:
        """Of what waits to be taken."""
        return self._waiting_bytes

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._turns

    def has_room(self, source: S) -> bool:
        """Whether the account of `source` has room left in its share."""
        account = self._accounts.get(source.account)
        return account is None or account.queued_bytes < self._share

    @property
    def _share(self) -> int:
        return SHARE * (self.limit_bytes - self.queued_bytes)

    def change_limits(self, limit_bytes: int, connection_limit_bytes: int) -> None:
        """Put other limits in force; lower ones take effect as what is queued gets less."""
        self.limit_bytes = limit_bytes
        self.connection_limit_bytes = connection_limit_bytes
        self.resume()

    def put(self, source: S, frames: Frames, *, is_sip: bool = False) -> None:
        """Queue what was read from `source` at once; pauses it if a limit is reached.

        A sip waits on disk if there is room, and pauses nobody then.
        """
        account = self._account(source)
        overflowed = self.overflow.keep(frames) if is_sip else None
        source.pending.append(overflowed or frames)
        if not source.is_waiting:
            source.is_waiting = True
            account.ready.append(source)
            if len(account.ready) == 1:
                account.used_s = max(account.used_s, self._least_used_s)
                heapq.heappush(self._turns, (account.used_s, source.account))
                if not self._is_in_round:
                    self._has_news.set()
        self._waiting_bytes += frames.size
        if self._gathering is not None and self._has_enough(source):
            self._end_gathering(self._gathering)
        if overflowed is None:
            self.charge(source, frames.size)

    def _has_enough(self, source: S) -> bool:
        return source.is_awaiting or self._waiting_bytes >= self._enough_bytes

    def charge(self, source: S, size: int) -> None:
        """Charge `source` this many bytes: what it sent needs them, perhaps on top of its size."""
        account = self._account(source)
        self._add(source, account, size)
        is_over = source.queued_bytes >= self.connection_limit_bytes
        if is_over or account.queued_bytes >= self._share:
            account.paused[source] = None
            self._paused[source.account] = account
            source.pause()

    def _add(self, source: S, account: _Account[S], size: int) -> None:
        account.queued_bytes += size
        source.queued_bytes += size
        self.queued_bytes += size

    def spent(self, source: S, size: int, seconds: float) -> None:
        """What came as `size` bytes of `source` took this long to be decoded and written."""
        account = self._accounts.get(source.account)
        if account is not None and size > 0:
            account.s_per_byte = max(seconds / size, account.s_per_byte * FORGET_COST)

    def begin_round(self) -> None:
        """Tell nobody of what comes until the round is over."""
        self._is_in_round = True

    def end_round(self) -> None:
        """Tell of what came in a round and is still there: it has waited for more already."""
        self._is_in_round = False
        if self._turns:
            self._is_gathered = True
            self._has_news.set()
            if self._gathering is not None:
                self._end_gathering(self._gathering)

    async def wait(self, or_until: Callable[[], bool] = lambda: False) -> None:
        """Return once there are frames to be taken, or `or_until` holds, see `look_again`."""
        while not (self._turns or or_until()):
            self._has_news.clear()
            await self._has_news.wait()

    def look_again(self) -> None:
        """What `wait` was told to look at besides may have changed."""
        self._has_news.set()

    async def gather(self, at_most_s: float, enough_bytes: int) -> None:
        """Wait for more than the little that is there, unless a sender waits for it to be stored.

        Args:
            at_most_s: how long.
            enough_bytes: it ends once this much is there.
        """
        self._enough_bytes = enough_bytes
        if self._is_gathered or self._waiting_bytes >= enough_bytes or self._next_is_awaiting:
            return
        loop = asyncio.get_running_loop()
        self._gathering = gathering = loop.create_future()
        timer = loop.call_later(at_most_s, self._end_gathering, gathering)
        try:
            await gathering
        finally:
            self._gathering = None
            timer.cancel()

    @staticmethod
    def _end_gathering(gathering: asyncio.Future[None]) -> None:
        if not gathering.done():
            gathering.set_result(None)

    @property
    def _next_is_awaiting(self) -> bool:
        return self._accounts[self._turns[0][1]].ready[0].is_awaiting

    async def take(self, at_most_bytes: int, at_most_s: float) -> list[tuple[S, Frames]]:
        """Wait for frames, then do as `take_waiting`."""
        await self.wait()
        return self.take_waiting(at_most_bytes, at_most_s)

    def take_waiting(
        self, at_most_bytes: int, at_most_s: float, but_of: Collection[str] = ()
    ) -> list[tuple[S, Frames]]:
        """Take what waits, one read at a time and by turns; may be nothing.

        Args:
            at_most_bytes: the read that reaches this sum is the last.
            at_most_s: the same for the time that all are expected to cost.
            but_of: accounts that have to wait.
        """
        taken: list[tuple[S, Frames]] = []
        size, cost_s = 0, 0.0
        self._is_gathered = False
        later: list[tuple[float, str]] = []
        while self._turns and size < at_most_bytes and cost_s < at_most_s:
            if self._turns[0][1] in but_of:
                later.append(heapq.heappop(self._turns))
                continue
            source, frames, expected_s = self._next()
            taken.append((source, frames))
            size += frames.size
            cost_s += expected_s
        for turn in later:
            heapq.heappush(self._turns, turn)
        if taken and not self._turns:
            # Nobody waited for the last one: there is nothing to make up for.
            self._least_used_s = self._account(taken[-1][0]).used_s
        return taken

    def _next(self) -> tuple[S, Frames, float]:
        self._least_used_s, name = heapq.heappop(self._turns)
        account = self._accounts[name]
        source = account.ready.popleft()
        waiting = source.pending.popleft()
        self._waiting_bytes -= waiting.size
        frames = waiting.take() if isinstance(waiting, Overflowed) else waiting
        if frames is not waiting:
            # It pauses nobody: in the portions under way there is room for it.
            self._add(source, account, frames.size)
        expected_s = frames.size * account.s_per_byte
        account.used_s += expected_s
        if source.pending:
            account.ready.append(source)
        else:
            source.is_waiting = False
        if account.ready:
            heapq.heappush(self._turns, (account.used_s, name))
        return source, frames, expected_s

    def drop(self, comes_again: Callable[[S], bool]) -> None:
        """Drop what waits of connections whose peers keep it and send it again."""
        for account in self._accounts.values():
            for source in [one for one in account.ready if comes_again(one)]:
                size = sum(frames.size for frames in source.pending)
                source.pending.clear()
                source.is_waiting = False
                account.ready.remove(source)
                self._waiting_bytes -= size
                self.release(source, size)
        self._turns = [turn for turn in self._turns if self._accounts[turn[1]].ready]
        heapq.heapify(self._turns)

    def release(self, source: S, size: int) -> None:
        """Bytes of `source` are where they belong (or were refused); call `resume` when done."""
        self._account(source).queued_bytes -= size
        source.queued_bytes -= size
        self.queued_bytes -= size

    def resume(self) -> None:
        """Let paused connections go on as far as there is room."""
        room = self.connection_limit_bytes * RESUME_AT
        for name, account in list(self._paused.items()):
            if account.queued_bytes > self._share * RESUME_AT:
                continue
            for source in [s for s in account.paused if s.queued_bytes <= room]:
                del account.paused[source]
                source.resume()
                if account.queued_bytes >= self._share:
                    break
            if not account.paused:
                del self._paused[name]
        if len(self._accounts) > self._forget_at:
            self._forget_idle()

    def _forget_idle(self) -> None:
        """Forget accounts that have nothing here and no time to make up for."""
        self._accounts = {
            name: account
            for name, account in self._accounts.items()
            if account.queued_bytes
            or account.ready
            or account.paused
            or account.used_s > self._least_used_s
        }
        self._forget_at = max(MAX_IDLE_ACCOUNTS, 2 * len(self._accounts))

    def forget(self, source: S) -> None:
        """`source` is closed: it will not be resumed. What it queued is still handed out."""
        account = self._accounts.get(source.account)
        if account is not None:
            account.paused.pop(source, None)

    def _account(self, source: S) -> _Account[S]:
        account = self._accounts.get(source.account)
        if account is None:
            account = self._accounts[source.account] = _Account()
        return account
