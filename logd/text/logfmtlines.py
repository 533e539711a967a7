r"""Records as logfmt: `key=value` pairs, one record a line (`line_format = "logfmt"`).

    time=2026-11-22T12:53:49.503123+01:00 level=ERROR cat=E msgid=7 msg="payment failed"
        exception="Traceback ..." logger=shop.cart pid=456 thread=MainThread tid=140223
        func=pay path="views.py(42)<-urls.py(10)" order=812

The keys are those of JSON lines (`logd.text.jsonlines`); what a record does not have is left out.
Items follow, each by its own key, or as `item.KEY` if that is one of the keys above. Values with
blanks and texts that look like numbers have quotes and JSON's escapes; a container is its JSON as
a text. `read` is the inverse. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from logd.records.callpath import PathFormatter
from logd.records.context import Context
from logd.records.entry import Entry, category
from logd.text.escaping import ItemTexts, key_text, nested_text, value_text
from logd.text.items import QUOTED, bare, parse_items
from logd.text.structured import LEVELS, StructuredFormat

START = b"time="
"""What each line begins with, and no line of the default layout that can be read."""

_ITEM = "item."
_KEYS = frozenset(
    {
        "time",
        "level",
        "cat",
        "msgid",
        "msg",
        "exception",
        "logger",
        "pid",
        "peer",
        "thread",
        "tid",
        "func",
        "path",
    }
)

_VALUE = f'(?:[^ "]+|{QUOTED})'
_OWN_ORDER = re.compile(
    rf"time=(?P<time>[^ ]+)(?P<before>(?: level=[A-Z]+)?(?: cat={_VALUE})?)"
    rf" msgid=(?P<msgid>-?[0-9]+) msg=(?P<msg>{QUOTED})(?: exception=(?P<exception>{QUOTED}))?"
    rf"(?P<behind>(?: (?:logger|pid|peer|thread|tid|func|path)={_VALUE})*+)(?P<items>(?: .+)?)"
)
"""The lines written here, which are read most often; others are read pair by pair."""

_MAX_PLACES = 4096


class LogfmtFormat(StructuredFormat):
    """Lays out records as logfmt. For one thread at a time, as each output has its own."""

    def __init__(self) -> None:
        super().__init__(start=START.decode(), message=' msg="', exception='" exception="')
        self._place_texts = ItemTexts()

    def _place(self, context: Context, peer: str, names: PathFormatter) -> tuple[str, str]:
        cat = category(context.cat)
        before = f" level={LEVELS[cat]}" if cat in LEVELS else ""
        before += f" cat={value_text(cat)}" if cat else ""
        found = {
            "pid": context.pid,
            "peer": peer,
            "thread": context.threadname,
            "tid": context.tid,
            "func": context.cfunc,
            "path": names.pathAsStr(context.path),
        }
        there = {name: value for name, value in found.items() if value not in ("", 0)}
        behind = self._place_texts.text(there)
        return f"{before} msgid=", f" {behind}" if behind else ""

    def _ends(self, items: Mapping[str, Any]) -> tuple[str, str]:
        if not items:
            return '"', "\n"
        logger, but = items.get("logger"), None
        start = '"'
        if type(logger) is str:
            start, but = self._loggers[logger], "logger"
            if len(items) == 1:
                return start, "\n"
        return start, f" {' '.join(self._pairs(items, but))}\n"

    def _logger(self, name: str) -> str:
        return f'" logger={value_text(name)}'

    def _key(self, key: str) -> str:
        is_taken = key in _KEYS or key.startswith(_ITEM)
        return f"{key_text(f'{_ITEM}{key}' if is_taken else key)}="

    def _text(self, text: str) -> str:
        return value_text(text)

    def _value(self, value: object) -> str:
        # Readers of logfmt know no brackets.
        is_plain = value is None or isinstance(value, str | int | float)
        return value_text(value if is_plain else nested_text(value))


def items_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """The items of a record among the pairs of its line."""
    items = {key.removeprefix(_ITEM): value for key, value in found.items() if key not in _KEYS}
    return {"logger": found["logger"], **items} if "logger" in found else items


@lru_cache(_MAX_PLACES)
def _place_of(text: str) -> dict[str, Any] | None:
    """What all lines of a place have in common, parsed; not to be changed."""
    return parse_items(text)


def _pairs_of(line: str) -> dict[str, Any] | None:
    """The keys and values of a line; None if it is no such line."""
    match = _OWN_ORDER.fullmatch(line)
    if match is None:
        return parse_items(line)
    place = _place_of(f"{match['before']}{match['behind']}"[1:])
    items = parse_items(match["items"][1:])
    if place is None or items is None:
        return None
    found: dict[str, Any] = {
        "time": match["time"],
        "msgid": int(match["msgid"]),
        "msg": bare(match["msg"]),
    }
    if match["exception"] is not None:
        found["exception"] = bare(match["exception"])
    return {**found, **place, **items}


def read(line: str) -> Entry | None:
    """The entry of a line; None if it is no such line."""
    try:
        found = _pairs_of(line)
        if found is None or not isinstance(found.get("msg"), str):
            return None
        time = datetime.fromisoformat(str(found["time"]))
        instant = round(time.timestamp() * 1e6) / 1e6
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    msg, exception = str(found["msg"]), found.get("exception")
    if exception is not None:
        msg = f"{msg}\n{exception}" if msg else str(exception)

    def text(name: str) -> str:
        return str(found.get(name, ""))

    def number(name: str) -> int:
        value = found.get(name, 0)
        return value if isinstance(value, int) else 0

    return Entry(
        time=instant,
        ts=text("time"),
        cat=text("cat"),
        pid=number("pid"),
        peer=text("peer"),
        msgid=number("msgid"),
        msg=msg,
        threadname=text("thread"),
        tid=number("tid"),
        cfunc=text("func"),
        path=text("path"),
        special=items_of(found),
    )
