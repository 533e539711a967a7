"""What a selection can tell from the bytes of entries, before anything is parsed.

A scan spends its time on entries that are not wanted. Whole blocks are passed over if a text
that must be there (`needles.py`) is not; of the others, entries are sifted in list comprehensions
by slices and comparisons. If all lines are of one layout (`layouts.py`), category and time are
decided here for good.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta, timezone

from logd.query.fields import NO_LABEL, TEXT, item_key
from logd.query.files.layouts import DEFAULT, LAYOUTS, Layout, structured_layout
from logd.query.needles import needles
from logd.query.selection import Selection
from logd.query.terms import COMPARISONS, WILDCARD, Term
from logd.query.tracebacks import HEADING
from logd.text.escaping import key_text, plain_parts, quoted
from logd.text.reading import OTHER_STARTS, LineReader

_OFFSET = re.compile(rb"([+-])([0-9]{2}):?([0-5][0-9])")
_OTHER_LINES = tuple(b"\n" + start for start in OTHER_STARTS)
_FOLDS_BEYOND = re.compile(r"[iksIKS]|[^\x00-\x7f]")
_SAME_EVERYWHERE = re.compile(r"[A-Za-z0-9_.,:;-]{3,}(?: [A-Za-z0-9_.,:;-]+)*")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.:-]+")
_NEVER = (b"\xff", b"")
_CHECKED_AT_ONCE = 128


class Prefilter:
    """Sifts raw entries.

    Args:
        selection: what is wanted.
        reader: reads the entries.
        check: called for each `_CHECKED_AT_ONCE` entries that are read; what it raises ends that.

    Attributes:
        has_fast_lines: whether entries may be fast at all, see `is_fast`.
    """

    def __init__(
        self,
        selection: Selection,
        reader: LineReader,
        check: Callable[[], object] | None = None,
    ) -> None:
        self._selection = selection
        self._check = check
        self._reader = reader
        self._needles = ways_of(selection)
        self._folded = _longest(_folded_parts(selection))
        self._anywhere = _ways_anywhere(selection)
        self._folded_anywhere = _longest(
            [part.split(b'"') for parts in _folded_parts(selection) for part in parts]
        )
        self._cats_anywhere = _cats_anywhere(selection)
        self.has_fast_lines = reader.is_own_format and reader.times.is_default
        self._heads: dict[Layout, tuple[bytes, ...]] = {}
        if selection.cats is not None:
            self._heads = {
                layout: tuple(map(_bytes, map(layout.head, selection.cats))) for layout in LAYOUTS
            }
        self._bounds = _Bounds(selection.since, selection.until)
        # Timestamps have milliseconds.
        is_exact = all(map(_is_whole, (selection.since, selection.until)))
        groups = selection.groups
        # Categories are certain if they are all that is asked of the field.
        self._decides_all = is_exact and (
            not groups or (len(groups) == 1 and groups[0].field == "cat" and bool(selection.cats))
        )
        self._is_everything = not groups and not selection.has_times

    def may_match(self, block: bytes) -> bool:
        """False if surely no entry of the block is wanted."""
        if not all(any(way in block for way in ways) for ways in self._anywhere):
            return False
        if self._has_needles(block):
            return True
        has_others = block.startswith(OTHER_STARTS) or any(s in block for s in _OTHER_LINES)
        return has_others and _has_folded(block, self._folded_anywhere)

    def _has_needles(self, block: bytes) -> bool:
        """Whether all texts are there as the default layout has them."""
        if not all(any(text in block for text in texts) for texts in self._needles):
            return False
        return _has_folded(block, self._folded)

    def is_fast(self, entries: list[bytes]) -> bool:
        """Whether all entries begin with timestamps of the default format.

        The format changes with the settings, at a restart, and others may have added lines.
        """
        return self.has_fast_lines and DEFAULT.fits(entries)

    def wanted(self, entries: list[bytes]) -> list[bytes]:
        """The entries that are wanted, in their order."""
        if self._is_everything:
            return entries
        # What is fast is of no other layout.
        is_fast = self.is_fast(entries)
        if not is_fast and any(entry.startswith(OTHER_STARTS) for entry in entries):
            return self._of_any_layout(entries)
        entries = _sifted(entries, self._needles, self._folded)
        if is_fast or self.is_fast(entries):
            entries = self._by_head(entries, DEFAULT)
            if self._decides_all:
                return entries
        return self._matching(entries)

    def _of_any_layout(self, entries: list[bytes]) -> list[bytes]:
        """The same if not all entries are of the default layout."""
        entries = _sifted(entries, self._anywhere, self._folded_anywhere)
        layout = structured_layout(entries) if self._reader.is_own_format else None
        if layout is not None:
            entries = self._by_head(entries, layout)
            if self._decides_all:
                return entries
        elif ways := self._cats_anywhere:
            entries = [entry for entry in entries if any(way in entry for way in ways)]
        return self._matching(entries)

    def _matching(self, entries: list[bytes]) -> list[bytes]:
        """Those that are wanted once they were read."""
        read, matches = self._reader.read, self._selection.matches
        if self._check is None:
            return [entry for entry in entries if matches(read(entry))]
        found: list[bytes] = []
        for place in range(0, len(entries), _CHECKED_AT_ONCE):
            self._check()
            some = entries[place : place + _CHECKED_AT_ONCE]
            found += [entry for entry in some if matches(read(entry))]
        return found

    def _by_head(self, entries: list[bytes], layout: Layout) -> list[bytes]:
        heads, bounds = self._heads.get(layout), self._bounds
        if heads is not None:
            place = layout.head_at
            entries = [entry for entry in entries if entry.startswith(heads, place)]
        if self._selection.has_times:
            stamp, zone = layout.stamp, layout.zone
            entries = [
                entry
                for entry in entries
                if (within := bounds[entry[zone]])[0] <= entry[stamp] < within[1]
            ]
        return entries


def _sifted(
    entries: list[bytes], needles: list[tuple[bytes, ...]], folded: list[bytes]
) -> list[bytes]:
    """The entries that have each of the needles in one of its ways, and those in lower case."""
    for ways in needles:
        if len(ways) == 1:
            one = ways[0]
            entries = [entry for entry in entries if one in entry]
        elif len(ways) == 2:
            one, other = ways
            entries = [entry for entry in entries if one in entry or other in entry]
        else:
            entries = [entry for entry in entries if any(way in entry for way in ways)]
    for part in folded:
        entries = [entry for entry in entries if part in entry.lower()]
    return entries


def _has_folded(block: bytes, folded: list[bytes]) -> bool:
    if not folded:
        return True
    lower = block.lower()
    return all(part in lower for part in folded)


class _Bounds(dict[bytes, tuple[bytes, bytes]]):
    """Offset from UTC, as "+0100" -> first timestamp (without offset) within, first one behind."""

    def __init__(self, since: float | None, until: float | None) -> None:
        super().__init__()
        self._since = since
        self._until = until

    def __missing__(self, offset: bytes) -> tuple[bytes, bytes]:
        bounds = _NEVER
        match = _OFFSET.fullmatch(offset)
        if match is not None and match[2] < b"24":
            minutes = int(match[2]) * 60 + int(match[3])
            zone = timezone(timedelta(minutes=-minutes if match[1] == b"-" else minutes))
            since = None if self._since is None else math.floor(_milliseconds(self._since))
            until = None if self._until is None else math.ceil(_milliseconds(self._until))
            bounds = (_bound(since, zone, b""), _bound(until, zone, b"\xff"))
        self[offset] = bounds
        return bounds


def _milliseconds(time: float) -> float:
    # Rounded, as 1.001 * 1000 is a little less than 1001.
    return round(float(time) * 1000, 3)


def _is_whole(time: float | None) -> bool:
    return time is None or _milliseconds(time).is_integer()


def _bound(milliseconds: int | None, zone: timezone, without: bytes) -> bytes:
    """A moment as a timestamp."""
    if milliseconds is None:
        return without
    try:
        moment = datetime.fromtimestamp(milliseconds // 1000, zone)
    except (ValueError, OverflowError, OSError):
        return b"" if milliseconds < 0 else b"\xff"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}".encode()


def ways_of(selection: Selection) -> list[tuple[bytes, ...]]:
    """Texts that entries contain, each in all ways in which the default layout may have it."""
    return _ways(selection, _texts_of)


def _ways_anywhere(selection: Selection) -> list[tuple[bytes, ...]]:
    """What is in every entry that is wanted, in whatever layout."""
    return _ways(selection, _texts_anywhere)


def _ways(
    selection: Selection, texts_of: Callable[[Term], list[tuple[bytes, ...]]]
) -> list[tuple[bytes, ...]]:
    found: list[tuple[bytes, ...]] = []
    for group in selection.groups:
        if group.is_not or group.field == "cat":
            continue
        alternatives = list(map(texts_of, group.terms))
        if len(alternatives) == 1:
            found += alternatives[0]
        elif all(alternatives):
            # One of the alternatives has to be there: of each the text that says most.
            best = [max(texts, key=lambda ways: min(map(len, ways))) for texts in alternatives]
            found.append(tuple(way for ways in best for way in ways))
    return found


def unfolding_parts(term: Term) -> list[bytes]:
    """What is in every entry that has a text in upper or lower case, its ASCII in lower case.

    Some characters beyond ASCII are taken for i, k or s if case is ignored: nothing of those.
    """
    if not (term.field == TEXT and term.operator == "=" and term.ignore_case):
        return []
    lines = (part for line in term.value.splitlines() for part in plain_parts(line))
    parts = (part for line in lines for part in _FOLDS_BEYOND.split(line))
    return [part.lower().encode() for part in parts if part]


def _folded_parts(selection: Selection) -> list[list[bytes]]:
    """The parts of each text for which case is ignored."""
    return [
        unfolding_parts(group.terms[0])
        for group in selection.groups
        if not group.is_not and len(group.terms) == 1
    ]


def _longest(each: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Of several lists the longest of each, nothing of those that say nothing."""
    return list(filter(None, (max(parts, key=len, default=b"") for parts in each)))


