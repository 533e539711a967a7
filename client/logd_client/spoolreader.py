"""Reads what a process left in its folder of a spool, around whatever is damaged there.

`spool.py` and `rowjournal.py` write and describe the two kinds of files. A batch or row whose
checksum is wrong is passed over, and reading goes on with the next good one behind it. Numbers
that are missing then are searched for in the other kind of file. What is still missing is lost:
an entry that says so stands in its place.

Pure: bytes in, entries out.
"""

from __future__ import annotations

import json
import os
import re
import struct
import time
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from logd_client.buffer import lost_row
from logd_client.encoding import MAX_BATCH_RECORDS, MAX_FRAME_BYTES, AnyRow, Context, Entry
from logd_client.rows import encode_fitting
from logd_client.values import make_context

__all__ = [
    "BATCH_CHECKED",
    "BATCH_HEADER",
    "ROWS_BEGIN",
    "ROWS_MAGIC",
    "ROW_FIELDS",
    "ROW_HEADER",
    "SALT",
    "Batches",
    "Left",
    "Rows",
    "SpoolPosition",
    "entries_of_rows",
    "join",
    "read_batches",
    "read_rows",
]

BATCH_HEADER = struct.Struct(">IIQI")
BATCH_CHECKED = struct.Struct(">QI")

ROWS_MAGIC = b"logd rows 1\n"
SALT = struct.Struct(">I")
ROWS_BEGIN = len(ROWS_MAGIC) + SALT.size
ROW_HEADER = struct.Struct(">II")
ROW_FIELDS = struct.Struct(">QqdII")

# What every batch and every row has near its beginning, to find the next one behind damage.
_FRAME = re.compile(rb"\x80\x04\x95", re.DOTALL)
_FRAME_LENGTH_BYTES = 4
_CONTEXT = re.compile(rb'\[-?\d+,-?\d+,"')


class SpoolPosition(NamedTuple):
    """Where an entry's frame lies."""

    segment: int
    offset: int


class Batches(NamedTuple):
    """What a file of batches holds.

    Attributes:
        entries: the good ones; in place of frames they have positions.
        is_damaged: True if a bad one stands before a good one, or is no mere torn end.
        tail: number of the last record that the unreadable end of the file seems to hold; 0
            without such an end. A write that a crash cut off leaves one, and rows for it.
    """

    entries: list[Entry]
    is_damaged: bool
    tail: int


class Rows(NamedTuple):
    """What a file of rows holds: by sequence number, and whether a bad one stands before a good."""

    rows: dict[int, AnyRow]
    is_damaged: bool


class Left(NamedTuple):
    """All that a session left.

    Attributes:
        runs: entries in order; between two runs numbers are missing, and the second one begins
            with an entry that says so.
        lost: records that are missing.
    """

    runs: list[list[Entry]]
    lost: int


def read_batches(data: bytes, name: int) -> Batches:
    """All good entries of a file of batches whose name is the number `name`."""
    entries: list[Entry] = []
    is_damaged = False
    position = 0
    while position < len(data):
        entry = _batch_at(data, position, name)
        if entry is None or (entries and entry.first <= entries[-1].last):
            following = _next_batch(data, position, name)
            if following < 0:
                tail, is_whole = _tail(data, position, entries[-1].last + 1 if entries else name)
                return Batches(entries, is_damaged or is_whole, tail)
            is_damaged = True
            position = following
            continue
        entries.append(entry)
        position += BATCH_HEADER.size + entry.size
    return Batches(entries, is_damaged, 0)


def _batch_at(data: bytes, position: int, name: int) -> Entry | None:
    start = position + BATCH_HEADER.size
    if start > len(data):
        return None
    size, checksum, first, records = BATCH_HEADER.unpack_from(data, position)
    if not records or not 0 < size <= MAX_FRAME_BYTES + _FRAME_LENGTH_BYTES:
        return None
    frame = data[start : start + size]
    if len(frame) < size or zlib.crc32(frame, _crc(first, records)) != checksum:
        return None
    return Entry(first, records, size, SpoolPosition(name, start))


def _crc(first: int, records: int) -> int:
    return zlib.crc32(BATCH_CHECKED.pack(first, records))


def _next_batch(data: bytes, position: int, name: int) -> int:
    """Where the next good batch begins behind a bad one at `position`; -1 for nowhere."""
    if position + BATCH_HEADER.size <= len(data):
        (size,) = struct.unpack_from(">I", data, position)
        # If only the frame is damaged, its length leads over what looks like a batch within it.
        following: int = position + BATCH_HEADER.size + size
        if _batch_at(data, following, name) is not None:
            return following
    for match in _FRAME.finditer(data, position + 1):
        start = match.start() - _FRAME_LENGTH_BYTES - BATCH_HEADER.size
        if start > position and _batch_at(data, start, name) is not None:
            return start
    return -1


def _tail(data: bytes, position: int, expected: int) -> tuple[int, bool]:
    """The last number in the unreadable end of a file, and whether that has its whole length."""
    if position + BATCH_HEADER.size > len(data):
        return expected, False
    size, _, first, records = BATCH_HEADER.unpack_from(data, position)
    is_whole = position + BATCH_HEADER.size + size == len(data)
    is_likely = first == expected and 0 < records <= MAX_BATCH_RECORDS
    return (expected + records - 1 if is_likely else expected), is_whole


