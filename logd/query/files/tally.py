"""Counts raw entries by what their bytes say, without parsing each; see `logd.query.summaries`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from logd.query.barsteps import UNITS, Step, bar_labels, bar_start
from logd.query.fields import NO_LABEL, item_key
from logd.query.files.outlines import MINUTE, SECOND, Outlines, items_among
from logd.query.summaries import Key, Label, Tally, entry_label
from logd.query.tracebacks import HEADING
from logd.text.escaping import BARE_CLASS, key_text, value_text
from logd.text.items import QUOTED, item_text, parse_items
from logd.text.reading import MARK, LineReader

# The category stands between the first two blanks behind the timestamp; so does the sender after.
_TS_END = 28
_SENDER = re.compile(rb" \S+ (-?[0-9]+)(?:@([^\s#]*))?#")

_EXC = "exc"
_HEADING = HEADING.encode()

Column = Callable[[list[bytes]], Iterable[bytes | None]]
"""Takes of each entry what it is counted by, None for nothing."""


class RawTally(Tally):
    """Counts raw entries.

    Args:
        step: of the histogram; None for none.
        keys: of the facets.
        reader: reads the entries.
    """

    def __init__(self, step: Step | None, keys: Sequence[Key], reader: LineReader) -> None:
        super().__init__(step, keys)
        self._reader = reader
        columns = {key: _columns_of(key) for key in keys}
        self._fast: dict[Key, list[Column]] = {k: c for k, c in columns.items() if c is not None}
        self._slow = [key for key in keys if key not in self._fast and key != _EXC]
        self._has_exc = _EXC in keys
        self._names: dict[Key, list[_Names]] = {
            key: [_Names(name, reader) for name in _fields(key)] for key in self._fast
        }
        items = items_among(keys)
        self._outlines = None if items is None else Outlines(reader, items)
        self._has_units = any(name in UNITS for key in keys for name in _fields(key))

    def add_raw(self, entries: list[bytes], *, is_fast: bool) -> None:
        """Count entries; `is_fast`: see `Prefilter.is_fast`."""
        if not is_fast:
            self._add_others(entries)
            return
        try:
            counts = self._counted(entries)
            cells = None if self.cells is None else self._cells_of(entries)
        except (IndexError, ValueError):
            for raw in entries:
                self.add(self._reader.read(raw))
            return
        if any(
            b"\\" in value for found in counts.values() for some in found for value in some if value
        ):
            # Whether that is an escape only the whole line tells.
            for raw in entries:
                self.add(self._reader.read(raw))
            return
        self.total += len(entries)
        for key, found in counts.items():
            names = self._names[key]
            for values, number in found.items():
                self.add_label(key, _label(key, names, values), number)
        if self.cells is not None and cells is not None:
            self._add_cells(cells)
        if self._slow:
            self._add_slow(entries, self._slow)
        if self._has_exc:
            # Most entries have no traceback: only the others are read for it.
            raised = [raw for raw in entries if _HEADING in raw]
            self.add_label(_EXC, NO_LABEL, len(entries) - len(raised))
            self._add_slow(raised, [_EXC])

    def _add_others(self, entries: list[bytes]) -> None:
        """Count entries that are not all of the default layout."""
        outlines = None
        if self._outlines is not None:
            chars = MINUTE if self._has_units or self.cells is not None else 0
            if self.cells is not None and self.cells.is_by_second:
                chars = SECOND
            outlines = self._outlines.counted(entries, chars)
        if outlines is None:
            for raw in entries:
                self.add(self._reader.read(raw))
            return
        for entry, number in outlines:
            self.add(entry, number)

    def _counted(self, entries: list[bytes]) -> dict[Key, Counter[tuple[bytes | None, ...]]]:
        made: dict[Column, list[bytes | None]] = {}
        counts: dict[Key, Counter[tuple[bytes | None, ...]]] = {}
        for key, columns in self._fast.items():
            for column in columns:
                if column not in made:
                    made[column] = list(column(entries))
            if len(columns) == 1:
                found = Counter(made[columns[0]])
                counts[key] = Counter({(value,): number for value, number in found.items()})
            else:
                counts[key] = Counter(zip(*(made[column] for column in columns), strict=True))
        return counts

    def _add_slow(self, entries: list[bytes], keys: Sequence[Key]) -> None:
        for raw in entries:
            entry = self._reader.read(raw)
            for key in keys:
                self.add_label(key, entry_label(entry, key), 1)

    def _cells_of(self, entries: list[bytes]) -> Counter[tuple[bytes, bytes]]:
        assert self.cells is not None  # noqa: S101 - the caller has looked
        if self.cells.is_by_second:
            return Counter([(e[:19], e[23 : e.index(b" ", 29)]) for e in entries])
        return Counter([(e[:16], e[23 : e.index(b" ", 29)]) for e in entries])

    def _add_cells(self, found: Mapping[tuple[bytes, bytes], int]) -> None:
        assert self.cells is not None  # noqa: S101 - the caller has looked
        cells = self.cells
        for (start, rest), number in found.items():
            zone, cat = rest[:5], rest[6:]
            moment = moment_of(self._reader, start, zone)
            if moment is not None:
                cells.put(int(moment), _category(cat), number)
        cells.coarsen()


def _fields(key: Key) -> tuple[str, ...]:
    return key if isinstance(key, tuple) else (key,)


def _label(key: Key, names: list[_Names], values: tuple[bytes | None, ...]) -> Label:
    labels = tuple(name[value] for name, value in zip(names, values, strict=True))
    return labels if isinstance(key, tuple) else labels[0]


def _columns_of(key: Key) -> list[Column] | None:
    columns = [column_of(name) for name in _fields(key)]
    known = [column for column in columns if column is not None]
    return known if len(known) == len(columns) else None


def column_of(name: str) -> Column | None:
    """How a field is found in fast entries; None if they must be read for it."""
    if name in _COLUMNS:
        return _COLUMNS[name]
    item = item_key(name)
    return None if item is None else _ItemColumn(item)


def _cats(entries: list[bytes]) -> Iterable[bytes]:
    return [entry[29 : entry.index(b" ", 29)] for entry in entries]


def _senders(group: int) -> Column:
    def column(entries: list[bytes]) -> Iterable[bytes | None]:
        find = _SENDER.match
        return [m[group] if (m := find(entry, _TS_END)) else None for entry in entries]

    return column


def _pids(entries: list[bytes]) -> Iterable[bytes | None]:
    find = _SENDER.match
    return [
        m[0][m.start(1) - m.start() : -1] if (m := find(entry, _TS_END)) else None
        for entry in entries
    ]


def _tail(place: int) -> Column:
    """The field this many tabs before the end of the entry's first line."""

    def column(entries: list[bytes]) -> Iterable[bytes | None]:
        return [
            (entry.partition(MARK)[0] if MARK in entry else entry).rsplit(b"\t", place)[1]
            for entry in entries
        ]

    return column


