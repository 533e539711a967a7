"""The output to files: what stands in them, when they rotate, what else happens to them."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.base import OutputUnavailable, OutputUnusable
from logd.outputs.files import rotating
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy, Schedule
from tests.descriptors import open_below
from tests.outputs.output_making import (
    CLIENT,
    Clock,
    entries_of,
    log_files,
    make_batch,
    make_settings,
    numbered,
)

OTHER = b"another session!"
NOON = 1_790_000_000.0


@pytest.fixture
def made() -> Iterator[list[FileOutput]]:
    """Outputs to be closed at the end of a test."""
    outputs: list[FileOutput] = []
    yield outputs
    for output in outputs:
        output.close()


def opened(
    made: list[FileOutput], folder: Path, pattern: str = "app_%d.log", **changes: Any
) -> FileOutput:
    """An open output with the marks as its attribute `marks`."""
    clock = changes.pop("clock", Clock())
    output = FileOutput(str(folder / pattern), make_settings(folder, **changes), clock=clock)
    made.append(output)
    output.open()
    return output


def names(folder: Path) -> list[str]:
    """The files that are not hidden."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_marks_outlast_a_weekend_without_the_daemon(made: list[FileOutput], tmp_path: Path) -> None:
    """Senders that held records on Friday are recognised on Monday."""
    clock = Clock()
    output = opened(made, tmp_path, clock=clock)
    output.write([numbered(1, 3)])
    output.close()
    clock.now += 3 * 86_400
    again = FileOutput(str(tmp_path / "app_%d.log"), make_settings(tmp_path), clock=clock)
    made.append(again)
    assert again.open() == {CLIENT: 3}


def test_entries_stand_in_the_file(made: list[FileOutput], tmp_path: Path) -> None:
    """What was written can be read at once, one line an entry; a message of more lines is one."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=2))
    output.write([make_batch(["one", "two\nlines\nmore", "three \ud800 \x1b"])])
    text = (tmp_path / "app_0.log").read_text() + (tmp_path / "app_1.log").read_text()
    assert text.count("\n") == 5
    assert "\n  | lines\n" in text
    assert "\\ud800" in text
    assert "\x1b" not in text
    assert output.status().lines == 1


def test_marks_return_after_a_restart(made: list[FileOutput], tmp_path: Path) -> None:
    """The next start knows how far each session was written, and goes on in the same file."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 3), numbered(1, 2, OTHER), numbered(4, 2)])
    output.forget([OTHER])
    output.close()
    output = FileOutput(str(tmp_path / "app_%d.log"), make_settings(tmp_path), clock=Clock())
    made.append(output)
    assert output.open() == {CLIENT: 5}
    assert output.status().lines == 7
    output.write([numbered(6, 1)])
    assert len(entries_of([tmp_path / "app_0.log"])) == 8


@pytest.mark.parametrize("lines", [1, 7, 10])
def test_files_are_full_exactly(lines: int, made: list[FileOutput], tmp_path: Path) -> None:
    """A batch is divided where a file has its number of records, over restarts too."""
    for first in range(1, 100, 33):
        output = opened(made, tmp_path, rotation=RotationPolicy(lines=lines))
        output.write([numbered(first, 20), numbered(first + 20, 13)])
        output.close()
    files = log_files(tmp_path)
    counts = [len(entries_of([path])) for path in files]
    assert counts[:-1] == [lines] * (len(counts) - 1)
    assert entries_of(files) == [f"0123 record {number}" for number in range(1, 100)]


def test_files_keep_to_their_size(made: list[FileOutput], tmp_path: Path) -> None:
    """No file is larger than its limit, unless by its only record."""
    output = opened(made, tmp_path, rotation=RotationPolicy(size=500))
    output.write([numbered(1, 50), make_batch(["x" * 2000], first=51), numbered(52, 3)])
    output.close()
    files = log_files(tmp_path)
    assert entries_of(files)[-3:] == ["0123 record 52", "0123 record 53", "0123 record 54"]
    for path in files:
        assert path.stat().st_size <= 500 or len(entries_of([path])) == 1
    assert len(files) < 12


