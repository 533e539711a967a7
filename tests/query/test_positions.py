"""Places in a log: pages in both directions, cursors, and rings that come round."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.query.files import scan
from logd.query.files.source import FileSource
from logd.query.merged import MergedSource
from logd.query.positions import (
    FilePosition,
    Gone,
    MergedPosition,
    Position,
    TablePosition,
    WrongCursor,
    decode_cursor,
    encode_cursor,
    generation_of,
)
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import LogSource
from tests.query.log_making import (
    START,
    Notes,
    log_files,
    numbers,
    record,
    records,
    select,
    source_of,
    write_log,
)

ERRORS = select(cats="E")


def some_records(first: int, last: int) -> list:  # type: ignore[type-arg]
    """Records of several categories, some with several lines."""
    return [
        record(
            number,
            cat="E" if number % 3 == 0 else "I",
            msg=f"record {number}\nmore\n\tlines é" if number % 4 == 0 else None,
        )
        for number in range(first, last + 1)
    ]


def pages(source: LogSource, selection: Selection, size: int, *, newest_first: bool) -> list[int]:
    """All numbers, read page by page, each from the position where the one before ended."""
    found: list[int] = []
    place: Position | None = None
    while True:
        at = {"end": place} if newest_first else {"start": place}
        page = list(
            islice(source.placed(selection, newest_first=newest_first, **at), size)  # type: ignore[arg-type]
        )
        found += numbers(one.entry for one in page)
        if len(page) < size:
            return found
        place = page[-1].position if newest_first else page[-1].behind


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("selection", [EVERYTHING, ERRORS])
def test_pages(
    tmp_path: Path, compress: str, selection: Selection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of any size, in both directions, are the whole log once."""
    monkeypatch.setattr(scan, "WINDOW_BYTES", 300)
    write_log(tmp_path / "app_%d.log", some_records(1, 40), lines=7, compress=compress)
    source = source_of(tmp_path)
    wanted = numbers(source.entries(selection))
    assert wanted
    for size in (1, 3, 50):
        assert pages(source, selection, size, newest_first=False) == wanted
        assert pages(source, selection, size, newest_first=True) == wanted[::-1]


def test_around_an_entry(tmp_path: Path) -> None:
    """What begins at an entry's position begins with it; what ends there ends before it."""
    write_log(tmp_path / "app_%d.log", some_records(1, 40), lines=7)
    source = source_of(tmp_path)
    for one in source.placed(ERRORS):
        number = one.entry.msgid
        assert numbers(source.entries(start=one.position, limit=1)) == [number]
        assert numbers(source.entries(start=one.behind, limit=1)) == (
            [number + 1] if number < 40 else []
        )
        assert numbers(source.entries(end=one.position, newest_first=True, limit=1)) == (
            [number - 1] if number > 1 else []
        )


def test_a_cursor_lasts(tmp_path: Path) -> None:
    """A cursor is good after rotation, compression and a move of the folder."""
    folder = tmp_path / "one"
    folder.mkdir()
    with log_files(folder / "app_%d.log", lines=5, compress="gzip") as output:
        for batch in records(1, 3):
            output.write([batch])
        source = source_of(folder)
        cursor = source.cursor(list(source.placed())[1].behind)
        for batch in records(4, 12):
            output.write([batch])
        assert output.wait_idle(60)
    folder = folder.rename(tmp_path / "two")
    source = source_of(folder)
    assert numbers(source.entries(start=source.position(cursor))) == list(range(3, 13))


def test_a_ring_that_came_round(tmp_path: Path) -> None:
    """What was overwritten is gone, never another record."""
    with log_files(tmp_path / "app_%d.log", lines=5, count=3) as output:
        for batch in records(1, 5):
            output.write([batch])
        source = source_of(tmp_path)
        second = list(source.placed())[1]
        for batch in records(6, 17):
            output.write([batch])
    with pytest.raises(Gone, match="overwritten"):
        next(source.placed(start=second.behind))
    with pytest.raises(Gone):
        next(source.placed(end=second.position, newest_first=True))
    follower = source.follow(EVERYTHING, second.behind)
    assert numbers(follower.read() or ())[0] == 6
    follower.close()


def test_cursors_of_others(tmp_path: Path) -> None:
    """What is no cursor, or one of another log, is refused."""
    write_log(tmp_path / "app_%d.log", records(1, 3))
    source = source_of(tmp_path)
    end = source.end()
    assert end is not None
    for text in ("", "x", "====", encode_cursor("other_%d.log", end), "a" * 10_000):
        with pytest.raises(WrongCursor):
            source.position(text)


def test_the_entry_at_a_position(tmp_path: Path) -> None:
    """The entry that begins at a position is found, be its file renamed and compressed since."""
    with log_files(tmp_path / "app.log", lines=5, compress="gzip") as output:
        output.write(records(1, 3))
        source = FileSource(str(tmp_path / "app.log"), Notes())
        second = list(source.placed())[1]
        end = source.end()
        assert end is not None
        assert source.at(end) is None
        for batch in records(4, 12):
            output.write([batch])
        assert output.wait_idle(60)
    for position in (second.position, source.position(source.cursor(second.position))):
        found = source.at(position)
        assert found is not None
        assert found.entry.msgid == 2


