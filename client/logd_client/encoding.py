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
from typing import Any, NamedTuple, Optional, Union

__all__ = [
    "BATCH_BYTES",
    "CLIENT_ID_BYTES",
    "MAX_BATCH_OBJECTS",
    "MAX_BATCH_RECORDS",
    "MAX_CONTEXTS",
    "MAX_FRAME_BYTES",
    "PROTOCOL_VERSION",
    "TIME_END",
    "AnyRow",
    "Context",
    "Entry",
    "Items",
    "Row",
    "encode_batch",
    "encode_batches",
    "encode_frame",
    "encode_lone",
    "encode_opening",
]

PROTOCOL_VERSION = 1
CLIENT_ID_BYTES = 16
MAX_FRAME_BYTES = 1 << 20
"""Largest payload sent; the server's default limit."""

BATCH_BYTES = 256 * 1024
"""A batch aims at no more than this: small enough to be one read, large enough to be cheap."""

MAX_BATCH_RECORDS = 8192
"""Most records in a batch: what one encoding step holds the interpreter for, some milliseconds."""

MAX_BATCH_OBJECTS = 50_000
"""Most texts and tuples that the pickle of a batch remembers; readers take 65,536 at most."""

MAX_CONTEXT_CHARS = 4 * MAX_FRAME_BYTES
RECORD_CONTEXT_CHARS = 4096
MAX_ITEM_CHARS = 2 * MAX_FRAME_BYTES
RECORD_ITEM_CHARS = 2048
"""Characters that the contexts, and the special items, of a batch's records may be written as: at
most so many all together, and so many for each record. Records share what they have in common, so
that a short frame can be a long text. A server writes this much without cutting anything."""

ITEM_CHARS_PER_FRAME_BYTE = 15
"""Items that are not shared may have this much more: their text is in the frame."""

MAX_CONTEXTS = 65536

TIME_END = 253_402_300_800.0
"""Seconds since the epoch of the year 10000, which many programs can't hold."""

_DOUBLE = struct.Struct(">d")
_MAX_LONE_BYTES = 60 << 10
"""What is longer is left to pickle, which makes more than one frame of it, and is counted."""

_MAX_LONE_NUMBER = 0x7FFFFFFF
_FRAME_HEAD_BYTES = 11
_LONE_BYTES = 28
"""Of the payload of a batch of one record: all that is the same in each."""

_LENGTH = struct.Struct(">I")
_new_tuple: Any = tuple.__new__
_IS_LITTLE_ENDIAN = sys.byteorder == "little"
_NUL = "\0"
_LEVEL_CHARS = 8
_NUMBER_CHARS = 8
_ESCAPE_CHARS = 6
_CUT_CHARS = 32
_SHORTEST_CUT = 64
_SAMPLE = 64
"""Of so many records with items it is looked at whether they share them."""

ContextFields = tuple[int, int, str, str, tuple[tuple[Optional[str], Optional[int]], ...], int, str]
"""(pid, tid, threadname, cat, path, tblen, cfunc)"""

Items = tuple[Union[str, int, float, None], ...]
"""Special items, flat: (key, value, key, value, ...); empty for none."""


class Context:
    """What the records of one place in a program have in common; the same object for all of them.

    Compared and hashed as an object, not by its fields: that is what lets `encode_batch` number
    the contexts of thousands of records in C.

    Attributes:
        fields: see `ContextFields`.
        json: the same as the row journal writes it, from when it first does.
        chars: about how many characters it is written as, from when somebody first asks.
        pickled: the same as a batch of one record has it, from when there first is one.
    """

    __slots__ = ("chars", "fields", "json", "pickled")

    chars: int

    json: bytes

    pickled: bytes

    def __init__(self, fields: ContextFields) -> None:
        self.fields = fields


class Row(NamedTuple):
    """One record as the client buffers it (plain tuples of the same shape do as well)."""

    context: Context
    msgid: int
    time: float
    msg: str
    items: Items


AnyRow = Union[Row, tuple[Context, int, float, str, Items]]


class Entry(NamedTuple):
    """One encoded batch that waits for its acknowledgement.

    Attributes:
        first: sequence number of its first record.
        records: how many records it has.
        size: length of the frame in bytes.
        frame: the frame, length included; None if a spool has the records.
    """

    first: int
    records: int
    size: int
    frame: Any

    @property
    def last(self) -> int:
        """Sequence number of its last record."""
        return self.first + self.records - 1

    @property
    def memory_bytes(self) -> int:
        """How many bytes of memory it takes; none if a spool has it."""
        return 0 if self.frame is None else self.size


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


