"""Sizes and durations as people write them: "64 MiB", "1.5 GB", "30 s", "10 min".

Settings, command-line options and reports share these. A plain number is bytes or seconds. Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

_SIZES = {
    "": 1,
    "b": 1,
    "byte": 1,
    "bytes": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    # A lone letter is binary, as in dd, truncate and systemd.
    "k": 1024,
    "m": 1024**2,
    "g": 1024**3,
    "t": 1024**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_DURATIONS = {
    "": 1.0,
    "ms": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
    "days": 86_400.0,
    "w": 604_800.0,
    "week": 604_800.0,
    "weeks": 604_800.0,
}
_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")
_MAX_BYTES = 2**63 - 1
_MAX_S = 100 * 366 * 86_400.0


def parse_size(text: str) -> int:
    """Bytes of a text such as "64 MiB", "1.5 GB", "4k" or "1048576".

    Raises:
        ValueError: not a number with one of the units, not a whole number of bytes, or 2**63 and
            more.
    """
    number, unit = _split(text, _SIZES, "KB, MB, GB, KiB, MiB, GiB")
    size = int(number) * _SIZES[unit] if number.isdecimal() else float(number) * _SIZES[unit]
    if size != int(size) or size > _MAX_BYTES:
        raise ValueError(f"{text!r} is not a whole number of bytes below 2**63")
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds of a text such as "30 s", "10 min", "1.5 h", "500 ms", "7 days" or "30".

    Raises:
        ValueError: not a number with one of the units, or over a hundred years.
    """
    number, unit = _split(text, _DURATIONS, "ms, s, min, h, d, w")
    seconds = float(number) * _DURATIONS[unit]
    if seconds > _MAX_S:
        raise ValueError(f"{text!r} is longer than 100 years")
    return seconds


def format_size(size: int) -> str:
    """The size in the largest binary unit that keeps it exact: "64 MiB", "1000 B"."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        factor = _SIZES[unit.lower()]
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def format_duration(seconds: float) -> str:
    """The duration in the largest unit that keeps it whole: "7 d", "30 s", "1500 ms"."""
    for unit in ("d", "h", "min", "s"):
        count = seconds / _DURATIONS[unit]
        if count >= 1 and count == math.floor(count):
            return f"{count:.0f} {unit}"
    milliseconds = seconds * 1000
    if milliseconds == math.floor(milliseconds) and milliseconds:
        return f"{milliseconds:.0f} ms"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + " s"


def _split(text: str, units: Mapping[str, float], examples: str) -> tuple[str, str]:
    """The digits (without "_") and the unit in lower case.

    Raises:
        ValueError: not a number followed by one of `units`.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2].lower() not in units:
        raise ValueError(f"{text!r} is not a number with a unit such as {examples}")
    return match[1].replace("_", ""), match[2].lower()
