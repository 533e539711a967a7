"""Counts of records beside the log tables, in `logd_counts`: for facets and histograms.

A row tells of some 50,000 records that follow each other in one table how many there are of each
minute and combination of category, host, site and logger: as the index of a file does
(`logd.query.files.sidecar`, whose cells these are). So millions of rows are counted without
reading them, and without an index for each of these columns that each insert would pay for.

It is a help, not a truth that anything depends on: records that no row of it tells of, because the
daemon died or the row is missing, are counted in the table. Rows are written together with records
that come later, and never for records whose transaction did not happen.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, NamedTuple

from logd.outputs.files import zstd
from logd.records.context import ContextItems, Special
from logd.records.entry import category
from logd.text.timestamps import milliseconds_of

if TYPE_CHECKING:
    from logd.outputs.tables.ring import TablePlace
    from logd.records.batch import Batch

CHUNK_RECORDS = 50_000
"""How many records are counted in one row. Records after the last row are counted by SQL."""

MIN_PARTS = 10
"""A row that has to end early has at least this part of them, else none is made."""

MAX_ROW_BYTES = 512 << 10
"""A row that would be longer is not worth it; servers limit how long a statement may be."""

MAX_CHARS = 200
"""Records with a longer name of their logger are not counted in advance."""

MAX_KINDS = 5_000
"""Records of more different kinds than these are not worth being counted in advance."""

MAX_TIME_S = 250_000_000_000.0
"""Later times are none for readers."""

COUNTED = ("cat", "peer", "path")
"""The columns that are counted by, besides the item `logger`."""

_MINUTE_S = 60
_ARROW = "<-"
_NO_NAME = "\n"

Kind = tuple[str, str, str, str | None]
"""Category, host, site, logger; see `logd.query.files.sidecar.Combination`."""


_Counted = tuple[tuple[int, int, str | None], int]
"""Minute, position of the context, logger; and how many records."""


class CountedRow(NamedTuple):
    """A row of `logd_counts`, less its ring.

    Attributes:
        serial: of the table in the ring.
        table_name: its name, for people.
        first_id: id of the first record.
        next_id: the one behind the last.
        first_ms: no record is earlier, in milliseconds since the epoch.
        behind_ms: all records are earlier.
        head: JSON: kinds, how many records of each, and how many of each category and minute.
        cells: minutes, numbers of kinds, and records, as columns of 64-bit integers, by zstd.
    """

    serial: int
    table_name: str
    first_id: int
    next_id: int
    first_ms: int
    behind_ms: int
    head: str
    cells: bytes


class NotCounted(Exception):
    """Some records can't be counted in advance."""


