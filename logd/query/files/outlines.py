"""Counts JSON lines and logfmt by what they share, without reading each.

What stands in such a line between its time and its number, and in logfmt also what follows the
message, is a place in a program: the same bytes in thousands of lines. So lines are counted by
these bytes, and of those that are the same one is read. Of the time as much is looked at as
counts, of the items those that are asked for. What the lines look like stands in
`logd.text.jsonlines` and `logd.text.logfmtlines`. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import repeat
from typing import Any

import msgspec

from logd.query.barsteps import UNITS
from logd.query.fields import item_key
from logd.query.files.layouts import JSON, LOGFMT, Layout, structured_layout
from logd.query.summaries import Key
from logd.records.entry import Entry
from logd.text.escaping import key_text, quoted
from logd.text.items import QUOTED, item_text, parse_items
from logd.text.logfmtlines import items_of
from logd.text.reading import LineReader

MINUTE, SECOND = len("2026-11-22T03:00"), len("2026-11-22T03:00:00")
"""How many characters of a time tell its minute, and its second."""

_FIELDS = frozenset({"cat", "host", "pid", "tid", "site", "path", "func", "thread", *UNITS})
_MAX_KNOWN = 8192
_NO_TIME = b"1970-01-01T00:00:00.000000+00:00"

_Head = bytes | tuple[bytes, bytes]
"""What entries of one place have in common."""

_Label = str | None
"""The value of an item as a text; None if an entry has no such item."""


def items_among(keys: Iterable[Key]) -> Sequence[str] | None:
    """The items that are counted by; None if keys ask for what outlines don't tell."""
    names = {name for key in keys for name in (key if isinstance(key, tuple) else (key,))}
    items = {name: item_key(name) for name in names if name not in _FIELDS}
    found = {key for key in items.values() if key is not None}
    return sorted(found) if None not in items.values() else None


class Outlines:
    """Counts entries.

    Args:
        reader: reads the entries.
        items: the keys of the items that are told apart.
    """

    def __init__(self, reader: LineReader, items: Sequence[str]) -> None:
        self._reader = reader
        self._items = items
        self._json = [_JsonItem(key) for key in items]
        self._logfmt = _LogfmtLines(items)
        self._heads: dict[_Head, Entry] = {}

    def counted(self, entries: list[bytes], time_chars: int) -> list[tuple[Entry, int]] | None:
        """Entries that stand for all, and how many each; None if they must be read.

        Args:
            entries: raw ones.
            time_chars: `MINUTE`, `SECOND`, or 0 if times don't count. Times are cut off there.
        """
        layout = structured_layout(entries) if self._reader.is_own_format else None
        if layout is None:
            return None
        try:
            columns: list[Sequence[Any]]
            if layout is JSON:
                columns = [_json_heads(entries), *[item(entries) for item in self._json]]
            else:
                columns = list(zip(*map(self._logfmt.split, entries), strict=True))
            counts = Counter(zip(_stamps(layout, entries, time_chars), *columns, strict=True))
            return [
                (self._entry(layout, stamp, head, labels), number)
                for (stamp, head, *labels), number in counts.items()
            ]
        except (ValueError, RecursionError):
            return None

    def _entry(self, layout: Layout, stamp: bytes, head: _Head, labels: Sequence[_Label]) -> Entry:
        entry = self._heads.get(head)
        if entry is None:
            entry = self._reader.read(_line(layout, head))
            if entry.time is None:
                raise ValueError("no line of that layout")
            if len(self._heads) >= _MAX_KNOWN:
                self._heads.clear()
            self._heads[head] = entry
        if not (stamp or labels):
            return entry
        special = {
            key: label for key, label in zip(self._items, labels, strict=True) if label is not None
        }
        return replace(entry, time=_moment(stamp) if stamp else None, special=special)


def _line(layout: Layout, head: _Head) -> bytes:
    """A line of a place."""
    if isinstance(head, bytes):
        return b"".join((layout.start, _NO_TIME, head, b',"msgid":0,"msg":""}'))
    before, behind = head
    return b"".join((layout.start, _NO_TIME, before, b' msgid=0 msg=""', behind))


def _stamps(layout: Layout, entries: list[bytes], chars: int) -> Iterable[bytes]:
    if not chars:
        return repeat(b"", len(entries))
    begin, zone = layout.stamp.start, layout.zone
    end = begin + chars
    return [entry[begin:end] + entry[zone] for entry in entries]


