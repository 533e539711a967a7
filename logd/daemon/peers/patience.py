"""Sees to it that no plain sender waits long for us.

`logging.handlers.SocketHandler` gives up after a second and loses its record. So a plain sender
whose socket the intake has paused is not left alone:

- after `RELIEF_S` the outputs are asked to move what they have not got to disk, which makes room;
- after `SIP_S`, and again and again, one read of it is let in all the same, as long as the reserve
  of the intake's limit lasts: if the disk is full as well, or the processor is what is short. The
  one that has waited longest is first.

Sessions keep what is not acknowledged, and wait. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from logd.daemon.peers.intake import Pause

if TYPE_CHECKING:
    from logd.daemon.peers.intake import Intake

LOOK_S = 0.05
RELIEF_S = 0.1
SIP_S = 0.15
"""A plain sender may be unread for this long; with a look's delay that stays under 0.2 s."""

SIP_BYTES = 131_072
"""A sip is at most this long. A kernel wakes its writer only when a good part of its buffer is
free, often half a megabyte: with less several sips would not do it within a second."""

RESERVE = 8
"""Sips end when less than one in this many bytes of the intake's limit is left."""


class WaitingSender(Protocol):
    """What is asked of a connection."""

    def resume(self, reason: Pause = ...) -> None:
        """Go on reading if no other reason to pause is left."""


S = TypeVar("S", bound=WaitingSender)


class WaitingSenders(Generic[S]):
    """The plain senders that wait for room.

    Args:
        loop: runs the timer, only while anybody waits.
        intake: whose reserve the sips take.

    Attributes:
        relieve: asks the outputs to make room.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, intake: Intake[S]) -> None:  # type: ignore[type-var]
        self._loop = loop
        self._intake = intake
        # In the order in which they were paused.
        self._since: dict[S, float] = {}
        self._sipping: set[S] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.relieve: Callable[[], None] = _nothing

    def paused(self, sender: S) -> None:
        """The intake has stopped reading from a plain sender."""
        self._sipping.discard(sender)
        self._since.setdefault(sender, self._loop.time())
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def read_on(self, sender: S) -> None:
        """It is read again, or gone."""
        self._since.pop(sender, None)

    def gone(self, sender: S) -> None:
        """It is closed."""
        self._since.pop(sender, None)
        self._sipping.discard(sender)

    def is_sipping(self, sender: S) -> bool:
        """Whether its next read is a sip."""
        return sender in self._sipping

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        oldest = next(iter(self._since.values()), now)
        if now - oldest >= RELIEF_S:
            self.relieve()
        room = self._reserve_bytes
        for sender, since in list(self._since.items()):
            room -= SIP_BYTES
            if now - since < SIP_S or room < 0:
                break
            self._sipping.add(sender)
            sender.resume(Pause.INTAKE)
        if self._since:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    @property
    def _reserve_bytes(self) -> int:
        intake = self._intake
        return intake.limit_bytes - intake.limit_bytes // RESERVE - intake.queued_bytes


def _nothing() -> None:
    """Nobody can make room."""
