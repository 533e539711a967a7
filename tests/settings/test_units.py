"""Sizes and durations as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.settings.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1_000_000", 1_000_000),
        ("64 MiB", 64 * 1024**2),
        ("64MIB", 64 * 1024**2),
        ("1.5 GB", 1_500_000_000),
        ("4k", 4096),
        (" 3 bytes ", 3),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Sizes are bytes, with a decimal or binary unit or without one."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MiB", "-1", "1 XB", "0.5", "1e9", "nan", "9223372036854775808", "1 MiB 2", "٣"]
)
def test_wrong_sizes_are_refused(text: str) -> None:
    """What is no whole number of bytes below 2**63 is refused, and shown."""
    with pytest.raises(ValueError, match="is not a") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("0.25", 0.25),
        ("500 ms", 0.5),
        ("30s", 30.0),
        ("10 min", 600.0),
        ("1.5 Hours", 5400.0),
        ("7 days", 604_800.0),
        ("2 w", 1_209_600.0),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Durations are seconds, with a unit or without one."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1 s", "1 fortnight", "inf", "200 years", "40000 d"])
def test_wrong_durations_are_refused(text: str) -> None:
    """What is no number with a known unit, or over a hundred years, is refused."""
    with pytest.raises(ValueError, match=r"number with a unit|100 years"):
        parse_duration(text)


@given(st.integers(0, 2**63 - 1))
def test_sizes_keep_their_value_as_text(size: int) -> None:
    """A size written and read again is the same to the byte."""
    assert parse_size(format_size(size)) == size


@given(st.integers(0, 10**9), st.sampled_from([1, 1000]))
def test_durations_keep_their_value_as_text(count: int, divisor: int) -> None:
    """A duration of whole milliseconds or seconds, written and read again, is the same."""
    seconds = count / divisor
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-9)


def test_units_are_the_largest_that_fit() -> None:
    """Texts for people use the largest unit that keeps the value exact."""
    assert format_size(64 * 1024**2) == "64 MiB"
    assert format_size(1000) == "1000 B"
    assert format_duration(600) == "10 min"
    assert format_duration(1.5) == "1500 ms"
    assert format_duration(0) == "0 s"
