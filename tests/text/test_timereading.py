"""Timestamps read back."""

from __future__ import annotations

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


@pytest.mark.parametrize("fmt", [None, "std1", "std2", "%H:%M", "%Q"])
def test_formats_without_dates(fmt: str | None) -> None:
    """Formats that don't tell the day are not readable."""
    assert not TimeReader(fmt).is_readable


@pytest.mark.parametrize(
    "text", ["", "2026-11-22", "2026-13-22T11:10:00.123+0000", "2026-11-22T11:10:00.1x3+0000"]
)
def test_what_is_no_timestamp(text: str) -> None:
    """What is none tells no time."""
    assert TimeReader(DEFAULT_FORMAT).read(text) is None
