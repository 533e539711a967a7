"""Counts of entries: a histogram over time and facets by fields, made in one pass. Pure but for
the local time zone.

The histogram is counted by the second or the minute, and put together to wider bars at the end:
so "auto" can choose their width when it is known what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from logd.query.barsteps import (
    MINUTE_S,
    UNITS,
    Step,
    Unit,
    bar_labels,
    bar_start,
    bar_starts,
    following,
    width_s,
)
from logd.query.fields import label
from logd.records.entry import Entry

Key = str | tuple[str, ...]
"""What is counted by: a field (see `logd.query.fields`), or several of them together."""

Label = str | tuple[str, ...]
"""A value that was found, or one for each field of a key."""

MAX_AUTO_BARS = 60
"""The histogram of the step "auto" has no more bars than these."""

MAX_EMPTY_BARS = 24 * 31
"""Bars without an entry are shown, too, but not more than these in a row."""

MAX_LABELS = 100_000
"""More different values of one facet are not told apart: `Summary.others` has their number."""

MAX_LABEL_CHARS = 8 << 20
"""Nor are values of all facets together that have more characters than these."""

_MAX_STRETCHES = 96
_WIDENED_BY = 2
_AUTO_STEPS = (1, 5, 15, MINUTE_S, 5 * MINUTE_S, 15 * MINUTE_S)
MIN_WIDE_S = 16 * MINUTE_S
"""Bars of the step "auto" are a minute at least if as much time lies between the first minute and
the last."""


class Count(NamedTuple):
    """A line of a summary: what was counted, and how many entries there are of it."""

    label: str
    entries: int


@dataclass
class Group:
    """What is known of the entries that one value stands for.

    Attributes:
        entries: how many there are.
        first: the earliest time among them, None if none has one.
        last: the latest.
        hosts: where they came from, with numbers.
        example: one of the last that were read.
        stretches: when they were: stretch of time -> entries.
        stretch_s: how long a stretch is; longer ones are taken when they would be too many.
    """

    entries: int = 0
    first: float | None = None
    last: float | None = None
    hosts: Counter[str] = field(default_factory=Counter)
    example: Entry | None = None
    stretches: Counter[int] = field(default_factory=Counter)
    stretch_s: int = 1

    def add(self, entry: Entry) -> None:
        """Count an entry; whether it becomes the example is up to the caller."""
        self.entries += 1
        self.hosts[label(entry, "host")] += 1
        moment = entry.time
        if moment is not None:
            self.first = moment if self.first is None else min(self.first, moment)
            self.last = moment if self.last is None else max(self.last, moment)
            self.stretches[int(moment // self.stretch_s)] += 1
            while len(self.stretches) > _MAX_STRETCHES:
                self._widen()

    def _widen(self) -> None:
        wider: Counter[int] = Counter()
        for stretch, number in self.stretches.items():
            wider[stretch // _WIDENED_BY] += number
        self.stretches, self.stretch_s = wider, self.stretch_s * _WIDENED_BY

    def timeline(self, begin: float, end: float, slots: int) -> list[int]:
        """How many entries there were in each of `slots` equal parts of a time."""
        found = [0] * slots
        for stretch, number in self.stretches.items():
            part = (stretch * self.stretch_s - begin) / max(end - begin, 1.0)
            found[min(slots - 1, max(0, int(part * slots)))] += number
        return found


@dataclass
class Summary:
    """What was counted.

    Attributes:
        total: how many entries passed.
        step: the width of the bars in seconds or as a unit; None without a histogram.
        bars: the second since the epoch that a bar begins with -> category -> entries. Entries
            without a time are in none.
        facets: key -> value -> entries.
        others: key -> entries whose values were too many to be told apart.
    """

    total: int = 0
    step: Unit | int | None = None
    bars: dict[int, dict[str, int]] = field(default_factory=dict)
    facets: dict[Key, Counter[Label]] = field(default_factory=dict)
    others: dict[Key, int] = field(default_factory=dict)

    def top(self, key: Key, number: int | None = None) -> list[tuple[Label, int]]:
        """The values of a facet, most frequent first; of equal ones in the order of letters."""
        found = self.facets[key].items()
        return sorted(found, key=lambda item: (-item[1], item[0]))[:number]

    def times(self) -> list[int]:
        """The beginnings of all bars in their order, those of the empty ones between them too."""
        found: list[int] = []
        width = width_s(self.step or MINUTE_S)
        for start in sorted(self.bars):
            if found and start - found[-1] != width:
                between = self._between(found[-1], start)
                found.extend(between if len(between) <= MAX_EMPTY_BARS else ())
            found.append(start)
        return found

    def _between(self, start: int, stop: int) -> list[int]:
        between: list[int] = []
        place = start
        while len(between) <= MAX_EMPTY_BARS:
            place = following(place, self.step or MINUTE_S)
            if place >= stop:
                break
            between.append(place)
        return between

    def histogram(self) -> list[Count]:
        """All bars with their numbers, ready to be shown."""
        starts = self.times()
        texts = bar_labels(starts, self.step or MINUTE_S)
        return [
            Count(text, sum(self.bars[start].values()) if start in self.bars else 0)
            for text, start in zip(texts, starts, strict=True)
        ]


class Cells:
    """Counts by short stretches of time and category, put together to bars at the end.

    Args:
        step: of the bars.

    Attributes:
        is_by_second: whether the stretches are seconds, else they are minutes.
        counts: category -> the second since the epoch that a stretch begins with -> entries.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self.is_by_second = step == "auto" or (isinstance(step, int) and step % MINUTE_S != 0)
        self.counts: dict[str, dict[int, int]] = {}
        # How many numbers that are.
        self._size = 0

    def add(self, moment: float, cat: str, number: int) -> None:
        """Count entries."""
        second = int(moment // 1)
        self.put(second if self.is_by_second else second - second % MINUTE_S, cat, number)
        self.coarsen()

    def put(self, start: int, cat: str, number: int) -> None:
        """Count entries of the stretch that begins with a second."""
        counts = self.counts.setdefault(cat, {})
        if start in counts:
            counts[start] += number
        else:
            counts[start] = number
            self._size += 1

    def put_all(self, cat: str, found: Mapping[int, int]) -> None:
        """The same of many stretches of a category: start -> entries.

        Files and tables follow each other, so most of their stretches are new, and are taken
        without a look at each.
        """
        counts = self.counts.setdefault(cat, {})
        known = {start: counts[start] for start in counts.keys() & found.keys()}
        counts.update(found)
        self._size += len(found) - len(known)
        for start, number in known.items():
            counts[start] += number

    def take(self, other: Cells) -> None:
        """Add what was counted apart."""
        for cat, found in other.counts.items():
            self.put_all(cat, found)
        if self.is_by_second and not other.is_by_second:
            self._widen()
        self.coarsen()

    def go_by_minute(self) -> None:
        """Count by the minute from the beginning on, as indexes do."""
        self.is_by_second = False

    def coarsen(self) -> None:
        """Go on by the minute if seconds would be too many."""
        if self.is_by_second and self._step == "auto" and self._size > MAX_LABELS:
            self._widen()

    def _widen(self) -> None:
        self.is_by_second = False
        by_second, self.counts, self._size = self.counts, {}, 0
        for cat, found in by_second.items():
            for second, number in found.items():
                self.put(second - second % MINUTE_S, cat, number)

    def bars(self) -> tuple[Unit | int, dict[int, dict[str, int]]]:
        """The width of the bars, and the bars, in the order of time."""
        step = self._step if self._step != "auto" else self._fitting()
        seconds = self._seconds()
        starts = dict(zip(seconds, bar_starts(seconds, step), strict=True))
        found: dict[int, dict[str, int]] = {start: {} for start in starts.values()}
        for cat in sorted(self.counts):
            for second, count in self.counts[cat].items():
                bar = found[starts[second]]
                bar[cat] = bar.get(cat, 0) + count
        return step, found

    @property
    def is_wide(self) -> bool:
        """Whether what was counted is long enough for bars of minutes or more, surely."""
        return _span(self._seconds(), MINUTE_S) >= MIN_WIDE_S

    def _seconds(self) -> list[int]:
        """The beginnings of all stretches, in their order."""
        return sorted(set().union(*self.counts.values()))

    def _fitting(self) -> Unit | int:
        # Whole minutes decide between minutes and more, so that cells of seconds and of minutes
        # lead to the same bars.
        seconds = self._seconds()
        for step in _AUTO_STEPS:
            is_fine = step < MINUTE_S
            if is_fine and not self.is_by_second:
                continue
            if _span(seconds, 1 if is_fine else MINUTE_S) / step < MAX_AUTO_BARS:
                return "minute" if step == MINUTE_S else step
        return "hour" if _span(seconds, MINUTE_S) / 3600 < MAX_AUTO_BARS else "day"


def _span(seconds: Sequence[int], step: int) -> int:
    """From the stretch of the first of some seconds, in their order, to that of the last."""
    if not seconds:
        return 0
    first, last = seconds[0], seconds[-1]
    return (last - last % step) - (first - first % step)


class Tally:
    """Counts entries one at a time; faster ways make the same `Summary` of what they find.

    Args:
        step: of the histogram; None for none.
        keys: of the facets.
    """

    def __init__(self, step: Step | None, keys: Sequence[Key]) -> None:
        self.total = 0
        self._step = step
        self.cells = None if step is None else Cells(step)
        self.facets: dict[Key, Counter[Label]] = {key: Counter() for key in keys}
        self.others: dict[Key, int] = {}
        self._room = MAX_LABEL_CHARS

    def add(self, entry: Entry, number: int = 1) -> None:
        """Count an entry, or several of which it tells what counts."""
        self.total += number
        if self.cells is not None and entry.time is not None:
            self.cells.add(entry.time, entry.cat, number)
        for key in self.facets:
            self.add_label(key, entry_label(entry, key), number)

    def add_label(self, key: Key, found: Label, number: int) -> None:
        """Count entries of one value."""
        counter = self.facets[key]
        if found in counter:
            counter[found] += number
            return
        size = len(found) if isinstance(found, str) else sum(map(len, found))
        if len(counter) < MAX_LABELS and size <= self._room:
            self._room -= size
            counter[found] = number
        else:
            self.others[key] = self.others.get(key, 0) + number

    def like(self) -> Tally:
        """An empty one for a part that may turn out not to count."""
        other = Tally(self._step, list(self.facets))
        if self.cells is not None and other.cells is not None:
            other.cells.is_by_second = self.cells.is_by_second
        return other

    def take(self, other: Tally) -> None:
        """Add what was counted apart."""
        self.total += other.total
        if self.cells is not None and other.cells is not None:
            self.cells.take(other.cells)
        for key, found in other.facets.items():
            for value, number in found.items():
                self.add_label(key, value, number)
        for key, number in other.others.items():
            self.others[key] = self.others.get(key, 0) + number

    def take_summary(self, other: Summary) -> None:
        """Add what was counted elsewhere, by bars that this histogram is made of."""
        self.total += other.total
        if self.cells is not None:
            self.cells.go_by_minute()
            for start, by_cat in other.bars.items():
                for cat, number in by_cat.items():
                    self.cells.put(start, cat, number)
        for key, found in other.facets.items():
            for value, number in found.items():
                self.add_label(key, value, number)
        for key, number in other.others.items():
            self.others[key] = self.others.get(key, 0) + number

    def summary(self) -> Summary:
        """What was counted by now."""
        summary = Summary(self.total, facets=self.facets, others=self.others)
        if self.cells is not None:
            summary.step, summary.bars = self.cells.bars()
        return summary


def entry_label(entry: Entry, key: Key) -> Label:
    """What an entry counts for; units of time are fields here, too."""
    if isinstance(key, tuple):
        return tuple(_one_label(entry, name) for name in key)
    return _one_label(entry, key)


def _one_label(entry: Entry, name: str) -> str:
    if name not in UNITS:
        return label(entry, name)
    unit: Unit = "minute" if name == "minute" else "hour" if name == "hour" else "day"
    if entry.time is None:
        return "-"
    return bar_labels([bar_start(entry.time, unit)], unit)[0]
