"""Names of the files of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.outputs.base import OutputUnusable
from logd.outputs.files.names import Names, parse_pattern

NOON = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC


def named(pattern: str, **changes: Any) -> Names:
    """The names of a pattern."""
    values = {"naming": "ring", "count": None, "rotates": True, "utc": True, **changes}
    return parse_pattern(pattern, **values)[1]


def test_folder_is_absolute() -> None:
    """The folder stays the same if the process changes its own."""
    folder, _ = parse_pattern("logs/a_%d", naming="ring", count=3, rotates=True, utc=True)
    assert folder == Path.cwd() / "logs"


def test_ring_of_numbers() -> None:
    """Numbers count up and return; widths are kept; nothing else matches."""
    names = named("x/app_%03d.log", count=3)
    assert names.first(NOON) == "app_000.log"
    assert names.following("app_001.log", NOON) == "app_002.log"
    assert names.following("app_002.log", NOON) == names.foreseen("app_002.log") == "app_000.log"
    assert names.matches("app_002.log.gz")
    for other in ("app_2.log", "app_0002.log", "app_002.log.bz2", ".app_002.log", "xapp_002.log"):
        assert not names.matches(other)
    assert named("a%s.b").following("a41.b", NOON) == "a42.b"


def test_order_in_the_ring() -> None:
    """The file to be overwritten next is the oldest; those beyond the ring are older still."""
    names = named("a_%d", count=4)
    found = ["a_0", "a_1.gz", "a_2", "a_3", "a_7", "other"]
    assert names.oldest_first(found, "a_1") == ["a_7", "a_2", "a_3", "a_0", "a_1.gz"]
    assert named("a_%d").oldest_first(["a_10", "a_9", "a_11"], "a_11") == ["a_9", "a_10"]


@pytest.mark.parametrize(
    ("pattern", "first", "second"),
    [
        ("app_%d.log", "app_20260921-141320.log", "app_20260921-141320.1.log"),
        ("app.log", "app-20260921-141320.log", "app-20260921-141320.1.log"),
        ("app", "app-20260921-141320", "app-20260921-141320.1"),
        ("app-%Y%m%d.log", "app-20260921.log", "app-20260921.1.log"),
        ("%d.%m.%Y", "21.09.2026", "21.09.2026.1"),
        ("app.%Y", "app.2026", "app.2026.1"),
    ],
)
def test_dates(pattern: str, first: str, second: str) -> None:
    """Date and number among equals make names that match and are ordered."""
    names = named(pattern, naming="date")
    assert names.first(NOON) == first
    assert names.following(first, NOON) == second
    third = names.following(second, NOON - 1e6)
    assert third == second.replace(".1", ".2", 1) if "21.09" not in second else "21.09.2026.2"
    later = names.following(third, NOON + 400 * 86_400)
    assert names.oldest_first([later, f"{third}.gz", second, first], later) == [
        first,
        second,
        f"{third}.gz",
    ]


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=30))
def test_dates_always_rise(times: list[int]) -> None:
    """However the clock moves, the next file comes after the one before."""
    names = named("app_%d.log", naming="date")
    name = names.first(times[0])
    for now in times[1:]:
        following = names.following(name, now)
        assert names.oldest_first([following, name], "") == [name, following]
        name = following


def test_one_file_for_ever() -> None:
    """Without rotation a plain name stands for itself; what others made of it is theirs."""
    names = named("app.log", rotates=False)
    assert names.first(NOON) == names.following("app.log", NOON) == "app.log"
    assert names.oldest_first(["app.log", "app.log.1"], "app.log") == []
    assert names.foreseen("app.log") == ""


@pytest.mark.parametrize(
    ("pattern", "changes"),
    [
        ("app.log", {}),
        ("app_%d_%d", {}),
        ("app_%d%%", {}),
        ("app_%q", {}),
        ("app_%", {"rotates": False}),
        ("a%d/app_%d", {}),
        ("", {}),
        ("app/", {}),
        ("..", {}),
        ("a\0_%d", {}),
        ("app_%Y%Y", {"naming": "date"}),
        ("app_%Y%j", {"naming": "date"}),
        ("app_%d%d", {"naming": "date"}),
        ("app_%H", {"naming": "date"}),
    ],
)
def test_bad_patterns(pattern: str, changes: dict[str, Any]) -> None:
    """What can't name the files of a log is refused with the pattern."""
    with pytest.raises(OutputUnusable, match=r"expected|must be"):
        named(pattern, **changes)
