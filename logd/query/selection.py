"""Which entries are wanted. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from logd.records.entry import Entry
from logd.text.items import item_text

_ABSENT = object()


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Filters that an entry has to pass all; None or nothing stands for no filter.

    Attributes:
        cats: categories, "" for entries without one.
        since: the earliest time, in seconds since the epoch.
        until: the time before which entries were logged.
        pid: process id of the sender.
        grep: found somewhere in the message.
        where: (key, value) of special items, values as text.
    """

    cats: frozenset[str] | None = None
    since: float | None = None
    until: float | None = None
    pid: int | None = None
    grep: re.Pattern[str] | None = None
    where: tuple[tuple[str, str], ...] = ()

    @property
    def has_times(self) -> bool:
        """Whether it asks for times."""
        return self.since is not None or self.until is not None

    def matches(self, entry: Entry) -> bool:
        """Whether the entry passes."""
        if self.cats is not None and entry.cat not in self.cats:
            return False
        if self.pid is not None and entry.pid != self.pid:
            return False
        if self.has_times and not self.has_time(entry.time):
            return False
        if self.grep is not None and self.grep.search(entry.msg) is None:
            return False
        return all(
            (found := entry.special.get(key, _ABSENT)) is not _ABSENT and item_text(found) == value
            for key, value in self.where
        )

    def has_time(self, time: float | None) -> bool:
        """Whether the time is within; what has none is not."""
        return (
            time is not None
            and (self.since is None or time >= self.since)
            and (self.until is None or time < self.until)
        )


EVERYTHING = Selection()
"""All entries."""
