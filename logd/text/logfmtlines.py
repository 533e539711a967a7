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

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from logd.records.context import Context
from logd.records.entry import Entry, category
from logd.text.escaping import ItemTexts, key_text, nested_text, value_text
from logd.text.items import parse_items
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


class LogfmtFormat(StructuredFormat):
    """Lays out records as logfmt. For one thread at a time, as each output has its own."""

    def __init__(self) -> None:
        super().__init__(start=START.decode(), message=' msg="', exception='" exception="')
        self._place_texts = ItemTexts()

    def _place(self, context: Context, peer: str, names: Any) -> tuple[str, str]:
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

    def _tail(self, behind: str, items: Mapping[str, Any]) -> str:
        if not items:
            return f'"{behind}'
        logger, but = items.get("logger"), None
        if type(logger) is str:
            behind = f" logger={self._values[logger]}{behind}"
            but = "logger"
            if len(items) == 1:
                return f'"{behind}'
        return f'"{behind} {" ".join(self._pairs(items, but))}'

    def _key(self, key: str) -> str:
        is_taken = key in _KEYS or key.startswith(_ITEM)
        return f"{key_text(f'{_ITEM}{key}' if is_taken else key)}="

    def _text(self, text: str) -> str:
        return value_text(text)

    def _value(self, value: object) -> str:
        # Readers of logfmt know no brackets.
        is_plain = value is None or isinstance(value, str | int | float)
        return value_text(value if is_plain else nested_text(value))


def read(line: str) -> Entry | None:
    """The entry of a line; None if it is no such line."""
    found = parse_items(line)
    if found is None or not isinstance(found.get("msg"), str):
        return None
    try:
        time = datetime.fromisoformat(str(found["time"]))
        instant = round(time.timestamp() * 1e6) / 1e6
    except (KeyError, ValueError, OverflowError, OSError):
        return None
    msg, exception = str(found["msg"]), found.get("exception")
    if exception is not None:
        msg = f"{msg}\n{exception}" if msg else str(exception)
    special = {key.removeprefix(_ITEM): value for key, value in found.items() if key not in _KEYS}
    if "logger" in found:
        special = {"logger": found["logger"], **special}

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
        special=special,
    )
