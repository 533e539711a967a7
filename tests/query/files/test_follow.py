"""What is appended to text files, through rotations of every kind."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.files import rotating
from logd.outputs.files.janitor import Janitor
from logd.query.files.listing import FileRef, RingFiles
from logd.query.files.source import FileSource
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import FilePosition, Follower
from logd.text.lines import LineFormat
from tests.query.log_making import Notes, log_files, numbers, record, records, select

Reader = Follower[bytes]


def news(follower: Reader) -> list[int]:
    """The message ids of all that has come by now."""
    found: list[int] = []
    idle = 0
    while idle < 2:  # the end of a file may be believed at the second look only
        entries = follower.read()
        if entries is None:
            idle += 1
        else:
            idle = 0
            found += numbers(entries)
    return found


class Log:
    """A log that a follower follows from its end on."""

    def __init__(self, folder: Path, name: str = "app_%d.log", **more: Any) -> None:
        self.notes = Notes()
        self.source = FileSource(str(folder / name), self.notes, **more)
        self.followers: list[Reader] = []

    def follow(self, selection: Selection = EVERYTHING) -> Reader:
        """A new follower."""
        follower = self.source.follow(selection, self.source.end())
        self.followers.append(follower)
        return follower


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    """A log whose followers are closed after the test."""
    log = Log(tmp_path, count=4)
    yield log
    for follower in log.followers:
        follower.close()


@pytest.mark.parametrize("name", ["app_%d.log", "app.log"])
@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_a_rotation_between_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, looks: int
) -> None:
    """The next file is there before the journal has it: a reader that is behind passes over none.

    The rotation goes on while the reader looks for files, after the first look, the second, ...
    """
    log = Log(tmp_path, name, count=50)
    is_in_rotation, goes_on = threading.Event(), threading.Event()

    def at(point: str) -> None:
        if point == "rotation.before_opened":
            is_in_rotation.set()
            assert goes_on.wait(60)

    found: list[int] = []
    with log_files(tmp_path / name, lines=3, count=50) as output, ThreadPoolExecutor(1) as writer:
        output.write([record(1)])
        follower = log.follow()
        output.write([*records(2, 3)])
        found += news(follower)
        for batch in records(4, 6):
            output.write([batch])
        monkeypatch.setattr(rotating, "failpoint", at)
        written = writer.submit(output.write, [record(7)])
        assert is_in_rotation.wait(60)
        seen = 0
        listing = RingFiles.listing

        def look(files: RingFiles) -> list[FileRef]:
            nonlocal seen
            seen += 1
            if seen == looks:
                goes_on.set()
                written.result(60)
            return listing(files)

        monkeypatch.setattr(RingFiles, "listing", look)
        found += news(follower)
        goes_on.set()
        written.result(60)
        for batch in records(8, 10):
            output.write([batch])
        found += news(follower)
        follower.close()
    assert found == list(range(2, 11))
    assert log.notes == []


@pytest.mark.parametrize("count", [50, 4])
def test_a_listing_in_the_middle_of_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """The next file is the last one, also if it has the name of the oldest one."""
    files = RingFiles(str(tmp_path / "app_%d.log"), count=count)
    sizes: list[list[int]] = []

    def at(point: str) -> None:
        if point == "rotation.before_opened":
            sizes.append([ref.size for ref in files.listing()])

    with log_files(tmp_path / "app_%d.log", lines=3, count=count) as output:
        monkeypatch.setattr(rotating, "failpoint", at)
        for batch in records(1, 40):
            output.write([batch])
    assert len(sizes) == 13
    assert all(found[-1] == 0 and all(found[:-1]) for found in sizes)


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("name", "naming"),
    [("app_%d.log", "ring"), ("app_%d.log", "date"), ("app.log", "ring"), ("app.log", "date")],
)
def test_rotation(tmp_path: Path, compress: str, name: str, naming: Any) -> None:
    """Across any number of rotations between two looks nothing is lost or repeated."""
    log = Log(tmp_path, name, count=50)
    with log_files(tmp_path / name, lines=3, count=50, compress=compress, naming=naming) as output:
        for batch in records(1, 4):
            output.write([batch])
        follower = log.follow()
        chance = random.Random(1)
        number = 5
        found: list[int] = []
        while number < 120:
            count = chance.choice([0, 1, 2, 3, 7, 20])
            for batch in records(number, number + count - 1):
                output.write([batch])
            number += count
            if chance.random() < 0.3:
                assert output.wait_idle(30)
            found += news(follower)
        assert found == list(range(5, number))
        follower.close()
    assert not log.notes


@pytest.mark.parametrize("is_removed_late", [False, True])
@pytest.mark.parametrize("last", [52, 247])
def test_the_ring_comes_round(
    tmp_path: Path, log: Log, last: int, is_removed_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks too late misses what was overwritten, is told so, and repeats nothing."""
    if is_removed_late:
        monkeypatch.setattr(Janitor, "wake", lambda self: None)
    with log_files(tmp_path / "app_%d.log", lines=5, count=4) as output:
        for batch in records(1, 7):
            output.write([batch])
        follower = log.follow()
        for batch in records(8, last):
            output.write([batch])
        if is_removed_late:
            # When a file goes for good says nothing about when it was overwritten.
            for trash in tmp_path.glob(".*.trash"):
                trash.unlink()
        found = news(follower)
        # The file that was open is read to its end, the others are what the ring has.
        assert found == [8, 9, 10, *range(last - 16, last + 1)]
        assert ["overwritten" in note for note in log.notes] == [True]
        output.write([record(last + 1)])
        assert news(follower) == [last + 1]


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_positions_in_a_file_that_was_renamed(tmp_path: Path, compress: str) -> None:
    """A position in `app.log` is good after the file became `app.log.1`, or `app.log.1.gz`."""
    log = Log(tmp_path, "app.log")
    with log_files(tmp_path / "app.log", lines=4, compress=compress) as output:
        output.write(records(1, 2))
        position = log.source.end()
        output.write(records(3, 11))
        assert output.wait_idle(30)
        found = [placed.entry for placed in log.source.placed(start=position)]
        assert numbers(found) == [*range(3, 12)]
        follower = log.source.follow(EVERYTHING, position)
        assert news(follower) == [*range(3, 12)]
        follower.close()
    assert not log.notes


