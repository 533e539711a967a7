"""What the columns of a log table's rows mean: entries, and labels of counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column

from logd.query.fields import NO_LABEL
from logd.query.summaries import Key, bar_labels, bar_start
from logd.query.tables.pages import Values
from logd.records.entry import Entry, category, exact_time

# Offsets from UTC are whole quarters of an hour, so hours of any zone are made of such.
QUARTER_S = 900

MAX_TIME = 253_000_000_000
"""In the year 9987."""


def entry_of(row: Values) -> Entry:
    """A row as an entry."""
    values = row._asdict()
    special = values.get("special")
    return Entry(
        time=_time(values.get("time")),
        ts=_text(values.get("ts")),
        cat=category(_text(values.get("cat"))),
        pid=_integer(values.get("pid")),
        peer=_text(values.get("peer")),
        msgid=_integer(values.get("msgid")),
        msg=_text(values.get("msg")).replace("\r\n", "\n"),
        threadname=_text(values.get("threadname")),
        tid=_integer(values.get("tid")),
        cfunc=_text(values.get("cfunc")),
        path=_text(values.get("path")),
        special=_items(special) if special else {},
    )


# Others write into tables, too, and SQLite takes any value in any column.


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else str(value)


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _time(value: object) -> float | None:
    """The time; None for what is none, or so far away that no calendar has it."""
    if not isinstance(value, (int, float, Decimal)):
        return None
    try:
        time = float(value)
    except OverflowError:
        return None
    return exact_time(time) if abs(time) < MAX_TIME else None


def _items(text: object) -> Mapping[str, Any]:
    try:
        items = json.loads(_text(text))
    except (ValueError, RecursionError):  # cut to fit its column, or not ours
        return {}
    return items if isinstance(items, dict) else {}


def site_columns(columns: Any) -> list[ColumnElement[Any]]:
    """What tells the place in the program: file name, line, whether there is a path at all."""
    if not {"cfn", "cln", "path"} <= set(columns.keys()):
        return [literal_column("NULL"), literal_column("NULL"), literal_column("NULL")]
    return [columns.cfn, columns.cln, func.coalesce(func.length(columns.path), 0) > 0]


def label_of(key: Key | None, values: Sequence[Any]) -> str:
    """What the columns that were counted by stand for."""
    match key:
        case "hour":
            quarter = values[0]
            start = None if isinstance(quarter, (str, bytes)) else _time((quarter or 0) * QUARTER_S)
            if quarter is None or start is None:
                return NO_LABEL
            return bar_labels([bar_start(start, "hour")], "hour")[0]
        case "site":
            name, line, has_path = values
            # A path without a name begins with a hidden file.
            return f"{_text(name)}({line})" if name else "..." if has_path else NO_LABEL
        case None:
            return ""
        case _:
            return _text(values[0]) or NO_LABEL