class RecordCounts:
    """Counts the records that were written, in the order of their ids.

    Args:
        names: of the columns that contexts fill; category, sender and call path among them.
        rounds: whether the database rounds times to microseconds.

    Attributes:
        finished: rows that are to be written.
    """

    def __init__(self, names: Sequence[str], *, rounds: bool) -> None:
        self.finished: list[CountedRow] = []
        self._places = [names.index(name) for name in COUNTED]
        self._rounds = rounds
        self._begin(-1, "", 0)

    def _begin(self, serial: int, name: str, first_id: int) -> None:
        self._serial, self._name = serial, name
        self._first_id = self._next_id = first_id
        self._numbers: dict[Kind, int] = {}
        self._known: dict[tuple[tuple[Any, ...], str | None], int] = {}
        self._cells: Counter[tuple[int, int]] = Counter()
        self._first, self._last = float("inf"), float("-inf")

    def add(self, place: TablePlace, name: str, contexts: Sequence[tuple[Any, ...]]) -> None:
        """Count records that were written.

        Args:
            place: the records, and where they are.
            name: of their table.
            contexts: the values of their contexts, as they were written.
        """
        batch = place.batch
        if (place.serial, place.first_id) != (self._serial, self._next_id):
            self.finish()
            self._begin(place.serial, name, place.first_id)
        first, last = min(batch.time), max(batch.time)
        try:
            if last >= MAX_TIME_S:
                raise NotCounted
            counted = self._counted(batch, first, last) if len(batch) > 1 else _alone(batch)
            cells = [
                ((minute, self._number(contexts[position], logger)), number)
                for (minute, position, logger), number in counted
            ]
        except NotCounted:
            # No row tells of these. What was begun ends before them, if it is worth a row.
            if self._next_id - self._first_id >= CHUNK_RECORDS // MIN_PARTS:
                self.finish()
            self._begin(-1, "", 0)
            return
        for cell, number in cells:
            self._cells[cell] += number
        if first < self._first:
            self._first = first
        if last > self._last:
            self._last = last
        self._next_id += len(batch)
        if self._next_id - self._first_id >= CHUNK_RECORDS:
            self.finish()
            self._begin(place.serial, name, self._next_id)

    def _counted(self, batch: Batch, first: float, last: float) -> Iterable[_Counted]:
        """What is counted of a batch."""
        index = batch.index
        begin = int(first // _MINUTE_S) * _MINUTE_S
        # A microsecond more, for times may be rounded up.
        is_one_minute = last + 1e-6 < begin + _MINUTE_S
        by_context = _loggers_of_contexts(batch)
        if is_one_minute and by_context is not None:
            return [
                ((begin, position, by_context[position]), number)
                for position, number in Counter(index).items()
            ]
        minutes: Iterable[int] = repeat(begin)
        if not is_one_minute:
            times = [round(time, 6) for time in batch.time] if self._rounds else batch.time
            minutes = [int(time // _MINUTE_S) * _MINUTE_S for time in times]
        if by_context is not None:
            loggers: Iterable[str | None] = [by_context[position] for position in index]
        else:
            of = batch.special
            loggers = [_logger_of(of[row]) if row in of else None for row in range(len(batch))]
        return Counter(zip(minutes, index, loggers, strict=False)).items()

    def _number(self, values: tuple[Any, ...], logger: str | None) -> int:
        """The number of a kind."""
        found = self._known.get((values, logger))
        if found is None:
            if logger is not None and not (logger.isprintable() and len(logger) <= MAX_CHARS):
                raise NotCounted
            cat, peer, path = (values[place] or "" for place in self._places)
            kind = (category(cat), peer, path.partition(_ARROW)[0], logger)
            found = self._numbers.setdefault(kind, len(self._numbers))
            if found >= MAX_KINDS:
                raise NotCounted
            self._known[values, logger] = found
        return found

    def finish(self) -> None:
        """Make a row of what was counted by now; nothing if there is nothing."""
        if self._next_id > self._first_id:
            row = self._row()
            if len(row.head) + len(row.cells) <= MAX_ROW_BYTES:
                self.finished.append(row)
        self._begin(self._serial, self._name, self._next_id)

    def _row(self) -> CountedRow:
        totals = [0] * len(self._numbers)
        kinds = list(self._numbers)
        minutes: dict[str, dict[int, int]] = {}
        for (minute, which), number in self._cells.items():
            totals[which] += number
            of_cat = minutes.setdefault(kinds[which][0], {})
            of_cat[minute] = of_cat.get(minute, 0) + number
        head = {
            "kinds": kinds,
            "totals": totals,
            "minutes": {cat: list(found.items()) for cat, found in minutes.items()},
        }
        rows = [(*cell, number) for cell, number in self._cells.items()]
        cells = b"".join(_bytes(column) for column in zip(*rows, strict=True))
        return CountedRow(
            self._serial,
            self._name,
            self._first_id,
            self._next_id,
            milliseconds_of(self._first),
            milliseconds_of(self._last) + 1,
            json.dumps(head, separators=(",", ":")),
            zstd.compress(cells),
        )


def _alone(batch: Batch) -> Iterable[_Counted]:
    """The same of a batch of one record, whose time is not rounded into another minute."""
    time = batch.time[0]
    minute = int(time // _MINUTE_S) * _MINUTE_S
    if time + 1e-6 >= minute + _MINUTE_S:
        raise NotCounted
    special = batch.special
    logger = _logger_of(special[0]) if special and 0 in special else None
    return (((minute, batch.index[0], logger), 1),)


def _loggers_of_contexts(batch: Batch) -> Sequence[str | None] | None:
    """The logger of each context's records; None if records of one have different ones."""
    special = batch.special
    if isinstance(special, ContextItems):
        return None if special.own else [_logger_of(items) for items in special.shared]
    return None if special else [None] * len(batch.contexts)


def _logger_of(items: Special) -> str | None:
    """The name of the logger; a text that is not counted if it is something else."""
    if "logger" not in items:
        return None
    found: object = items["logger"]
    return found if isinstance(found, str) else _NO_NAME


def _bytes(numbers: Iterable[int]) -> bytes:
    column = array("q", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()
