"""Text files as a source."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from logd.query.files import finding, heldopen, raw
from logd.query.selection import Selection
from logd.query.source import CannotRead, FilePosition
from logd.text.lines import LineFormat
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


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("naming", ["ring", "date"])
def test_all_that_is_kept(tmp_path: Path, compress: str, naming: str) -> None:
    """Entries of all files come in the order written, whatever the files' names and kinds."""
    write_log(
        tmp_path / "app_%d.log", records(1, 25), lines=4, count=5, compress=compress, naming=naming
    )
    source = source_of(tmp_path)
    kept = numbers(source.entries())
    assert kept == list(range(kept[0], 26))
    assert kept[0] <= 9
    assert numbers(source.entries(limit=3)) == kept[:3]
    assert numbers(source.entries(newest_first=True, limit=7)) == kept[::-1][:7]
    assert numbers(source.entries(newest_first=True, limit=100)) == kept[::-1]
    assert b"".join(source.texts(Selection())).decode().splitlines() == [
        LineFormat().format_batch(record(number))[0] for number in kept
    ]
    assert source.summarise(Selection()).total == len(kept)


def test_filters_and_counts(tmp_path: Path) -> None:
    """All filters work on files, and counting agrees with listing."""
    batches = [
        record(
            number,
            cat="E" if number % 5 == 0 else "I",
            pid=number % 3,
            peer="10.0.0.7" if number % 2 else "",
            msg=f"record {number}\nmore",
            special={"user": "ann", "n": number} if number % 4 == 0 else None,
            path=() if number % 7 == 0 else ((f"f{number % 2}.py", 1),),
            time=START + number * 600,
        )
        for number in range(1, 41)
    ]
    write_log(tmp_path / "app_%d.log", batches, lines=15)
    source = source_of(tmp_path)
    for selection in (
        Selection(),
        select(cats=frozenset("E")),
        select(since=START + 6000, until=START + 12_000),
        select(pid=2),
        select(grep=re.compile("record 2.")),
        select(where=(("user", "ann"), ("n", "8"))),
        select(cats=frozenset("E"), since=START + 600 * 35),
    ):
        every = list(source.entries())
        wanted = [entry for entry in every if selection.matches(entry)]
        assert wanted
        assert list(source.entries(selection)) == wanted
        newest = list(source.entries(selection, newest_first=True, limit=50))
        assert newest == wanted[::-1]
        assert source.summarise(selection).total == len(wanted)
        for key, attribute in (("cat", "cat"), ("host", "peer"), ("site", "site")):
            counts = source.summarise(selection, keys=[key]).facets[key]
            for label, count in counts.items():
                found = [getattr(entry, attribute) or "-" for entry in wanted]
                assert count == found.count(label)  # type: ignore[arg-type]
            assert counts.total() == len(wanted)
        assert source.summarise(selection, keys=["hour"]).facets["hour"].total() == len(wanted)


def test_a_half_written_line(tmp_path: Path) -> None:
    """A last line without its end is not an entry yet."""
    write_log(tmp_path / "app_%d.log", records(1, 3))
    with (tmp_path / "app_0.log").open("a") as file:
        file.write("2026-11-22T11:10:04.000+0000 I 1#4 half")
    source = source_of(tmp_path)
    assert numbers(source.entries()) == [1, 2, 3]
    assert numbers(source.entries(newest_first=True, limit=2)) == [3, 2]


def test_up_to_a_position(tmp_path: Path) -> None:
    """What was written behind a position is left out, in later files too."""
    pattern = tmp_path / "app_%d.log"
    with log_files(pattern, lines=4) as output:
        for batch in records(1, 6):
            output.write([batch])
        source = source_of(tmp_path)
        end = source.end()
        for batch in records(7, 12):
            output.write([batch])
    assert isinstance(end, FilePosition)
    assert source.has(end)
    assert numbers(source.entries(end=end)) == [1, 2, 3, 4, 5, 6]
    assert numbers(source.entries(newest_first=True, limit=3, end=end)) == [6, 5, 4]


def test_compressed_behind_ones_back(tmp_path: Path) -> None:
    """A position in a file that was compressed since is found in it."""
    pattern = tmp_path / "app_%d.log"
    with log_files(pattern, lines=4, compress="gzip") as output:
        for batch in records(1, 6):
            output.write([batch])
        source = source_of(tmp_path)
        end = source.end()
        for batch in records(7, 12):
            output.write([batch])
        assert output.wait_idle(30)
    assert numbers(source.entries(newest_first=True, limit=3, end=end)) == [6, 5, 4]


