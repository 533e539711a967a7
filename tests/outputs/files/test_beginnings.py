"""Which file is oldest comes from what was logged: no hand that sets times changes it."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from logd.outputs.files import zstd
from logd.outputs.files.beginnings import Beginnings, SeenFile
from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from logd.text.reading import LineReader
from tests.outputs.output_making import Clock, make_settings
from tests.query.log_making import START, log_files, record, records, write_log


def touch_backwards(folder: Path) -> None:
    """As `touch` and `cp` do: the newest has the oldest time, years ago."""
    for number, path in enumerate(sorted(folder.glob("app*"), key=lambda p: p.stat().st_mtime_ns)):
        os.utime(path, (9000 - number, 9000 - number))


def touch_all(folder: Path) -> None:
    """`touch -r`: all are of one instant."""
    for path in folder.glob("app*"):
        os.utime(path, (9000, 9000))


def restore(folder: Path) -> None:
    """A backup is copied back, the newest file first: each has another inode and the time now."""
    paths = sorted(folder.glob("app*"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    shutil.copytree(folder, folder.with_name("backup"))
    for path in paths:
        path.unlink()
        shutil.copy(folder.with_name("backup") / path.name, path)


HANDS: dict[str, Callable[[Path], None]] = {
    "touch": touch_backwards,
    "touch -r": touch_all,
    "restore": restore,
}


def found(folder: Path, pattern: str = "app_%d.log") -> list[int]:
    """The records that a query finds, in its order."""
    source = FileSource(str(folder / pattern), print)
    return [int(entry.msg.split()[1]) for entry in source.entries()]


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("pattern", ["app_%d.log", "app.log"])
def test_age_without_a_journal(pattern: str, compress: str, hand: str, tmp_path: Path) -> None:
    """Readers and a start without a journal go by the first records of files, compressed or not."""
    logs = tmp_path / "logs"
    write_log(logs / pattern, records(1, 45), lines=10, count=4, compress=compress)
    for path in logs.glob(".*"):
        path.unlink()
    HANDS[hand](logs)
    assert found(logs, pattern) == [*range(11, 46)]
    # One file less, and the next one.
    with log_files(logs / pattern, lines=10, count=3, compress=compress) as output:
        assert output.wait_idle()
        assert found(logs, pattern) == [*range(21, 46)]
        output.write(records(46, 51))
        assert output.wait_idle()
        assert found(logs, pattern) == [*range(31, 52)]


@pytest.mark.parametrize("hand", HANDS)
def test_files_of_both_namings_without_a_journal(hand: str, tmp_path: Path) -> None:
    """What an earlier naming left is older, whatever its files' times."""
    logs = tmp_path / "logs"
    write_log(logs / "app_%d.log", records(1, 25), lines=10, naming="date", compress="gzip")
    write_log(logs / "app_%d.log", records(26, 45), lines=10, compress="zstd")
    for path in logs.glob(".*"):
        path.unlink()
    HANDS[hand](logs)
    assert found(logs) == [*range(1, 46)]
    with log_files(logs / "app_%d.log", lines=10, count=3) as output:
        output.write(records(46, 47))
        assert output.wait_idle()
        first = found(logs)[0]
        assert found(logs) == [*range(first, 48)]
        assert 20 < first < 35


def test_a_file_that_was_brought_back(tmp_path: Path) -> None:
    """A file of a backup, under another number, is the oldest again and the first to go."""
    logs = tmp_path / "logs"
    pattern = logs / "app_%d.log"
    write_log(pattern, records(1, 15), lines=10, count=4)
    shutil.copy(logs / "app_0.log", tmp_path / "kept")
    with log_files(pattern, lines=10, count=4) as output:
        output.write(records(16, 45))
        assert output.wait_idle()
        assert found(logs) == [*range(11, 46)]
        shutil.copy(tmp_path / "kept", logs / "app_9.log")
        assert found(logs) == [*range(1, 46)]
        output.rotate()
        output.write(records(46, 47))
        assert output.wait_idle()
        assert found(logs)[0] > 10


@pytest.mark.parametrize("with_journal", [True, False])
def test_retention_by_age_after_touch(with_journal: bool, tmp_path: Path) -> None:
    """A file whose time was set back goes no sooner; with the journal, none stays longer either."""
    clock = Clock(START + 100)
    settings = make_settings(
        tmp_path, rotation=RotationPolicy(lines=10), retention=Retention(age_s=1000)
    )

    def opened() -> FileOutput:
        output = FileOutput(str(tmp_path / "app_%d.log"), settings, clock=clock)
        output.open()
        return output

    output = opened()
    for number in range(1, 45):
        clock.now = START + number * 10
        output.write([record(number, time=clock.now)])
    output.close()
    if with_journal:
        for path in tmp_path.glob("app_[02].log"):
            # Sooner would be wrong, later as well.
            os.utime(path, (9000, 9000) if path.name == "app_2.log" else None)
    else:
        for path in tmp_path.glob(".*"):
            path.unlink()
        os.utime(tmp_path / "app_0.log", (START + 100, START + 100))
        os.utime(tmp_path / "app_1.log", (9000, 9000))
    clock.now = START + 1105
    output = opened()
    try:
        assert output.wait_idle()
        assert found(tmp_path) == [*range(11, 45)]
    finally:
        output.close()


def test_the_middle_of_the_first_records_counts(tmp_path: Path) -> None:
    """One record that came late or from a wrong clock does not make a file older or younger."""
    pattern = tmp_path / "app_%d.log"
    with log_files(pattern, lines=10) as output:
        for number in range(1, 31):
            wrong = {11: START - 1e6, 21: START + 1e6}.get(number)
            output.write([record(number, time=wrong)])
    for path in tmp_path.glob(".*"):
        path.unlink()
    touch_backwards(tmp_path)
    assert found(tmp_path) == [*range(1, 31)]


@pytest.mark.parametrize(
    ("content", "suffix", "expected"),
    [
        (b"no line of logd\n", "", None),
        (b"", "", None),
        (b"", ".gz", None),
        (b"\x1f\x8b not really", ".gz", None),
        (b"{line}", "", START + 1),
        (b"{gzip}", ".gz", START + 1),
        (b"{torn gzip}", ".gz", START + 1),
        (b"{torn zstd}", ".zst", START + 1),
    ],
)
def test_files_that_tell_little(
    content: bytes, suffix: str, expected: float | None, tmp_path: Path
) -> None:
    """A file without a record that can be read has no beginning; of a torn one what is there."""
    write_log(tmp_path / "one.log", [record(1)])
    line = (tmp_path / "one.log").read_bytes()
    # What no compression makes smaller, behind the first line.
    more = line + os.urandom(300_000)
    made = {
        b"{line}": line,
        b"{gzip}": gzip.compress(line),
        b"{torn gzip}": gzip.compress(more)[:150_000],
        b"{torn zstd}": zstd.compress(more)[:200_000],
    }.get(content, content)
    path = tmp_path / f"app_0.log{suffix}"
    path.write_bytes(made)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        seen = SeenFile.of(path.stat())
        beginnings = Beginnings(LineReader())
        begun = beginnings.begun_ns(folder, path.name, seen)
        assert (None if begun is None else begun / 1e9) == expected
        age = beginnings.age(folder, path.name, seen)
        assert age.begun == (seen.written_ns if begun is None else begun)
        assert age.is_read == (begun is not None)
        assert beginnings.begun_ns(folder, "gone", SeenFile(1, 1, 1, 1)) is None
    finally:
        os.close(folder)
