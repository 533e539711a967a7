"""What was published to one partition and is not acknowledged yet: go back, never go on. Pure.

A client is told that a record is stored once the engine has acknowledged its message and all
before it, each behind the one before. If a message fails, or two stand in the wrong order, all from
the first unacknowledged one on are published again, those too that were acknowledged behind it: a
store leaves out what stands before its predecessors, and may pass over what it has.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple


@dataclass
class _Entry:
    message: bytes
    ticket: int = 0
    sequence: int | None = None


class Sent(NamedTuple):
    """A message to publish; the engine's answer is for its ticket."""

    ticket: int
    message: bytes


class Window:
    """The messages of one partition, in order.

    Attributes:
        size: bytes of all of them.
        added, done: how many were ever added, and are acknowledged with all before them.
        rounds: how often it went back.
    """

    def __init__(self) -> None:
        self._entries: deque[_Entry] = deque()
        self._sent = 0
        self._by_ticket: dict[int, _Entry] = {}
        self._tickets = 0
        self._last_sequence = 0
        self.size = 0
        self.added = 0
        self.done = 0
        self.rounds = 0

    def __len__(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._entries)

    def add(self, message: bytes) -> None:
        """Put a message behind those that are there."""
        self._entries.append(_Entry(message))
        self.size += len(message)
        self.added += 1

    def take(self) -> list[Sent]:
        """What is to be published now, in this order and at once."""
        taken: list[Sent] = []
        for position in range(self._sent, len(self._entries)):
            entry = self._entries[position]
            self._tickets += 1
            entry.ticket = self._tickets
            self._by_ticket[entry.ticket] = entry
            taken.append(Sent(entry.ticket, entry.message))
        self._sent = len(self._entries)
        return taken

    @property
    def oldest_ticket(self) -> int | None:
        """The ticket that is waited for most; None if nothing is under way."""
        return self._entries[0].ticket if self._sent else None

    def acknowledged(self, ticket: int, sequence: int) -> int:
        """The engine has stored a message at this place of the partition.

        Returns:
            How many messages are acknowledged by this, with all before them.
        """
        entry = self._by_ticket.pop(ticket, None)
        if entry is None:
            return 0  # of a round before: it was published again
        entry.sequence = sequence
        before = self.done
        while self._entries and (sequence := self._entries[0].sequence or 0):
            if sequence <= self._last_sequence:
                self.go_back()
                break
            self._last_sequence = sequence
            self.size -= len(self._entries.popleft().message)
            self._sent -= 1
            self.done += 1
        return self.done - before

    def failed(self, ticket: int) -> bool:
        """A message was refused, or its answer is overdue; False if that is old news."""
        if ticket not in self._by_ticket:
            return False
        self.go_back()
        return True

    def go_back(self) -> None:
        """Publish all that is left once more."""
        self._by_ticket.clear()
        for entry in self._entries:
            entry.ticket, entry.sequence = 0, None
        self._sent = 0
        # What is published from now on stands behind all that was acknowledged until now.
        self._last_sequence = 0
        self.rounds += 1
