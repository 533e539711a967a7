"""What a client knows of one session; bytes and numbers, no I/O. The protocol is `session.py`'s.

`Session` is made once per client id and outlives connections:

    opening() -> CONNECTING -- answer --> OPEN -- lost() --> CLOSED -- opening() --> ...
                     |                     |
                     +------ refusal ------+--> CLOSED, and SessionRefused is raised
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum

from logd_client.encoding import encode_opening
from logd_client.records import EncodedBatch
from logd_client.session import (
    REFUSAL_BASE,
    AnswerDecoder,
    ProtocolError,
    SessionEnded,
    SessionRefused,
)

__all__ = ["Session", "SessionState"]


class SessionState(Enum):
    """Where a session stands; see the picture at the top of the file."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    OPEN = "open"


class Session:
    """What a client knows of one session: what it holds, what was sent, what is acknowledged.

    Used by one thread. It outlives connections and is the only place where sequence numbers are
    given out.

    Args:
        client_id: 16 random bytes of its own.
        entries: the first batches left by a process that is gone, to be delivered under their old
            numbers.
        token: the shared token of the server, None without one.

    Attributes:
        state: see `SessionState`.
        acked: everything up to this sequence number is stored durably by the server.
        sent: what was sent on this connection and is not acknowledged.
        sent_sequence: highest number ever sent, on any connection; no server can know more.
        next_sequence: number of the next record that is added.
        has_shared_marks: whether the server that answered last shares its marks with others.
    """

    def __init__(
        self, client_id: bytes, *, entries: Sequence[EncodedBatch] = (), token: str | None = None
    ) -> None:
        self.client_id = client_id
        self.state = SessionState.CLOSED
        self._token = token
        self.sent: deque[EncodedBatch] = deque()
        self._unsent: deque[EncodedBatch] = deque(entries)
        self.sent_sequence = 0
        self.has_shared_marks = False
        self._decoder = AnswerDecoder()
        self._is_leftover = bool(entries)
        self._is_eager = False
        self.next_sequence = entries[-1].last + 1 if entries else 1
        self.acked = entries[0].first - 1 if entries else 0

    @property
    def oldest(self) -> EncodedBatch | None:
        """The first entry that waits for its acknowledgement, None without one."""
        if self.sent:
            return self.sent[0]
        return self._unsent[0] if self._unsent else None

    @property
    def has_unsent(self) -> bool:
        """True when `take` would give something on this connection."""
        return bool(self._unsent) and self.may_send

    @property
    def may_send(self) -> bool:
        """True when batches may be sent on this connection."""
        return self.state is SessionState.OPEN or (
            self._is_eager and self.state is SessionState.CONNECTING
        )

    @property
    def has_unacknowledged(self) -> bool:
        """True when something that was sent on this connection waits for its acknowledgement."""
        return bool(self.sent)

    def add(self, entry: EncodedBatch) -> None:
        """Hold one more batch, to be sent after those that are held already.

        Raises:
            ValueError: its number is not the next one.
        """
        if entry.first != self.next_sequence or entry.records < 1:
            raise ValueError(
                f"batch of {entry.records} records from {entry.first}, "
                f"expected number {self.next_sequence}"
            )
        self._unsent.append(entry)
        self.next_sequence += entry.records

    def add_sent(self, entries: Sequence[EncodedBatch]) -> None:
        """Hold entries that the caller sends right now; their numbers are the next ones.

        Only while `is_clear`.
        """
        self.sent.extend(entries)
        self.sent_sequence = entries[-1].last
        self.next_sequence = self.sent_sequence + 1

    @property
    def entries(self) -> list[EncodedBatch]:
        """All that is held, in order."""
        return [*self.sent, *self._unsent]

    @property
    def next_unsent(self) -> EncodedBatch | None:
        """What `take` would give first, None for nothing."""
        return self._unsent[0] if self._unsent else None

    def replace_next(self, parts: Sequence[EncodedBatch]) -> None:
        """Hold these, which have the same records, in place of `next_unsent`.

        Raises:
            ValueError: they have other numbers.
        """
        whole = self._unsent[0]
        first = whole.first
        for part in parts:
            if part.first != first:
                break
            first += part.records
        if first != whole.last + 1:
            raise ValueError(f"parts of batch {whole.first} to {whole.last} end before {first}")
        self._unsent.popleft()
        self._unsent.extendleft(reversed(parts))

    @property
    def is_clear(self) -> bool:
        """True when the next batch could be sent at once: the connection is open, none waits."""
        return self.state is SessionState.OPEN and not self._unsent and not self._is_leftover

    def replace_oldest(self, entry: EncodedBatch) -> EncodedBatch:
        """Hold `entry` in place of the oldest one, which the server will never take.

        Only between connections: the next opening tells the server that the numbers below
        `entry.first` will not come.

        Returns:
            The entry that was given up.

        Raises:
            ValueError: `entry` does not end with the number that the oldest one ends with.
        """
        if self.state is not SessionState.CLOSED or not self._unsent:
            raise AssertionError("nothing to replace, or a connection is open")
        given_up = self._unsent[0]
        if entry.last != given_up.last or entry.first < given_up.first:
            raise ValueError(
                f"batch {entry.first} to {entry.last} "
                f"in place of {given_up.first} to {given_up.last}"
            )
        self._unsent[0] = entry
        return given_up

    def opening(self, *, is_eager: bool = False) -> bytes:
        """The frame to send first on a new connection; feed what comes back to `receive_data`.

        Args:
            is_eager: batches may follow before the server has answered, if nothing of this
                session was ever sent: what the server knows of it is plain then.
        """
        self.lost()
        self._is_eager = is_eager and not self.sent_sequence and not self._is_leftover
        self.state = SessionState.CONNECTING
        self._decoder = AnswerDecoder()
        first = self._unsent[0].first if self._unsent else self.next_sequence
        return encode_opening(self.client_id, first, self._token)

    def take(self, max_bytes: int) -> list[EncodedBatch]:
        """The next entries to send: at least one if any is unsent, at most `max_bytes` beyond it.

        The caller sends them whole and in order, or calls `lost`.
        """
        taken: list[EncodedBatch] = []
        if not self.has_unsent:
            return taken
        size = 0
        unsent = self._unsent
        while unsent and (not taken or size + unsent[0].size <= max_bytes):
            entry = unsent.popleft()
            taken.append(entry)
            size += entry.size
        self.sent.extend(taken)
        self.sent_sequence = max(self.sent_sequence, taken[-1].last)
        return taken

    def receive_data(self, data: bytes) -> list[EncodedBatch]:
        """Take the server's bytes; returns the entries that became acknowledged, in order.

        Raises:
            SessionRefused: the server refuses.
            ProtocolError: the server speaks something else, or acknowledges what it was never
                sent. In both cases the connection is to be closed, the session is closed, and
                what was acknowledged before is in the exception's `acknowledged`.
        """
        if self.state is SessionState.CLOSED:
            raise AssertionError("bytes given to a session without a connection")
        done: list[EncodedBatch] = []
        try:
            for number in self._decoder.receive_data(data):
                self._answered(number, done)
        except SessionEnded as exc:
            self.lost()
            exc.acknowledged = done
            raise
        return done

    def _answered(self, number: int, done: list[EncodedBatch]) -> None:
        if number >= REFUSAL_BASE:
            raise SessionRefused(number - REFUSAL_BASE)
        # A leftover does not know how far its first owner had come, nor whether its end was lost
        # with the machine that wrote it: there the server is right.
        if number > self.sent_sequence and not self._is_leftover:
            raise ProtocolError(
                f"the server acknowledged record {number}, but only {self.sent_sequence} were sent"
            )
        if self.state is not SessionState.OPEN:
            self.has_shared_marks = self._decoder.begins_alive
        self.state = SessionState.OPEN
        self.acked = max(self.acked, min(number, self.next_sequence - 1))
        for entries in (self.sent, self._unsent):
            while entries and entries[0].last <= self.acked:
                done.append(entries.popleft())

    def lost(self) -> None:
        """The connection is gone: everything held counts as unsent again."""
        self.state = SessionState.CLOSED
        self._unsent.extendleft(reversed(self.sent))
        self.sent.clear()
