"""Records of the reference's clients: 11 items, as a tuple or list of any encoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from logd.wire import fields
from logd.wire.columns import Columns
from logd.wire.errors import WireError
from logd.wire.limits import MAX_SPECIAL_CHARS

ROW_ITEMS: Final = 11
"""msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special."""


def add_row(row: Sequence[object], columns: Columns, room: int = MAX_SPECIAL_CHARS) -> int:
    """Check the 11 items of a record and append it.

    Its special items may have about `room` characters; returns how many are left of them.

    Raises:
        WireError: another number of items, a field of a wrong type or out of range.
    """
    if len(row) != ROW_ITEMS:
        raise WireError(f"record of {len(row)} items, {ROW_ITEMS} expected")
    msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special = row
    items, left = fields.items_within(special, room)
    columns.add(
        fields.context(pid, tid, threadname, cat, fields.call_path(path), tblen, cfunc),
        fields.integer(msgid, "msgid"),
        fields.time(ts),
        fields.message(msg),
        items,
    )
    return left


def add_rows(rows: object, columns: Columns, room: int) -> int:
    """Check and append the records of a simple sender's batch.

    All their special items together may have about `room` characters; returns how many are left.
    """
    if type(rows) not in (list, tuple) or not rows:
        raise WireError("batch: a list of records expected")
    for row in cast("Sequence[object]", rows):
        if type(row) not in (list, tuple):
            raise fields.wrong_type("batch", "records of 11 items", row)
        share = min(room, MAX_SPECIAL_CHARS)
        room -= share - add_row(cast("Sequence[object]", row), columns, share)
    return room
