"""Times as text: strftime with milliseconds, made once per second or even millisecond.

Times of day are local, as the reference has them; put `%z` into the format if logs leave their
time zone. Used by the `LogServer` for the timestamps of records, by `Formatter` for its dates.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Sequence
from itertools import repeat
from operator import mul

STANDARD_FORMATS = {"std1": "%H:%M.%S;%3N", "std2": "%m/%d %H:%M.%S"}
"""Formats that have a name of their own."""

DEFAULT_FORMAT = "%Y-%m-%dT%H:%M:%S.%3N%z"
"""The daemon's format: sortable, with the offset of the local time zone."""

_FIELD = re.compile(r"%3N|%.?", re.DOTALL)
_MILLISECONDS = [f"{number:03}" for number in range(1000)]
# One of them is in no format.
_SEPARATORS = "\x1f\x1e\x1d\x1c"
# Records come in the order of time but for a few; what is older does not come again.
_MAX_SECONDS = 1024
_FEW = 16


class _Seconds(dict[int, list[str]]):
    """Second since the epoch -> the texts between its milliseconds; makes what is missing."""

    def __init__(self, layout: Sequence[str]) -> None:
        # One call for all parts: a sender's times may be years apart.
        used = "".join(layout)
        self._separator = next((mark for mark in _SEPARATORS if mark not in used), "\x01")
        self._layout = self._separator.join(layout)

    def __missing__(self, second: int) -> list[str]:
        text = time.strftime(self._layout, time.localtime(second))
        parts = text.split(self._separator)
        if len(self) >= _MAX_SECONDS:
            self.clear()
        self[second] = parts
        return parts


def milliseconds_of(instant: float) -> int:
    """The milliseconds of a time, cut off after its microseconds were.

    `int(instant * 1000)` would be one less for some times that are full milliseconds, and not
    fit the microseconds that are written beside it.
    """
    return int(instant * 1e6) // 1000


class Timestamps:
    """Makes the timestamps of one format; safe to share between threads.

    Args:
        fmt: as for `time.strftime`, and `%3N` for milliseconds; "std1" and "std2" stand for
            "%H:%M.%S;%3N" and "%m/%d %H:%M.%S"; None: every timestamp is an empty text.
    """

    def __init__(self, fmt: str | None) -> None:
        self.fmt = fmt
        text = "" if fmt is None else STANDARD_FORMATS.get(fmt, fmt)
        layout = [""]
        position = 0
        for field in _FIELD.finditer(text):
            layout[-1] += text[position : field.start()]
            position = field.end()
            if field[0] == "%3N":
                layout.append("")
            else:
                layout[-1] += field[0]
        layout[-1] += text[position:]
        self._seconds = _Seconds(layout)

    def text(self, t: float) -> str:
        """One time, in seconds since the epoch, as text."""
        return self._text(milliseconds_of(t))

    def texts(self, times: Sequence[float]) -> list[str]:
        """Each of `times` as text.

        Busy senders put many records into a millisecond, one after the other: then each text is
        made once for its run of records, for a few nanoseconds a record.
        """
        count = len(times)
        if not count or self.fmt is None:
            return [""] * count
        if count >= _FEW:
            first, last = milliseconds_of(times[0]), milliseconds_of(times[-1])
            if 0 <= last - first < count // _FEW and sorted(times) == list(times):
                return self._by_runs(times)
        digits, parts = _MILLISECONDS, self._seconds
        microseconds = map(int, map(mul, times, repeat(1e6)))
        return [
            digits[number // 1000 % 1000].join(parts[number // 1_000_000])
            for number in microseconds
        ]

    def _by_runs(self, times: Sequence[float]) -> list[str]:
        texts: list[str] = []
        start = 0
        while start < len(times):
            number = milliseconds_of(times[start])
            stop = bisect_left(times, number + 1, start + 1, key=milliseconds_of)
            texts += [self._text(number)] * (stop - start)
            start = stop
        return texts

    def _text(self, milliseconds: int) -> str:
        return _MILLISECONDS[milliseconds % 1000].join(self._seconds[milliseconds // 1000])


def rfc3339_second(second: int) -> tuple[str, str]:
    """What stands before and behind the microseconds of a time as RFC 3339 has it, local time.

    That is "2026-11-22T12:53:49." and "+01:00".
    """
    local = time.localtime(second)
    minutes = (local.tm_gmtoff or 0) // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    text = time.strftime("%Y-%m-%dT%H:%M:%S.", local)
    return text, f"{sign}{minutes // 60:02}:{minutes % 60:02}"
