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
from collections.abc import Mapping, Sequence
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

import msgspec

from logd.records.batch import Batch
from logd.records.callpath import ShortNames
from logd.records.context import Context, ContextItems
from logd.records.entry import Entry, category
from logd.text.escaping import is_safe, nested_text, safe_json
from logd.text.lines import LineFormat
from logd.text.timestamps import rfc3339_second

START = b'{"time":"'
"""What each line begins with, and no line of the default layout that can be read."""

LEVELS = {"C": "CRITICAL", "E": "ERROR", "W": "WARNING", "I": "INFO", "D": "DEBUG"}

_HEADING = "Traceback (most recent call last):"
_DIGITS = [f"{number:03}" for number in range(1000)]
_MAX_SECONDS = 1024
_MAX_KNOWN_TEXTS = 8192
_MAX_KEPT_CHARS = 1024


class JsonFormat(LineFormat):
    """Lays out records as JSON. For one thread at a time, as each output has its own."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[int, tuple[str, str]] = {}
        self._context_texts_kept: dict[Any, str] = {}
        self._strings: dict[str, str] = {}

    def _columns(self, batch: Batch) -> list[Sequence[str]]:
        """The texts that make up the objects, one after the other, as columns of the batch."""
        count = len(batch)
        microseconds = [int(instant * 1e6) for instant in batch.time]
        seconds, offsets = self._times(microseconds)
        names = batch.formatter or ShortNames()
        contexts = [self._context(context, batch.peer, names) for context in batch.contexts]
        items, shared = self._items_of(batch)
        tails = [shared[position] for position in batch.index]
        for row, text in items.items():
            tails[row] = text
        return [
            seconds,
            [_DIGITS[number // 1000 % 1000] for number in microseconds],
            [_DIGITS[number % 1000] for number in microseconds],
            offsets,
            [contexts[position] for position in batch.index],
            list(map(repr, batch.msgid)),
            [',"msg":"'] * count,
            self._messages(batch.msg),
            tails,
        ]

    def _times(self, microseconds: Sequence[int]) -> tuple[list[str], list[str]]:
        """What stands before and behind the digits of each time."""
        seconds = [number // 1_000_000 for number in microseconds]
        made = {
            second: self._seconds.get(second) or self._second(second) for second in set(seconds)
        }
        if len(made) == 1:
            start, offset = made[seconds[0]]
            return [start] * len(seconds), [offset] * len(seconds)
        return [made[second][0] for second in seconds], [made[second][1] for second in seconds]

    def _second(self, second: int) -> tuple[str, str]:
        if len(self._seconds) >= _MAX_SECONDS:
            self._seconds.clear()
        text, offset = rfc3339_second(second)
        made = (f'{{"time":"{text}', offset)
        self._seconds[second] = made
        return made

    def _context(self, context: Context, peer: str, names: Any) -> str:
        key = (context, peer, names)
        known = self._context_texts_kept.get(key)
        if known is not None:
            return known
        cat = category(context.cat)
        level = f'"level":"{LEVELS[cat]}",' if cat in LEVELS else ""
        text = (
            f'","cat":{_string(cat)},{level}"pid":{context.pid},"peer":{_string(peer)},'
            f'"threadname":{_string(context.threadname)},"tid":{context.tid},'
            f'"cfunc":{_string(context.cfunc)},"path":{_string(names.pathAsStr(context.path))},'
            f'"msgid":'
        )
        if len(text) <= _MAX_KEPT_CHARS:
            if len(self._context_texts_kept) >= _MAX_KNOWN_TEXTS:
                self._context_texts_kept.clear()
            self._context_texts_kept[key] = text
        return text

    def _messages(self, messages: Sequence[str]) -> list[str]:
        """The messages as JSON, less the first and the last quote; with a traceback, two texts."""
        joined = " ".join(messages)
        if is_safe(joined) and '"' not in joined and "\\" not in joined:
            return messages if isinstance(messages, list) else list(messages)
        return [_message(text)[1:-1] for text in messages]

    def _items_of(self, batch: Batch) -> tuple[dict[int, str], list[str]]:
        """What follows the message: of each record with items of its own, and of each context."""
        special = batch.special
        if isinstance(special, ContextItems):
            shared = [self._tail(items) for items in special.shared]
            return {row: self._tail(items) for row, items in special.own.items()}, shared
        made: dict[int, str] = {}
        found = {}
        for row, items in special.items():
            text = made.get(id(items))
            if text is None:
                text = made[id(items)] = self._tail(items)
            found[row] = text
        return found, ['"}'] * len(batch.contexts)

    def _tail(self, items: Mapping[str, Any]) -> str:
        if not items:
            return '"}'
        logger = items.get("logger")
        start = '"'
        if isinstance(logger, str):
            start = f'","logger":{self._known_string(logger)}'
            if len(items) == 1:
                return f"{start}}}"
        pairs = [
            f"{self._known_string(key)}:{self._value(value)}"
            for key, value in items.items()
            if key != "logger" or start == '"'
        ]
        return f'{start},"special":{{{",".join(pairs)}}}}}'

    def _value(self, value: object) -> str:
        if type(value) is str:
            return self._known_string(value)
        if type(value) is int:
            return str(value) if -(1 << 64) < value < 1 << 64 else f'"{value:#x}"'
        if type(value) is float:
            return repr(value) if math.isfinite(value) else f'"{value!r}"'
        return safe_json(nested_text(value))

    def _known_string(self, text: str) -> str:
        known = self._strings.get(text)
        if known is None:
            known = _string(text)
            if len(text) <= 64:
                if len(self._strings) >= _MAX_KNOWN_TEXTS:
                    self._strings.clear()
                self._strings[text] = known
        return known


def _string(text: str) -> str:
    return safe_json(encode_basestring(text))


def split_exception(text: str) -> tuple[str, str | None]:
    """A message without its traceback, and the traceback; None if there is none."""
    at = 0 if text.startswith(_HEADING) else text.find(f"\n{_HEADING}")
    if at < 0 or (at == 0 and text.startswith("\n")):
        return text, None
    return (text[:at], text[at + 1 :]) if at else ("", text)


def _message(text: str) -> str:
    message, exception = split_exception(text)
    if exception is None:
        return _string(message)
    return f'{_string(message)},"exception":{_string(exception)}'


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