def _moment(stamp: bytes) -> float:
    """The beginning of a second or minute, in seconds since the epoch."""
    return datetime.fromisoformat(stamp.decode("ascii")).timestamp()


# -- JSON ----------------------------------------------------------------------------------------

# Quotes inside of texts have a backslash before them: none of these is in a text.
_NUMBER, _SPECIAL, _LOGGER = b',"msgid":', b',"special":{', b'","logger":"'

_decoded = msgspec.json.Decoder(dict).decode


def _json_heads(entries: list[bytes]) -> list[bytes]:
    begin = JSON.head_at
    return [entry[begin : entry.index(_NUMBER, begin)] for entry in entries]


class _JsonItem:
    """One item in JSON lines; the logger's name stands outside of the others, if it is a text."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._needle = f"{quoted(key)}:".encode("utf-8", "backslashreplace")
        self._label: Callable[[bytes], _Label] = (
            self._logger if key == "logger" else self._among_others
        )

    def __call__(self, entries: list[bytes]) -> Sequence[_Label]:
        needle, label = self._needle, self._label
        return [label(entry) if needle in entry else None for entry in entries]

    def _logger(self, entry: bytes) -> _Label:
        at = entry.find(_LOGGER)
        if at < 0 or entry.find(_SPECIAL, 0, at) >= 0:
            return self._among_others(entry)
        start = at + len(_LOGGER)
        name = entry[start : entry.index(b'"', start)]
        if b"\\" in name:
            raise ValueError("an escape")
        return name.decode()

    def _among_others(self, entry: bytes) -> _Label:
        at = entry.find(_SPECIAL)
        if at < 0:
            return None
        items = _decoded(entry[at + len(_SPECIAL) - 1 : -1])
        return item_text(items[self._key]) if self._key in items else None


# -- logfmt --------------------------------------------------------------------------------------

_VALUE = b'(?:[^ "]+|' + QUOTED.encode() + b")"
_BEHIND = re.compile(
    rb"(?: logger=(" + _VALUE + rb"))?"
    rb"((?: (?:pid|peer|thread|tid|func|path)=" + _VALUE + rb")*+)(?= |\Z)"
)
_MESSAGE, _EXCEPTION = b' msg="', b' exception="'
_BACKSLASH = ord("\\")


class _LogfmtLines:
    """Takes logfmt apart.

    Args:
        items: the keys of the items that are told apart.
    """

    def __init__(self, items: Sequence[str]) -> None:
        self._items = items
        self._needles = [f"{key_text(key)}=".encode("utf-8", "backslashreplace") for key in items]
        self._known: dict[bytes, tuple[bytes, list[_Label]]] = {}

    def split(self, entry: bytes) -> tuple[_Head | _Label, ...]:
        """The place of an entry, and its items."""
        number = entry.index(b" msgid=", LOGFMT.head_at)
        before = entry[LOGFMT.head_at : number]
        if b'"' in before:
            raise ValueError("a category in quotes")
        place = _closed(entry, entry.index(_MESSAGE, number) + len(_MESSAGE))
        if entry.startswith(_EXCEPTION, place):
            place = _closed(entry, place + len(_EXCEPTION))
        rest = entry[place:]
        known = self._known.get(rest)
        if known is None:
            known = self._parsed(rest)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[rest] = known
        behind, labels = known
        return (before, behind), *labels

    def _parsed(self, rest: bytes) -> tuple[bytes, list[_Label]]:
        match = _BEHIND.match(rest)
        if match is None:
            raise ValueError("no place")
        logger, behind = match.groups()
        # With the name of its logger as the item that it is.
        others = b"".join((b"" if logger is None else b"logger=" + logger, rest[match.end() :]))
        found = None
        labels: list[_Label] = []
        for key, needle in zip(self._items, self._needles, strict=True):
            if needle not in others:
                labels.append(None)
                continue
            if found is None:
                found = items_of(parse_items(others.decode("utf-8").strip(" ")) or {})
            labels.append(item_text(found[key]) if key in found else None)
        return behind, labels


def _closed(entry: bytes, start: int) -> int:
    """The place behind the quote that ends a text."""
    place = entry.index(b'"', start)
    while entry[place - 1] == _BACKSLASH:
        text = entry[start:place]
        if (len(text) - len(text.rstrip(b"\\"))) % 2 == 0:
            break
        place = entry.index(b'"', place + 1)
    return place + 1
