"""Times as people write them: "10 min ago", "monday", "14:30", ISO 8601. Pure but for the zone.

Without an offset from UTC a time is local. A plain date is its midnight, a time of day the last
one that has been, a weekday the last one that has begun.
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta

from logd.settings.units import parse_duration

UNDERSTOOD = (
    '"now", "today", "yesterday", "yesterday 14:30", "monday", "14:30", "14:30:05", "10 min ago", '
    '"2 hours ago", "1h", "-30min", "1h 30min", "2026-11-22", "2026-11-22 14:30", "2026-11-22T10", '
    '"2026-11-22T14:30:05.123+0100"'
)
"""For error messages: examples of all that is understood."""

_AGO = re.compile(r"(?:-\s*(?P<minus>\S.*)|(?P<span>.*\S)\s+ago)", re.IGNORECASE)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d{1,6})\d*)?)?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NEAR_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_WEEKDAY = "|".join((*_WEEKDAYS, *(day[:3] for day in _WEEKDAYS)))
# journalctl shows the weekday before a date.
_DAY = re.compile(
    rf"((?:(?:{_WEEKDAY})\s+)?\d{{4}}-\d\d-\d\d|{'|'.join(_NEAR_DAYS)}|{_WEEKDAY})"
    r"(?:[T\s]+(.*))?",
    re.IGNORECASE | re.DOTALL,
)
_HOUR = re.compile(r"(\d{1,2})(?=\Z|\s*(?:Z|UTC|[+-]\d\d:?\d\d)\Z)", re.IGNORECASE)
# A span with a unit: a plain number is no time.
_SPANS = re.compile(r"(?:\d+(?:\.\d+)?\s*[A-Za-z]+\s*)+")
_SPAN = re.compile(r"\d+(?:\.\d+)?\s*[A-Za-z]+")
_ZONE = re.compile(r"\s*(Z|UTC|[+-]\d\d:?\d\d)", re.IGNORECASE)
_EPOCH = re.compile(r"@(\d{1,12}(?:\.\d+)?)")


def parse_when(text: str, now: float) -> float:
    """Seconds since the epoch of a time that someone wrote.

    Args:
        text: see `UNDERSTOOD`; also "@SECONDS" since the epoch, "-10 min" and "10 min" for
            "10 min ago".
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
        return _whole(now - _span_s(ago["minus"] or ago["span"]))
    if _SPANS.fullmatch(text) is not None:
        return _whole(now - _span_s(text))
    today = _local(now).date()
    if (clock := _clock(text)) is not None:
        moment = _at(today, clock)
        return moment if moment <= now else _at(today - timedelta(days=1), clock)
    day = _DAY.fullmatch(text)
    if day is None:
        return None
    named = _named_day(day[1].lower(), today)
    return _moment(named or date.fromisoformat(day[1].split()[-1]), day[2])


def _whole(moment: float) -> float:
    """The moment without what is behind its milliseconds, as timestamps have it."""
    return math.floor(moment * 1000) / 1000


def _span_s(text: str) -> float:
    """The seconds of "1h 30min" and the like."""
    if _SPANS.fullmatch(text) is None:
        return parse_duration(text)
    return sum(map(parse_duration, _SPAN.findall(text)))


def _named_day(name: str, today: date) -> date | None:
    if name in _NEAR_DAYS:
        return today + timedelta(days=_NEAR_DAYS[name])
    for number, weekday in enumerate(_WEEKDAYS):
        if name in (weekday, weekday[:3]):
            return today - timedelta(days=(today.weekday() - number) % 7)
    return None


def _moment(day: date, rest: str | None) -> float | None:
    """A day and what stands behind it: a time of day, perhaps with an offset."""
    if not rest:
        return _at(day, time())
    match = _CLOCK.match(rest)
    clock = None if match is None else _clock(match[0])
    if match is None and (match := _HOUR.match(rest)) is not None:
        clock = time(int(match[1]))
    if match is None or clock is None:
        return None
    behind = rest[match.end() :]
    if not behind:
        return _at(day, clock)
    zone = _ZONE.fullmatch(behind)
    if zone is None:
        return None
    offset = "+0000" if zone[1][0] in "UuZz" else zone[1]
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
