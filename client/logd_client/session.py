"""The session protocol, version 1: bytes and numbers, no I/O.

This is the only description of the protocol. The daemon's decoder and every other client follow
it. Nothing here uses sockets, threads, files or clocks: `link.py` moves the bytes.

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

`clientsession.py` is the client's side.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from logd_client.encoding import (
    CLIENT_ID_BYTES,
    MAX_BATCH_RECORDS,
    MAX_CONTEXTS,
    PROTOCOL_VERSION,
    encode_batch,
    encode_batches,
    encode_frame,
    encode_opening,
)
from logd_client.lone import encode_lone
from logd_client.records import AnyRow, Context, EncodedBatch, Items, Row
from logd_client.sizes import BATCH_BYTES, MAX_BATCH_OBJECTS, MAX_FRAME_BYTES

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
    "EncodedBatch",
    "Items",
    "ProtocolError",
    "Row",
    "SessionEnded",
    "SessionRefused",
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

    acknowledged: Sequence[EncodedBatch] = ()


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