class _Columns(NamedTuple):
    """Rows turned by 90 degrees, and their different contexts in the order of appearance."""

    unique: dict[Context, None]
    contexts: Sequence[Context]
    msgids: Sequence[int]
    times: Sequence[float]
    msgs: Sequence[str]
    items: Sequence[Items]


def _columns(rows: Sequence[AnyRow]) -> _Columns:
    contexts, msgids, times, msgs, items = zip(*rows)
    # NaN makes any sum NaN, where min and max may step over it.
    if not (math.isfinite(sum(times)) and min(times) >= 0.0 and max(times) < TIME_END):
        raise ValueError("a time outside the years 1970 to 9999")
    return _Columns(dict.fromkeys(contexts), contexts, msgids, times, msgs, items)


class _Specials(NamedTuple):
    """The special items of rows.

    Attributes:
        encoded: as a batch has them.
        chars: at least as many as they are written as all together.
    """

    encoded: tuple[tuple[Any, ...], ...]
    chars: int


def _encode_columns(first: int, columns: _Columns, specials: tuple[tuple[Any, ...], ...]) -> bytes:
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


def _has_good_size(columns: _Columns) -> bool:
    """Whether the columns fit a frame in all probability, and what a server takes whole of one."""
    return (
        sum(map(len, columns.msgs)) <= BATCH_BYTES
        and _objects(columns) <= MAX_BATCH_OBJECTS
        and _has_short_contexts(columns)
    )


def _objects(columns: _Columns) -> int:
    """About how many texts and tuples a server makes of contexts and items."""
    objects = sum([len(context.fields[4]) + 6 for context in columns.unique])
    if any(columns.items):
        objects += sum(map(len, columns.items)) + len(columns.items)
    return objects


def _has_short_contexts(columns: _Columns) -> bool:
    """Whether a server writes the contexts of all rows without cutting any."""
    chars: dict[Context, int] = {}
    for context in columns.unique:
        try:
            chars[context] = context.chars
        except AttributeError:
            context.chars = chars[context] = _context_chars(context)
    count = len(columns.contexts)
    limit = min(MAX_CONTEXT_CHARS, RECORD_CONTEXT_CHARS * count)
    if max(chars.values()) * count <= limit:
        return True
    return sum(map(chars.__getitem__, columns.contexts)) <= limit


def _context_chars(context: Context) -> int:
    """At least as many characters as a server takes a context to be written as."""
    _, _, threadname, cat, path, _, cfunc = context.fields
    names = [name or "" for name, _ in path]
    texts = [threadname, cat, cfunc, *names]
    # A text that is cut says how much is missing.
    cuts = _CUT_CHARS * sum([len(text) > _SHORTEST_CUT for text in texts])
    short = _written_chars(threadname + cat + cfunc)
    return short + _written_chars("".join(names)) + _LEVEL_CHARS * len(path) + cuts


def _has_short_items(chars: int, count: int, frame_bytes: int) -> bool:
    """Whether a server writes that many characters of items without cutting any."""
    own = ITEM_CHARS_PER_FRAME_BYTE * frame_bytes
    return chars <= min(MAX_ITEM_CHARS, RECORD_ITEM_CHARS * count + own)


def _written_chars(text: str) -> int:
    """At most as many characters as a server writes for a text."""
    return len(text) if text.isascii() and text.isprintable() else _ESCAPE_CHARS * len(text)


def _most_item_chars(items: Iterable[Items]) -> int:
    """At least as many characters as a server takes items to be written as; quick."""
    parts = list(chain.from_iterable(items))
    chars = sum([len(part) for part in parts if type(part) is str])
    return _ESCAPE_CHARS * chars + _NUMBER_CHARS * len(parts)


def _item_chars(items: Iterable[Items]) -> int:
    """The same, closely: three times as dear."""
    parts = list(chain.from_iterable(items))
    texts = [_written_chars(part) for part in parts if type(part) is str]
    return sum(texts) + _NUMBER_CHARS * len(parts)


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
        return _Specials(tuple(map(add, zip(rows), given)), _most_item_chars(given))
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
    chars = sum([len(same) * _most_item_chars((items[same[0]],)) for same in shared.values()])
    return _Specials(encoded, chars)