def read_rows(data: bytes) -> Rows:
    """All good rows of a file of rows."""
    if len(data) < ROWS_BEGIN:
        return Rows({}, False)
    (salt,) = SALT.unpack_from(data, len(ROWS_MAGIC))
    found = _rows_with_salt(data, salt)
    has_magic = data.startswith(ROWS_MAGIC)
    if not found.rows and has_magic:
        # The salt itself may be what is damaged.
        for bit in range(8 * SALT.size):
            if _row_at(data, ROWS_BEGIN, salt ^ (1 << bit), {}) is not None:
                return _rows_with_salt(data, salt ^ (1 << bit))._replace(is_damaged=True)
    return found if has_magic or not found.rows else found._replace(is_damaged=True)


def _rows_with_salt(data: bytes, salt: int) -> Rows:
    contexts: dict[bytes, Context] = {}
    rows: dict[int, AnyRow] = {}
    is_damaged = False
    position = ROWS_BEGIN
    last = 0
    while position >= 0:
        found = _row_at(data, position, salt, contexts)
        if found is None or found[0] <= last:
            position = _next_row(data, position, salt)
            is_damaged = is_damaged or position >= 0
            continue
        last, row, position = found
        rows[last] = row
    return Rows(rows, is_damaged)


def _body_at(data: bytes, position: int, salt: int) -> bytes | None:
    start = position + ROW_HEADER.size
    if start > len(data):
        return None
    length, checksum = ROW_HEADER.unpack_from(data, position)
    if not ROW_FIELDS.size <= length <= len(data) - start:
        return None
    body = data[start : start + length]
    return body if zlib.crc32(body, salt) == checksum else None


def _row_at(
    data: bytes, position: int, salt: int, contexts: dict[bytes, Context]
) -> tuple[int, AnyRow, int] | None:
    """Number, row and end of the row that begins at `position`; None for none."""
    body = _body_at(data, position, salt)
    if body is None:
        return None
    try:
        return (*_row_of(body, contexts), position + ROW_HEADER.size + len(body))
    except (ValueError, TypeError, struct.error):
        return None


def _next_row(data: bytes, position: int, salt: int) -> int:
    """Where the next good row begins behind `position`; -1 for nowhere."""
    for match in _CONTEXT.finditer(data, position + ROW_HEADER.size):
        start = match.start() - ROW_FIELDS.size - ROW_HEADER.size
        if start > position and _body_at(data, start, salt) is not None:
            return start
    return -1


def _row_of(body: bytes, contexts: dict[bytes, Context]) -> tuple[int, AnyRow]:
    sequence, msgid, when, place_bytes, text_bytes = ROW_FIELDS.unpack_from(body)
    text_start = ROW_FIELDS.size + place_bytes
    text_end = text_start + text_bytes
    place = body[ROW_FIELDS.size : text_start]
    context = contexts.get(place)
    if context is None:
        context = contexts[place] = make_context(*json.loads(place))
    msg = body[text_start:text_end].decode("utf-8", "surrogatepass")
    items: Sequence[Any] = json.loads(body[text_end:]) if text_end < len(body) else ()
    if not all(isinstance(item, (str, int, float, type(None))) for item in items):
        raise ValueError("special items of other types")
    return sequence, (context, msgid, when, msg, tuple(items))


def entries_of_rows(rows: Mapping[int, AnyRow]) -> Iterator[Entry]:
    """Numbered rows, encoded; an entry has rows whose numbers follow on each other."""
    waiting: list[AnyRow] = []
    first = 0
    for sequence in sorted(rows):
        if waiting and (sequence != first + len(waiting) or len(waiting) == MAX_BATCH_RECORDS):
            yield from encode_fitting(first, waiting)
            waiting = []
        if not waiting:
            first = sequence
        waiting.append(rows[sequence])
    if waiting:
        yield from encode_fitting(first, waiting)


def join(
    batches: Sequence[Entry], rows: Mapping[int, AnyRow], acked: int, tail: int, where: str
) -> Left:
    """All entries of a session, from its batches and its rows.

    Args:
        batches: in the order of their numbers.
        rows: also such as are in batches.
        acked: what the server has stored; not sent again.
        tail: see `Batches`, of the last file.
        where: what stands in the log about lost records.
    """
    firsts = [entry.first for entry in batches]

    def is_in_batch(number: int) -> bool:
        place = bisect_right(firsts, number)
        return place > 0 and number <= batches[place - 1].last

    others = {n: row for n, row in rows.items() if n > acked and not is_in_batch(n)}
    pieces = [*[entry for entry in batches if entry.last > acked], *entries_of_rows(others)]
    runs: list[list[Entry]] = []
    lost, last = 0, acked
    for entry in sorted(pieces, key=attrgetter("first")):
        if entry.first > last + 1:
            lost += entry.first - last - 1
            runs.append([_notice(last + 1, entry.first - 1, where)])
        elif not runs:
            runs.append([])
        runs[-1].append(entry)
        last = entry.last
    if tail > last:
        lost += tail - last
        runs.append([_notice(last + 1, tail, where)])
    return Left(runs, lost)


def _notice(first: int, last: int, where: str) -> Entry:
    """An entry under the last of the missing numbers that tells of all of them."""
    count = last - first + 1
    noun = "record" if count == 1 else "records"
    row = lost_row(count, os.getpid(), time.time(), f"{count} {noun} lost: {where}")
    (entry,) = encode_fitting(last, [row])
    return entry