def test_ring_is_overwritten_in_turn(made: list[FileOutput], tmp_path: Path) -> None:
    """After the last number comes 0 again, and a start destroys nothing."""
    settings: dict[str, Any] = {
        "rotation": RotationPolicy(lines=5),
        "retention": Retention(count=3),
    }
    output = opened(made, tmp_path, **settings)
    output.write([numbered(1, 18)])
    output.close()
    opened(made, tmp_path, **settings).close()
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert entries_of([tmp_path / "app_0.log"]) == [f"0123 record {n}" for n in (16, 17, 18)]
    assert [len(entries_of([path])) for path in log_files(tmp_path)] == [5, 5, 3]


def test_rotation_by_the_clock(made: list[FileOutput], tmp_path: Path) -> None:
    """At the boundary the next file begins, with or without records; an empty one stays."""
    clock = Clock(NOON)
    schedule = Schedule.parse("hourly", utc=True)
    output = opened(made, tmp_path, clock=clock, rotation=RotationPolicy(schedule=schedule))
    output.write([numbered(1, 2)])
    clock.now = schedule.next_after(NOON) - 1
    output.tick(clock.now)
    output.write([numbered(3, 2)])
    assert output.status().rotations == 0
    clock.now += 1
    output.write([numbered(5, 1)])
    assert output.status().rotations == 1
    clock.now += 7200
    output.tick(clock.now)
    output.tick(clock.now + 7200)
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert [len(entries_of([path])) for path in log_files(tmp_path)] == [4, 1, 0]


def test_boundary_while_the_daemon_was_away(made: list[FileOutput], tmp_path: Path) -> None:
    """A file from before the boundary is closed at the first tick after the start."""
    clock = Clock(NOON)
    policy = RotationPolicy(schedule=Schedule.parse("daily 00:00", utc=True))
    output = opened(made, tmp_path, clock=clock, rotation=policy)
    output.write([numbered(1, 2)])
    output.close()
    clock.now += 100_000
    output = opened(made, tmp_path, clock=clock, rotation=policy)
    output.tick(clock.now)
    assert names(tmp_path) == ["app_0.log", "app_1.log"]


