"""The deliveries that the pipeline's thread has taken, in the order of their turns.

What takes long to decode must not keep the others waiting: the thread works in slices of time, and
a connection whose delivery is not done when a slice ends waits behind all others from then on,
until nothing of it is left. The order within a connection never changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

C = TypeVar("C")
D = TypeVar("D")


class Turns(Generic[C, D]):
    """Deliveries of connections; used by one thread."""

    def __init__(self) -> None:
        self._quick: deque[tuple[C, D]] = deque()
        self._slow: dict[C, deque[D]] = {}
        """By connection, the one whose turn is next first."""

    def __bool__(self) -> bool:
        return bool(self._quick or self._slow)

    def add(self, deliveries: Iterable[tuple[C, D]]) -> None:
        """Take deliveries, each behind those of its connection."""
        for connection, delivery in deliveries:
            waiting = self._slow.get(connection)
            if waiting is None:
                self._quick.append((connection, delivery))
            else:
                waiting.append(delivery)

    def take(self) -> tuple[C, D] | None:
        """The delivery whose turn it is; None if there is none."""
        if self._quick:
            return self._quick.popleft()
        for connection, waiting in self._slow.items():
            delivery = waiting.popleft()
            if not waiting:
                del self._slow[connection]
            return connection, delivery
        return None

    def take_while(self, is_like: Callable[[C, D], bool], at_most: int) -> list[tuple[C, D]]:
        """The quick deliveries that are next, as long as they are like `is_like` wants them."""
        taken: list[tuple[C, D]] = []
        while self._quick and len(taken) < at_most and is_like(*self._quick[0]):
            taken.append(self._quick.popleft())
        return taken

    def return_unseen(self, turns: Sequence[tuple[C, D]]) -> None:
        """Quick deliveries that were taken and not looked at are next again, in their order."""
        self._quick.extendleft(reversed(turns))

    def put_back(self, connection: C, rest: D) -> None:
        """What is left of a delivery goes before the others of its connection, behind all else."""
        waiting = self._slow.pop(connection, None)
        if waiting is None:
            waiting = deque(delivery for one, delivery in self._quick if one is connection)
            self._quick = deque(item for item in self._quick if item[0] is not connection)
        waiting.appendleft(rest)
        self._slow[connection] = waiting
