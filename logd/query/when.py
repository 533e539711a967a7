"""Times as people write them: "10 min ago", "yesterday", "14:30", ISO 8601. Pure but for the zone.

Without an offset from UTC a time is local. A plain date is its midnight, a time of day the last
one that has been.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from logd.settings.units import parse_duration

UNDERSTOOD = (
    '"now", "today", "yesterday", "yesterday 14:30", "14:30", "14:30:05", "10 min ago", '
    '"2 hours ago", "3 days ago", "2026-11-22", "2026-11-22 14:30", "2026-11-22T14:30:05.123+0100"'
)
"""For error messages: examples of all that is understood."""

_AGO = re.compile(r"(?:-\s*(?P<minus>\S.*)|(?P<span>.*\S)\s+ago)", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6})\d*)?)?")
_DAY = re.compile(r"(today|yesterday|\d{4}-\d\d-\d\d)(?:[T\s]+(.*))?", re.IGNORECASE | re.DOTALL)
_ZONE = re.compile(r"\s*(Z|[+-]\d\d:?\d\d)", re.IGNORECASE)
_EPOCH = re.compile(r"@(\d{1,12}(?:\.\d+)?)")


def parse_when(text: str, now: float) -> float:
    """Seconds since the epoch of a time that someone wrote.

    Args:
        text: see `UNDERSTOOD`; also "@SECONDS" since the epoch, "-10 min" for "10 min ago".
        now: seconds since the epoch.

    Raises:
        ValueError: the text is nothing of that; says what is.
    """
    stripped = text.strip()
    try:
        found = _parse(stripped, now)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise ValueError(f"time {text!r} not understood: expected one of {UNDERSTOOD}")
    return found


def parse_range(
    since: str | None, until: str | None, now: float
) -> tuple[float | None, float | None]:
    """Both ends of a range of time; see `parse_when`.

    After 23:00 comes 02:00 of the next day: an end that is a time of day is the first one after
    the beginning.

    Raises:
        ValueError: one is not understood, or the end is not after the beginning.
    """
    start = None if since is None else parse_when(since, now)
    end = None if until is None else parse_when(until, now)
    if start is not None and end is not None and end <= start:
        if _CLOCK.fullmatch((until or "").strip()):
            end = _at(_local(end).date() + timedelta(days=1), _local(end).time())
        if end <= start:
            raise ValueError(
                f"nothing is between {since!r} ({_local(start):%Y-%m-%d %H:%M:%S}) and "
                f"{until!r} ({_local(end):%Y-%m-%d %H:%M:%S})"
            )
    return start, end


def _parse(text: str, now: float) -> float | None:
    if text.lower() == "now":
        return now
    if (epoch := _EPOCH.fullmatch(text)) is not None:
        return float(epoch[1])
    if (ago := _AGO.fullmatch(text)) is not None:
        return now - parse_duration(ago["minus"] or ago["span"])
    today = _local(now).date()
    if (clock := _clock(text)) is not None:
        moment = _at(today, clock)
        return moment if moment <= now else _at(today - timedelta(days=1), clock)
    day = _DAY.fullmatch(text)
    if day is None:
        return None
    named = {"today": today, "yesterday": today - timedelta(days=1)}.get(day[1].lower())
    return _moment(named or date.fromisoformat(day[1]), day[2])


def _moment(day: date, rest: str | None) -> float | None:
    """A day and what stands behind it: a time of day, perhaps with an offset."""
    if not rest:
        return _at(day, time())
    match = _CLOCK.match(rest)
    clock = None if match is None else _clock(match[0])
    if match is None or clock is None:
        return None
    behind = rest[match.end() :]
    if not behind:
        return _at(day, clock)
    zone = _ZONE.fullmatch(behind)
    if zone is None:
        return None
    offset = "+0000" if zone[1] in "Zz" else zone[1]
    return datetime.fromisoformat(f"{datetime.combine(day, clock).isoformat()}{offset}").timestamp()


def _clock(text: str) -> time | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, second, fraction = match.groups("0")
    return time(int(hour), int(minute), int(second), int(fraction.ljust(6, "0")))


def _at(day: date, clock: time) -> float:
    return datetime.combine(day, clock).timestamp()


def _local(moment: float) -> datetime:
    return datetime.fromtimestamp(moment)