def test_names_by_date(made: list[FileOutput], tmp_path: Path) -> None:
    """Files are named by when they began; those of the same second are told apart."""
    clock = Clock(NOON)
    policy = RotationPolicy(lines=2, schedule=Schedule.parse("daily 00:00", utc=True))
    output = opened(
        made, tmp_path, clock=clock, rotation=policy, naming="date", retention=Retention(count=3)
    )
    output.write([numbered(1, 5)])
    clock.now += 60
    output.write([numbered(6, 3)])
    assert output.wait_idle()
    assert names(tmp_path) == [
        "app_20260921-141320.1.log",
        "app_20260921-141320.2.log",
        "app_20260921-141420.log",
    ]
    output.close()
    opened(made, tmp_path, clock=clock, rotation=policy, naming="date")
    assert output.name.startswith("file ")
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize(("kind", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_closed_files_are_compressed(
    kind: str, suffix: str, made: list[FileOutput], tmp_path: Path
) -> None:
    """Compression keeps content, mode and time, and the ring goes on over compressed files."""
    settings: dict[str, Any] = {
        "rotation": RotationPolicy(lines=5),
        "retention": Retention(count=3),
        "compress": kind,
    }
    output = opened(made, tmp_path, **settings)
    output.write([numbered(1, 4)])
    (tmp_path / "app_0.log").chmod(0o604)
    output.write([numbered(5, 2)])
    assert output.wait_idle()
    state = (tmp_path / f"app_0.log{suffix}").stat()
    assert state.st_mode & 0o777 == 0o604
    assert entries_of([tmp_path / f"app_0.log{suffix}"]) == [
        f"0123 record {n + 1}" for n in range(5)
    ]
    output.write([numbered(7, 11)])
    assert output.wait_idle()
    assert names(tmp_path) == ["app_0.log", f"app_1.log{suffix}", f"app_2.log{suffix}"]
    assert entries_of(log_files(tmp_path)) == [f"0123 record {n}" for n in range(6, 18)]


def test_retention_by_size_and_age(made: list[FileOutput], tmp_path: Path) -> None:
    """The oldest closed files go when all together are too large, or when they are too old."""
    clock = Clock(NOON)
    output = opened(
        made,
        tmp_path,
        clock=clock,
        rotation=RotationPolicy(lines=1),
        retention=Retention(total_bytes=1000, age_s=3600),
    )
    output.write([make_batch(["x" * 240 for _ in range(9)])])
    output.tick(NOON)
    assert output.wait_idle()
    assert names(tmp_path) == ["app_6.log", "app_7.log", "app_8.log"]
    os.utime(tmp_path / "app_6.log", (NOON - 4000, NOON - 4000))
    os.utime(tmp_path / "app_7.log", (NOON - 3000, NOON - 3000))
    output.tick(NOON + 60)
    assert output.wait_idle()
    assert names(tmp_path) == ["app_7.log", "app_8.log"]


def test_too_little_space_removes_the_oldest_loudly(
    made: list[FileOutput], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Below the limit of free space closed files go, each with a warning; the current one stays."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=1), min_free_bytes=1 << 62)
    output.write([numbered(1, 4)])
    assert output.wait_idle()
    assert names(tmp_path) == ["app_3.log"]
    warnings = [record.getMessage() for record in caplog.records if "bytes free" in record.message]
    assert len(warnings) == 3
    assert "app_0.log" in warnings[0]


def test_free_space_is_looked_at_every_few_seconds(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed files go soon after another program filled the disk, without a rotation."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=1), min_free_bytes=1000)
    output.write([numbered(1, 4)])
    output.tick(NOON)
    assert output.wait_idle()
    assert len(names(tmp_path)) == 4
    real = os.fstatvfs

    def nearly_full(descriptor: int) -> os.statvfs_result:
        values = [*real(descriptor)]
        values[4] = 0  # f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr("os.fstatvfs", nearly_full)
    output.tick(NOON + 1)
    assert output.wait_idle()
    assert len(names(tmp_path)) == 4
    output.tick(NOON + 5)
    assert output.wait_idle()
    assert names(tmp_path) == ["app_3.log"]


@pytest.mark.parametrize("how", ["replaced", "removed", "gone", "removed while writing"])
@pytest.mark.parametrize("is_durable", [True, False])
def test_folder_is_exchanged(
    how: str, is_durable: bool, made: list[FileOutput], tmp_path: Path
) -> None:
    """The log goes on where its path leads now; records that were written are not taken again."""
    logs = tmp_path / "logs"
    output = opened(made, logs, durable=is_durable)
    output.write([numbered(1, 3)])
    if how == "replaced":
        logs.rename(tmp_path / "logs.old")
    else:
        shutil.rmtree(logs)
    if how != "gone":
        logs.mkdir()
    if how == "removed while writing":
        with pytest.raises(OutputUnavailable):
            output.write([numbered(4, 1)])
    else:
        output.reopen()
    output.write([numbered(4, 1)])
    output.sync()
    assert entries_of([logs / "app_0.log"]) == ["0123 record 4"]
    if how == "replaced":
        assert len(entries_of([tmp_path / "logs.old" / "app_0.log"])) == 3
    output.close()
    made.clear()
    assert FileOutput(str(logs / "app_%d.log"), make_settings(logs)).open() == {CLIENT: 4}


def test_folder_is_exchanged_without_a_signal(made: list[FileOutput], tmp_path: Path) -> None:
    """A new folder is found within seconds; a missing one is first left to be made by others."""
    logs = tmp_path / "logs"
    output = opened(made, logs)
    output.write([numbered(1, 1)])
    logs.rename(tmp_path / "old")
    output.tick(NOON)
    assert not logs.exists()
    output.write([numbered(2, 1)])
    logs.mkdir()
    output.tick(NOON + 5)
    output.write([numbered(3, 1)])
    assert len(entries_of([tmp_path / "old" / "app_0.log"])) == 2
    assert len(entries_of([logs / "app_0.log"])) == 1
    shutil.rmtree(logs)
    output.tick(NOON + 10)
    output.tick(NOON + 15)
    output.write([numbered(4, 1)])
    assert len(entries_of([logs / "app_0.log"])) == 1


def test_rotate_now(made: list[FileOutput], tmp_path: Path) -> None:
    """Asked to, the output goes on to the next file, but never from an empty one."""
    output = opened(made, tmp_path)
    output.rotate()
    output.write([numbered(1, 1)])
    output.rotate()
    output.rotate()
    assert names(tmp_path) == ["app_0.log", "app_1.log"]


def test_plain_name(made: list[FileOutput], tmp_path: Path) -> None:
    """The newest records are in `app.log`; closed files keep the name that they got."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 5)])
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 5"]
    closed = [tmp_path / "app.log.1", tmp_path / "app.log.2"]
    assert entries_of(closed) == [f"0123 record {n}" for n in range(1, 5)]
    inode = closed[0].stat().st_ino
    output.write([numbered(6, 3)])
    assert closed[0].stat().st_ino == inode
    assert entries_of([tmp_path / "app.log.3"]) == ["0123 record 5", "0123 record 6"]
    assert output.status().rotations == 3


def test_plain_name_with_dates(made: list[FileOutput], tmp_path: Path) -> None:
    """A closed file is called by the day of its first record."""
    clock = Clock()
    output = opened(
        made, tmp_path, "app.log", clock=clock, naming="date", rotation=RotationPolicy(lines=9)
    )
    for number in (1, 2, 3):
        output.write([numbered(number, 1)])
        output.rotate()
        clock.now += 40_000 if number == 1 else 86_400
    day = "app-" + time.strftime("%Y-%m-%d", time.localtime(Clock().now))
    names = sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".")
    assert len(names) == 4
    assert names[-1] == "app.log"
    assert f"{day}.log" in names


def test_plain_name_goes_on_where_no_other_can_begin(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no new file can be made, the current one gets its name back and nothing is lost."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 2)])
    with monkeypatch.context() as patch:

        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(rotating, "LogFile", refuse)
        with pytest.raises(OutputUnavailable):
            output.write([numbered(3, 2)])
        assert entries_of([tmp_path / "app.log"]) == ["0123 record 1", "0123 record 2"]
    output.write([numbered(3, 2)])
    assert entries_of([tmp_path / "app.log.1"]) == ["0123 record 1", "0123 record 2"]
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 3", "0123 record 4"]


def test_plain_name_that_someone_moved(made: list[FileOutput], tmp_path: Path) -> None:
    """A rotation after `mv` begins another file and touches no name that it finds."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy(lines=2))
    output.write([numbered(1, 1)])
    (tmp_path / "app.log").rename(tmp_path / "app.log.5")
    output.write([numbered(2, 3)])
    assert entries_of([tmp_path / "app.log.5"]) == ["0123 record 1", "0123 record 2"]
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 3", "0123 record 4"]
    output.write([numbered(5, 1)])
    assert entries_of([tmp_path / "app.log.6"]) == ["0123 record 3", "0123 record 4"]


def test_logrotate_create(made: list[FileOutput], tmp_path: Path) -> None:
    """After `mv` the old file is written until `reopen`, then a new one under the old name."""
    output = opened(made, tmp_path, "app.log", rotation=RotationPolicy())
    output.write([numbered(1, 2)])
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    output.write([numbered(3, 1)])
    output.reopen()
    output.write([numbered(4, 1)])
    output.sync()
    output.rotate()
    assert len(entries_of([tmp_path / "app.log.1"])) == 3
    assert entries_of([tmp_path / "app.log"]) == ["0123 record 4"]
    assert output.status().lines == 1


def test_logrotate_copytruncate(made: list[FileOutput], tmp_path: Path) -> None:
    """After a truncation by someone else writing goes on at the new end, with new counts."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=5))
    output.write([numbered(1, 4)])
    os.truncate(tmp_path / "app_0.log", 0)
    output.write([numbered(5, 3)])
    assert entries_of([tmp_path / "app_0.log"]) == [f"0123 record {n}" for n in (5, 6, 7)]
    assert output.status().lines == 3


def test_removed_file_is_begun_anew(made: list[FileOutput], tmp_path: Path) -> None:
    """A file that someone removed is made again for the next records."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 4)])
    (tmp_path / "app_0.log").unlink()
    output.write([numbered(5, 1)])
    assert entries_of([tmp_path / "app_0.log"]) == ["0123 record 5"]


def test_lines_of_others_are_kept(made: list[FileOutput], tmp_path: Path) -> None:
    """What someone else appends stays; half a line of theirs gets its end."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 1)])
    with (tmp_path / "app_0.log").open("a") as file:
        file.write("half a line")
    output.write([numbered(2, 1)])
    output.close()
    with (tmp_path / "app_0.log").open("a") as file:
        file.write("once more")
    output = opened(made, tmp_path)
    output.write([numbered(3, 1)])
    lines = (tmp_path / "app_0.log").read_text().splitlines()
    assert len(lines) == 5
    assert lines[1] == "half a line"
    assert lines[3] == "once more"


def test_log_without_a_journal_is_taken_up(made: list[FileOutput], tmp_path: Path) -> None:
    """The newest file goes on; its entries are counted, continued lines not."""
    (tmp_path / "app_0.log").write_text("a\n" * 9)
    (tmp_path / "app_1.log").write_text("entry\n  | more\n  | more\nentry\nentry without end")
    os.utime(tmp_path / "app_0.log", (1000, 1000))
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=4))
    assert output.status().lines == 3
    output.write([numbered(1, 2)])
    assert names(tmp_path) == ["app_0.log", "app_1.log", "app_2.log"]
    assert len((tmp_path / "app_1.log").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "pattern",
    ["", "logs_%d/app_%d.log", "app_%d_%d.log", "app_%x.log", "app_%d/", "a/..", "%d%"],
)
def test_bad_patterns(pattern: str, tmp_path: Path) -> None:
    """A pattern that can't name the files of a ring is refused, by name."""
    settings = make_settings(tmp_path, rotation=RotationPolicy(lines=1))
    with pytest.raises(OutputUnusable) as caught:
        FileOutput(pattern, settings)
    assert pattern in str(caught.value)


def test_link_is_refused(tmp_path: Path) -> None:
    """A name that is a symbolic link, a folder or a pipe is not written to."""
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "link_0.log").symlink_to(target)
    (tmp_path / "folder_0.log").mkdir()
    os.mkfifo(tmp_path / "pipe_0.log")
    for pattern in ("link_%d.log", "folder_%d.log", "pipe_%d.log"):
        output = FileOutput(str(tmp_path / pattern), make_settings(tmp_path))
        with pytest.raises(OutputUnusable, match=pattern.replace("%d", "0")):
            output.open()
    assert target.read_bytes() == b""


def test_second_daemon_is_refused(made: list[FileOutput], tmp_path: Path) -> None:
    """Another output on the same pattern is refused and told which process has it."""
    opened(made, tmp_path)
    with pytest.raises(OutputUnusable, match=f"process {os.getpid()} "):
        opened([], tmp_path)


def test_folder_is_made_and_files_are_private(made: list[FileOutput], tmp_path: Path) -> None:
    """Missing folders are made; files have mode 0640, less what the umask takes."""
    before = os.umask(0o027)
    try:
        opened(made, tmp_path / "a" / "b").write([numbered(1, 1)])
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b" / "app_0.log").stat().st_mode & 0o777 == 0o640


def test_unwritable_folder_is_unusable(tmp_path: Path) -> None:
    """A folder that can't be one is reported with its name."""
    (tmp_path / "file").touch()
    output = FileOutput(str(tmp_path / "file" / "app_%d.log"), make_settings(tmp_path))
    with pytest.raises(OutputUnusable, match="file"):
        output.open()


class FailingDisk:
    """Replaces `os.write` and lets the log file take only so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.room: int | None = None
        self.code = errno.ENOSPC
        self._path = path
        self._write = os.write
        monkeypatch.setattr("os.write", self.write)

    def write(self, descriptor: int, data: Any) -> int:
        """Write as far as there is room; only the log has a limit."""
        if self.room is None or os.fstat(descriptor).st_ino != self._path.stat().st_ino:
            return self._write(descriptor, data)
        if not self.room:
            raise OSError(self.code, os.strerror(self.code))
        written = self._write(descriptor, bytes(data)[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 1, 150, 100_000])
def test_full_disk_leaves_no_half_entry(
    code: int, room: int, made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write the disk breaks off leaves nothing; given again when there is room, all is there."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=50))
    output.write([numbered(1, 10)])
    path = tmp_path / "app_0.log"
    before = path.read_bytes()
    disk = FailingDisk(monkeypatch, path)
    disk.room, disk.code = room, code
    batches = [numbered(11, 10), numbered(21, 15), numbered(36, 10)]
    if room < 100_000:
        for _ in range(3):
            with pytest.raises(OutputUnavailable) as caught:
                output.write(batches)
            assert (caught.value.batches_done, caught.value.rows_done) == (0, 0)
            assert path.read_bytes() == before
        assert output.status().last_error is not None
        disk.room = None
    output.write(batches)
    output.close()
    assert entries_of([path]) == [f"0123 record {n}" for n in range(1, 46)]
    output = FileOutput(str(tmp_path / "app_%d.log"), make_settings(tmp_path), clock=Clock())
    assert output.open() == {CLIENT: 45}
    output.close()


def test_failure_after_a_rotation_tells_what_is_done(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went into the file before counts as written, to the record."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=10))
    real = os.open

    def refuse(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if path == "app_1.log":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, flags, *more, **named)

    monkeypatch.setattr("os.open", refuse)
    batches = [numbered(1, 6), numbered(7, 8)]
    with pytest.raises(OutputUnavailable, match="No space left") as caught:
        output.write(batches)
    assert (caught.value.batches_done, caught.value.rows_done) == (1, 4)
    monkeypatch.setattr("os.open", real)
    output.write([batches[1].part(4, 8)])
    assert entries_of(log_files(tmp_path)) == [f"0123 record {n}" for n in range(1, 15)]


def test_failed_sync_writes_again(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the pages are written anew before the next one may succeed."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=4))
    output.write([numbered(1, 6)])
    real = os.fdatasync

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fdatasync", fail)
    with pytest.raises(OutputUnavailable, match="Input/output error"):
        output.sync()
    rewritten: list[int] = []
    pwrite = os.pwrite

    def note(descriptor: int, data: bytes, offset: int) -> int:
        rewritten.append(len(data))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr("os.fdatasync", real)
    monkeypatch.setattr("os.pwrite", note)
    output.sync()
    output.sync()
    paths = [*log_files(tmp_path), tmp_path / ".app_%d.log.journal"]
    assert sum(rewritten) == sum(path.stat().st_size for path in paths)
    assert entries_of(log_files(tmp_path)) == [f"0123 record {n}" for n in range(1, 7)]


def test_sync_runs_beside_writes(made: list[FileOutput], tmp_path: Path) -> None:
    """Syncs in another thread while files rotate and journals are replaced lose no descriptor."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=20), retention=Retention(count=3))
    stop = threading.Event()
    errors: list[BaseException] = []

    def sync() -> None:
        try:
            while not stop.is_set():
                output.sync()
        except BaseException as exc:
            errors.append(exc)

    thread = threading.Thread(target=sync)
    thread.start()
    for first in range(1, 3000, 10):
        output.write([numbered(first, 10)])
    stop.set()
    thread.join()
    output.sync()
    assert not errors
    assert output.wait_idle()
    assert len(open_below(tmp_path)) == 4
    assert output.status().written == 3000


def test_long_journal_is_replaced(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays small, and a start after it was replaced knows the same."""
    monkeypatch.setattr("logd.outputs.files.journal.COMPACT_BYTES", 2000)
    for durable in (True, False):
        output = opened(made, tmp_path, f"{durable}_%d.log", durable=durable)
        for first in range(1, 200):
            output.write([numbered(first, 1)])
            output.sync()
        journal = tmp_path / f".{durable}_%d.log.journal"
        assert journal.stat().st_size < 10_000
        output.close()
        output = FileOutput(
            str(tmp_path / f"{durable}_%d.log"), make_settings(tmp_path), clock=Clock()
        )
        made.append(output)
        assert output.open() == {CLIENT: 199}
        assert output.status().lines == 199


def test_no_descriptor_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Opening and closing many times leaves neither descriptors nor threads nor warnings."""
    caplog.set_level(logging.INFO)
    before = set(threading.enumerate())
    for first in range(1, 40, 2):
        output = FileOutput(
            str(tmp_path / "app_%d.log"),
            make_settings(tmp_path, rotation=RotationPolicy(lines=3), compress="gzip"),
        )
        output.open()
        output.write([numbered(first, 2)])
        output.close()
        output.close()
    assert open_below(tmp_path) == []
    assert set(threading.enumerate()) <= before
    assert not caplog.records