def test_a_renamed_file_that_is_gone(tmp_path: Path) -> None:
    """If the file after the last one that was read is gone, it is said, and nothing repeated."""
    log = Log(tmp_path, "app.log")
    with log_files(tmp_path / "app.log", lines=2, count=3) as output:
        output.write(records(1, 1))
        follower = log.follow()
        output.write(records(2, 3))
        assert news(follower) == [2, 3]
        for batch in records(4, 19):
            output.write([batch])
        assert output.wait_idle(30)
        assert news(follower) == [4, *range(15, 20)]
        follower.close()
    assert ["overwritten" in note for note in log.notes] == [True]


def test_filters(tmp_path: Path, log: Log) -> None:
    """A follower gives only what is wanted, and knows where it is."""
    with log_files(tmp_path / "app_%d.log", lines=5) as output:
        output.write([record(1)])
        follower = log.follow(select(cats=frozenset("E")))
        for number in range(2, 12):
            output.write([record(number, cat="E" if number % 2 else "I")])
        assert news(follower) == [3, 5, 7, 9, 11]
        again = log.source.follow(EVERYTHING, follower.position())
        log.followers.append(again)
        output.write([record(13, cat="E")])
        assert news(follower) == [13]
        assert news(again) == [13]


def test_entries_in_pieces(tmp_path: Path, log: Log) -> None:
    """An entry that is written in pieces is given once it is whole."""
    lines = LineFormat().format_batch(record(1, msg="one\ntwo"))[0].encode() + b"\n"
    path = tmp_path / "app_0.log"
    path.write_bytes(b"")
    follower = log.follow()
    with path.open("ab", buffering=0) as file:
        first, second = lines.split(b"\n", 1)
        for piece in (first[:10], first[10:]):
            file.write(piece)
            assert news(follower) == []
        file.write(b"\n" + second)
        entries = follower.read()
        assert entries is not None
        assert [entry.msg for entry in entries] == ["one\ntwo"]