def _texts_anywhere(term: Term) -> list[tuple[bytes, ...]]:
    """What an entry that fulfils the condition contains in whatever layout."""
    key, operator = item_key(term.field), term.operator
    if term.ignore_case or (operator == "=" and term.value == NO_LABEL):
        return []
    found: list[tuple[bytes, ...]] = []
    if key is not None and _PLAIN_KEY.fullmatch(key):
        # In JSON, in logfmt and the default layout.
        found.append((_bytes(f'"{key}":'), _bytes(f"{key}=")))
    texts: Sequence[str] = ()
    if operator == "~" and term.field == TEXT:
        texts = needles(term.pattern)
    elif operator == "=" and term.field not in ("traceback", "ts"):
        texts = term.value.split(WILDCARD) if term.has_wildcard else [term.value]
    parts = [part for text in texts for part in _SAME_EVERYWHERE.findall(text)]
    return found + ([(_bytes(max(parts, key=len)),)] if parts else [])


def _cats_anywhere(selection: Selection) -> tuple[bytes, ...]:
    """How categories that are wanted stand in entries of all layouts; nothing if any may do."""
    cats = selection.cats
    if not cats or not all(cat.isascii() and cat.isidentifier() for cat in cats):
        return ()
    # By default before a blank, in JSON between quotes, in logfmt behind its name.
    return tuple(way.encode() for cat in cats for way in (f"{cat} ", f'"{cat}"', f"cat={cat}"))


