"""What an index spares: which blocks are counted by their cells, and which have to be read. Pure.

The answers are those of a scan. A block is left out if none of its entries is of the time wanted;
it is counted if all of them are, and cells tell all that is asked for; else it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from logd.query.barsteps import UNITS, Step
from logd.query.fields import item_key
from logd.query.files.sidecar import NEVER, Combination, Index
from logd.query.selection import Selection
from logd.query.summaries import Key, Tally, entry_label
from logd.records.entry import Entry

_MINUTE_S = 60


class Route(NamedTuple):
    """The way through one file.

    Attributes:
        counted: numbers of the blocks that are counted by their cells.
        spans: from where to where the file is read; None: to its end.
    """

    counted: Sequence[int]
    spans: Sequence[tuple[int, int | None]]


def route(
    index: Index,
    selection: Selection,
    start: int,
    end: int | None,
    *,
    is_counting: bool,
    can_jump: bool,
    may_have: Callable[[int], bool] | None = None,
) -> Route:
    """The way through a file.

    Args:
        index: of the file.
        selection: what is wanted.
        start: nothing before this place.
        end: nothing behind this place; None: to the end.
        is_counting: whether cells tell what is asked for.
        can_jump: whether a place in the file is reached without reading what is before it.
        may_have: whether a block may have what is wanted besides its time; None: any may.
    """
    is_all = start == 0 and (end is None or end >= index.size) and not selection.has_times
    if is_counting and is_all and may_have is None and index.is_counted:
        counted: Sequence[int] = range(len(index.blocks))
        spans: list[tuple[int, int | None]] = []
    else:
        counted, spans = _of_each_block(index, selection, start, end, is_counting, may_have)
    tail = max(start, index.size)
    if index.is_open and (end is None or tail < end):
        # What came since is in no index.
        if spans and spans[-1][1] == tail:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((tail, end))
    if len(spans) > 1 and not can_jump:
        begin, behind = spans[0][0], spans[-1][1]
        blocks = index.blocks
        counted = [
            n
            for n in counted
            if blocks[n].end <= begin or (behind is not None and blocks[n].place >= behind)
        ]
        spans = [(begin, behind)]
    return Route(counted, spans)


def _of_each_block(
    index: Index,
    selection: Selection,
    start: int,
    end: int | None,
    is_counting: bool,
    may_have: Callable[[int], bool] | None,
) -> tuple[list[int], list[tuple[int, int | None]]]:
    """The blocks that are counted, and the stretches of blocks that are read."""
    counted: list[int] = []
    spans: list[tuple[int, int | None]] = []
    for number, block in enumerate(index.blocks):
        begin = max(start, block.place)
        stop = block.end if end is None else min(end, block.end)
        if begin >= stop or not _overlaps(selection, block.first_ms, block.behind_ms):
            continue
        if may_have is not None and not may_have(number):
            continue
        is_whole = (begin, stop) == (block.place, block.end) and block.is_counted
        if is_counting and is_whole and _is_within(selection, block.first_ms, block.behind_ms):
            counted.append(number)
        elif spans and spans[-1][1] == begin:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((begin, stop))
    return counted, spans


def _overlaps(selection: Selection, first_ms: int, behind_ms: int) -> bool:
    """Whether some time of a block may be wanted."""
    since, until = selection.since, selection.until
    return (until is None or first_ms < until * 1000) and (
        since is None or behind_ms > since * 1000
    )


def _is_within(selection: Selection, first_ms: int, behind_ms: int) -> bool:
    """Whether all times of a block are wanted."""
    since, until = selection.since, selection.until
    return (since is None or first_ms >= since * 1000) and (
        until is None or behind_ms <= until * 1000
    )


def can_count(selection: Selection, step: Step | None, keys: Iterable[Key]) -> bool:
    """Whether cells tell all that is asked for."""
    fields = {group.field for group in selection.groups}
    counted = {name for key in keys for name in (key if isinstance(key, tuple) else (key,))}
    return (
        all(map(_is_in_cells, fields | (counted - set(UNITS))))
        and not fields & set(UNITS)
        and (not isinstance(step, int) or step % _MINUTE_S == 0)
    )


def _is_in_cells(name: str) -> bool:
    return name in ("cat", "host", "site") or item_key(name) == "logger"


class Combinations:
    """Which blocks have a category, host, site and logger that are wanted.

    Args:
        index: of the file.
        selection: what is wanted.
    """

    def __init__(self, index: Index, selection: Selection) -> None:
        self._index = index
        groups = [group for group in selection.groups if _is_in_cells(group.field)]
        self.is_of_use = bool(groups) and index.is_counted and bool(index.combinations)
        self._wanted: frozenset[int] = frozenset()
        if self.is_of_use:
            self._wanted = frozenset(
                number
                for number, combination in enumerate(index.combinations)
                if all(group.matches(_entry_of(combination)) for group in groups)
            )
            self.is_of_use = len(self._wanted) < len(index.combinations)

    def may_have(self, number: int) -> bool:
        """False if surely no entry of a block is wanted.

        Raises:
            BROKEN: the index can't be read.
        """
        if not self._wanted:
            return False
        return any(which in self._wanted for _, which, _ in self._index.cells(number))


def _entry_of(combination: Combination) -> Entry:
    cat, host, site, logger = combination
    special = {} if logger is None else {"logger": logger}
    return Entry(None, "", cat, 0, host, 0, "", path=site, special=special)


class CellCounter:
    """Counts by cells.

    Args:
        tally: takes what is counted.
        selection: what is wanted; `can_count` has said yes.

    Attributes:
        files: how many files have added to it.
    """

    def __init__(self, tally: Tally, selection: Selection) -> None:
        self.files = 0
        self._tally = tally
        self._selection = selection
        self._entries: dict[Combination, Entry | None] = {}
        self._by_minute = any(
            name in UNITS
            for key in tally.facets
            for name in (key if isinstance(key, tuple) else (key,))
        )

    def add(self, index: Index, counted: Sequence[int]) -> None:
        """Count some blocks of a file.

        Raises:
            BROKEN: the index can't be read; nothing was counted.
        """
        wanted = [self._wanted(combination) for combination in index.combinations]
        is_whole = len(counted) == len(index.blocks) and not self._selection.has_times
        cells = self._tally.cells
        if is_whole and not self._by_minute and (cells is None or not self._selection.groups):
            # What is known of the whole file is enough.
            self.files += 1
            self._add_totals(wanted, index.totals)
            if cells is not None:
                for cat, minutes in index.minutes.items():
                    cells.put_all(cat, minutes)
            return
        found: dict[tuple[int, int], int] = {}
        for block in counted:
            for minute, which, number in index.cells(block):
                found[minute, which] = found.get((minute, which), 0) + number
        if self._selection.has_times:
            found = {cell: number for cell, number in found.items() if cell[0] != NEVER}
        self.files += 1
        self._add_cells(wanted, found)

    def _wanted(self, combination: Combination) -> Entry | None:
        """An entry that has the combination; None if such entries are not wanted."""
        if combination in self._entries:
            return self._entries[combination]
        entry = _entry_of(combination)
        is_wanted = all(group.matches(entry) for group in self._selection.groups)
        found = self._entries[combination] = entry if is_wanted else None
        return found

    def _add_totals(self, wanted: Sequence[Entry | None], totals: Iterable[int]) -> None:
        for entry, number in zip(wanted, totals, strict=True):
            if entry is not None and number:
                self._add(entry, number)

    def _add(self, entry: Entry, number: int) -> None:
        self._tally.total += number
        for key in self._tally.facets:
            self._tally.add_label(key, entry_label(entry, key), number)

    def _add_cells(self, wanted: Sequence[Entry | None], found: dict[tuple[int, int], int]) -> None:
        cells = self._tally.cells
        totals: Counter[int] = Counter()
        for (minute, which), number in found.items():
            entry = wanted[which]
            if entry is None:
                continue
            totals[which] += number
            if cells is not None and minute != NEVER:
                cells.put(minute, entry.cat, number)
            if self._by_minute:
                entry.time = None if minute == NEVER else float(minute)
                self._add(entry, number)
        if not self._by_minute:
            self._add_totals(wanted, [totals[which] for which in range(len(wanted))])
