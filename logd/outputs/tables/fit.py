"""Makes values fit the columns that are to hold them: visibly, and never by losing the record.

A text loses what no database stores (NUL, lone surrogates become visible escapes) and, if it
is longer than its column, its end, in whose place stands "…". What the encoding of the database
does not have becomes a visible escape, too. A number that its column can't hold becomes NULL; the
`special` column of the daemon's tables has it nevertheless.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import gmtime, strftime
from typing import Any

from sqlalchemy import DateTime, Float, Integer, String
from sqlalchemy.dialects.mysql import LONGTEXT, MEDIUMTEXT, TINYTEXT
from sqlalchemy.types import TEXT, BigInteger, SmallInteger, Text, TypeEngine

Fit = Callable[[object], Any]

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_INTEGER = re.compile(r"\s*[+-]?\d{1,19}\s*", re.ASCII)
BYTES_CODEC = "utf-8"
"""Stands for a database without an encoding: it takes any bytes, and counts those for lengths."""

# The years 1 and 10,000, in seconds since the epoch.
_MIN_TIME, _MAX_TIME = -62_135_596_800, 253_402_300_800

_EPOCH = datetime(1970, 1, 1)
_ELLIPSIS = "…"
_ASCII_ELLIPSIS = "..."


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code else "\\x00"


def is_storable(text: str) -> bool:
    """True if every database can store `text` as it is."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str, codec: str | None = None) -> str:
    """`text` with NULs, lone surrogates and what `codec` does not have as visible escapes."""
    if not is_storable(text):
        text = _UNSTORABLE.sub(_escape, text)
    if codec is None or text.isascii():
        return text
    return text.encode(codec, "backslashreplace").decode(codec)


@dataclass(frozen=True)
class TextFit:
    """Makes texts fit a column.

    Attributes:
        max_chars: what the column holds, in characters; None for no limit.
        max_bytes: what the column or a statement holds, in bytes of UTF-8; None for no limit.
        codec: the database's encoding; None for UTF-8.
    """

    max_chars: int | None = None
    max_bytes: int | None = None
    codec: str | None = None

    @property
    def _ellipsis(self) -> str:
        """Stands for what was cut off."""
        return _ELLIPSIS if self.codec is None else _ASCII_ELLIPSIS

    def __call__(self, value: object) -> str | None:
        """One value; what is no text becomes one, None stays."""
        if value is None:
            return None
        return self.text(value if isinstance(value, str) else str(value))

    def text(self, text: str) -> str:
        """One text."""
        text = storable(text, self.codec)
        if self.max_chars is not None and len(text) > self.max_chars:
            end = self._ellipsis[: self.max_chars]
            text = text[: self.max_chars - len(end)] + end
        if self.max_bytes is not None and len(text) * 4 > self.max_bytes:
            text = self._cut_bytes(text, self.max_bytes)
        return text

    def texts(self, texts: Sequence[str]) -> Sequence[str]:
        """A column of texts; if all fit, as is nearly always so, without a look at each."""
        if not texts:
            return texts
        joined = "".join(texts)
        longest = 0
        if self.max_chars is not None or self.max_bytes is not None:
            longest = max(map(len, texts))
        fits = (
            is_storable(joined)
            and (self.codec is None or joined.isascii())
            and (self.max_chars is None or longest <= self.max_chars)
            and (self.max_bytes is None or longest * 4 <= self.max_bytes)
        )
        return texts if fits else list(map(self.text, texts))

    def _cut_bytes(self, text: str, max_bytes: int) -> str:
        data = text.encode()
        if len(data) <= max_bytes:
            return text
        end = self._ellipsis if self.codec is None else self._ellipsis[:max_bytes]
        room = max_bytes - len(end.encode())
        return data[: max(room, 0)].decode(errors="ignore") + end


