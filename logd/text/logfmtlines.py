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

from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context
from logd.records.entry import Entry, category
from logd.text.escaping import ItemTexts, nested_text, quoted, value_text
from logd.text.items import parse_items
from logd.text.jsonlines import LEVELS, split_exception
from logd.text.lines import LineFormat, encode_lines
from logd.text.timestamps import rfc3339_second

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
_MAX_KNOWN = 8192


class LogfmtFormat(LineFormat):
    """Lays out records as logfmt. For one thread at a time, as each output has its own."""

    def __init__(self) -> None:
        super().__init__()
        self._item_texts = ItemTexts()
        self._seconds: dict[int, tuple[str, str]] = {}
        self._places: dict[Any, tuple[str, str]] = {}

    def format_batch(self, batch: Batch) -> list[str]:
        """Each record's line, without a line end behind it."""
        names = batch.formatter or ShortNames()
        places = [self._place(context, batch.peer, names) for context in batch.contexts]
        special = batch.special
        rows = zip(batch.index, batch.time, batch.msgid, batch.msg, strict=True)
        return [
            self._line(places[position], int(time * 1e6), msgid, msg, special.get(row))
            for row, (position, time, msgid, msg) in enumerate(rows)
        ]

    def encode_batch(self, batch: Batch) -> bytes:
        """All lines as the bytes to append to a text file."""
        return encode_lines(self.format_batch(batch))

    def _line(
        self,
        place: tuple[str, str],
        microseconds: int,
        msgid: int,
        msg: str,
        items: Mapping[str, Any] | None,
    ) -> str:
        start, offset = self._second(microseconds // 1_000_000)
        before, behind = place
        message, exception = split_exception(msg)
        text = f"time={start}{microseconds % 1_000_000:06}{offset} {before}msgid={msgid} "
        text += f"msg={quoted(message)}"
        if exception is not None:
            text += f" exception={quoted(exception)}"
        if items and isinstance(items.get("logger"), str):
            text += f" logger={value_text(items['logger'])}"
            items = {key: value for key, value in items.items() if key != "logger"}
        text += behind
        if items:
            pairs = {_key(key): _plain(value) for key, value in items.items()}
            text += f" {self._item_texts.text(pairs)}"
        return text

    def _second(self, second: int) -> tuple[str, str]:
        known = self._seconds.get(second)
        if known is None:
            if len(self._seconds) >= _MAX_KNOWN:
                self._seconds.clear()
            known = self._seconds[second] = rfc3339_second(second)
        return known

    def _place(self, context: Context, peer: str, names: Any) -> tuple[str, str]:
        """What stands before the number of the message, and behind its text."""
        key = (context, peer, names)
        known = self._places.get(key)
        if known is None:
            cat = category(context.cat)
            before = f"level={LEVELS[cat]} " if cat in LEVELS else ""
            before += f"cat={value_text(cat)} " if cat else ""
            found = {
                "pid": context.pid,
                "peer": peer,
                "thread": context.threadname,
                "tid": context.tid,
                "func": context.cfunc,
                "path": names.pathAsStr(context.path),
            }
            there = {name: value for name, value in found.items() if value not in ("", 0)}
            behind = self._item_texts.text(there)
            known = (before, f" {behind}" if behind else "")
            if len(self._places) >= _MAX_KNOWN:
                self._places.clear()
            self._places[key] = known
        return known


def _key(key: str) -> str:
    return f"{_ITEM}{key}" if key in _KEYS or key.startswith(_ITEM) else key


def _plain(value: object) -> object:
    """A value that needs no brackets: readers of logfmt know none."""
    is_plain = value is None or isinstance(value, str | int | float)
    return value if is_plain else nested_text(value)


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
