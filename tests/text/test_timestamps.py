import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logd.text.timestamps import DEFAULT_FORMAT, Timestamps

MOMENT = datetime(2026, 11, 22, 13, 59, 58, 999_000, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in UTC, whatever the machine's zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        (None, ""),
        ("", ""),
        ("std1", "13:59.58;999"),
        ("std2", "11/22 13:59.58"),
        ("%Y/%y,%m,%d,%H,%M,%S", "2026/26,11,22,13,59,58"),
        ("%3N", "999"),
        ("%3N%3N %%3N", "999999 %3N"),
        (DEFAULT_FORMAT, "2026-11-22T13:59:58.999+0000"),
        ("no field", "no field"),
    ],
)
def test_formats(fmt: str | None, text: str) -> None:
    """tsFormat: "strftime-format string with an extension: use %3N for milliseconds"."""
    stamps = Timestamps(fmt)
    assert stamps.text(MOMENT) == text
    assert stamps.texts([MOMENT] * 3) == [text] * 3
    assert stamps.texts([]) == []


def test_milliseconds_have_three_digits() -> None:
    """Milliseconds are padded, and cut, not rounded."""
    assert Timestamps("%S.%3N").text(MOMENT - 0.992) == "58.007"
    assert Timestamps("%S.%3N").text(MOMENT + 0.0009) == "58.999"


def test_a_full_millisecond_is_not_cut_to_the_one_before() -> None:
    """A time that floats can only give a little too small is written as it was meant."""
    stamps = Timestamps("%S.%3N")
    times = [round(MOMENT) + number / 1000 for number in range(1000)]
    expected = [f"59.{number:03}" for number in range(1000)]
    assert [stamps.text(time) for time in times] == expected
    assert stamps.texts(times) == expected
    assert stamps.texts(times[:3]) == expected[:3]
    crowded = [time for time in times[:3] for _ in range(50)]
    assert stamps.texts(crowded) == [text for text in expected[:3] for _ in range(50)]


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 4e9), max_size=50),
    st.floats(1e9, 2e9),
    st.lists(st.floats(0, 0.02), max_size=200),
)
def test_columns_equal_single_times(some: list[float], start: float, steps: list[float]) -> None:
    """A column of times gives the texts of each, near or far, sorted or not."""
    stamps = Timestamps("%Y-%m-%d %H:%M:%S.%3N")
    run = [start + step for step in steps]
    for column in (some, run, sorted(run), tuple(sorted(run)), sorted(run * 10)):
        assert stamps.texts(column) == [stamps.text(moment) for moment in column]


def test_seconds_kept_are_bounded() -> None:
    """Times spread over many seconds do not fill the memory."""
    stamps = Timestamps("std1")
    stamps.texts([float(second) for second in range(5000)])
    assert len(stamps._seconds) <= 1024


def test_offset_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """%z is the offset of the local zone at that time of the year."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    stamps = Timestamps(DEFAULT_FORMAT)
    assert stamps.text(1_782_000_000.0).endswith("+0200")
    assert stamps.text(1_795_345_800.0) == "2026-11-22T12:10:00.000+0100"
