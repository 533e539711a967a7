"""Times as people write them."""

from __future__ import annotations

from datetime import datetime

import pytest

from logd.query.when import parse_range, parse_when

pytestmark = pytest.mark.usefixtures("berlin")

NOW = "2026-11-22T11:10:05.500"


def moment(text: str) -> float:
    """A local time in ISO form, or one with an offset."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("today", "2026-11-22"),
        ("Yesterday", "2026-11-21"),
        ("yesterday 14:30", "2026-11-21T14:30"),
        ("today 3:00", "2026-11-22T03:00"),
        ("10:30", "2026-11-22T10:30"),
        ("14:30", "2026-11-21T14:30"),
        ("09:01:02.5", "2026-11-22T09:01:02.500"),
        ("10 min ago", "2026-11-22T11:00:05.500"),
        ("2 hours ago", "2026-11-22T09:10:05.500"),
        ("1.5h ago", "2026-11-22T09:40:05.500"),
        ("-90 s", "2026-11-22T11:08:35.500"),
        ("1 day ago", "2026-11-21T11:10:05.500"),
        ("2026-10-01", "2026-10-01"),
        ("2026-10-01 14:30", "2026-10-01T14:30"),
        ("2026-10-01T14:30:05.123", "2026-10-01T14:30:05.123"),
        ("2026-10-01T14:30:05,123", "2026-10-01T14:30:05.123"),
        ("2026-10-01T14:30:05.123+0000", "2026-10-01T14:30:05.123+00:00"),
        ("2026-10-01T14:30:05Z", "2026-10-01T14:30:05+00:00"),
        ("2026-10-01 14:30 +02:00", "2026-10-01T14:30+02:00"),
        ("  today  ", "2026-11-22"),
        ("1h", "2026-11-22T10:10:05.500"),
        ("1h 30min", "2026-11-22T09:40:05.500"),
        ("-30min", "2026-11-22T10:40:05.500"),
        ("10 minutes", "2026-11-22T11:00:05.500"),
        ("sunday", "2026-11-22"),
        ("Monday", "2026-11-16"),
        ("fri 14:30", "2026-11-20T14:30"),
        ("2026-11-20T10", "2026-11-20T10:00"),
        ("today 7", "2026-11-22T07:00"),
        ("tomorrow", "2026-11-23"),
        ("1 week ago", "2026-11-15T11:10:05.500"),
        ("Fri 2026-11-20 10:00:00 UTC", "2026-11-20T10:00+00:00"),
        ("friday 2026-11-20", "2026-11-20"),
    ],
)
def test_what_is_understood(text: str, expected: str) -> None:
    """Days, times of day, spans and ISO 8601, local unless they have an offset."""
    assert parse_when(text, moment(NOW)) == pytest.approx(moment(expected), abs=1e-6)


def test_seconds_since_the_epoch() -> None:
    """As of date(1), @ stands before seconds since the epoch."""
    assert parse_when("@1790000400.5", 0.0) == 1_790_000_400.5


def test_clocks_that_are_changed() -> None:
    """Yesterday begins at midnight, also where a day has 25 hours."""
    assert parse_when("yesterday", moment("2026-10-26T08:00")) == moment("2026-10-25T00:00+02:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "ten minutes ago",
        "25:00",
        "2026-13-01",
        "2026-10-01 x",
        "10",
        "monday x",
        "monday tuesday",
        "fri today",
        "@",
        "-",
    ],
)
def test_what_is_not(text: str) -> None:
    """The error says what is understood."""
    with pytest.raises(ValueError, match='not understood: expected one of "now", "today"'):
        parse_when(text, moment(NOW))


def test_ranges() -> None:
    """A time of day that ends a range is the first one after its beginning."""
    now = moment(NOW)
    assert parse_range("23:00", "02:00", now) == (
        moment("2026-11-21T23:00"),
        moment("2026-11-22T02:00"),
    )
    assert parse_range("23:00", "02:00", moment("2026-11-22T01:00")) == (
        moment("2026-11-21T23:00"),
        moment("2026-11-22T02:00"),
    )
    assert parse_range(None, "10:00", now) == (None, moment("2026-11-22T10:00"))
    assert parse_range(None, None, now) == (None, None)
    with pytest.raises(ValueError, match="nothing is between"):
        parse_range("today", "yesterday", now)
