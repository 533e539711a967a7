"""What the columns of a log table's rows mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from logd.query.tables.dialects import MAX_TIME
from logd.query.tables.pages import COLUMNS, Values
from logd.records.entry import Entry, category, exact_time

_MAX_KNOWN_CHARS = 256


def entry_of(row: Values, names: Sequence[str]) -> Entry:
    """A row as an entry.

    Args:
        row: the row.
        names: of its columns, those of `COLUMNS` that are there.
    """
    values: Sequence[Any] = row
    if names is not COLUMNS:
        found = dict(zip(names, row, strict=True))
        values = [found.get(name) for name in COLUMNS]
    _, time, ts, cat, pid, peer, msgid, msg, threadname, tid, cfunc, path, special = values
    return Entry(
        _time(time),
        text_of(ts),
        category(text_of(cat)),
        integer_of(pid),
        text_of(peer),
        integer_of(msgid),
        text_of(msg).replace("\r\n", "\n"),
        text_of(threadname),
        integer_of(tid),
        text_of(cfunc),
        text_of(path),
        items_of(special) if special else {},
    )


# Others write into tables, too, and SQLite takes any value in any column.


def text_of(value: object) -> str:
    """What stands in a column of texts."""
    if type(value) is str:  # nearly always
        return value
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else str(value)


def integer_of(value: object) -> int:
    """What stands in a column of integers."""
    return value if isinstance(value, int) else 0


def _time(value: object) -> float | None:
    """The time; None for anything else, or if no calendar reaches that far."""
    if not isinstance(value, (int, float, Decimal)):
        return None
    try:
        time = float(value)
    except OverflowError:
        return None
    return exact_time(time) if abs(time) < MAX_TIME else None


def items_of(text: object) -> Mapping[str, Any]:
    """The special items of a JSON text, or of what the driver has made of it."""
    if isinstance(text, dict):
        return text
    if type(text) is str and len(text) <= _MAX_KNOWN_CHARS:
        return _known_items(text)
    return _parsed(text_of(text))


@lru_cache(maxsize=1024)
def _known_items(text: str) -> Mapping[str, Any]:
    # Mostly the items of a record are those of thousands, such as its logger.
    return _parsed(text)


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):  # cut to fit its column, or not ours
        return {}
    return items if isinstance(items, dict) else {}
