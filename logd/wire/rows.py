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


def add_row(row: Sequence[object], columns: Columns, room: int = MAX_SPECIAL_CHARS) -> None:
    """Check the 11 items of a record and append it.

    Its special items may have about `room` characters.

    Raises:
        WireError: another number of items, a field of a wrong type or out of range.
    """
    if len(row) != ROW_ITEMS:
        raise WireError(f"record of {len(row)} items, {ROW_ITEMS} expected")
    msgid, pid, tid, threadname, ts, msg, cat, path, tblen, cfunc, special = row
    columns.add(
        fields.context(pid, tid, threadname, cat, fields.call_path(path), tblen, cfunc),
        fields.integer(msgid, "msgid"),
        fields.time(ts),
        fields.message(msg),
        fields.special_items(special, room),
    )


def add_rows(rows: object, columns: Columns) -> None:
    """Check and append the records of a simple sender's batch."""
    if type(rows) not in (list, tuple) or not rows:
        raise WireError("batch: a list of records expected")
    for row in cast("Sequence[object]", rows):
        if type(row) not in (list, tuple):
            raise fields.wrong_type("batch", "records of 11 items", row)
        add_row(cast("Sequence[object]", row), columns)
