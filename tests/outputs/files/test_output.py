"""The output to files: what stands in them, what is kept, and what it refuses."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.base import OutputUnusable
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy
from tests.descriptors import open_below
from tests.outputs.files.opening import NOON, OTHER, names, opened
from tests.outputs.output_making import (
    CLIENT,
    Clock,
    entries_of,
    log_files,
    make_batch,
    make_settings,
    numbered,
)


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
    for number in range(9):
        clock.now = NOON + 1000 * number
        output.write([make_batch(["x" * 240], first=number + 1)])
    output.tick(clock.now)
    assert output.wait_idle()
    assert names(tmp_path) == ["app_6.log", "app_7.log", "app_8.log"]
    clock.now = NOON + 1000 * 6 + 3601
    output.tick(clock.now)
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
