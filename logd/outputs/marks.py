"""How far each session has been written: client id -> highest sequence number.

Marks let an output recognise what a sender repeats after a lost connection or a crash. They would
grow without end, for each process of each application has its own; a session unseen for a day
has nothing left to repeat, and beyond `max_sessions` those unseen for longest go first.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_MARKS = 65_536
"""Sessions kept at most, if nothing else is set; 16 bytes of id and two numbers each make about
2 MB on disk."""

MAX_AGE_S = 86_400.0
"""A session unseen for this many seconds is forgotten at the next `prune`."""


PLACE_PREFIX = b"place"
"""How the names of marks begin that say how far a log has come in a source: they never age."""


class Marks:
    """The marks of one output. Not locked: they belong to the writer of the output.

    Args:
        items: client id, highest sequence number, when last seen (seconds since the epoch); the
            one unseen for longest first.
        limit: how many sessions are kept at most.
    """

    def __init__(
        self, items: Iterable[tuple[bytes, int, float]] = (), *, limit: int = MAX_MARKS
    ) -> None:
        self._limit = limit
        # Ordered by when a session was last seen: dictionaries keep the order of insertion.
        self._marks = {client: (last, seen) for client, last, seen in items}

    def __len__(self) -> int:
        return len(self._marks)

    def get(self, client: bytes) -> int:
        """The highest sequence number written of a session, 0 if it is unknown."""
        return self._marks.get(client, (0, 0.0))[0]

    def note(self, client: bytes, last: int, now: float) -> None:
        """Everything of `client` up to `last` is written; a lower number than before is ignored."""
        marks = self._marks
        known = marks.pop(client, None)
        if known is not None and known[0] > last:
            last = known[0]
        marks[client] = (last, now)
        if len(marks) > self._limit:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        # Places are few, and those that are no sessions stay.
        oldest = next((one for one in self._marks if not one.startswith(PLACE_PREFIX)), None)
        if oldest is not None:
            del self._marks[oldest]

    def limit_to(self, limit: int) -> None:
        """Keep at most `limit` sessions from now on; the ones unseen for longest go."""
        self._limit = limit
        for _ in range(len(self._marks) - limit):
            self._drop_oldest()

    def take_over(self, other: Marks) -> None:
        """Add what is known from elsewhere of the same log."""
        for client, last, seen in other.items():
            self.note(client, last, seen)

    def forget(self, clients: Iterable[bytes]) -> None:
        """Drop sessions that are known to be gone."""
        for client in clients:
            self._marks.pop(client, None)

    def take_up(self, now: float) -> None:
        """The daemon runs again, from `now` on: ages go on from when it last saw any session.

        Nobody could be seen in between, and a client that held records then will send them again.
        """
        away_s = now - max((seen for _, seen in self._marks.values()), default=now)
        self._marks = {
            client: (last, seen + away_s) for client, (last, seen) in self._marks.items()
        }
        self.prune(now)

    def prune(self, now: float) -> None:
        """Drop what was unseen for `MAX_AGE_S`."""
        marks = self._marks
        gone = []
        for client, (_, seen) in marks.items():
            if now - seen <= MAX_AGE_S:
                break
            if not client.startswith(PLACE_PREFIX):
                gone.append(client)
        self.forget(gone)

    def items(self) -> list[tuple[bytes, int, float]]:
        """All marks as the constructor takes them."""
        return [(client, last, seen) for client, (last, seen) in self._marks.items()]

    def numbers(self) -> dict[bytes, int]:
        """Client id -> highest sequence number, as `Output.open` returns it; a copy."""
        return {client: last for client, (last, _) in self._marks.items()}