def test_a_write_is_seen_up_to_the_end_of_a_page(tmp_path: Path, log: Log) -> None:
    """What ends with a page of memory may go on: its last entry is given at the next look."""
    path = tmp_path / "app_0.log"
    line = LineFormat().format_batch(record(1, msg="x"))[0]
    padded = LineFormat().format_batch(record(1, msg="x" * (4096 - len(line))))[0] + "\n"
    path.write_bytes(b"")
    follower = log.follow()
    path.write_text(padded)
    assert path.stat().st_size == 4096
    assert follower.read() is None
    with path.open("a") as file:
        file.write("  | more\n")
    entries = follower.read()
    assert entries is not None
    assert entries[0].msg.endswith("x\nmore")


def test_logrotate_create(tmp_path: Path) -> None:
    """A file moved away is read on until its writer has turned to the new one."""
    log = Log(tmp_path, "app.log")
    with log_files(tmp_path / "app.log") as output:
        output.write([record(1)])
        follower = log.follow()
        (tmp_path / "app.log").rename(tmp_path / "app.log.1")
        output.write([record(2)])
        assert news(follower) == [2]
        (tmp_path / "app.log").touch()
        output.write([record(3)])
        assert news(follower) == [3]
        output.reopen()
        output.write([record(4)])
        assert news(follower) == [4]
        follower.close()
    assert not log.notes


def test_copytruncate(tmp_path: Path) -> None:
    """A file that was emptied is read from its start, even if it has grown again."""
    log = Log(tmp_path, "app.log")
    with log_files(tmp_path / "app.log") as output:
        for batch in records(1, 5):
            output.write([batch])
        follower = log.follow()
        for first, last in ((6, 7), (8, 30)):
            shutil.copy(tmp_path / "app.log", tmp_path / "app.log.1")
            os.truncate(tmp_path / "app.log", 0)
            for batch in records(first, last):
                output.write([batch])
            assert news(follower) == list(range(first, last + 1))
        follower.close()
    assert "was emptied" in log.notes[0]


def test_before_there_is_a_log(tmp_path: Path) -> None:
    """A log that does not exist yet is followed from its first entry on."""
    log = Log(tmp_path / "later")
    follower = log.follow()
    assert follower.read() is None
    with log_files(tmp_path / "later/app_%d.log") as output:
        output.write([record(1)])
        assert news(follower) == [1]
    follower.close()


def test_a_position_that_is_no_more(tmp_path: Path, log: Log) -> None:
    """Where the file of a position is gone it begins with the oldest entry, and says so."""
    with log_files(tmp_path / "app_%d.log") as output:
        output.write([record(1)])
    follower = log.source.follow(EVERYTHING, FilePosition(str(tmp_path / "app_9.log"), 10))
    log.followers.append(follower)
    assert news(follower) == [1]
    assert log.notes


def test_a_compressed_file_that_was_touched(log: Log, tmp_path: Path) -> None:
    """What became of the file that is followed is known by what it holds, not by its time."""
    with log_files(tmp_path / "app_%d.log", lines=4, compress="gzip") as output:
        output.write(records(1, 2))
        follower = log.follow()
        output.write(records(3, 9))
        assert output.wait_idle()
        for path in tmp_path.glob("app_*.gz"):
            os.utime(path, (9000, 9000))
        assert news(follower) == [*range(3, 10)]
    assert not log.notes
