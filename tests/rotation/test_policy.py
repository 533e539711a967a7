"""Rotation by the clock, and what is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.rotation.policy import Closed, Retention, RotationPolicy, Schedule

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Make a zone the local one of this process for one test."""

    def use(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


def at(zone: str, text: str, fold: int = 0) -> float:
    """Seconds since the epoch of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def boundaries(schedule: Schedule, zone: str, start: float, count: int) -> list[str]:
    """The next `count` boundaries as local times with their offsets."""
    found = []
    for _ in range(count):
        start = schedule.next_after(start)
        found.append(datetime.fromtimestamp(start, ZoneInfo(zone)).strftime("%m-%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hourly", Schedule("hourly")),
        ("daily 00:00", Schedule("daily")),
        ("Daily 7:05", Schedule("daily", minute=425)),
        ("weekly mon 03:00", Schedule("weekly", minute=180)),
        ("weekly sun 23:59", Schedule("weekly", weekday=6, minute=1439)),
    ],
)
def test_schedule_is_read_from_text(text: str, expected: Schedule) -> None:
    """Each documented form is read, and its text reads as the same schedule."""
    assert Schedule.parse(text) == expected
    assert Schedule.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "daily", "daily 24:00", "daily 12:60", "daily 1:1", "daily -1:00", "weekly 03:00",
     "weekly xyz 03:00", "hourly 5", "monthly", "daily 12:00 13:00", "daily 012:00"],
)  # fmt: skip
def test_wrong_schedule_is_named(text: str) -> None:
    """A text that is no schedule is an error that names it and what is expected."""
    with pytest.raises(ValueError, match="expected") as caught:
        Schedule.parse(text)
    assert repr(text) in str(caught.value)


def test_daily_boundary_skipped_in_spring_falls_on_the_change(
    set_zone: Callable[[str], None],
) -> None:
    """02:30 on the day without it is the instant the clock jumps to 03:00."""
    set_zone("Europe/Berlin")
    start = at("Europe/Berlin", "2026-03-28T12:00")
    assert boundaries(Schedule.parse("daily 02:30"), "Europe/Berlin", start, 3) == [
        "03-29 03:00+0200",
        "03-30 02:30+0200",
        "03-31 02:30+0200",
    ]


def test_daily_boundary_repeated_in_autumn_counts_once(
    set_zone: Callable[[str], None],
) -> None:
    """02:30 on the day that has it twice is a boundary the first time only."""
    set_zone("Europe/Berlin")
    start = at("Europe/Berlin", "2026-10-24T12:00")
    schedule = Schedule.parse("daily 02:30")
    assert boundaries(schedule, "Europe/Berlin", start, 2) == [
        "10-25 02:30+0200",
        "10-26 02:30+0100",
    ]
    between = at("Europe/Berlin", "2026-10-25T02:10", fold=1)
    assert boundaries(schedule, "Europe/Berlin", between, 1) == ["10-26 02:30+0100"]


def test_hours_follow_the_clock_over_changes(set_zone: Callable[[str], None]) -> None:
    """The repeated hour is two hours; the skipped one is none."""
    set_zone("America/New_York")
    hourly = Schedule.parse("hourly")
    autumn = at("America/New_York", "2026-11-01T00:30")
    assert boundaries(hourly, "America/New_York", autumn, 3) == [
        "11-01 01:00-0400",
        "11-01 01:00-0500",
        "11-01 02:00-0500",
    ]
    spring = at("America/New_York", "2026-03-08T01:30")
    assert boundaries(hourly, "America/New_York", spring, 2) == [
        "03-08 03:00-0400",
        "03-08 04:00-0400",
    ]


def test_hours_in_zones_of_half_hours(set_zone: Callable[[str], None]) -> None:
    """An hour begins where the local clock shows it, also where DST moves half an hour."""
    set_zone("Asia/Kolkata")
    start = at("Asia/Kolkata", "2026-01-01T10:10")
    assert boundaries(Schedule.parse("hourly"), "Asia/Kolkata", start, 1) == ["01-01 11:00+0530"]
    set_zone("Australia/Lord_Howe")
    start = at("Australia/Lord_Howe", "2026-10-04T01:15")
    assert boundaries(Schedule.parse("hourly"), "Australia/Lord_Howe", start, 2) == [
        "10-04 02:30+1100",
        "10-04 03:00+1100",
    ]


def test_change_within_an_hour(set_zone: Callable[[str], None]) -> None:
    """A clock that changes at one minute past midnight shows another hour at that instant."""
    set_zone("America/St_Johns")
    start = at("America/St_Johns", "2010-03-14T00:00:30")
    assert boundaries(Schedule.parse("hourly"), "America/St_Johns", start, 2) == [
        "03-14 01:01-0230",
        "03-14 02:00-0230",
    ]


def test_day_that_a_zone_skipped(set_zone: Callable[[str], None]) -> None:
    """Samoa had no 30 December 2011; its midnight and that of the 31st are one boundary."""
    set_zone("Pacific/Apia")
    start = at("Pacific/Apia", "2011-12-29T12:00")
    assert boundaries(Schedule.parse("daily 00:00"), "Pacific/Apia", start, 2) == [
        "12-31 00:00+1400",
        "01-01 00:00+1400",
    ]


def test_weekly_boundary(set_zone: Callable[[str], None]) -> None:
    """The boundary itself is past: the next is a week later, DST or not."""
    set_zone("Europe/Berlin")
    start = at("Europe/Berlin", "2026-10-19T03:00")
    assert boundaries(Schedule.parse("weekly mon 03:00"), "Europe/Berlin", start, 2) == [
        "10-26 03:00+0100",
        "11-02 03:00+0100",
    ]
    assert boundaries(Schedule.parse("weekly mon 03:00"), "Europe/Berlin", start - 1, 1) == [
        "10-19 03:00+0200"
    ]


def test_utc_ignores_the_local_zone(set_zone: Callable[[str], None]) -> None:
    """A schedule in UTC has the same boundaries in every zone."""
    start = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
    for zone in ZONES:
        set_zone(zone)
        assert boundaries(Schedule.parse("daily 02:30", utc=True), "UTC", start, 2) == [
            "03-29 02:30+0000",
            "03-30 02:30+0000",
        ]


@pytest.mark.parametrize("zone", [*ZONES, "America/St_Johns", "Pacific/Apia", "Africa/Casablanca"])
@pytest.mark.parametrize("text", ["hourly", "daily 02:15", "daily 00:00", "weekly sun 02:30"])
def test_boundaries_are_a_fixed_set(zone: str, text: str, set_zone: Callable[[str], None]) -> None:
    """From wherever one asks, the next boundary is the same, later, and not too far."""
    set_zone(zone)
    schedule = Schedule.parse(text)
    reach = {"hourly": 2, "daily": 49, "weekly": 24 * 8}[schedule.kind] * 3600

    @given(st.integers(1_200_000_000, 2_000_000_000), st.floats(0.001, 0.999))
    def check(instant: int, part: float) -> None:
        boundary = schedule.next_after(instant)
        assert instant < boundary <= instant + reach
        assert schedule.next_after(instant + (boundary - instant) * part) == boundary
        assert schedule.next_after(boundary) > boundary

    check()


def test_rotation_limits() -> None:
    """Whichever limit is reached first makes a file full; an empty one is never full by size."""
    policy = RotationPolicy(lines=10, size=100)
    assert not policy.is_full(9, 99)
    assert policy.is_full(10, 0)
    assert policy.is_full(1, 100)
    assert not policy.is_full(0, 100)
    assert not RotationPolicy().is_full(10**9, 10**12)
    assert RotationPolicy().due_after(5.0) == float("inf")
    hourly = RotationPolicy(schedule=Schedule.parse("hourly", utc=True))
    assert hourly.due_after(3599.5) == 3600.0


@pytest.mark.parametrize(("lines", "size"), [(0, None), (None, 0), (-1, None)])
def test_rotation_refuses_empty_limits(lines: int | None, size: int | None) -> None:
    """A limit under 1 is an error that names it."""
    with pytest.raises(ValueError, match="expected at least 1"):
        RotationPolicy(lines=lines, size=size)


def test_retention_keeps_within_each_limit() -> None:
    """The oldest go until count, age and total size are all kept."""
    closed = [Closed(100, 10.0), Closed(100, 20.0), Closed(100, 30.0)]
    assert Retention().surplus(closed, 1e9) == 0
    assert Retention(count=4).surplus(closed, 0) == 0
    assert Retention(count=2).surplus(closed, 0) == 2
    assert Retention(count=1).surplus(closed, 0) == 3
    assert Retention(age_s=15).surplus(closed, 35) == 1
    assert Retention(age_s=15).surplus(closed, 35.5) == 2
    assert Retention(total_bytes=250).surplus(closed, 0, current_size=50) == 1
    assert Retention(total_bytes=10).surplus(closed, 0, current_size=50) == 3
    with pytest.raises(ValueError, match="count"):
        Retention(count=0)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1000)), max_size=20),
    st.integers(1, 25),
    st.floats(1, 1000),
    st.integers(1, 5000),
)
def test_retention_removes_no_more_than_it_must(
    items: list[tuple[int, float]], count: int, age_s: float, total: int
) -> None:
    """What is left keeps the limits or is nothing; asking again removes nothing more."""
    closed = [Closed(*item) for item in items]
    retention = Retention(count=count, age_s=age_s, total_bytes=total)
    left = closed[retention.surplus(closed, 1000.0) :]
    assert len(left) + 1 <= count
    assert not left or sum(item.size for item in left) <= total
    assert retention.surplus(left, 1000.0) == 0