def test_overwritten_while_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are held open are read to their end; of others it is said that they are gone."""
    pattern = tmp_path / "app_%d.log"
    with log_files(pattern, lines=4, count=3) as output:
        for batch in records(1, 10):
            output.write([batch])
        for held, expected in ((100, list(range(1, 11))), (1, [1, 2, 3, 4])):
            monkeypatch.setattr(heldopen, "HELD_OPEN", held)
            notes = Notes()
            entries = source_of(tmp_path, on_note=notes).entries()
            found = [next(entries).msgid]
            for batch in records(11, 24):
                output.write([batch])
            found += numbers(entries)
            if held == 100:
                assert found == expected
                assert not notes
            else:
                assert len(found) == 4
                assert len(notes) == 2
                assert "overwritten before it could be read" in notes[0]


@pytest.mark.parametrize(("kind", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_a_damaged_file(tmp_path: Path, kind: str, suffix: str) -> None:
    """What can be read of a compressed file that is cut off is shown, and the rest is named."""
    write_log(tmp_path / "app_%d.log", records(1, 2000, msg="x" * 600), lines=500, compress=kind)
    path = tmp_path / f"app_1.log{suffix}"
    path.write_bytes(path.read_bytes()[:-20])
    notes = Notes()
    source = source_of(tmp_path, on_note=notes)
    found = numbers(source.entries())
    assert found[:500] == list(range(1, 501))
    assert found[-500:] == list(range(1501, 2001))
    read = found[500:-1000]
    assert read[0] == 501
    assert read == list(range(501, 501 + len(read)))
    assert 100 < len(read) <= 500
    assert f"app_1.log{suffix} can't be read to its end (it was cut off): what follows" in notes[0]
    assert source.is_damaged
    assert numbers(source_of(tmp_path).entries(newest_first=True)) == found[::-1]


def _large_log(folder: Path, times: Sequence[float]) -> None:
    """One file with a long entry for each time."""
    lines = LineFormat()
    with (folder / "app_0.log").open("w") as file:
        for number, time in enumerate(times):
            file.write(lines.format_batch(record(number, msg="x" * 300, time=time))[0] + "\n")


def test_only_what_is_needed_is_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short time in a large file is found without taking all of it apart."""
    split = 0
    real = raw.split

    def counting(block: bytes) -> list[bytes]:
        nonlocal split
        split += len(block)
        return real(block)

    _large_log(tmp_path, [START + number for number in range(40_000)])
    size = (tmp_path / "app_0.log").stat().st_size
    monkeypatch.setattr(finding, "split", counting)
    selection = select(since=START + 30_000, until=START + 30_100)
    assert numbers(source_of(tmp_path).entries(selection)) == list(range(30_000, 30_100))
    assert split < size / 4
    newest = source_of(tmp_path).entries(selection, newest_first=True, limit=5)
    assert numbers(newest) == list(range(30_099, 30_094, -1))


def test_times_out_of_order(tmp_path: Path) -> None:
    """Entries that came late, however late, or with a clock ahead, are found all the same."""
    times = [START + number + (-1500 if number % 10 == 3 else 0) for number in range(20_000)]
    times += [START + number for number in range(5000, 5500)] * 10
    times = [time + (2000 if number % 97 == 5 else 0) for number, time in enumerate(times)]
    _large_log(tmp_path, times)
    for since, until in ((5000, 6000), (0, 100), (19_000, 30_000), (12_345, 12_346)):
        selection = select(since=START + since, until=START + until)
        expected = [n for n, time in enumerate(times) if since <= time - START < until]
        assert numbers(source_of(tmp_path).entries(selection)) == expected


def test_old_files_are_not_opened(tmp_path: Path) -> None:
    """A file that was last changed long before the time asked for is passed over."""
    later = time.time() + 9000
    write_log(tmp_path / "app_%d.log", [record(n, time=later) for n in range(1, 10)], lines=5)
    assert numbers(source_of(tmp_path).entries(select(since=later - 100))) == []
    assert len(numbers(source_of(tmp_path).entries(select(since=later - 8000)))) == 9


@pytest.mark.parametrize("when", [0, START - 9000])
def test_the_time_of_a_file_hides_nothing(when: float, tmp_path: Path) -> None:
    """`touch` may say that nothing was written for long: the file is searched all the same."""
    write_log(tmp_path / "app_%d.log", records(1, 10), lines=5)
    os.utime(tmp_path / "app_0.log", (when, when))
    assert numbers(source_of(tmp_path).entries(select(since=START + 3))) == [*range(3, 11)]


def test_what_lines_do_not_tell(tmp_path: Path) -> None:
    """Where lines have no date, or a format of the user's own, it is said what can't be asked."""
    write_log(tmp_path / "app_%d.log", records(1, 3, timestamp="std1"))
    source = source_of(tmp_path, timestamp="std1")
    assert numbers(source.entries(select(pid=4711))) == [1, 2, 3]
    with pytest.raises(CannotRead, match="no date"):
        list(source.entries(select(since=START)))
    with pytest.raises(CannotRead, match="no date"):
        source.summarise(Selection(), step="hour")
    own = source_of(tmp_path, is_own_format=False)
    assert len(list(own.entries(select(grep=re.compile("record 2"))))) == 1
    with pytest.raises(CannotRead, match="line_format"):
        list(own.entries(select(cats=frozenset("E"))))
    with pytest.raises(CannotRead, match="line_format"):
        own.summarise(Selection(), keys=["cat"])


def test_progress(tmp_path: Path) -> None:
    """The watcher hears how much is done, up to all of it."""
    write_log(tmp_path / "app_%d.log", records(1, 2000), lines=500, compress="zstd")
    heard: list[float] = []
    source_of(tmp_path).summarise(Selection(), watch=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_nothing_is_there(tmp_path: Path) -> None:
    """Without files there is nothing, and no position."""
    source = source_of(tmp_path / "none")
    assert not source.is_there()
    assert source.end() is None
    assert list(source.entries()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    """A file that can't be read is named, and why."""
    write_log(tmp_path / "app_%d.log", records(1, 3))
    (tmp_path / "app_0.log").chmod(0)
    with pytest.raises(CannotRead, match=r"can't read .*app_0\.log: Permission denied"):
        list(source_of(tmp_path).entries())
