"""What the columns of a log table's rows mean: entries, and labels of counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, literal_column

from logd.query.fields import NO_LABEL
from logd.query.summaries import Key, bar_labels, bar_start
from logd.query.tables.pages import Values
from logd.records.entry import Entry, category, exact_time

# Offsets from UTC are whole quarters of an hour, so hours of any zone are made of such.
QUARTER_S = 900


def entry_of(row: Values) -> Entry:
    """A row as an entry."""
    values = row._asdict()
    special = values.get("special")
    return Entry(
        time=None if (time := values.get("time")) is None else exact_time(time),
        ts=values.get("ts") or "",
        cat=category(values.get("cat") or ""),
        pid=values.get("pid") or 0,
        peer=values.get("peer") or "",
        msgid=values.get("msgid") or 0,
        msg=(values.get("msg") or "").replace("\r\n", "\n"),
        threadname=values.get("threadname") or "",
        tid=values.get("tid") or 0,
        cfunc=values.get("cfunc") or "",
        path=values.get("path") or "",
        special=_items(special) if special else {},
    )


def _items(text: str) -> Mapping[str, Any]:
    try:
        items = json.loads(text)
    except ValueError:  # cut to fit its column
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
            if values[0] is None:
                return NO_LABEL
            return bar_labels([bar_start(float(values[0]) * QUARTER_S, "hour")], "hour")[0]
        case "site":
            name, line, has_path = values
            # A path without a name begins with a hidden file.
            return f"{name}({line})" if name else "..." if has_path else NO_LABEL
        case None:
            return ""
        case _:
            return values[0] or NO_LABEL
