"""What the columns of a log table's rows mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from logd.query.tables.dialects import MAX_TIME
from logd.query.tables.pages import Values
from logd.records.entry import Entry, category, exact_time


def entry_of(row: Values) -> Entry:
    """A row as an entry."""
    values = row._asdict()
    special = values.get("special")
    return Entry(
        time=_time(values.get("time")),
        ts=text_of(values.get("ts")),
        cat=category(text_of(values.get("cat"))),
        pid=integer_of(values.get("pid")),
        peer=text_of(values.get("peer")),
        msgid=integer_of(values.get("msgid")),
        msg=text_of(values.get("msg")).replace("\r\n", "\n"),
        threadname=text_of(values.get("threadname")),
        tid=integer_of(values.get("tid")),
        cfunc=text_of(values.get("cfunc")),
        path=text_of(values.get("path")),
        special=items_of(special) if special else {},
    )


# Others write into tables, too, and SQLite takes any value in any column.


def text_of(value: object) -> str:
    """What stands in a column of texts."""
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
    try:
        items = json.loads(text_of(text))
    except (ValueError, RecursionError):  # cut to fit its column, or not ours
        return {}
    return items if isinstance(items, dict) else {}