def _texts_of(term: Term) -> list[tuple[bytes, ...]]:
    """What an entry that fulfils the condition contains: all of these, each in one of its ways."""
    if term.ignore_case or term.operator in COMPARISONS:
        key = item_key(term.field)
        return [] if key is None or term.ignore_case else _written(f"{key_text(key)}=")
    key = item_key(term.field)
    if term.operator == "has":
        if term.field == "traceback":
            return _written(HEADING)
        return [] if key is None else _written(f"{key_text(key)}=")
    if term.operator == "~":
        texts = needles(term.pattern) if term.field == TEXT else []
    elif term.field == TEXT:
        texts = term.value.splitlines()
    else:
        return _texts_of_value(term, key)
    return [way for text in texts for way in _written(text)]


def _texts_of_value(term: Term, key: str | None) -> list[tuple[bytes, ...]]:
    value = term.value
    if term.has_wildcard:
        start = [] if key is None else _written(f"{key_text(key)}=")
        return start + [way for text in value.split(WILDCARD) for way in _written(text)]
    if value == NO_LABEL or term.field in ("traceback", "ts"):
        return []
    if key is not None:
        # Bare if it is a number or a word, in quotes if it is a text that looks like one.
        start_text = f"{key_text(key)}="
        return [(_bytes(f"{start_text}{value}"), _bytes(start_text + quoted(value)))]
    if term.field == "pid":
        pid, at, peer = value.partition("@")
        if at and peer != NO_LABEL:
            return [(_bytes(f" {pid}@{peer}#"),)]
        return [(_bytes(f" {pid}#"),)] if at else [(_bytes(f" {pid}#"), _bytes(f" {pid}@"))]
    before, behind = {"host": ("@", "#"), "msgid": ("#", " ")}.get(term.field, ("", ""))
    return [] if term.field == "tid" else _written(f"{before}{value}{behind}")


def _written(text: str) -> list[tuple[bytes, ...]]:
    """The parts of a text that are in a line as they are: none of what may be escaped."""
    return [(_bytes(part),) for part in plain_parts(text)]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
