"""The session protocol, version 1: bytes and numbers, no I/O.

This is the only description of the protocol. The daemon's decoder and every other client follow
it. Nothing here uses sockets, threads, files or clocks: `sender.py` moves the bytes.

What it promises
    Each record of a session has a sequence number. The first has 1, and no number is left out.
    The client keeps a batch until the server has acknowledged it. After a reconnect it sends
    every batch again that is not acknowledged, under the same numbers. The server stores the
    highest number of each session together with the records, and skips what it already has.
    So each record is stored exactly once.

Frames
    A frame is a 4-byte big-endian length and a payload of that many bytes. A frame of length 0
    is a keep-alive: its sender lives. The server sends one every 3 s while it holds records that
    it can't store yet. The client's payloads are pickles of protocol 4. They hold tuples, str,
    bytes, int, float, bool and None only.

Opening
    The client sends one opening per connection, before anything else:
    `("logd", 1, client_id, first, token)`.

    - 1 is the version of the protocol.
    - client_id: 16 random bytes. They name the session for life.
    - first: the lowest sequence number that the client still holds or will send next. No lower
      number will come again.
    - token: the shared token, or None.

    Wait for the server's answer before you send a batch. There is one exception: a client that
    has never sent a batch of this session may send batches at once.

Batch
    `("batch", first, count, contexts, index, msgids, times, msgs, specials)` holds the records
    `first` to `first + count - 1`, in columns:

    - contexts: a tuple of `(pid, tid, threadname, cat, path, tblen, cfunc)`. A context is what
      the records of one place in a program have in common. `path` is a tuple of
      `(filename, lineno)`, the log call first. A hidden file is `(None, None)`. `tblen` is the
      depth of the whole stack, 0 if unknown. `cfunc` is the function that called the logger.
      Each context is used by at least one record.
    - index: bytes, the position of each record's context in `contexts`. It is empty if there is
      one context. It has 1 byte per record for up to 256 contexts, and 2 big-endian bytes per
      record for more.
    - msgids: the first message id, if the ids rise by one. If not: bytes, a big-endian signed
      integer of 8 bytes per record.
    - times: bytes, a big-endian IEEE double per record: seconds since the epoch.
    - msgs: one str, the messages joined by NUL. If a message contains a NUL: a tuple of str.
    - specials: a tuple of `(rows, key, value, key, value, ...)`. Rows are counted from 0. `rows`
      is an int if one record has these items. If several have them, it is bytes, 2 big-endian
      bytes per row, rising. Each row occurs once, and the first row of each tuple is higher than
      the first row of the tuple before. A record without items occurs nowhere. Keys are str;
      values are str, int, float, bool or None.

Simple batch
    A simple sender may send `("batch", first, [record, ...])`. Each record is a tuple or list of
    11 items: `(msgid, pid, tid, threadname, time, msg, cat, path, tblen, cfunc, special)`, and
    `special` is a dict or None.

    Openings and simple batches may also be MessagePack arrays: `["logd", 1, bin, first, token]`
    and `["batch", first, [[...], ...]]`.

Answers
    The server sends structs of 12 bytes only, never a pickle: the length 8, and an unsigned
    big-endian number of 8 bytes.

    - The answer to the opening is the highest sequence number of the session that is stored
      durably. It is 0 if the server does not know the session.
    - A keep-alive before this first answer says that the server shares its marks with other
      servers. The session may go on at any of them.
    - Later answers are the same number, whenever it has grown. An answer acknowledges every
      record up to its number.
    - A number of 2**63 or more is a refusal: 2**63 + code. The server then closes the
      connection. `REFUSALS` has the codes.

Limits
    If a frame is beyond one of the first nine limits, the server refuses it and closes the
    connection. An opening beyond its limits is not taken for an opening. The setting
    max_frame_bytes of the server changes the first limit; all others are fixed.

    ========================================  =====================
    payload of a frame                              1,048,576 bytes
    payload of an opening                               2,176 bytes
    token                                                 512 characters
    records in a batch                                  8,192
    records in a simple batch                           4,096
    objects in a batch of several records              50,000
    pickle opcodes in a batch                         300,000
    ids, tblen, line numbers                    -2**63 to 2**63 - 1
    time                             0 to below 253,402,300,800 seconds
    thread name, calling function                         256 characters
    category                                               64 characters
    file name in a path                                 1,024 characters
    path, 8 more counted per level                     16,384 characters
    items of a record                                     256
    key of an item                                        128 characters
    value of an item                                   32,768 characters
    ========================================  =====================

    From the thread name on, the server does not refuse. It cuts what is longer, and the text
    says how much is missing.

    Two limits need counting:

    - Objects: 6 + one per path level for each context, plus the length of each tuple in
      specials. A batch of one record may have more.
    - Text as it is written: a context counts once for every record that uses it, and so do
      items. A path level counts 8 more than its file name, a number 8. If a name or a value is
      not all printable ASCII, each of its characters counts 6. In a batch of R records, contexts
      may have 4,096 * R characters, at most 4,194,304, and items 2,048 * R, at most 2,097,152.
      Besides, the records of a payload of N bytes may have 16 * N + 4,096 characters. Of these,
      messages may have 2 * N + 4,096. The server cuts the longest texts of a batch that has
      more. If a program logs from very deep call paths, make its batches smaller.

Three examples, byte for byte. Text in quotes is ASCII, everything else hexadecimal.

1.  A client opens a session without a token. Its id is 16 times "c". The server knows nothing of
    the session:

    client  0000002e                                # 46 bytes follow
            80 04 95 23 00 00 00 00 00 00 00        # pickle protocol 4, 35 bytes follow
            28 8c 04 "logd" 94 4b 01                # ( "logd", version 1,
            43 10 "cccccccccccccccc" 94             #   client_id,
            4b 01 4e 74 94 2e                       #   first 1, no token )
    server  00000008 0000000000000000               # nothing is stored

2.  It sends two records of category "E" from line 3 of a.py, in process 7 and thread 9: "hi" at
    1.0 s, and "yo" at 1.5 s with the item n = 5. The server stores both:

    client  0000006a                                # 106 bytes follow
            80 04 95 5f 00 00 00 00 00 00 00        # pickle protocol 4, 95 bytes follow
            28 8c 05 "batch" 94 4b 01 4b 02         # ( "batch", first 1, count 2,
            28 4b 07 4b 09 8c 01 "t" 94 8c 01 "E" 94  # ( ( pid 7, tid 9, thread "t", "E",
            8c 04 "a.py" 94 4b 03 86 94 85 94       #     path ( ("a.py", 3) ),
            4b 00 8c 00 94 74 94 85 94              #     tblen 0, cfunc "" ) ),
            43 00 94                                #   index: empty, there is one context
            4b 01                                   #   msgids: 1, 2
            43 10 3ff0000000000000 3ff8000000000000 94  # times: 1.0, 1.5
            8c 05 "hi" 00 "yo" 94                   #   msgs, joined by NUL
            4b 01 8c 01 "n" 94 4b 05 87 94 85 94    #   specials: ( (row 1, "n", 5) )
            74 94 2e                                # )
    server  00000008 0000000000000002               # records 1 and 2 are stored

3.  A simple sender does the same as 1 and the first half of 2 with MessagePack, on a connection
    of its own. Then the server is told to stop:

    client  0000001b                                # 27 bytes follow
            95 a4 "logd" 01                         # [ "logd", version 1,
            c4 10 "cccccccccccccccc" 01 c0          #   client_id, first 1, no token ]
    server  00000008 0000000000000000               # nothing is stored
    client  00000028                                # 40 bytes follow
            93 a5 "batch" 01 91                     # [ "batch", first 1, [
            9b 01 07 09 a1 "t"                      #   [ msgid 1, pid 7, tid 9, thread "t",
            cb 3ff0000000000000 a2 "hi" a1 "E"      #     time 1.0, "hi", "E",
            91 92 a4 "a.py" 03                      #     path [ ["a.py", 3] ],
            00 a0 c0                                #     tblen 0, cfunc "", no items ] ] ]
    server  00000008 0000000000000001               # record 1 is stored
    server  00000008 8000000000000006               # refusal 6: the server is stopping

`client/tests/wire_examples.py` has more examples as a table. Both sides are tested with it.

`Session` is the client's side. It is made once per client id and outlives connections:

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
    CLIENT_ID_BYTES,
    MAX_BATCH_OBJECTS,
    MAX_BATCH_RECORDS,
    MAX_CONTEXTS,
    MAX_FRAME_BYTES,
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
    "CLIENT_ID_BYTES",
    "MAX_BATCH_OBJECTS",
    "MAX_BATCH_RECORDS",
    "MAX_CONTEXTS",
    "MAX_FRAME_BYTES",
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
        entries: the first batches left by a process that is gone, to be delivered under their old
            numbers.
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
            ValueError: its number is not the next one.
        """
        if entry.first != self.next_sequence or entry.records < 1:
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

    def add_sent(self, entry: Entry) -> bool:
        """As `add`, for one record that is sent at once; only while the session is clear.

        Returns:
            Whether nothing waited for its acknowledgement before.
        """
        sent = self._sent
        is_first = not sent
        sent.append(entry)
        self.sent_sequence = number = self.next_sequence
        self.next_sequence = number + 1
        return is_first

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
