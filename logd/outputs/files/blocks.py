"""Puts batches together to blocks that are appended at once, divided if a file is full."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from logd.records.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logd.text.lines import LineFormat

FULL_BYTES = 1 << 20
"""A block takes no further batch from this size on: larger ones are no faster."""

MAX_LONE = 64
MAX_LONE_CHARS = 4096
"""At most this many records of as many sessions are written as one piece."""


class Room(NamedTuple):
    """What still goes into the current file; None if there is no limit.

    Attributes:
        lines: records.
        size: bytes.
        is_empty: nothing is in it, so that one record has to go in, however long.
    """

    lines: int | None
    size: int | None
    is_empty: bool


class Block:
    """Entries that go to the file in one write.

    Attributes:
        entries: records in it.
        size: bytes in it.
        marks: client id -> highest sequence number.
        batches_done: how many of the batches given are written whole once this block is.
        rows_done: how many records of the batch after those.
    """

    __slots__ = ("_pieces", "batches_done", "entries", "marks", "rows_done", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.entries = 0
        self.size = 0
        self.marks: dict[bytes, int] = {}
        self.batches_done = 0
        self.rows_done = 0

    def data(self) -> bytes:
        """What is to be written."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def add(
        self, line_format: LineFormat, position: int, batch: Batch, row: int, room: Room
    ) -> int:
        """Take records of a batch as far as there is room.

        Args:
            line_format: makes the text.
            position: which of the batches given it is.
            batch: the batch.
            row: the first record that is not in a block yet.
            room: what goes into the file before this block.

        Returns:
            The first record that had no room; `row` if none had, the length if all had.
        """
        stop = len(batch)
        if not stop:
            self._note_done(position, batch)
            return 0
        if room.lines is not None:
            stop = min(stop, row + room.lines - self.entries)
        if stop <= row:
            return row
        part = batch if row == 0 and stop == len(batch) else batch.part(row, stop)
        data = line_format.encode_batch(part)
        if room.size is not None and self.size + len(data) > room.size:
            fitting = self._fitting(line_format, part, room)
            if fitting == 0:
                return row
            stop = row + fitting
            data = line_format.encode_batch(part.part(0, fitting))
        self._pieces.append(data)
        self.size += len(data)
        self.entries += stop - row
        if stop == len(batch):
            self.batches_done, self.rows_done = position + 1, 0
        else:
            self.batches_done, self.rows_done = position, stop
        if batch.client is not None:
            self.marks[batch.client] = _sequence_of(batch, stop - 1)
        return stop

    def _note_done(self, position: int, batch: Batch) -> None:
        """Take a batch without records: its mark."""
        self.batches_done, self.rows_done = position + 1, 0
        if batch.client is not None:
            self.marks[batch.client] = batch.last

    def add_lone(
        self, line_format: LineFormat, position: int, batches: Sequence[Batch], room: Room
    ) -> bool:
        """Take batches as `lone_from` returned them; False if there is no room for all of them.

        Making their text together takes a fifth of the time.
        """
        count = len(batches)
        if room.lines is not None and self.entries + count > room.lines:
            return False
        data = line_format.encode_batch(Batch.of_lone(batches))
        if room.size is not None and self.size + len(data) > room.size:
            return False
        self._pieces.append(data)
        self.size += len(data)
        self.entries += count
        self.batches_done, self.rows_done = position + count, 0
        for batch in batches:
            if batch.client is not None:
                self.marks[batch.client] = batch.last
        return True

    def _fitting(self, line_format: LineFormat, part: Batch, room: Room) -> int:
        """How many records of `part` do not go over the size; at least one into an empty file."""
        lines = line_format.format_batch(part)
        ends = list(accumulate(len(line.encode("utf-8", "backslashreplace")) + 1 for line in lines))
        fitting = bisect_right(ends, (room.size or 0) - self.size)
        return fitting or int(room.is_empty and self.entries == 0)


def few_of(batches: Sequence[Batch]) -> Batch | None:
    """Batches as one, if they are of one record each and can be written together."""
    if not batches:
        return None
    lone = lone_from(batches, 0)
    return Batch.of_lone(lone) if 0 < len(lone) == len(batches) else None


def lone_from(batches: Sequence[Batch], position: int) -> Sequence[Batch]:
    """The batches of one record each that follow each other there and can be written together."""
    first = batches[position]
    stop = position
    while (
        stop < len(batches)
        and stop < position + MAX_LONE
        and len(batches[stop]) == 1
        and len(batches[stop].msg[0]) <= MAX_LONE_CHARS
        and batches[stop].peer == first.peer
        and batches[stop].formatter is first.formatter
    ):
        stop += 1
    return batches[position:stop]


def _sequence_of(batch: Batch, row: int) -> int:
    """The highest sequence number that is done with once `row` is written."""
    if row == len(batch) - 1:
        return batch.last
    return batch.first + row if batch.sequence is None else batch.sequence[row]
