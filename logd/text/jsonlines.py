r"""Records as JSON lines: one object a line, for programs that read logs (`line_format = "json"`).

| name | value |
| --- | --- |
| time | RFC 3339 with microseconds and the offset of the local time zone |
| cat, level | the category, and its name in `logging`; level is missing if there is none |
| pid, peer | process of the sender, and the address that it sent from ("" for this machine) |
| threadname, tid, cfunc, path | where it was logged, as everywhere (`logd.records.shape`) |
| logger | the name of the logger, if there is one |
| msgid | the sender's number for it |
| msg | the message, without its traceback |
| exception | the traceback, if there is one |
| special | an object with the other items, each of its own type; missing if there are none |

A line has no control character and none that is invisible: they are JSON's escapes. What differs
between records of a batch is put between texts that are made once for each place in a program, as
in `logd.text.lines`. `read` is the inverse. Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from logd.records.callpath import PathFormatter
from logd.records.context import Context
from logd.records.entry import Entry, category
from logd.text.escaping import nested_text, quoted, safe_json
from logd.text.structured import LEVELS, StructuredFormat

START = b'{"time":"'
"""What each line begins with, and no line of the default layout that can be read."""

_LARGEST = 1 << 64
"""Integers up to this size are numbers; what is larger, other programs could not read."""


class JsonFormat(StructuredFormat):
    """Lays out records as JSON. For one thread at a time, as each output has its own."""

    def __init__(self) -> None:
        super().__init__(start=START.decode(), message=',"msg":"', exception='","exception":"')

    def _place(self, context: Context, peer: str, names: PathFormatter) -> tuple[str, str]:
        cat = category(context.cat)
        level = f'"level":"{LEVELS[cat]}",' if cat in LEVELS else ""
        text = (
            f'","cat":{quoted(cat)},{level}"pid":{context.pid},"peer":{quoted(peer)},'
            f'"threadname":{quoted(context.threadname)},"tid":{context.tid},'
            f'"cfunc":{quoted(context.cfunc)},"path":{quoted(names.pathAsStr(context.path))},'
            f'"msgid":'
        )
        return text, ""

    def _ends(self, items: Mapping[str, Any]) -> tuple[str, str]:
        if not items:
            return '"}\n', ""
        logger, but = items.get("logger"), None
        start = '"'
        if type(logger) is str:
            start, but = self._loggers[logger], "logger"
            if len(items) == 1:
                return f"{start}}}\n", ""
        return f'{start},"special":{{{",".join(self._pairs(items, but))}}}}}\n', ""

    def _logger(self, name: str) -> str:
        return f'","logger":{quoted(name)}'

    def _key(self, key: str) -> str:
        return f"{quoted(key)}:"

    def _text(self, text: str) -> str:
        return quoted(text)

    def _value(self, value: object) -> str:
        if type(value) is int:
            return str(value) if -_LARGEST < value < _LARGEST else f'"{value:#x}"'
        if type(value) is float:
            return repr(value) if math.isfinite(value) else f'"{value!r}"'
        return safe_json(nested_text(value))


class _Line(msgspec.Struct):
    """One line. What is missing in a line of some other program is empty."""

    time: str
    msg: str
    cat: str = ""
    pid: int = 0
    peer: str = ""
    threadname: str = ""
    tid: int = 0
    cfunc: str = ""
    path: str = ""
    logger: str | None = None
    msgid: int = 0
    exception: str | None = None
    special: dict[str, Any] = {}


_decode = msgspec.json.Decoder(_Line).decode


def _decoded(line: str) -> _Line:
    try:
        return _decode(line)
    except ValueError:
        # Lone surrogates, which the faster one refuses.
        return msgspec.convert(json.loads(line), _Line)


def read(line: str) -> Entry | None:
    """The entry of a line; None if it is no such line."""
    try:
        found = _decoded(line)
        moment = datetime.fromisoformat(found.time)
        instant = round(moment.timestamp() * 1e6) / 1e6
    except (ValueError, OverflowError, OSError, RecursionError):
        return None
    msg, special = found.msg, found.special
    if found.exception is not None:
        msg = f"{msg}\n{found.exception}" if msg else found.exception
    if found.logger is not None:
        special = {"logger": found.logger, **special}
    return Entry(
        time=instant,
        ts=found.time,
        cat=found.cat,
        pid=found.pid,
        peer=found.peer,
        msgid=found.msgid,
        msg=msg,
        threadname=found.threadname,
        tid=found.tid,
        cfunc=found.cfunc,
        path=found.path,
        special=special,
    )