@pytest.mark.parametrize("newest_first", [False, True])
def test_entries_among_those_of_several_logs(
    merged: Callable[[], MergedSource], newest_first: bool
) -> None:
    """Of an entry of several logs it is known what is before and behind it in all of them."""
    source = merged()
    for placed in source.placed(ERRORS, newest_first=newest_first):
        number = placed.entry.msgid
        cursor = source.cursor(placed.position)
        found = merged().at(source.position(cursor))
        assert found is not None
        assert found.entry == placed.entry
        before, behind = source.places(found)
        older = source.entries(end=before, newest_first=True, limit=2)
        assert numbers(older) == [number - 1, number - 2][: number - 1]
        newer = source.entries(start=behind, limit=2)
        assert numbers(newer) == [number + 1, number + 2][: 30 - number]


POSITIONS = st.builds(FilePosition, st.text(), st.integers(0), st.text()) | st.builds(
    TablePosition, st.text(), st.integers(0)
)


SEVERAL = st.lists(st.none() | POSITIONS, min_size=2).map(tuple)


@given(
    POSITIONS
    | st.builds(MergedPosition, st.lists(st.none() | POSITIONS).map(tuple))
    | st.builds(MergedPosition, SEVERAL, st.sampled_from([0, 1]))
)
def test_cursors(position: Position) -> None:
    """A position that is encoded is decoded as the same."""
    cursor = encode_cursor("s", position)
    assert cursor.isascii()
    assert not set(cursor) & set("+/= ")
    assert decode_cursor("s", cursor) == position


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_as_a_cursor(text: str) -> None:
    """No text makes a mess."""
    with pytest.raises(WrongCursor):
        decode_cursor("s", text)


def test_generations() -> None:
    """A file is known by its first line, or a long beginning; before that it is not."""
    assert generation_of(b"") == generation_of(b"half a line") == ""
    assert generation_of(b"a line\n") == generation_of(b"a line\nmore") != ""
    assert generation_of(b"a line\n") != generation_of(b"b line\n")
    assert generation_of(b"x" * 256) == generation_of(b"x" * 300) != ""


@pytest.fixture
def merged(tmp_path: Path) -> Callable[[], MergedSource]:
    """Two logs, the even numbers in one and the odd ones in the other, as one."""
    for name, rest in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        write_log(
            tmp_path / name / "app_%d.log",
            [record(n, cat="E" if n % 3 == 0 else "I") for n in range(1, 31) if n % 2 == rest],
            lines=6,
        )
    return lambda: MergedSource([source_of(tmp_path / name) for name in "ab"], Notes())


@pytest.mark.parametrize("seconds", [1, 90])
def test_counts_of_several_logs(tmp_path: Path, seconds: int) -> None:
    """They are those of all entries, though each log counts its own, by its index perhaps."""
    for name, rest in (("a", 0), ("b", 1), ("c", 2)):
        batches = [
            record(n, cat="EIW"[n % 4 % 3], time=START + n * seconds, special={"logger": n % 5})
            for n in range(60)
            if n % 3 == rest
        ]
        (tmp_path / name).mkdir()
        write_log(tmp_path / name / "app_%d.log", batches, lines=9)
    source = MergedSource([source_of(tmp_path / name) for name in "abc"], Notes())
    told: list[float] = []
    for selection in (EVERYTHING, ERRORS):
        for step in ("minute", "hour", "day", "auto", 7, 120, None):
            asked: dict[str, Any] = {"step": step, "keys": ["cat", ("logger", "site")]}
            expected = LogSource.summarise(source, selection, **asked)
            assert source.summarise(selection, **asked, watch=told.append) == expected, step
    assert max(told) == 1.0


@pytest.mark.parametrize("selection", [EVERYTHING, ERRORS])
def test_several_logs(merged: Callable[[], MergedSource], selection: Selection) -> None:
    """Several logs are one, in the order of time, page by page too, in both directions."""
    source = merged()
    wanted = [n for n in range(1, 31) if selection is EVERYTHING or n % 3 == 0]
    assert numbers(source.entries(selection)) == wanted
    for size in (1, 4):
        assert pages(source, selection, size, newest_first=False) == wanted
        assert pages(source, selection, size, newest_first=True) == wanted[::-1]
    place = list(source.placed())[9].behind
    again = merged()
    assert numbers(again.entries(start=again.position(source.cursor(place)))) == list(range(11, 31))
    assert source.summarise(selection, keys=["cat"]).total == len(wanted)


def test_several_logs_followed(tmp_path: Path, merged: Callable[[], MergedSource]) -> None:
    """What comes to any of several logs comes in the order of time."""
    source = merged()
    follower = source.follow(EVERYTHING, source.end())
    assert follower.read() is None
    for name, number in (("b", 41), ("a", 40)):
        with log_files(tmp_path / name / "app_%d.log", lines=6) as output:
            output.write([record(number, time=START + number)])
    found: list[int] = []
    for _ in range(4):
        found += numbers(follower.read() or ())
    assert found == [40, 41]
    follower.close()
