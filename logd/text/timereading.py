"""Timestamps read back: the inverse of `timestamps.py`. Pure but for the time zone.

The default format is read by slices, its seconds kept, for a fraction of what `strptime` costs.
A format without a year ("std2") gets one before it is parsed: nothing is logged after the file was
last written to, so the year is the latest one that makes no such entry.
"""

from __future__ import annotations

import re
import time
from datetime import datetime

from logd.text.timestamps import DEFAULT_FORMAT, STANDARD_FORMATS, Timestamps

DEFAULT_SHAPE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}[+-][0-9]{4}"
"""What timestamps of the default format look like: a regular expression, 28 characters."""

_DEFAULT = re.compile(DEFAULT_SHAPE)
_MAX_KEPT = 4096
# strptime knows fewer codes than strftime.
_EXPANSIONS = {
    "%3N": "%f",
    "%F": "%Y-%m-%d",
    "%T": "%H:%M:%S",
    "%R": "%H:%M",
    "%D": "%m/%d/%y",
    "%e": "%d",
}
_CODE = re.compile(r"%3N|%.", re.DOTALL)
_YEAR = re.compile(r"%[YyGcx]")
_DAY = re.compile(r"%[de].*%[mbBh]|%[mbBh].*%[de]|%j", re.DOTALL)
_CLOCKS_AHEAD_S = 86_400.0
"""How far a sender's clock may be ahead of the time that its entry was written."""

_YEAR_S = 365 * 86_400.0
_YEARS_BACK = 8
"""29 February comes each fourth year, or, around 1900 and 2100, each eighth."""

# Some instant whose day, hour and so on all differ.
_SAMPLE_S = 1_795_345_859.123


class TimeReader:
    """Reads timestamps of one format.

    Args:
        fmt: as for `Timestamps`; None if the log has none.

    Attributes:
        is_default: the format is the default one.
        is_readable: its timestamps tell the time; those without a day don't.
        last_written: when the file that is read was last written to, in seconds since the epoch;
            None: it is being written. Only formats without a year ask for it.
    """

    def __init__(self, fmt: str | None) -> None:
        text = "" if fmt is None else STANDARD_FORMATS.get(fmt, fmt)
        self.is_default = text == DEFAULT_FORMAT
        self._layout = _CODE.sub(lambda code: _EXPANSIONS.get(code[0], code[0]), text)
        self._has_year = _YEAR.search(self._layout) is not None
        # Python 3.13 warns of a day of the month without a year; a day alone tells no date anyway.
        self.is_readable = self._has_year or _DAY.search(self._layout) is not None
        if not self._has_year:
            # Behind a NUL, which is in no format, so that digits can't run into each other.
            self._layout = f"%Y\0{self._layout}"
        self._seconds: dict[str, float] = {}
        self.last_written: float | None = _SAMPLE_S
        sample = self.read(Timestamps(fmt).text(_SAMPLE_S)) if text else None
        self.last_written = None
        self.is_readable = sample is not None and abs(sample - _SAMPLE_S) < 1

    def read(self, text: str) -> float | None:
        """Seconds since the epoch; None if `text` is no timestamp of the format, or no time."""
        if not self.is_readable:
            return None
        if not self.is_default:
            return self._read_by_layout(text)
        if len(text) != 28:
            return None
        second = text[:19] + text[23:]
        known = self._seconds.get(second)
        if known is None:
            if not _DEFAULT.fullmatch(text):
                return None
            try:
                known = datetime.fromisoformat(second).timestamp()
            except (ValueError, OverflowError):
                return None
            self._keep(second, known)
        digits = text[20:23]
        return known + int(digits) / 1000 if digits.isdecimal() else None

    def _read_by_layout(self, text: str) -> float | None:
        latest = None if self._has_year else self._latest()
        known = self._seconds.get(text)
        if known is None or (latest is not None and not latest - _YEAR_S < known <= latest):
            known = self._parse(text) if latest is None else self._parse_with_year(text, latest)
            if known is not None:
                self._keep(text, known)
        return known

    def _latest(self) -> float:
        """The latest time that an entry can have."""
        return (time.time() if self.last_written is None else self.last_written) + _CLOCKS_AHEAD_S

    def _parse_with_year(self, text: str, latest: float) -> float | None:
        year = time.localtime(latest).tm_year
        for back in range(_YEARS_BACK + 1):
            found = self._parse(f"{year - back:04}\0{text}")
            if found is not None and found <= latest:
                return found
        return None

    def _parse(self, text: str) -> float | None:
        try:
            return datetime.strptime(text, self._layout).timestamp()
        except (ValueError, OverflowError, re.error):
            return None

    def _keep(self, text: str, seconds: float) -> None:
        if len(self._seconds) >= _MAX_KEPT:
            self._seconds.clear()
        self._seconds[text] = seconds
