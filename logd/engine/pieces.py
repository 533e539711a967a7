"""A message of the engine: pieces of many sessions, as bytes and back. Pure.

    "LG" 1 codec  body

`codec` is 0 for the body as it is, 1 for Zstandard. The body is a MessagePack array of pieces, each
an array of five: the session's name (16 bytes), `prev`, `floor`, `last`, and the batch as
`outputs/batchbytes.py` makes it, or nil for a piece without records. A piece covers the numbers
above `prev` up to `last` of its session; see `rules.py`.

The engine syncs once for a message, so a message is the unit of cost, and has pieces of all
sessions that have something. What a piece says of itself is read without its batch: a repetition
costs next to nothing.

A writer to the engine may write anything. Whatever the bytes are, reading them gives pieces or
`Unreadable`, at a bounded price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from logd.outputs.batchbytes import decode_batch, encode_batch
from logd.outputs.files.zstd import ZstdDecompressor, ZstdError, compress
from logd.records.batch import Batch
from logd.records.callpath import PathFormatter

MAGIC = b"LG\x01"

PLAIN, ZSTD = 0, 1
_ZSTD_LEVEL = 1

MIN_COMPRESSED_BYTES = 512
"""Below this compression saves nothing worth its time."""

MAX_BODY_BYTES = 32 << 20
"""No message is longer than this, uncompressed: a megabyte that came over the network is not to
become gigabytes."""

MAX_PIECE_BYTES = MAX_BODY_BYTES // 2
"""A longer one is divided by its sender."""

_NIL = b"\xc0"
_END_OF_TIME = 253_402_300_800
_MAX_NUMBER = 2**63 - 1
_SESSION_BYTES = 16


class Unreadable(Exception):
    """These bytes are no message, or no piece of one; the text says why."""


class Piece(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Some numbers of one session.

    Attributes:
        session: its name.
        prev, last: it covers the numbers above `prev` up to `last`.
        floor: numbers up to this one never come again.
        payload: its records, still encoded.
    """

    session: bytes
    prev: int
    floor: int
    last: int
    payload: msgspec.Raw

    def batch(self, formatter: PathFormatter | None = None) -> Batch:
        """Its records; `Batch.of_none` if it has none.

        Raises:
            Unreadable: it holds something else.
        """
        if bytes(self.payload) == _NIL:
            return Batch.of_none(self.session, self.prev + 1, self.last, self.floor)
        try:
            batch = decode_batch(bytes(self.payload), formatter)
            _check(batch)
        except (
            *(msgspec.DecodeError, ValueError, TypeError, AttributeError, LookupError),
            *(RecursionError, OverflowError, MemoryError),
        ) as exc:
            raise Unreadable(f"a batch of records: {type(exc).__name__}: {exc}") from exc
        if (batch.client, batch.prev, batch.last) != (self.session, self.prev, self.last):
            raise Unreadable("a batch of records is not what its piece says")
        return batch


_DECODER = msgspec.msgpack.Decoder(list[Piece])


def pack_piece(batch: Batch) -> bytes:
    """A piece for a batch of a session."""
    payload = encode_batch(batch, has_ts=False) if len(batch) else _NIL
    header = (batch.client, batch.prev, batch.floor, batch.last, msgspec.Raw(payload))
    return msgspec.msgpack.encode(header)


def pack_message(pieces: Sequence[bytes]) -> bytes:
    """A message of pieces as `pack_piece` made them."""
    body = msgspec.msgpack.encode([msgspec.Raw(piece) for piece in pieces])
    if len(body) >= MIN_COMPRESSED_BYTES:
        packed = compress(body, _ZSTD_LEVEL)
        if len(packed) < len(body):
            return MAGIC + bytes((ZSTD,)) + packed
    return MAGIC + bytes((PLAIN,)) + body