def _shared_by(given: Sequence[Items]) -> Iterable[Hashable] | None:
    """What is the same for records with the same items; None where hardly any share them.

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


def encode_batches(first: int, rows: Sequence[AnyRow]) -> list[Entry]:
    """The rows as entries of a good size each: see `MAX_BATCH_RECORDS`, `BATCH_BYTES`.

    Raises:
        ValueError: a row does not fit a frame or has an impossible time; `values.fit_row` makes
            rows fit.
    """
    entries: list[Entry] = []
    for start in range(0, len(rows), MAX_BATCH_RECORDS):
        _append_entries(entries, first + start, rows[start : start + MAX_BATCH_RECORDS])
    return entries


def encode_lone(first: int, row: AnyRow) -> Entry:
    """The entry of one record: what `encode_batches` makes of it, with less code touched.

    Raises:
        ValueError: as `encode_batches`.
    """
    context, msgid, when, msg, items = row
    if _NUL in msg or first > _MAX_LONE_NUMBER or not 0.0 <= when < TIME_END:
        return encode_batches(first, [row])[0]
    try:
        try:
            place = context.pickled
        except AttributeError:
            place = context.pickled = _pickled_context(context)
        text = msg.encode()
        rest = b"%bC\x08%b\x94X%b%b\x94%b" % (
            msgid.to_bytes(4, "little", signed=True),
            _DOUBLE.pack(when),
            len(text).to_bytes(4, "little"),
            text,
            _lone_items(items) if items else b")",
        )
    except (UnicodeError, OverflowError, AttributeError, TypeError, RecursionError):
        return encode_batches(first, [row])[0]
    size = len(place) + len(rest) + _LONE_BYTES
    if size > _MAX_LONE_BYTES:
        return encode_batches(first, [row])[0]
    frame = b"%b\x80\x04\x95%b(\x8c\x05batch\x94J%b%b%bt\x94." % (
        size.to_bytes(4, "big"),
        (size - _FRAME_HEAD_BYTES).to_bytes(8, "little"),
        first.to_bytes(4, "little"),
        place,
        rest,
    )
    # As `Entry(...)` does, without the call of a function in between.
    entry: Entry = _new_tuple(Entry, (first, 1, size + 4, frame))
    return entry


def _pickled_context(context: Context) -> bytes:
    """What stands between the number of a batch of one record and its message id."""
    sample = pickle.dumps(("batch", 1, 1, (context.fields,), b"", 0x7FFFFFFF), 4)
    begin = sample.index(b"\x94K\x01") + 3
    return sample[begin : -len(b"\xff\xff\xff\x7ft\x94.")]


def _lone_items(items: Items) -> bytes:
    """Items as a batch of one record has them.

    Raises:
        TypeError, OverflowError, UnicodeError: they are not all texts and small integers.
    """
    parts = b""
    for item in items:
        if type(item) is str:
            text = item.encode()
            size = len(text)
            # A reader may expect short keys in their short form.
            if size < 256:
                parts = b"%b\x8c%c%b\x94" % (parts, size, text)
            else:
                parts = b"%bX%b%b\x94" % (parts, size.to_bytes(4, "little"), text)
        elif type(item) is int:
            parts = b"%bJ%b" % (parts, item.to_bytes(4, "little", signed=True))
        else:
            raise TypeError(item)
    form = b"K\0%b\x87\x94\x85\x94" if len(items) == 2 else b"(K\0%bt\x94\x85\x94"
    return form % parts


def _append_entries(entries: list[Entry], first: int, rows: Sequence[AnyRow]) -> None:
    """Halve the rows until each part fits; that happens for long or rich records only."""
    count = len(rows)
    columns = _columns(rows)
    if count == 1 and (objects := _objects(columns)) > MAX_BATCH_OBJECTS:
        raise ValueError(
            f"a record of {objects} texts and tuples, at most {MAX_BATCH_OBJECTS} allowed"
        )
    if count == 1 or _has_good_size(columns):
        specials = _encode_specials(columns.items)
        frame = _encode_columns(first, columns, specials.encoded)
        is_whole = (
            count == 1
            or _has_short_items(specials.chars, count, len(frame))
            or _has_short_items(_item_chars(columns.items), count, len(frame))
        )
        if is_whole and len(frame) - _LENGTH.size <= MAX_FRAME_BYTES:
            entries.append(Entry(first, count, len(frame), frame))
            return
        if count == 1:
            raise ValueError(f"a record of {len(frame)} bytes, at most {MAX_FRAME_BYTES} allowed")
    middle = count // 2
    _append_entries(entries, first, rows[:middle])
    _append_entries(entries, first + middle, rows[middle:])
