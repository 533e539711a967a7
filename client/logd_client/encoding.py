"""Rows of records become frames of the session protocol; `session.py` describes the bytes.

This is the sender's hot path: all work per record is done by C code that runs over whole columns.
"""

from __future__ import annotations

import math
import pickle
import struct
import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, compress
from operator import add
from typing import Any, NamedTuple

from logd_client.records import TIME_END, AnyRow, Context, EncodedBatch, Items
from logd_client.sizes import (
    MAX_BATCH_OBJECTS,
    MAX_FRAME_BYTES,
    BatchColumns,
    count_objects,
    has_good_size,
    has_short_items,
    item_chars,
    most_item_chars,
)

__all__ = [
    "CLIENT_ID_BYTES",
    "MAX_BATCH_RECORDS",
    "MAX_CONTEXTS",
    "PROTOCOL_VERSION",
    "encode_batch",
    "encode_batches",
    "encode_frame",
    "encode_opening",
]

PROTOCOL_VERSION = 1
CLIENT_ID_BYTES = 16
MAX_BATCH_RECORDS = 8192
"""Most records in a batch: what one encoding step holds the interpreter for, some milliseconds."""

MAX_CONTEXTS = 65536

_DOUBLE = struct.Struct(">d")
_LENGTH = struct.Struct(">I")
_IS_LITTLE_ENDIAN = sys.byteorder == "little"
_NUL = "\0"
_SAMPLE = 64
"""How many of the first records with items are checked for whether they share them."""


def encode_frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return _LENGTH.pack(len(payload)) + payload


def encode_opening(client_id: bytes, first: int, token: str | None = None) -> bytes:
    """The frame that opens a session on a new connection.

    Raises:
        ValueError: `client_id` is not of 16 bytes or `first` is below 1.
    """
    if len(client_id) != CLIENT_ID_BYTES:
        raise ValueError(f"client id of {len(client_id)} bytes, expected {CLIENT_ID_BYTES}")
    if first < 1:
        raise ValueError(f"sequence numbers begin with 1, got {first}")
    return encode_frame(pickle.dumps(("logd", PROTOCOL_VERSION, client_id, first, token), 4))


def encode_batch(first: int, rows: Sequence[AnyRow]) -> bytes:
    """The frame of one batch with all of `rows`, at least one, however long it becomes.

    All work per record is done by C code that runs over whole columns: `zip`, `map`, `join`,
    `array`. About 0.25 us a record.
    """
    columns = _columns(rows)
    return _encode_columns(first, columns, _encode_specials(columns.items).encoded)


def _columns(rows: Sequence[AnyRow]) -> BatchColumns:
    contexts, msgids, times, msgs, items = zip(*rows)
    # NaN makes any sum NaN, where min and max may step over it.
    if not (math.isfinite(sum(times)) and min(times) >= 0.0 and max(times) < TIME_END):
        raise ValueError("a time outside the years 1970 to 9999")
    return BatchColumns(dict.fromkeys(contexts), contexts, msgids, times, msgs, items)


class _Specials(NamedTuple):
    """The special items of rows.

    Attributes:
        encoded: as a batch has them.
        chars: at least as many as they are written as all together.
    """

    encoded: tuple[tuple[Any, ...], ...]
    chars: int


def _encode_columns(
    first: int, columns: BatchColumns, specials: tuple[tuple[Any, ...], ...]
) -> bytes:
    return encode_frame(
        pickle.dumps(
            (
                "batch",
                first,
                len(columns.contexts),
                tuple([context.fields for context in columns.unique]),
                _encode_index(list(columns.unique), columns.contexts),
                _encode_msgids(columns.msgids),
                _big_endian(array("d", columns.times)),
                _encode_msgs(columns.msgs),
                specials,
            ),
            4,
        )
    )


