"""Counts ready to be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from logd.query.files.source import FileSource
from logd.query.summaries import MAX_LABELS, Cells
from tests.query.log_making import Notes, record, select, write_log

HOUR = 3600.0


def source_of(folder: Path, *times: float) -> FileSource:
    """A log with a record for each time."""
    write_log(
        folder / "app_%d.log",
        [record(number, time=moment, cat="EI"[number % 2]) for number, moment in enumerate(times)],
    )
    return FileSource(str(folder / "app_%d.log"), Notes())


@pytest.mark.usefixtures("berlin")
def test_hours(tmp_path: Path) -> None:
    """Hours are the local ones, in their order; those without an entry are there with 0."""
    source = source_of(tmp_path, *(1_790_000_400.0 + offset for offset in (3 * HOUR, 0, 60)))
    assert source.summarise(step="hour").histogram() == [
        ("2026-09-21 16:00", 2),
        ("2026-09-21 17:00", 0),
        ("2026-09-21 18:00", 0),
        ("2026-09-21 19:00", 1),
    ]


@pytest.mark.usefixtures("berlin")
def test_an_hour_that_comes_twice(tmp_path: Path) -> None:
    """When clocks are set back, the offset tells two hours of one name apart."""
    first = 1_761_435_000.0  # 2025-10-26 01:30 in summer time
    source = source_of(tmp_path, *(first + hour * HOUR for hour in (0, 1, 2)))
    assert [item.label for item in source.summarise(step="hour").histogram()] == [
        "2025-10-26 01:00 +0200",
        "2025-10-26 02:00 +0200",
        "2025-10-26 02:00 +0100",
    ]


def test_a_long_pause(tmp_path: Path) -> None:
    """A year without an entry is not shown hour by hour."""
    source = source_of(tmp_path, 1_700_000_000.0, 1_750_000_000.0)
    assert len(source.summarise(step="hour").histogram()) == 2


def test_minutes_of_two_files(tmp_path: Path) -> None:
    """A minute that ends one file and begins the next is one bar, with the entries of both."""
    times = (1_790_000_400.0, 1_790_000_401.0, 1_790_000_402.0, 1_790_000_460.0)
    whole = Cells("minute")
    for begin in (0, 2):
        part = Cells("minute")
        for number, moment in enumerate(times[begin : begin + 2]):
            part.add(moment, "EI"[number], 1)
        whole.take(part)
    assert whole.bars() == (
        "minute",
        {1_790_000_400: {"E": 2, "I": 1}, 1_790_000_460: {"I": 1}},
    )


def test_too_many_seconds_become_minutes() -> None:
    """The step "auto" counts by the minute once its seconds are many, of whatever categories."""
    cells = Cells("auto")
    for number in range(MAX_LABELS + 1):
        cells.add(1_790_000_400.0 + number % 7, str(number), 1)
    assert not cells.is_by_second
    assert sum(sum(bar.values()) for bar in cells.bars()[1].values()) == MAX_LABELS + 1


def test_most_frequent_first(tmp_path: Path) -> None:
    """All but hours are ordered by how many there are; what is empty is shown as a dash."""
    source = source_of(tmp_path, *[1_790_000_400.0] * 5)
    summary = source.summarise(keys=["cat", "host", "site", ("cat", "host")])
    assert summary.top("cat") == [("E", 3), ("I", 2)]
    assert summary.top("host") == [("-", 5)]
    assert summary.top("site") == [("views.py(42)", 5)]
    assert summary.top(("cat", "host"), 1) == [(("E", "-"), 3)]
    assert source.summarise(select(cats="I")).total == 2
