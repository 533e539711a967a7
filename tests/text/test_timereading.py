"""Timestamps read back."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.text.timereading import TimeReader
from logd.text.timestamps import DEFAULT_FORMAT, Timestamps


@given(st.integers(0, 4_000_000_000_000))
def test_the_default_format(milliseconds: int) -> None:
    """Every time the daemon writes is read back to the millisecond."""
    text = Timestamps(DEFAULT_FORMAT).text(milliseconds / 1000)
    read = TimeReader(DEFAULT_FORMAT).read(text)
    assert read is not None
    # The writer cuts, and floats are a little off.
    assert -0.001001 < read - milliseconds / 1000 <= 0.000001


@pytest.mark.usefixtures("berlin")
def test_an_hour_that_comes_twice() -> None:
    """When clocks are set back the offset tells the two hours apart."""
    reader, writer = TimeReader(DEFAULT_FORMAT), Timestamps(DEFAULT_FORMAT)
    for moment in (1_792_888_200.0, 1_792_888_200.0 + 3600):
        assert reader.read(writer.text(moment)) == moment


@pytest.mark.parametrize("fmt", ["%Y-%m-%d %H:%M:%S", "%F %T,%3N", "%d.%m.%y %R:%S", "%D %T"])
def test_other_formats_with_dates(fmt: str) -> None:
    """Formats with a date are read, short forms of strftime too."""
    reader = TimeReader(fmt)
    assert reader.is_readable
    assert reader.read(Timestamps(fmt).text(1_795_345_800.0)) == 1_795_345_800.0


@pytest.mark.parametrize("fmt", [None, "std1", "%H:%M", "%d %H:%M", "%Q"])
def test_formats_without_dates(fmt: str | None) -> None:
    """Formats that don't tell the day are not readable."""
    assert not TimeReader(fmt).is_readable


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("written", "last_written"),
    [
        ("2028-02-29T12:00:00", "2028-03-01T00:00:00"),
        ("2024-02-29T12:00:00", "2027-06-01T00:00:00"),
        ("2026-12-31T23:59:59", "2027-01-01T00:00:05"),
        ("2027-01-01T00:00:01", "2027-01-01T00:00:05"),
        ("2027-01-01T00:00:01", "2026-12-31T23:59:00"),
        ("2026-11-27T10:00:00", "2027-11-26T00:00:00"),
    ],
)
@pytest.mark.parametrize("fmt", ["std2", "%d.%m. %H:%M:%S", "%b %e %T"])
def test_a_year_is_given(fmt: str, written: str, last_written: str) -> None:
    """Without a year, an entry is of the latest year that is not after the file's last write."""
    reader = TimeReader(fmt)
    reader.last_written = _instant(last_written)
    moment = _instant(written)
    for _ in range(2):
        assert reader.read(Timestamps(fmt).text(moment)) == moment


def test_a_year_follows_the_clock() -> None:
    """While a file is being written, an entry is of the last twelve months."""
    now = float(int(time.time()))
    assert TimeReader("std2").read(Timestamps("std2").text(now)) == now
    assert TimeReader("std2").read(Timestamps("std2").text(now - 360 * 86_400)) == pytest.approx(
        now - 360 * 86_400, abs=3601
    )


def test_another_file_another_year() -> None:
    """The same text in an older file is of an earlier year, though it was read before."""
    reader = TimeReader("std2")
    for year in (2027, 2024, 2025):
        reader.last_written = _instant(f"{year}-07-01T00:00:00")
        assert reader.read("06/15 10:00.00") == _instant(f"{year}-06-15T10:00:00")


@pytest.mark.parametrize(
    "text", ["", "2026-11-22", "2026-13-22T11:10:00.123+0000", "2026-11-22T11:10:00.1x3+0000"]
)
def test_what_is_no_timestamp(text: str) -> None:
    """What is none tells no time."""
    assert TimeReader(DEFAULT_FORMAT).read(text) is None
