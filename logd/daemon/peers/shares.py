"""Finds the account that holds most of what is shared: it has to give way if nothing is left."""

from __future__ import annotations

import heapq

_SLACK = 64


class Shares:
    """How much each account holds; finds the greediest in logarithmic time.

    Attributes:
        total: what all of them hold together.
    """

    def __init__(self) -> None:
        self.total = 0
        self._held: dict[str, int] = {}
        # Every increase leaves an entry here; those that are no longer true are passed over.
        self._largest: list[tuple[int, str]] = []

    def add(self, account: str, change: int) -> None:
        """An account holds this much more, or less if negative."""
        if not change:
            return
        self.total += change
        held = self._held.get(account, 0) + change
        if held:
            self._held[account] = held
            heapq.heappush(self._largest, (-held, account))
        else:
            self._held.pop(account, None)
        if len(self._largest) > 2 * len(self._held) + _SLACK:
            self._largest = [(-held, account) for account, held in self._held.items()]
            heapq.heapify(self._largest)

    def held(self, account: str) -> int:
        """What an account holds."""
        return self._held.get(account, 0)

    def greediest(self) -> str | None:
        """The account that holds most; None if nobody holds anything."""
        while self._largest:
            held, account = self._largest[0]
            if self._held.get(account) == -held:
                return account
            heapq.heappop(self._largest)
        return None