def _sites(entries: list[bytes]) -> Iterable[bytes | None]:
    return [
        (entry.partition(MARK)[0] if MARK in entry else entry)
        .rsplit(b"\t", 2)[1]
        .partition(b"<-")[0]
        for entry in entries
    ]


def _stamps(size: int) -> Column:
    def column(entries: list[bytes]) -> Iterable[bytes | None]:
        return [entry[:size] + entry[23:28] for entry in entries]

    return column


_COLUMNS: dict[str, Column] = {
    "cat": _cats,
    "host": _senders(2),
    "pid": _pids,
    "site": _sites,
    "path": _tail(2),
    "func": _tail(3),
    "thread": _tail(4),
    "minute": _stamps(16),
    "hour": _stamps(16),
    "day": _stamps(16),
}


class _ItemColumn:
    """The text of one special item, as it stands in the line."""

    def __init__(self, key: str) -> None:
        self._key = key
        needle = key_text(key).encode("utf-8", "backslashreplace") + b"="
        written = re.escape(needle)
        quoted = QUOTED.encode()
        value = b"[" + BARE_CLASS.encode() + b"]+|" + quoted
        # Items before it are passed over whole: a value in quotes may look like the item.
        other = b'[^ "=]+=(?:[^ "]+|' + quoted + b") |" + quoted + b'=(?:[^ "]+|' + quoted + b") "
        self._needle = needle
        self._find = re.compile(b"(?:" + other + b")*?" + written + b"(" + value + b")").match

    def __call__(self, entries: list[bytes]) -> Iterable[bytes | None]:
        find, needle = self._find, self._needle
        for entry in entries:
            if needle not in entry:
                yield None
                continue
            line = entry.partition(MARK)[0] if MARK in entry else entry
            start = line.rindex(b"\t") + 1
            match = find(line, start)
            yield self._parsed(line[start:]) if match is None else match[1]

    def _parsed(self, tail: bytes) -> bytes | None:
        """The same if some item is a container, or the needle is elsewhere."""
        if self._needle not in tail:
            return None
        items = parse_items(text_of(tail)) or {}
        if self._key not in items:
            return None
        return value_text(items[self._key]).encode("utf-8", "backslashreplace")


class _Names(dict[bytes | None, str]):
    """Bytes of a field -> its label; makes what is missing."""

    def __init__(self, name: str, reader: LineReader) -> None:
        super().__init__()
        self._name = name
        self._reader = reader

    def __missing__(self, found: bytes | None) -> str:
        if len(self) > 10_000:
            self.clear()
        self[found] = made = self._made(found)
        return made

    def _made(self, found: bytes | None) -> str:
        if not found:
            return NO_LABEL
        name, text = self._name, text_of(found)
        if name in UNITS:
            moment = moment_of(self._reader, found[:16], found[16:])
            if moment is None:
                return NO_LABEL
            unit = UNITS[UNITS.index(name)]
            return bar_labels([bar_start(moment, unit)], unit)[0]
        if name == "pid":
            return text if "@" in text else f"{text}@{NO_LABEL}"
        if name == "cat":
            return text
        if item_key(name) is not None:
            items = parse_items(f"k={text}")
            return text if items is None else item_text(items["k"])
        return text


def moment_of(reader: LineReader, start: bytes, zone: bytes) -> float | None:
    """The beginning of a second or minute, in seconds since the epoch."""
    rest = "" if len(start) == 19 else ":00"
    return reader.times.read(f"{text_of(start)}{rest}.000{text_of(zone)}")


def _category(text: bytes) -> str:
    return "" if text == b"-" else text_of(text)


def text_of(data: bytes) -> str:
    """Bytes of a line as text; what is no UTF-8 stays visible."""
    return data.decode("utf-8", "backslashreplace")
