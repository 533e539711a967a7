"""Whom to tell what is durable: the sessions of all clients that take acks.

A session belongs to a client id, not to a connection: after a cut the client comes back on another
one, and what still waited from the first is acknowledged on the second. All calls come from the
event loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from logd.daemon.sessionkeys import SessionKeys
from logd.outputs.marks import MAX_MARKS

KEEP_UNSEEN_S = 86_400.0
"""Marks of clients that were not seen for a day may go: no client waits that long to resend."""


class Acknowledged(Protocol):
    """A connection that can be told how far its session is durable.

    Attributes:
        identity: the peer: its address, user or certificate.
        peer: the same for people.
    """

    identity: str
    peer: str

    def send_ack(self, number: int) -> None:
        """Tell the client that all up to `number` is durable."""

    def give_up(self, reason: str) -> None:
        """Cut it off."""


class Sessions:
    """For each session the highest durable sequence number and the connection to tell.

    Args:
        marks: what is durable of each session at the start.
        clock: seconds since the epoch.
        keys: what the session of a client is called here and in marks.
        limit: beyond this many clients those that are not connected go before their day is over,
            the one unseen for longest first: a peer can open sessions under random ids as fast as
            it can connect.

    Attributes:
        keys: the same.
        pushed_out: how many went before their day was over.
    """

    def __init__(
        self,
        marks: Mapping[bytes, int],
        clock: Callable[[], float] = time.time,
        keys: SessionKeys | None = None,
        limit: int = MAX_MARKS,
    ) -> None:
        now = clock()
        self._limit = limit
        self.pushed_out = 0
        self.keys = keys or SessionKeys()
        self._clock = clock
        self._durable = dict(marks)
        # In the order in which they were last seen.
        self._seen = dict.fromkeys(marks, now)
        self._connections: dict[bytes, Acknowledged] = {}

    def __len__(self) -> int:
        """How many sessions are connected."""
        return len(self._connections)

    def holder_elsewhere(self, client: bytes, identity: str) -> str | None:
        """The peer that has this session open, if it is another one than `identity`."""
        living = self._connections.get(client)
        return None if living is None or living.identity == identity else living.peer

    def opened(self, client: bytes, connection: Acknowledged) -> int:
        """A client came, or came back; returns what is durable of its records.

        It may come back before the daemon has noticed that its last connection is dead: that one
        is given up.
        """
        living = self._connections.get(client)
        self._connections[client] = connection
        if living is not None:
            living.give_up(f"its session was opened again from {connection.peer}")
        self._see(client)
        return self._durable.get(client, 0)

    def acknowledged(self, client: bytes) -> int:
        """What is durable of a client's records."""
        return self._durable.get(client, 0)

    def closed(self, client: bytes, connection: Acknowledged) -> None:
        """`connection` is gone; the session goes on if the client came back meanwhile."""
        if self._connections.get(client) is connection:
            del self._connections[client]
            self._see(client)
            if client not in self._durable:
                # Nothing of it is stored: there is nothing to remember.
                del self._seen[client]

    def _see(self, client: bytes) -> None:
        self._seen.pop(client, None)
        self._seen[client] = self._clock()

    def durable(self, acks: Mapping[bytes, int]) -> None:
        """Every output holds these records: client id -> sequence number."""
        for client, number in acks.items():
            number = max(number, self._durable.get(client, 0))
            self._durable[client] = number
            if client not in self._seen:
                self._see(client)
            connection = self._connections.get(client)
            if connection is not None:
                connection.send_ack(number)

    def prune(self) -> list[bytes]:
        """Forget clients that were not seen for a day, or are too many; returns their ids."""
        oldest = self._clock() - KEEP_UNSEEN_S
        surplus = len(self._seen) - self._limit
        gone: list[bytes] = []
        connected: list[bytes] = []
        for client, seen in self._seen.items():
            if seen >= oldest and surplus <= len(gone):
                break
            if client in self._connections:
                connected.append(client)
                continue
            self.pushed_out += seen >= oldest
            gone.append(client)
        for client in gone:
            del self._seen[client]
            self._durable.pop(client, None)
        for client in connected:
            # They are seen all the time.
            self._see(client)
        return gone
