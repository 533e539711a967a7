"""Writes and syncs that the disk refuses, syncs beside writes, and the journal's replacement."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.base import OutputUnavailable
from logd.outputs.files.journalentries import Gap
from logd.outputs.files.output import FileOutput
from logd.rotation.policy import Retention, RotationPolicy
from tests.descriptors import open_below
from tests.outputs.files.opening import opened
from tests.outputs.output_making import (
    CLIENT,
    Clock,
    entries_of,
    log_files,
    make_settings,
    numbered,
    read_entries,
)


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


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
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


def test_half_an_entry_of_the_journal_that_can_not_be_cut_off(
    made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that became read-only in the midst of a write: nothing is added behind it."""
    output = opened(made, tmp_path)
    output.write([numbered(1, 3)])
    journal = (tmp_path / ".app_%d.log.journal").stat().st_ino
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if os.fstat(descriptor).st_ino != journal:
            return write(descriptor, data)
        if len(data) <= 20:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return write(descriptor, data[:20])

    def refuse(_descriptor: int, _size: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", half)
        disk.setattr(os, "ftruncate", refuse)
        with pytest.raises(OutputUnavailable):
            output.write([numbered(4, 3)])
    output.write([numbered(4, 3)])
    assert not any(isinstance(entry, Gap) for entry in read_entries(tmp_path))
    output.close()
    output = FileOutput(str(tmp_path / "app_%d.log"), make_settings(tmp_path), clock=Clock())
    assert output.open() == {CLIENT: 6}
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


@pytest.mark.parametrize("of_journal", [False, True])
def test_failed_sync_writes_again(
    of_journal: bool, made: list[FileOutput], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the pages are written anew before the next one may succeed."""
    output = opened(made, tmp_path, rotation=RotationPolicy(lines=4))
    output.write([numbered(1, 6)])
    real = os.fdatasync

    def fail(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if (path.suffix == ".journal") == of_journal:
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
    paths = log_files(tmp_path) + [tmp_path / ".app_%d.log.journal"] * of_journal
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
