"""Sees to it that no plain sender waits long for us.

`logging.handlers.SocketHandler` gives up after a second and loses its record. So a plain sender
whose socket the intake has paused is not left alone:

- after `RELIEF_S` the outputs are asked to move what they have not got to disk, which makes room;
- after `SIP_S`, and again and again, a sip of it is let in all the same: to disk, as it came, see
  `Overflow`; without room there as long as the reserve of the intake's limit lasts. The one that
  has waited longest is first.

Sessions keep what is not acknowledged, and wait. Event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from logd.daemon.peers.intake import Intake

LOOK_S = 0.05
RELIEF_S = 0.1
SIP_S = 0.15
"""A plain sender may be unread for this long; with a look's delay that stays under 0.2 s."""

SIP_BYTES = 2 << 20
"""A sip is about this long. A kernel wakes its writer only if a third of its buffer is free, which
on the same machine takes up to 1.8 MB: with less it would take several sips, and a second is over.
So if room is short it goes to one after the other, not in small parts to all."""

RESERVE = 8
"""Sips end when less than one in this many bytes of the intake's limit is left."""


class WaitingSender(Protocol):
    """What is asked of a connection."""

    def sip(self) -> None:
        """Go on reading, for a sip, if no other reason to pause is left."""


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
        # How much of its sip is left to each that is read.
        self._sipping: dict[S, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.relieve: Callable[[], None] = _nothing

    def paused(self, sender: S) -> None:
        """The intake has stopped reading from a plain sender."""
        self._sipping.pop(sender, None)
        self._since.setdefault(sender, self._loop.time())
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    def waits_no_more(self, sender: S) -> None:
        """There is room for it, or it is gone."""
        self._since.pop(sender, None)
        self._sipping.pop(sender, None)

    def is_sipping(self, sender: S) -> bool:
        """Whether its next read is part of a sip."""
        return sender in self._sipping

    def sipped(self, sender: S, size: int) -> bool:
        """A read of this many bytes was part of a sip; whether that goes on."""
        left = self._sipping.pop(sender) - size
        if left > 0:
            self._sipping[sender] = left
        return left > 0

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        oldest = next(iter(self._since.values()), now)
        if now - oldest >= RELIEF_S:
            self.relieve()
        room, sip_bytes = self._room_bytes, self._sip_bytes
        for sender, since in list(self._since.items()):
            room -= sip_bytes
            if now - since < SIP_S or room < 0:
                break
            del self._since[sender]
            self._sipping[sender] = sip_bytes
            sender.sip()
        if self._since:
            self._timer = self._loop.call_later(LOOK_S, self._look)

    @property
    def _sip_bytes(self) -> int:
        """A small queue has a small reserve."""
        return min(SIP_BYTES, self._intake.limit_bytes // RESERVE)

    @property
    def _room_bytes(self) -> int:
        """What may be read: on disk, else in memory. Of sips under way nothing was read yet."""
        intake, overflow = self._intake, self._intake.overflow
        under_way = sum(self._sipping.values())
        on_disk = overflow.limit_bytes - overflow.used_bytes - under_way
        if on_disk >= self._sip_bytes:
            return on_disk
        return intake.limit_bytes - intake.limit_bytes // RESERVE - intake.queued_bytes - under_way


def _nothing() -> None:
    """Nobody can make room."""