def unpack_message(message: bytes) -> Sequence[Piece]:
    """The pieces of a message; their records are not looked at.

    Raises:
        Unreadable: it is no message of logd.
    """
    if not message.startswith(MAGIC) or len(message) <= len(MAGIC):
        raise Unreadable(f"no message of logd: it begins with {bytes(message[:4])!r}")
    codec, body = message[len(MAGIC)], message[len(MAGIC) + 1 :]
    if codec == ZSTD:
        body = _decompressed(body)
    elif codec != PLAIN:
        raise Unreadable(f"codec {codec} is unknown: it is of a later version")
    if len(body) > MAX_BODY_BYTES:
        raise Unreadable(f"more than {MAX_BODY_BYTES} bytes")
    try:
        pieces = _DECODER.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError, MemoryError) as exc:
        raise Unreadable(f"no list of pieces: {type(exc).__name__}: {exc}") from exc
    for piece in pieces:
        if len(piece.session) != _SESSION_BYTES:
            raise Unreadable(f"a session's name of {len(piece.session)} bytes")
        if not (0 <= piece.prev < piece.last <= _MAX_NUMBER and 0 <= piece.floor <= piece.prev):
            raise Unreadable(f"numbers {piece.prev}, {piece.floor}, {piece.last}")
    return pieces


def _decompressed(body: bytes) -> bytes:
    decompressor = ZstdDecompressor()
    try:
        found = decompressor.decompress(body, MAX_BODY_BYTES)
    except (ZstdError, MemoryError) as exc:
        raise Unreadable(f"can't be decompressed: {exc}") from exc
    if not decompressor.eof or decompressor.unused_data:
        raise Unreadable(f"is cut off, or has more than {MAX_BODY_BYTES} bytes decompressed")
    return found


# -- the shape of a batch --------------------------------------------------------------------------


def _check(batch: Batch) -> None:
    """See that a decoded batch is one, whatever its bytes were.

    Raises:
        ValueError: it is not.
    """
    count, contexts = len(batch.msg), batch.contexts
    columns = (batch.index, batch.msgid, batch.time, batch.msg)
    _see(count > 0 and all(type(column) is list for column in columns), "no columns")
    _see(all(len(column) == count for column in columns), "columns of different lengths")
    _see(_are(int, batch.index), "the index")
    _see(min(batch.index) >= 0 and max(batch.index) < len(contexts), "the index")
    _see(_are(int, batch.msgid) and _are(str, batch.msg), "a number or a text")
    _see(all(_is_time(one) for one in batch.time), "a time")
    _see(type(batch.peer) is str and type(batch.first) is int, "the peer or the number")
    _see(type(batch.floor) is int and type(batch.last) is int, "a number")
    _see(all(_is_context(context) for context in contexts), "a context")
    _see(batch.ts is None, "texts of times")
    _see(_are_items(batch, count), "special items")
    if batch.sequence is None:
        _see(batch.last == batch.first + count - 1, "the numbers")
    else:
        _see(_is_sequence(batch, count), "the numbers")


def _see(is_right: bool, what: str) -> None:
    if not is_right:
        raise ValueError(f"{what} can't be right")


def _are(kind: type, values: Iterable[Any]) -> bool:
    return all(type(value) is kind for value in values)


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and 0 <= value < _END_OF_TIME


_CONTEXT_TYPES = (int, int, str, str, tuple, int, str)


def _is_context(context: tuple[Any, ...]) -> bool:
    return tuple(map(type, context)) == _CONTEXT_TYPES and all(
        isinstance(name, str | None) and isinstance(line, int | None) for name, line in context[4]
    )


def _are_items(batch: Batch, count: int) -> bool:
    special = batch.special
    rows = getattr(special, "own", special)
    shared: Sequence[Mapping[Any, Any]] = getattr(special, "shared", ())
    is_numbered = all(type(row) is int and 0 <= row < count for row in rows)
    is_shared = not shared or len(shared) == len(batch.contexts)
    return is_numbered and is_shared and all(map(_is_special, (*shared, *rows.values())))


def _is_special(items: Mapping[Any, Any]) -> bool:
    return _are(str, items) and all(
        value is None or isinstance(value, str | int | float) for value in items.values()
    )


def _is_sequence(batch: Batch, count: int) -> bool:
    numbers = batch.sequence or ()
    if len(numbers) != count or not _are(int, numbers):
        return False
    pairs = zip((batch.first - 1, *numbers), (*numbers, batch.last + 1), strict=True)
    return all(one < other for one, other in pairs)
