"""Counts that the daemon keeps beside the tables, for what they can answer.

A row of `logd_counts` (see `logd.outputs.tables.counts`) is to ids of a table what a block of an
index is to bytes of a file: it is counted if all of its records are of the time that is asked for,
passed over if none is; all other ids are counted by SQL.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, inspect, select

from logd.outputs.tables.catalogue import COUNTS
from logd.outputs.tables.ring import TableEntry
from logd.query.barsteps import Step
from logd.query.files.blocktimes import Blocks, BlockTimes
from logd.query.files.shortcut import CellCounter, can_count, route
from logd.query.files.sidecar import BROKEN, Combination, Index
from logd.query.selection import Selection
from logd.query.summaries import Tally

_EVER = (-(1 << 62), 1 << 62)


def can_answer(tally: Tally, selection: Selection, step: Step | None) -> bool:
    """Whether counts by minute, category, host, site and logger tell what is asked for."""
    is_fine = tally.cells is not None and tally.cells.is_by_second
    return not is_fine and can_count(selection, step, tally.facets)


def count_known(
    connection: Connection,
    ring: str,
    entry: TableEntry,
    tally: Tally,
    selection: Selection,
    span: range,
) -> Sequence[range]:
    """Count what is known of the records of one table.

    Args:
        connection: not in a transaction.
        ring: the pattern of the tables' names.
        entry: the table.
        tally: takes what is counted; `can_answer` has said yes.
        selection: which records count.
        span: nothing but records with these ids.

    Returns:
        The ids that are left to be counted, in their order.
    """
    rows = _rows(connection, ring, entry)
    index, row_of = _as_index(rows, entry)
    found = route(
        index, selection, span.start, span.stop, is_counting=True, can_jump=True, may_have=None
    )
    # Of what is counted all times are wanted.
    counter = CellCounter(tally, replace(selection, since=None, until=None))
    left = [range(begin, entry.next_id if end is None else end) for begin, end in found.spans]
    for number in found.counted:
        block = index.blocks[number]
        try:
            counter.add(_index_of(row_of[block.place]), [0])
        except BROKEN:
            left.append(range(block.place, block.end))
    return _joined(left)


def _rows(connection: Connection, ring: str, entry: TableEntry) -> Sequence[Any]:
    of_table = (COUNTS.c.ring == ring) & (COUNTS.c.serial == entry.serial)
    with connection.begin():
        if not inspect(connection).has_table(COUNTS.name):
            return ()
        return connection.execute(select(COUNTS).where(of_table).order_by(COUNTS.c.first_id)).all()


def _as_index(rows: Sequence[Any], entry: TableEntry) -> tuple[Index, dict[int, Any]]:
    """The rows as an index whose places are ids, without gaps; and each row by its first id."""
    blocks: list[BlockTimes] = []
    place = entry.first_id
    row_of: dict[int, Any] = {}
    for row in rows:
        if not place <= row.first_id < row.next_id <= entry.next_id:
            continue
        if row.first_id > place:
            blocks.append(BlockTimes(place, row.first_id, *_EVER, 0, False))
        blocks.append(BlockTimes(row.first_id, row.next_id, row.first_ms, row.behind_ms, 0, True))
        row_of[row.first_id] = row
        place = row.next_id
    if place < entry.next_id:
        blocks.append(BlockTimes(place, entry.next_id, *_EVER, 0, False))
    return Index(entry.next_id, 0, "", (), Blocks.of(blocks)), row_of


def _index_of(row: Any) -> Index:
    """A row as the index of a file with one block.

    Raises:
        BROKEN: it is damaged.
    """
    head = json.loads(row.head)
    return Index(
        0,
        0,
        "",
        [Combination(*kind) for kind in head["kinds"]],
        Blocks.of([BlockTimes(0, 1, row.first_ms, row.behind_ms, 0, True)]),
        totals=head["totals"],
        minutes={cat: dict(found) for cat, found in head["minutes"].items()},
        packed_cells=row.cells,
    )


def _joined(ranges: Sequence[range]) -> Sequence[range]:
    found: list[range] = []
    for one in sorted(ranges, key=lambda ids: ids.start):
        if found and found[-1].stop == one.start:
            found[-1] = range(found[-1].start, one.stop)
        else:
            found.append(one)
    return found
