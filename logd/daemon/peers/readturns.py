"""Which connections are read in the loop's next turn, if there is no time for all.

Five hundred connections with a full kernel buffer would keep the loop reading for a tenth of a
second, and a lone record needs several turns until it is acknowledged. So a turn reads for a
limited time. Connections that have more to say, and all that are read once the time is over, wait:
accounts take turns, and of an account its connections do. The others are read as they come.

Event loop's thread only. Knows nothing of what is read.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable

TURN_S = 0.004
"""A turn reads for about this long."""

MIN_READS = 4
"""At least this many of those that wait are read in a turn, however slow the machine is."""

MAX_READS = 256

CROWD = 32
"""If more than this many wait, each read takes only `CROWD_READ_BYTES`: all are served soon."""

READ_BYTES = 262_144
"""One read takes at most this much: large enough that the kernel, not we, is the limit."""

CROWD_READ_BYTES = 16_384


class ReadTurns:
    """The connections that wait for their turn to be read, and the time of the turn under way.

    Args:
        loop: has the turns.
        clock: seconds that never go back; must go on within a turn.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._waiting: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._count = 0
        self._is_scheduled = False
        self._began = 0.0
        self._reads = 0
        self._at_a_time = MIN_READS

    @property
    def is_over(self) -> bool:
        """Whether the time of the turn under way is used up."""
        return self._reads > 0 and self._clock() - self._began >= TURN_S

    @property
    def read_bytes(self) -> int:
        """How much the next read may take."""
        return CROWD_READ_BYTES if self._count > CROWD or self.is_over else READ_BYTES

    def begin_read(self) -> None:
        """A socket is about to be read."""
        if not self._reads:
            self._began = self._clock()
            self._schedule()
        self._reads += 1

    def wait(self, account: str, read_on: Callable[[], None]) -> None:
        """Have `read_on` called when it is the turn of this connection of `account`."""
        self._waiting.setdefault(account, deque()).append(read_on)
        self._count += 1
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._next_turn)

    def _next_turn(self) -> None:
        """Runs before the loop looks at its sockets again."""
        self._is_scheduled = False
        if self._reads:
            self._learn(self._clock() - self._began)
        self._reads = 0
        for _ in range(min(self._at_a_time, self._count)):
            self._let_one_read()
        if self._count:
            self._schedule()

    def _learn(self, seconds: float) -> None:
        """Let more or fewer of those that wait be read in a turn, after one that took so long."""
        if seconds > TURN_S:
            self._at_a_time = max(MIN_READS, self._at_a_time // 2)
        elif self._count:
            self._at_a_time = min(MAX_READS, self._at_a_time * 2)

    def _let_one_read(self) -> None:
        account, waiting = self._waiting.popitem(last=False)
        read_on = waiting.popleft()
        self._count -= 1
        if waiting:
            self._waiting[account] = waiting
        read_on()
