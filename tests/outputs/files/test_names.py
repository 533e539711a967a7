"""Names of the files of a log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.outputs.base import OutputUnusable
from logd.outputs.files.names import Names, PlainNames, parse_pattern

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
    """Numbers count up; widths are kept; nothing else matches."""
    names = named("x/app_%03d.log", count=3)
    assert names.first(NOON) == "app_000.log"
    assert names.following(["app_000.log", "app_001.log"], NOON) == "app_002.log"
    assert names.matches("app_002.log.gz")
    for other in ("app_2.log", "app_0002.log", "app_002.log.bak", ".app_002.log", "xapp_002.log"):
        assert not names.matches(other)
    assert named("a%s.b").following(["a41.b"], NOON) == "a42.b"


@pytest.mark.parametrize(
    ("count", "files", "following"),
    [
        (3, "0 1 2", "0"),  # full: the oldest is overwritten
        (3, "2 0 1", "2"),
        (5, "1 2 0", "3"),  # made larger after it had wrapped: places are free
        (5, "1 2 0 3 4", "1"),  # and then the oldest, not number 0
        (3, "5 6 7", "2"),  # made smaller
        (3, "6 7 2 0", "1"),
        (3, "7 2 0 1", "2"),  # 7 is none of its places, retention removes it
        (None, "3 4 9", "10"),
        (None, "11 9 10", "12"),
        (1, "0", "0"),
        (3, "20260921-141320 20260921-141321", "0"),  # named by date before
    ],
)
def test_next_place_in_the_ring(count: int | None, files: str, following: str) -> None:
    """The next file takes a free place of the ring, else that of the oldest file in it."""
    names = named("a_%d", count=count)
    assert names.following([f"a_{file}" for file in files.split()], NOON) == f"a_{following}"


def test_both_namings_belong_to_the_log() -> None:
    """A pattern with a place matches numbers and dates alike, whichever naming is in force."""
    for naming in ("ring", "date"):
        names = named("a_%d.log", naming=naming)
        for name in ("a_7.log", "a_20260921-141320.log", "a_20260921-141320.2.log.zst"):
            assert names.matches(name)
        assert not names.matches("a_20260921.log.1")
    for naming in ("ring", "date"):
        names = named("app.log", naming=naming)
        for name in ("app.log", "app.log.7.gz", "app-2026-09-21.1.log", "app-20260921-141320.log"):
            assert names.matches(name)
        for name in ("app.log.07", "app.log.1.bak", "app.log-20260921", ".app.log.torn"):
            assert not names.matches(name)
    assert named("app.log", rotates=False).matches("app-20260921-141320.log.gz")
    assert not named("app-%Y.log", naming="date").matches("app-7.log")


@pytest.mark.parametrize(
    ("pattern", "first", "second"),
    [
        ("app_%d.log", "app_20260921-141320.log", "app_20260921-141320.1.log"),
        ("app-%Y%m%d.log", "app-20260921.log", "app-20260921.1.log"),
        ("%d.%m.%Y", "21.09.2026", "21.09.2026.1"),
        ("app.%Y", "app.2026", "app.2026.1"),
    ],
)
def test_dates(pattern: str, first: str, second: str) -> None:
    """Date and number among equals make names that match and are ordered."""
    names = named(pattern, naming="date")
    assert names.first(NOON) == first
    assert names.following([first], NOON) == second
    third = names.following([first, second], NOON - 1e6)
    assert third == second.replace(".1", ".2", 1) if "21.09" not in second else "21.09.2026.2"
    later = names.following([first, second, third], NOON + 400 * 86_400)
    keys = [names.key(name) or () for name in (first, second, third, later)]
    assert keys == sorted(keys)


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=30))
def test_dates_always_rise(times: list[int]) -> None:
    """However the clock moves, the next file comes after the one before."""
    names = named("app_%d.log", naming="date")
    files = [names.first(times[0])]
    for now in times[1:]:
        files.append(names.following(files, now))
    assert sorted(files, key=lambda name: names.key(name) or ()) == files
    assert len(set(files)) == len(files)


@pytest.mark.parametrize(
    ("pattern", "naming", "files", "closed"),
    [
        ("app.log", "ring", ["app.log"], "app.log.1"),
        ("app.log", "ring", ["app.log.9", "app.log", "app.log.10"], "app.log.11"),
        ("app.log", "date", ["app.log"], "app-2026-09-21.log"),
        ("app.log", "date", ["app-2026-09-21.log", "app.log"], "app-2026-09-21.1.log"),
        ("app", "date", ["app"], "app-2026-09-21"),
        (".app", "date", [".app"], ".app-2026-09-21"),
    ],
)
def test_closed_files_of_a_plain_name(
    pattern: str, naming: str, files: list[str], closed: str
) -> None:
    """The current file keeps its name, and a closed one gets a name that no file has."""
    names = named(pattern, naming=naming)
    assert isinstance(names, PlainNames)
    assert names.first(NOON) == names.following(files, NOON) == pattern
    assert names.closed_name(files, NOON) == closed
    assert names.matches(closed)


def test_one_file_for_ever() -> None:
    """Without rotation a plain name stands for itself; what others made of it is theirs."""
    names = named("app.log", rotates=False)
    assert names.first(NOON) == names.following(["app.log"], NOON) == "app.log"
    assert not names.matches("app.log.1")


@pytest.mark.parametrize(
    ("pattern", "changes"),
    [
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
