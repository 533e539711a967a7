"""Connections that have not shown yet what they are there for.

A connection is a newcomer from its accept until its first frame was let in: through its TLS
handshake, until it has shown the token if one is asked for. Strangers that say nothing cost a
place, so a newcomer has a deadline, and it is the first to go when places run short.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from logd.daemon.peers.shares import Shares

PATIENCE_S = 0.5
"""A newcomer that has just come is not called silent: what it says may be on its way."""


class Guest(Protocol):
    """A connection, opened or being opened.

    Attributes:
        account: what its place counts for.
    """

    account: str

    def turn_away(self, reason: str) -> None:
        """Close at once; its place is free when this returns."""


G = TypeVar("G", bound=Guest)


class Newcomers(Generic[G]):
    """All newcomers, by account and in the order in which they came."""

    def __init__(self) -> None:
        self._shares = Shares()
        self._since: dict[str, OrderedDict[G, float]] = {}

    def __len__(self) -> int:
        """How many they are."""
        return self._shares.total

    def came(self, guest: G, now: float) -> None:
        """A connection was accepted."""
        self._since.setdefault(guest.account, OrderedDict())[guest] = now
        self._shares.add(guest.account, 1)

    def settled(self, guest: G) -> None:
        """Its first frame was let in, or it is gone; may be said more than once."""
        same_account = self._since.get(guest.account)
        if same_account is None or guest not in same_account:
            return
        del same_account[guest]
        if not same_account:
            del self._since[guest.account]
        self._shares.add(guest.account, -1)

    def make_room(self, now: float, account: str | None = None) -> bool:
        """Turn away one newcomer; False if none has been silent for long enough.

        Args:
            now: as for `came`.
            account: whose; of the one with most newcomers if None, for a crowd of strangers must
                not push out the one honest peer that has just connected.
        """
        if account is None:
            account = self._shares.greediest()
        same_account = self._since.get(account or "", OrderedDict())
        oldest = next(iter(same_account), None)
        if oldest is None or now - same_account[oldest] < PATIENCE_S:
            return False
        self.settled(oldest)
        oldest.turn_away("said nothing, and others need its place")
        return True

    def since_before(self, moment: float) -> Iterator[G]:
        """Those that came before `moment`."""
        for same_account in list(self._since.values()):
            for guest, since in list(same_account.items()):
                if since >= moment:
                    break
                yield guest
