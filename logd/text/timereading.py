"""Timestamps read back: the inverse of `timestamps.py`. Pure but for the time zone.

The default format is read by slices, its seconds kept, for a fraction of what `strptime` costs.
"""

from __future__ import annotations

import re
from datetime import datetime

from logd.text.timestamps import DEFAULT_FORMAT, STANDARD_FORMATS, Timestamps

DEFAULT_SHAPE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}[+-][0-9]{4}"
"""What timestamps of the default format look like: a regular expression, 28 characters."""

_DEFAULT = re.compile(DEFAULT_SHAPE)
_KEPT = 4096
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
# Some instant whose day, hour and so on all differ.
_SAMPLE_S = 1_795_345_859.123


class TimeReader:
    """Reads timestamps of one format.

    Args:
        fmt: as for `Timestamps`; None where the log has none.

    Attributes:
        is_default: the format is the default one.
        is_readable: its timestamps tell the time; those without a date or a year don't.
    """

    def __init__(self, fmt: str | None) -> None:
        text = "" if fmt is None else STANDARD_FORMATS.get(fmt, fmt)
        self.is_default = text == DEFAULT_FORMAT
        self._layout = _CODE.sub(lambda code: _EXPANSIONS.get(code[0], code[0]), text)
        self._seconds: dict[str, float] = {}
        self.is_readable = True
        sample = self.read(Timestamps(fmt).text(_SAMPLE_S)) if text else None
        self.is_readable = sample is not None and abs(sample - _SAMPLE_S) < 1

    def read(self, text: str) -> float | None:
        """Seconds since the epoch; None where `text` is no timestamp of the format, or no time."""
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
        known = self._seconds.get(text)
        if known is None:
            try:
                known = datetime.strptime(text, self._layout).timestamp()
            except (ValueError, OverflowError, re.error):
                return None
            self._keep(text, known)
        return known

    def _keep(self, text: str, seconds: float) -> None:
        if len(self._seconds) >= _KEPT:
            self._seconds.clear()
        self._seconds[text] = seconds
