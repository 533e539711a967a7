"""Counts of entries by category, hour, host or place in the program, ready to be shown."""

from __future__ import annotations

import time
from typing import NamedTuple

from logd.query.labels import HOUR_S
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Key, Source, Watch, unwatched

KEYS: tuple[Key, ...] = ("cat", "hour", "host", "site")
"""What can be counted by."""

NO_LABEL = "-"
"""Stands for no category, no place known, and for this machine among hosts."""

MOST_EMPTY_HOURS = 24 * 31
"""Hours without an entry are shown, too, but not more than these in a row."""


class Count(NamedTuple):
    """A line of a summary: what was counted, and how many entries there are of it."""

    label: str
    entries: int


def count(source: Source, selection: Selection = EVERYTHING, *, watch: Watch = unwatched) -> int:
    """How many entries pass."""
    return source.counts(selection, None, watch).total()


def count_by(
    source: Source, selection: Selection, key: Key, *, watch: Watch = unwatched
) -> list[Count]:
    """How many entries pass, by a key: hours in their order, all else most frequent first.

    Entries whose time is not known belong to no hour.
    """
    found = source.counts(selection, key, watch)
    if key == "hour":
        return _hours({int(hour): number for hour, number in found.items()})
    order = sorted(found.items(), key=lambda item: (-item[1], str(item[0])))
    return [Count(str(label) or NO_LABEL, number) for label, number in order]


def _hours(found: dict[int, int]) -> list[Count]:
    hours: list[int] = []
    for hour in sorted(found):
        if hours and hour - hours[-1] <= MOST_EMPTY_HOURS * HOUR_S:
            hours.extend(range(hours[-1] + HOUR_S, hour, HOUR_S))
        hours.append(hour)
    labels = [time.strftime("%Y-%m-%d %H:00", time.localtime(hour)) for hour in hours]
    if len(set(labels)) < len(labels):  # one hour twice, when clocks are set back
        labels = [time.strftime("%Y-%m-%d %H:00 %z", time.localtime(hour)) for hour in hours]
    return [Count(label, found.get(hour, 0)) for label, hour in zip(labels, hours, strict=True)]
