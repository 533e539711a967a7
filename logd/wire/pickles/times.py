"""Text of the times that applications log, from the bytes that stand for them in pickles."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from typing import Final, cast

from logd.wire.pickles.made import Made, Told, are

_MAX_ZONE_CHARS: Final = 256

_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def _raw(value: object, size: int) -> bytes | None:
    """The bytes of a time; Python 2 sends them as a string, whose odd bytes became escapes."""
    if type(value) is str and len(value) <= 4 * size:
        text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), value)
        if max(text, default="") <= "\xff":
            value = text.encode("latin-1")
    return value if type(value) is bytes and len(value) == size else None


def _told_time(value: date | time | timedelta) -> Told:
    return Told(str(value), repr(value))


def _of_numbers(kind: Callable[..., date | time], numbers: tuple[object, ...]) -> Told | None:
    """A time as picklers of other languages write it: year, month, day, ..."""
    try:
        return _told_time(kind(*numbers))
    except (ValueError, OverflowError):
        return None


def told_date(made: Made) -> Told | None:
    """The text of a date."""
    if are(made.arguments, int, int, int):
        return _of_numbers(date, made.arguments)
    raw = _raw(made.arguments[0], 4) if made.arguments else None
    if raw is None:
        return None
    try:
        return _told_time(date(raw[0] << 8 | raw[1], raw[2], raw[3]))
    except ValueError:
        return None


def told_datetime(made: Made) -> Told | None:
    """The text of a date with a time of the day, and its zone's offset or name."""
    if 3 <= len(made.arguments) <= 7 and set(map(type, made.arguments)) == {int}:
        return _of_numbers(datetime, made.arguments)
    raw = _raw(made.arguments[0], 10) if made.arguments else None
    if raw is None:
        return None
    zone = made.arguments[1] if len(made.arguments) > 1 else None
    offset = _offset(zone)
    micro = int.from_bytes(raw[7:])
    # The highest bit of the month: the second of two equal times of a day that sets clocks back.
    month = raw[2] & 0x7F
    try:
        year, hour, minute, second = raw[0] << 8 | raw[1], raw[4], raw[5], raw[6]
        moment = datetime(year, month, raw[3], hour, minute, second, micro, offset)
    except ValueError:
        return None
    return _in_zone(_told_time(moment), zone, offset)


def told_time(made: Made) -> Told | None:
    """The text of a time of the day."""
    if 2 <= len(made.arguments) <= 4 and set(map(type, made.arguments)) == {int}:
        return _of_numbers(time, made.arguments)
    raw = _raw(made.arguments[0], 6) if made.arguments else None
    if raw is None:
        return None
    zone = made.arguments[1] if len(made.arguments) > 1 else None
    offset = _offset(zone)
    try:
        moment = time(raw[0] & 0x7F, raw[1], raw[2], int.from_bytes(raw[3:]), offset)
    except ValueError:
        return None
    return _in_zone(_told_time(moment), zone, offset)


def _in_zone(told: Told, zone: object, offset: timezone | None) -> Told:
    """The time with the name of a zone whose offset can't be known from the pickle."""
    if zone is None or offset is not None:
        return told
    name = _zone_name(zone)
    return Told(f"{told.text} {name}", f"{told.code} {name}")


def _zone_name(zone: object) -> str:
    if type(zone) is not Made:
        return "in an unknown zone"
    texts = [value for value in zone.arguments if type(value) is str]
    return (texts[0] if texts else zone.name.short)[:_MAX_ZONE_CHARS]


def _offset(zone: object) -> timezone | None:
    """The offset of a zone; None without one, and for zones that change it over the year."""
    if type(zone) is not Made:
        return None
    try:
        if zone.name == "datetime.timezone" and type(zone.arguments[0]) is Made:
            delta = _delta(zone.arguments[0])
            return None if delta is None else timezone(delta)
        if zone.name == "pytz._p" and are(zone.arguments, str, int, int, str):
            # Seconds; pytz keeps which of a zone's offsets was in force.
            return timezone(timedelta(seconds=cast("int", zone.arguments[1])))
        if zone.name in ("pytz._UTC", "dateutil.tz.tz.tzutc") or "UTC" in zone.arguments[:1]:
            return timezone(timedelta())
    except (ValueError, OverflowError, IndexError):
        pass
    return None


def _delta(made: Made) -> timedelta | None:
    if made.name != "datetime.timedelta" or not are(made.arguments, int, int, int):
        return None
    days, seconds, micros = cast("tuple[int, int, int]", made.arguments)
    try:
        return timedelta(days, seconds, micros)
    except OverflowError:
        return None


def told_timedelta(made: Made) -> Told | None:
    """The text of a length of time."""
    delta = _delta(made)
    return None if delta is None else _told_time(delta)
