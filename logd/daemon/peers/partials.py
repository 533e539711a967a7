"""Frames that are not complete yet: the memory they take together, and the time each may take."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from logd.daemon.peers.shares import Shares


class Holder(Protocol):
    """A connection of which a frame may be under way.

    Attributes:
        account: what its bytes count for.
    """

    account: str

    @property
    def partial_bytes(self) -> int:
        """Bytes of a frame that is not complete."""

    def give_up(self, reason: str) -> None:
        """Let go of the frame at once, and close."""


H = TypeVar("H", bound=Holder)


class Partials(Generic[H]):
    """The incomplete frames of all connections, within a bound.

    If they are more, those of the account that holds most are given up, the oldest first, until
    they fit: a peer that opens a thousand frames loses its own, not those of others.
    """

    def __init__(self) -> None:
        self._shares = Shares()
        self._counted: dict[H, int] = {}
        # Of each account in the order in which they began, with that time. An `OrderedDict` finds
        # its first at once, however many were before it.
        self._since: dict[str, OrderedDict[H, float]] = {}

    @property
    def bytes(self) -> int:
        """What is kept of all of them."""
        return self._shares.total

    def note(self, holder: H, now: float, most: int, *, begins: bool = False) -> None:
        """See how much of a frame a connection holds now; gives up frames over `most` bytes.

        `begins` says that another frame was completed before: this one's time starts now.
        """
        size = holder.partial_bytes
        change = size - self._counted.get(holder, 0)
        if not size:
            self.forget(holder)
            return
        self._counted[holder] = size
        self._shares.add(holder.account, change)
        same_account = self._since.setdefault(holder.account, OrderedDict())
        if begins or holder not in same_account:
            same_account.pop(holder, None)
            same_account[holder] = now
        while self._shares.total > most:
            self._give_up_one()

    def _give_up_one(self) -> None:
        account = self._shares.greediest()
        if account is None:
            raise AssertionError("bytes of frames without an account")
        oldest = next(iter(self._since[account]))
        self.forget(oldest)
        oldest.give_up("too many incomplete frames, this one the oldest of its peer")

    def restart(self, holder: H, now: float) -> None:
        """The time that a frame takes counts from now, if there is one."""
        same_account = self._since.get(holder.account, OrderedDict())
        if same_account.pop(holder, None) is not None:
            same_account[holder] = now

    def forget(self, holder: H) -> None:
        """Nothing of a frame is kept any more."""
        size = self._counted.pop(holder, None)
        if size is None:
            return
        self._shares.add(holder.account, -size)
        same_account = self._since[holder.account]
        del same_account[holder]
        if not same_account:
            del self._since[holder.account]

    def begun_before(self, moment: float) -> Iterator[H]:
        """Connections whose frame is under way since before `moment`."""
        for same_account in list(self._since.values()):
            for holder, since in list(same_account.items()):
                if since >= moment:
                    break
                yield holder