def _encode_index(unique: list[Context], contexts: Sequence[Context]) -> bytes:
    if len(unique) == 1:
        return b""
    positions = dict(zip(unique, range(len(unique))))
    if len(unique) <= 256:
        return bytes(map(positions.__getitem__, contexts))
    return _big_endian(array("H", map(positions.__getitem__, contexts)))


def _encode_msgids(msgids: Sequence[int]) -> int | bytes:
    first = msgids[0]
    if msgids == tuple(range(first, first + len(msgids))):
        return first
    return _big_endian(array("q", msgids))


def _encode_msgs(msgs: Sequence[str]) -> str | tuple[str, ...]:
    joined = _NUL.join(msgs)
    return joined if joined.count(_NUL) == len(msgs) - 1 else tuple(msgs)


def _encode_specials(items: Sequence[Items]) -> _Specials:
    if not any(items):
        return _Specials((), 0)
    rows = compress(range(len(items)), items)
    given = list(filter(None, items))
    keys = _shared_by(given)
    if keys is None:
        return _Specials(tuple(map(add, zip(rows), given)), most_item_chars(given))
    shared: defaultdict[Hashable, list[int]] = defaultdict(list)
    # A loop in C: each row to the list of its key.
    deque(map(list.append, map(shared.__getitem__, keys), rows), maxlen=0)
    encoded = tuple(
        [
            (
                _big_endian(array("H", same)) if len(same) > 1 else same[0],
                *items[same[0]],
            )
            for same in shared.values()
        ]
    )
    chars = sum([len(same) * most_item_chars((items[same[0]],)) for same in shared.values()])
    return _Specials(encoded, chars)


def _shared_by(given: Sequence[Items]) -> Iterable[Hashable] | None:
    """What is the same for records with the same items; None if hardly any share them.

    Loggers give each of their records the same object. Equal ones are found, too, where they have
    no values that are equal and yet differ, as 1 and True do.
    """
    sample = given[:_SAMPLE]
    most = len(sample) // 2
    if len(set(map(id, sample))) <= most:
        return map(id, given)
    if len(set(sample)) <= most and set(map(type, chain.from_iterable(given))) <= {str, int}:
        return given
    return None


def _big_endian(values: array[Any]) -> bytes:
    if _IS_LITTLE_ENDIAN:
        values.byteswap()
    return values.tobytes()


def encode_batches(first: int, rows: Sequence[AnyRow]) -> list[EncodedBatch]:
    """The rows as entries of a good size each: see `MAX_BATCH_RECORDS`, `BATCH_BYTES`.

    Raises:
        ValueError: a row does not fit a frame or has an impossible time; `values.fit_row` makes
            rows fit.
    """
    entries: list[EncodedBatch] = []
    for start in range(0, len(rows), MAX_BATCH_RECORDS):
        _append_entries(entries, first + start, rows[start : start + MAX_BATCH_RECORDS])
    return entries


def _append_entries(entries: list[EncodedBatch], first: int, rows: Sequence[AnyRow]) -> None:
    """Halve the rows until each part fits; that happens for long or rich records only."""
    count = len(rows)
    columns = _columns(rows)
    if count == 1 and (objects := count_objects(columns)) > MAX_BATCH_OBJECTS:
        raise ValueError(
            f"a record of {objects} texts and tuples, at most {MAX_BATCH_OBJECTS} allowed"
        )
    if count == 1 or has_good_size(columns):
        specials = _encode_specials(columns.items)
        frame = _encode_columns(first, columns, specials.encoded)
        is_whole = (
            count == 1
            or has_short_items(specials.chars, count, len(frame))
            or has_short_items(item_chars(columns.items), count, len(frame))
        )
        if is_whole and len(frame) - _LENGTH.size <= MAX_FRAME_BYTES:
            entries.append(EncodedBatch(first, count, len(frame), frame))
            return
        if count == 1:
            raise ValueError(f"a record of {len(frame)} bytes, at most {MAX_FRAME_BYTES} allowed")
    middle = count // 2
    _append_entries(entries, first, rows[:middle])
    _append_entries(entries, first + middle, rows[middle:])
