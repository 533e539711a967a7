"""Reads the records in a spool's files, around whatever is damaged there.

`rowjournal.py` writes and describes the files. A row whose checksum is wrong is passed over, and
reading goes on with the next good one behind it. What is missing then is lost: an entry that says
so stands in its place.

Earlier versions kept batches beside the rows, in files like `00000000000000000001.batches`, named
by their first number: length of the frame, CRC-32 of what follows, both 4 bytes; first sequence
number, 8 bytes; number of records, 4 bytes; the frame. They are read as the rows that they hold.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from logd_client.buffer import lost_row
from logd_client.decoding import rows_of_frame
from logd_client.records import AnyRow, Context, EncodedBatch, Items
from logd_client.rows import encode_fitting
from logd_client.values import make_context

__all__ = [
    "FILES",
    "ROWS_BEGIN",
    "ROWS_MAGIC",
    "ROW_FIELDS",
    "ROW_HEADER",
    "SALT",
    "LeftRecords",
    "Rows",
    "read_batches",
    "read_rows",
    "rows_in_order",
]

FILES = ("*.rows", "*.batches")

ROWS_MAGIC = b"logd rows 1\n"
SALT = struct.Struct(">I")
ROWS_BEGIN = len(ROWS_MAGIC) + SALT.size
ROW_HEADER = struct.Struct(">II")
ROW_FIELDS = struct.Struct(">QqdII")

_BATCH_HEADER = struct.Struct(">IIQI")
_BATCH_CHECKED_AT = 8
_FRAME_LENGTH_BYTES = 4

# What every row, and every batch, has near its beginning, to find the next one behind damage.
_CONTEXT = re.compile(rb'\[-?\d+,-?\d+,"')
_FRAME = re.compile(rb"\x80\x04\x95")


class Rows(NamedTuple):
    """What a file holds: by sequence number, and whether anything before its end is damaged."""

    rows: dict[int, AnyRow]
    is_damaged: bool


class _Known:
    """What comes again and again, by its bytes: one object for each, as loggers give them."""

    def __init__(self) -> None:
        self.contexts: dict[bytes, Context] = {}
        self.items: dict[bytes, Items] = {b"": ()}


def rows_in_order(data: bytes, salt: int) -> Iterator[tuple[int, AnyRow]]:
    """The rows from the beginning of a file of rows up to the first that is none, numbered."""
    known = _Known()
    found = _row_at(data, ROWS_BEGIN, salt, known)
    while found is not None:
        number, row, position = found
        yield number, row
        found = _row_at(data, position, salt, known)


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
            if _row_at(data, ROWS_BEGIN, salt ^ (1 << bit), _Known()) is not None:
                return _rows_with_salt(data, salt ^ (1 << bit))._replace(is_damaged=True)
    return found if has_magic or not found.rows else found._replace(is_damaged=True)


def _rows_with_salt(data: bytes, salt: int) -> Rows:
    known = _Known()
    rows: dict[int, AnyRow] = {}
    is_damaged = False
    position = ROWS_BEGIN
    last = 0
    while position >= 0:
        found = _row_at(data, position, salt, known)
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


def _row_at(data: bytes, position: int, salt: int, known: _Known) -> tuple[int, AnyRow, int] | None:
    """Number, row and end of the row that begins at `position`; None for none."""
    body = _body_at(data, position, salt)
    if body is None:
        return None
    try:
        return (*_row_of(body, known), position + ROW_HEADER.size + len(body))
    except (ValueError, TypeError, struct.error):
        return None


def _next_row(data: bytes, position: int, salt: int) -> int:
    """Where the next good row begins behind `position`; -1 for nowhere."""
    for match in _CONTEXT.finditer(data, position + ROW_HEADER.size):
        start = match.start() - ROW_FIELDS.size - ROW_HEADER.size
        if start > position and _body_at(data, start, salt) is not None:
            return start
    return -1


def _row_of(body: bytes, known: _Known) -> tuple[int, AnyRow]:
    sequence, msgid, when, place_bytes, text_bytes = ROW_FIELDS.unpack_from(body)
    text_start = ROW_FIELDS.size + place_bytes
    text_end = text_start + text_bytes
    place = body[ROW_FIELDS.size : text_start]
    context = known.contexts.get(place)
    if context is None:
        context = known.contexts[place] = make_context(*json.loads(place))
    msg = body[text_start:text_end].decode("utf-8", "surrogatepass")
    items = known.items.get(body[text_end:])
    if items is None:
        items = known.items[body[text_end:]] = _items_of(json.loads(body[text_end:]))
    return sequence, (context, msgid, when, msg, items)


def _items_of(given: Sequence[Any]) -> Items:
    if not all(isinstance(item, (str, int, float, type(None))) for item in given):
        raise ValueError("special items of other types")
    return tuple(given)


def read_batches(data: bytes) -> Rows:
    """The rows of all good batches in a file of an earlier version."""
    rows: dict[int, AnyRow] = {}
    is_damaged = False
    end = 0
    for match in _FRAME.finditer(data):
        start = match.start() - _FRAME_LENGTH_BYTES
        header_at = start - _BATCH_HEADER.size
        if header_at < end:
            continue
        size, checksum, first, records = _BATCH_HEADER.unpack_from(data, header_at)
        frame = data[start : start + size]
        if zlib.crc32(data[header_at + _BATCH_CHECKED_AT : start] + frame) == checksum:
            with contextlib.suppress(ValueError):
                found = rows_of_frame(frame)
                rows.update(enumerate(found, first))
                is_damaged = is_damaged or header_at > end or len(found) != records
                end = start + size
    return Rows(rows, is_damaged)


class LeftRecords:
    """All that a session left in its folder.

    Args:
        folder: has the files.
        acked: what the server has stored, which is not given again; None if that is not known.
        where: what stands in the log about lost records.

    Attributes:
        damaged: the files that were found damaged so far.
        lost: how many records are missing so far.
    """

    def __init__(self, folder: Path, acked: int | None, where: str) -> None:
        self._folder = folder
        self._acked = acked
        self._where = where
        self.damaged: list[Path] = []
        self.lost = 0

    def runs(self) -> Iterator[list[EncodedBatch]]:
        """Entries in order, those of a file at a time.

        If numbers are missing before a run, it begins with an entry that says so.
        """
        found = [(_first_number(path), path) for path in _files_in(self._folder)]
        last = self._acked
        for first, path in sorted((first, path) for first, path in found if first is not None):
            rows, is_damaged = _read(path)
            if is_damaged:
                self.damaged.append(path)
            if last is None:
                last = first - 1
            for numbers in _without_gaps([number for number in sorted(rows) if number > last]):
                entries = encode_fitting(numbers[0], [rows[number] for number in numbers])
                missing = numbers[0] - last - 1
                if missing:
                    self.lost += missing
                    entries.insert(0, _notice(numbers[0] - 1, missing, self._where))
                last = numbers[-1]
                yield entries


def _files_in(folder: Path) -> list[Path]:
    return [path for pattern in FILES for path in folder.glob(pattern) if path.stem.isdecimal()]


def _read(path: Path) -> Rows:
    data = path.read_bytes()
    return read_rows(data) if path.suffix == ".rows" else read_batches(data)


def _first_number(path: Path) -> int | None:
    """The lowest number in a file; None if there is no record in it."""
    if path.suffix == ".rows":
        data = path.read_bytes()
        if len(data) >= ROWS_BEGIN:
            for number, _ in rows_in_order(data, *SALT.unpack_from(data, len(ROWS_MAGIC))):
                return number
    return min(_read(path).rows, default=None)


def _without_gaps(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """The numbers, in pieces of such as follow on each other."""
    begin = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            yield numbers[begin:end]
            begin = end


def _notice(number: int, count: int, where: str) -> EncodedBatch:
    """An entry that tells of the missing records of which it has the last number."""
    noun = "record" if count == 1 else "records"
    row = lost_row(count, os.getpid(), time.time(), f"{count} {noun} lost: {where}")
    (entry,) = encode_fitting(number, [row])
    return entry
