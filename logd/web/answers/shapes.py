"""How the page's API shows a record: a row of the list, and all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from logd.query.source import LogSource, Position
from logd.query.tracebacks import HEADING, exceptions
from logd.records.entry import Entry
from logd.text.items import item_text
from logd.web.answers.owncode import OwnCode

MAX_HEAD_CHARS = 2000
MAX_SHOWN_CHARS = 65_536
MAX_ITEM_CHARS = 2000
MAX_LIST_ITEMS = 12
MAX_LIST_ITEM_CHARS = 200
"""More items of a record, and more of each, are shown only when the record is opened: a page of a
thousand records is an answer of a few megabytes, whatever they hold."""

_FRAME = re.compile(
    r'(?P<margin>[ |+-]*?)  File "(?P<file>[^"]*)", line (?P<line>\d+)(?:, in (?P<func>.*))?'
)
_BETWEEN = ("The above exception was the direct cause", "During handling of the above exception")


def row(source: LogSource, position: Position, entry: Entry) -> dict[str, Any]:
    """A record as the list shows it."""
    head, line_end, further = entry.msg.partition("\n")
    return {
        "at": source.cursor(position),
        "time": entry.time,
        "ts": entry.ts,
        "cat": entry.cat,
        "host": entry.peer,
        "pid": entry.pid,
        "thread": entry.threadname,
        "func": entry.cfunc,
        "site": entry.site,
        "path": entry.path,
        "msgid": entry.msgid,
        "head": _cut(head, MAX_HEAD_CHARS),
        "more": further.count("\n") + 1 if line_end else 0,
        "exc": _exception(entry.msg),
        "items": {
            _cut(key, 200): _value(value, MAX_LIST_ITEM_CHARS)
            for key, value in islice(entry.special.items(), MAX_LIST_ITEMS)
        },
    }


def whole(source: LogSource, position: Position, entry: Entry) -> dict[str, Any]:
    """A record with all that it holds."""
    shown = row(source, position, entry)
    shown["items"] = {_cut(key, 200): _value(value) for key, value in entry.special.items()}
    return shown


def parts(msg: str, own: OwnCode) -> list[dict[str, Any]]:
    """A message cut at its tracebacks: texts, frames, exceptions, and what stands between them."""
    text = _cut(msg, MAX_SHOWN_CHARS)
    found: list[dict[str, Any]] = []
    frames: list[dict[str, Any]] | None = None
    plain: list[str] = []

    def end_text() -> None:
        if plain and any(line.strip() for line in plain):
            found.append({"kind": "text", "text": "\n".join(plain).strip("\n")})
        plain.clear()

    for line in text.split("\n"):
        frame = _FRAME.fullmatch(line) if HEADING in text else None
        if HEADING in line:
            end_text()
            frames = []
            found.append({"kind": "frames", "frames": frames})
        elif frames is not None and frame is not None:
            file = frame["file"]
            frames.append(
                {
                    "file": file,
                    "line": int(frame["line"]),
                    "func": frame["func"] or "",
                    "code": [],
                    "own": own.has(file),
                }
            )
        elif frames is not None and frames and line.startswith("    "):
            code = frames[-1]["code"]
            code.append(line[4:])
        elif frames is not None and line.strip():
            found.append({"kind": "exception", "text": line})
            frames = None
        elif line.startswith(_BETWEEN):
            end_text()
            found.append({"kind": "between", "text": line.rstrip(":")})
        else:
            plain.append(line)
    end_text()
    return found


def _exception(msg: str) -> dict[str, str] | None:
    if HEADING not in msg:
        return None
    found = exceptions(msg)
    if not found:
        return None
    last = found[-1]
    text = f"{last.type}: {last.text}" if last.text else last.type
    return {"type": last.type.rpartition(".")[2], "last": _cut(text, 400)}


def _value(value: object, most: int = MAX_ITEM_CHARS) -> object:
    if isinstance(value, Mapping | list | tuple):
        # As it is written in a filter on it.
        value = item_text(value)
    if isinstance(value, str):
        return _cut(value, most)
    # JSON numbers are floats in browsers: larger integers would come out as others.
    if isinstance(value, int) and not -(2**53) < value < 2**53:
        return str(value)
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [{len(text) - limit:,} more characters]"