@dataclass(frozen=True)
class IntegerFit:
    """Makes integers fit a column of `bits` bits; what is none or does not fit becomes None."""

    bits: int

    def __call__(self, value: object) -> int | None:
        """One value; texts of digits and whole floats count as integers."""
        if isinstance(value, str):
            value = int(value) if _INTEGER.fullmatch(value) else None
        elif isinstance(value, float):
            value = int(value) if value.is_integer() else None
        if not isinstance(value, int):
            return None
        limit = 1 << (self.bits - 1)
        return int(value) if -limit <= value < limit else None

    def integers(self, values: Sequence[int]) -> Sequence[int | None]:
        """A column of integers; if all fit, without a look at each."""
        limit = 1 << (self.bits - 1)
        if not values or (-limit <= min(values) and max(values) < limit):
            return values
        return list(map(self, values))


@dataclass(frozen=True)
class TimestampFit:
    """Makes times of a column of timestamps."""

    def __call__(self, value: object) -> str | None:
        """One time, in seconds since the epoch; NULL for anything else."""
        number = fit_number(value)
        return None if number is None else self.texts([number])[0]

    def texts(self, times: Sequence[float]) -> list[str]:
        """A column of times, cut to microseconds as all readers do.

        Records have the years 1970 to 9999; what a filter made of one may have any.
        """
        if not times or not (min(times) >= 0 and max(times) < _MAX_TIME):
            return list(map(_odd_timestamp, times))
        heads = _Heads()
        micros = [int(time * 1e6) for time in times]
        return [f"{heads[micro // 1_000_000]}{micro % 1_000_000:06}+00" for micro in micros]


class _Heads(dict[int, str]):
    """Seconds since the epoch, from 1970 on, as text; makes what is missing."""

    def __missing__(self, second: int) -> str:
        self[second] = made = strftime("%Y-%m-%d %H:%M:%S.", gmtime(second))
        return made


def _odd_timestamp(time: float) -> str:
    if not _MIN_TIME <= time < _MAX_TIME:
        return "infinity" if time > 0 else "-infinity"
    return f"{_EPOCH + timedelta(microseconds=int(time * 1e6))}+00"


def fit_number(value: object) -> float | None:
    """A value for a column of floating-point numbers; NULL for anything else, NaN and infinity."""
    if isinstance(value, str | int | float):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None
    return None


def _keep(value: object) -> object:
    return storable(value) if isinstance(value, str) else value


def fit_for(
    kind: TypeEngine[Any],
    dialect_name: str,
    max_text_bytes: int | None = None,
    codec: str | None = None,
) -> Fit:
    """What makes values fit a column.

    Args:
        kind: the column's type.
        dialect_name: "sqlite", "postgresql" or "mysql" (MariaDB too).
        max_text_bytes: what one text may have at most in a statement; None for no limit.
        codec: see `TextFit`.
    """
    variant = kind._variant_mapping.get(dialect_name, kind)
    if isinstance(variant, String):
        own_bytes = _mysql_text_bytes(variant) if dialect_name == "mysql" else None
        max_chars = variant.length
        if codec == BYTES_CODEC:
            own_bytes, max_chars = max_chars, None
        limits = [limit for limit in (own_bytes, max_text_bytes) if limit is not None]
        return TextFit(max_chars, min(limits, default=None), codec)
    if isinstance(variant, Integer):
        if dialect_name == "sqlite" or isinstance(variant, BigInteger):
            return IntegerFit(64)
        return IntegerFit(16 if isinstance(variant, SmallInteger) else 32)
    if isinstance(variant, DateTime):
        return TimestampFit()
    if isinstance(variant, Float):
        return fit_number
    return _keep


def _mysql_text_bytes(kind: String) -> int | None:
    if isinstance(kind, LONGTEXT):
        return None
    if isinstance(kind, MEDIUMTEXT):
        return (1 << 24) - 1
    if isinstance(kind, TINYTEXT):
        return 255
    return (1 << 16) - 1 if isinstance(kind, Text | TEXT) else None
