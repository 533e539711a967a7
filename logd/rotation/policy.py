"""When a file or table is full, and what is kept of the full ones. Pure: no clock, no files.

Outputs ask with the figures they have (records, bytes, seconds since the epoch) and act on the
answer. Times of day follow the local zone or UTC; a boundary that a change of the clock skips
falls on the instant of the change, one that a change repeats counts once, and hours are those
that the clock shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

_HOUR_S = 3600
_DAY_S = 86_400
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# 1970-01-01 was a Thursday.
_EPOCH_WEEKDAY = 3
# No zone is farther from UTC, and no change of a zone (Samoa's of 2011 took a day) is larger.
_ZONE_REACH_S = 36 * _HOUR_S


def _utc_offset(_instant: float) -> int:
    return 0


def _local_offset(instant: float) -> int:
    return time.localtime(instant).tm_gmtoff


def _first_instant(is_reached: Callable[[int], bool], low: int, high: int) -> int:
    """The first second in (low, high] where `is_reached` holds; it holds at `high`."""
    while high - low > 1:
        middle = (low + high) // 2
        if is_reached(middle):
            high = middle
        else:
            low = middle
    return high


def _instant_of(wall: int, offset: Callable[[float], int]) -> int:
    """The first instant at which the clock shows `wall` or more (seconds as if it were UTC)."""
    offsets = (offset(wall - _ZONE_REACH_S), offset(wall + _ZONE_REACH_S))
    early, late = wall - max(offsets), wall - min(offsets)
    if early + offset(early) >= wall:
        return early
    return _first_instant(lambda instant: instant + offset(instant) >= wall, early, late)


@dataclass(frozen=True)
class Schedule:
    """Instants that return by the clock on the wall.

    Attributes:
        kind: "hourly", "daily" or "weekly".
        weekday: 0 is Monday; 0 if the kind is not "weekly".
        minute: minutes since midnight; 0 if the kind is "hourly".
        utc: by the clock of UTC; else by that of the process' local zone.
    """

    kind: Literal["hourly", "daily", "weekly"]
    weekday: int = 0
    minute: int = 0
    utc: bool = False

    @classmethod
    def parse(cls, text: str, utc: bool = False) -> Schedule:
        """Read "hourly", "daily HH:MM" or "weekly mon HH:MM".

        Raises:
            ValueError: anything else; the text says what is expected.
        """
        match text.lower().split():
            case ["hourly"]:
                return cls("hourly", utc=utc)
            case ["daily", clock] if (minute := _minute_of(clock)) is not None:
                return cls("daily", minute=minute, utc=utc)
            case ["weekly", day, clock] if (
                day in _WEEKDAYS and (minute := _minute_of(clock)) is not None
            ):
                return cls("weekly", weekday=_WEEKDAYS.index(day), minute=minute, utc=utc)
        raise ValueError(
            'expected "hourly", "daily HH:MM" or "weekly DAY HH:MM" '
            f"(DAY one of {', '.join(_WEEKDAYS)}), got {text!r}"
        )

    def __str__(self) -> str:
        clock = f"{self.minute // 60:02}:{self.minute % 60:02}"
        match self.kind:
            case "hourly":
                return "hourly"
            case "daily":
                return f"daily {clock}"
            case "weekly":
                return f"weekly {_WEEKDAYS[self.weekday]} {clock}"

    def next_after(self, instant: float) -> float:
        """The first boundary later than `instant`; both in seconds since the epoch."""
        offset = _utc_offset if self.utc else _local_offset
        if self.kind == "hourly":
            return float(_next_hour(instant, offset))
        today = int(instant + offset(instant)) // _DAY_S
        # A day back and two on: a change of the clock may put the boundary into a neighbour.
        days = range(today - 1, today + (3 if self.kind == "daily" else 10))
        return float(
            min(
                boundary
                for day in days
                if self.kind == "daily" or (day + _EPOCH_WEEKDAY) % 7 == self.weekday
                if (boundary := _instant_of(day * _DAY_S + self.minute * 60, offset)) > instant
            )
        )


def _minute_of(clock: str) -> int | None:
    hour, colon, minute = clock.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2):
        return None
    if len(hour) > 2 or int(hour) > 23 or int(minute) > 59:
        return None
    return int(hour) * 60 + int(minute)


def _next_hour(instant: float, offset: Callable[[float], int]) -> int:
    """The next instant at which the clock shows another hour, or the same once more."""
    start = int(instant)
    before = offset(start)
    whole_hour = start + _HOUR_S - (start + before) % _HOUR_S
    if offset(whole_hour - 1) == before:
        return whole_hour
    # Rare: the clock changes in the middle of an hour (Newfoundland did so at 00:01).
    change = _first_instant(lambda second: offset(second) != before, start, whole_hour - 1)
    if (change + before) // _HOUR_S != (change + offset(change)) // _HOUR_S:
        return change
    return _next_hour(change, offset)


@dataclass(frozen=True, kw_only=True)
class RotationPolicy:
    """When an output goes on to the next file or table: at whichever limit comes first.

    Attributes:
        lines: records in a full one, exactly; None switches the limit off.
        size: bytes that a file does not exceed unless by its only record; None switches it off.
        schedule: times to go on, unless nothing was written; None switches it off.
    """

    lines: int | None = None
    size: int | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        for name, value in (("lines", self.lines), ("size", self.size)):
            if value is not None and value < 1:
                raise ValueError(f"rotation by {name}: expected at least 1, got {value}")

    def is_full(self, lines: int, size: int = 0) -> bool:
        """True if nothing more may go into a file or table of this many records and bytes."""
        return (self.lines is not None and lines >= self.lines) or (
            self.size is not None and lines > 0 and size >= self.size
        )

    def due_after(self, started: float) -> float:
        """When what was started at `started` is due by the clock; infinity without a schedule."""
        return float("inf") if self.schedule is None else self.schedule.next_after(started)


class Closed(NamedTuple):
    """A closed file or table, as retention sees it.

    Attributes:
        size: bytes it takes.
        last: when its last record was written, in seconds since the epoch.
    """

    size: int
    last: float


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What is kept of closed files or tables; each limit is off if it is None.

    Attributes:
        count: at most this many, the current one included (the reference's `rotateCount`).
        age_s: nothing whose last record is older than this many seconds.
        total_bytes: at most this many bytes in all, the current one included.
    """

    count: int | None = None
    age_s: float | None = None
    total_bytes: int | None = None

    def __post_init__(self) -> None:
        limits = (("count", self.count), ("age_s", self.age_s), ("total_bytes", self.total_bytes))
        for name, value in limits:
            if value is not None and value < 1:
                raise ValueError(f"retention by {name}: expected at least 1, got {value}")

    def surplus(self, closed: Sequence[Closed], now: float, current_size: int = 0) -> int:
        """How many of `closed` (oldest first, without the current one) are to be removed.

        Args:
            closed: what there is, oldest first.
            now: seconds since the epoch.
            current_size: bytes of the current file or table; it is never removed.
        """
        total = current_size + sum(item.size for item in closed)
        for removed, item in enumerate(closed):
            left = len(closed) - removed
            if not (
                (self.count is not None and left + 1 > self.count)
                or (self.age_s is not None and now - item.last > self.age_s)
                or (self.total_bytes is not None and total > self.total_bytes)
            ):
                return removed
            total -= item.size
        return len(closed)
