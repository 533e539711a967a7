"""The session protocol, version 1: bytes and numbers, no I/O.

This is the one description of the protocol; the daemon's decoder and every other client follow
it. Nothing here knows sockets, threads, files or clocks: `sender.py` moves the bytes.

What it promises
    Every record has a sequence number, 1 for the first of a session, without gaps. The client
    keeps a batch until the server has acknowledged it, and after a reconnect sends again, under
    the same numbers, whatever is not acknowledged. The server stores, together with the records,
    how far each session has come and skips what it already has. Both together: exactly once.

Frames
    A 4-byte big-endian length and that many bytes of payload, at most 1 MiB. Length 0 is a
    keep-alive: its sender lives, and nothing else is meant. The server sends one every 3 s while
    it holds records that it can't store yet. The client's payloads are pickles of protocol 4, made
    of tuples, str, bytes, int, float, bool and None only.

Opening, once per connection, before anything else
    `("logd", 1, client_id, first, token)`: the protocol's version; 16 random bytes that name the
    session, for life; the lowest sequence number that the client still holds or will send next
    (numbers below it will never come again); the shared token or None.

Batch
    `("batch", first, count, contexts, index, msgids, times, msgs, specials)` has the records
    `first` to `first + count - 1`, at most 8,192, in columns:

    - contexts: tuple of `(pid, tid, threadname, cat, path, tblen, cfunc)`, what records of one
      place in a program have in common; `path` is a tuple of `(filename, lineno)`, the log call
      first, `(None, None)` for a hidden file.
    - index: bytes, the position of each record's context: empty where there is one context only;
      else 1 byte a record for up to 256 contexts; else 2 bytes, big-endian, a record.
    - msgids: the first message id where the ids rise by one; else bytes, 8-byte big-endian
      signed integers.
    - times: bytes, 8-byte big-endian IEEE doubles, seconds since the epoch.
    - msgs: one str, the texts joined by NUL; a tuple of str where a text has a NUL itself.
    - specials: tuple of `(rows, key, value, key, value, ...)`. Rows are counted from 0; `rows` is
      one of them, an int, or bytes, 2 big-endian bytes a row, rising, for all that have these
      items. No row comes twice, and each first row is higher than the one before. Rows without
      items are left out. Keys are str; values str, int, float, bool or None.

    Contexts and specials together count for at most 50,000, unless it is one record's: a
    context for 6 and one for each level of its path; a tuple of specials for each of its parts.
    What all records share is written with each of them: contexts beyond 4 Mi characters, a name 8
    more than it has, and specials beyond 2 Mi, a number 8, are cut where a frame may have 1 MiB.

Simple senders may instead send `("batch", first, [record, ...])` with at most 4,096 11-tuples
`(msgid, pid, tid, threadname, time, msg, cat, path, tblen, cfunc, special)`, and all of this as
MessagePack arrays in place of pickled tuples: `["logd", 1, bin16, first, token|nil]`, `["batch",
first, [[...], ...]]`.

Answers
    The server sends 12-byte structs only, never a pickle: length 8 and an unsigned 8-byte
    big-endian number. After the opening: the highest sequence number of this session that is
    stored durably, 0 if it knows none. Later: the same again as it grows; an answer covers
    everything up to its number. A keep-alive before the first answer says that the server shares
    its marks with others: the session may go on at any of them. 2**63 and above is a refusal,
    2**63 + code, after which the server closes: see `REFUSALS`.

Byte for byte: a session of client id 16 times "c" opens without a token and sends one record,
"hi" of category "E" from pid 7 with an empty path, taken at 1.0 s:

    client  0000002e                                # 46 bytes follow
            80 04 95 23 00 00 00 00 00 00 00        # pickle protocol 4, a stretch of 35 bytes
            28 8c 04 "logd" 94 4b 01                # ( "logd", 1,
            43 10 "cccccccccccccccc" 94             #   client id,
            4b 01 4e 74 94 2e                       #   first 1, no token ) end
    server  00000008 0000000000000000               # nothing is known of this session
    client  00000048                                # 72 bytes follow
            80 04 95 3d 00 00 00 00 00 00 00        # a stretch of 61 bytes
            28 8c 05 "batch" 94 4b 01 4b 01         # ( "batch", first 1, count 1,
            28 4b 07 4b 09 8c 01 "t" 94 8c 01 "E" 94  # ( ( pid 7, tid 9, thread "t", "E",
            29 4b 00 8c 00 94 74 94 85 94           #     path (), tblen 0, cfunc "" ) ),
            43 00 94                                #   index: there is one context only,
            4b 01                                   #   msgids from 1,
            43 08 3ff0000000000000 94               #   times: 1.0,
            8c 02 "hi" 94 29 74 94 2e               #   msgs "hi", no specials ) end
    server  00000008 0000000000000001               # record 1 is on disk

`client/tests/wire_examples.py` has these and more as a table that both sides are tested with.

The client's side of it is `Session`: made once per client id, it outlives connections.

    opening() -> CONNECTING -- answer --> OPEN -- lost() --> CLOSED -- opening() --> ...
                     |                     |
                     +------ refusal ------+--> CLOSED, and SessionRefused is raised
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from enum import Enum

from logd_client.encoding import (
    BATCH_BYTES,
    BATCH_OBJECTS,
    BATCH_RECORDS,
    CLIENT_ID_BYTES,
    CONTEXTS_MAX,
    FRAME_BYTES_MAX,
    PROTOCOL_VERSION,
    AnyRow,
    Context,
    Entry,
    Items,
    Row,
    encode_batch,
    encode_batches,
    encode_frame,
    encode_lone,
    encode_opening,
)

__all__ = [
    "BATCH_BYTES",
    "BATCH_OBJECTS",
    "BATCH_RECORDS",
    "CLIENT_ID_BYTES",
    "CONTEXTS_MAX",
    "FRAME_BYTES_MAX",
    "PROTOCOL_VERSION",
    "REFUSALS",
    "REFUSAL_BASE",
    "AnswerDecoder",
    "AnyRow",
    "Context",
    "Entry",
    "Items",
    "ProtocolError",
    "Row",
    "Session",
    "SessionEnded",
    "SessionRefused",
    "SessionState",
    "encode_answer",
    "encode_batch",
    "encode_batches",
    "encode_frame",
    "encode_lone",
    "encode_opening",
    "encode_refusal",
]

REFUSAL_BASE = 1 << 63
REFUSALS = {
    1: f"the server does not speak protocol version {PROTOCOL_VERSION}",
    2: "the token is missing or wrong",
    3: "this peer is not allowed, or a client certificate is needed",
    4: "a frame was malformed or too large for the server",
    5: "a batch came out of order",
    6: "the server is stopping",
}
REFUSED_VERSION, REFUSED_TOKEN, REFUSED_PEER, REFUSED_FRAME, REFUSED_ORDER, REFUSED_STOPPING = (
    REFUSALS
)

_ANSWER = struct.Struct(">IQ")
_LENGTH = struct.Struct(">I")


class SessionEnded(Exception):
    """The connection is of no more use; the session may be opened again on a new one.

    Attributes:
        acknowledged: the entries that the same bytes acknowledged before the fault.
    """

    acknowledged: Sequence[Entry] = ()


class ProtocolError(SessionEnded):
    """The server sent what the protocol does not know."""


class SessionRefused(SessionEnded):
    """The server refused the session or a frame of it.

    Attributes:
        code: a key of `REFUSALS`, or one that a later version of the protocol added.
    """

    def __init__(self, code: int) -> None:
        super().__init__(REFUSALS.get(code, f"refused with code {code}"))
        self.code = code


def encode_answer(number: int) -> bytes:
    """What a server answers: everything up to `number` is stored."""
    return _ANSWER.pack(8, number)


def encode_refusal(code: int) -> bytes:
    """What a server answers before it closes; `code` is a key of `REFUSALS`."""
    return _ANSWER.pack(8, REFUSAL_BASE + code)


class AnswerDecoder:
    """Cuts the server's bytes into numbers; holds at most eleven bytes between two calls.

    Attributes:
        begins_alive: whether a keep-alive came before the first number.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._has_number = False
        self.begins_alive = False

    def receive_data(self, data: bytes) -> list[int]:
        """The numbers that are complete with `data`, in order; often none or one.

        Raises:
            ProtocolError: a length other than 8 (0 is a keep-alive and skipped).
        """
        data = self._rest + data
        numbers: list[int] = []
        position = 0
        while len(data) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, position)
            if length == 0:
                self.begins_alive = self.begins_alive or not self._has_number
                position += _LENGTH.size
                continue
            if length != 8:
                raise ProtocolError(
                    f"an answer of {length} bytes, expected 8: this is no logd server"
                )
            if len(data) - position < _ANSWER.size:
                break
            numbers.append(_ANSWER.unpack_from(data, position)[1])
            self._has_number = True
            position += _ANSWER.size
        self._rest = data[position:]
        return numbers


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
        entries: batches left by a process that is gone, in order, to be delivered under their old
            numbers; nothing can be added to such a session.
        token: the shared token of the server, None without one.

    Attributes:
        state: see `SessionState`.
        acked: everything up to this sequence number is stored durably by the server.
        sent_sequence: highest number ever sent, on any connection; no server can know more.
        next_sequence: number of the next record that is added.
        has_shared_marks: whether the server that answered last shares its marks with others.
    """

    def __init__(
        self, client_id: bytes, *, entries: Sequence[Entry] = (), token: str | None = None
    ) -> None:
        self.client_id = client_id
        self.state = SessionState.CLOSED
        self._token = token
        # Sent on this connection and not acknowledged; and what comes after it.
        self._sent: deque[Entry] = deque()
        self._unsent: deque[Entry] = deque(entries)
        self.sent_sequence = 0
        self.has_shared_marks = False
        self._decoder = AnswerDecoder()
        self._is_leftover = bool(entries)
        self._is_eager = False
        self.next_sequence = entries[-1].last + 1 if entries else 1
        self.acked = entries[0].first - 1 if entries else 0

    @property
    def oldest(self) -> Entry | None:
        """The first entry that waits for its acknowledgement, None without one."""
        if self._sent:
            return self._sent[0]
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
        return bool(self._sent)

    def add(self, entry: Entry) -> None:
        """Hold one more batch, to be sent after those that are held already.

        Raises:
            ValueError: its number is not the next one, or the session is a leftover.
        """
        if self._is_leftover or entry.first != self.next_sequence or entry.records < 1:
            raise ValueError(
                f"batch of {entry.records} records from {entry.first}, "
                f"expected number {self.next_sequence}"
            )
        self._unsent.append(entry)
        self.next_sequence += entry.records

    @property
    def entries(self) -> list[Entry]:
        """All that is held, in order."""
        return [*self._sent, *self._unsent]

    @property
    def next_unsent(self) -> Entry | None:
        """What `take` would give first, None for nothing."""
        return self._unsent[0] if self._unsent else None

    def replace_next(self, parts: Sequence[Entry]) -> None:
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

    def add_sent(self, entry: Entry) -> None:
        """As `add`, for a batch that is sent at once; only while the session is clear."""
        self._sent.append(entry)
        self.sent_sequence = entry.last
        self.next_sequence += entry.records

    def replace_oldest(self, entry: Entry) -> Entry:
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

    def take(self, max_bytes: int) -> list[Entry]:
        """The next entries to send: at least one if any is unsent, at most `max_bytes` beyond it.

        The caller sends them whole and in order, or calls `lost`.
        """
        taken: list[Entry] = []
        if not self.has_unsent:
            return taken
        size = 0
        unsent = self._unsent
        while unsent and (not taken or size + unsent[0].size <= max_bytes):
            entry = unsent.popleft()
            taken.append(entry)
            size += entry.size
        self._sent.extend(taken)
        self.sent_sequence = max(self.sent_sequence, taken[-1].last)
        return taken

    def receive_data(self, data: bytes) -> list[Entry]:
        """Take the server's bytes; returns the entries that became acknowledged, in order.

        Raises:
            SessionRefused: the server refuses.
            ProtocolError: the server speaks something else, or acknowledges what it was never
                sent. In both cases the connection is to be closed, the session is closed, and
                what was acknowledged before is in the exception's `acknowledged`.
        """
        if self.state is SessionState.CLOSED:
            raise AssertionError("bytes given to a session without a connection")
        done: list[Entry] = []
        try:
            for number in self._decoder.receive_data(data):
                self._answered(number, done)
        except SessionEnded as exc:
            self.lost()
            exc.acknowledged = done
            raise
        return done

    def _answered(self, number: int, done: list[Entry]) -> None:
        if number >= REFUSAL_BASE:
            raise SessionRefused(number - REFUSAL_BASE)
        # A leftover does not know how far its first owner had come, nor whether its end was lost
        # with the machine that wrote it: there the server is right.
        if number > self.sent_sequence and not self._is_leftover:
            raise ProtocolError(
                f"the server acknowledged record {number}, sent were {self.sent_sequence}"
            )
        if self.state is not SessionState.OPEN:
            self.has_shared_marks = self._decoder.begins_alive
        self.state = SessionState.OPEN
        self.acked = max(self.acked, min(number, self.next_sequence - 1))
        for entries in (self._sent, self._unsent):
            while entries and entries[0].last <= self.acked:
                done.append(entries.popleft())

    def lost(self) -> None:
        """The connection is gone: everything held counts as unsent again."""
        self.state = SessionState.CLOSED
        self._unsent.extendleft(reversed(self._sent))
        self._sent.clear()
