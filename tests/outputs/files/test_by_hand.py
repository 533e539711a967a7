"""Hands in a log's folder: what they leave is found once, and what they move is not written to."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from logd.outputs.files.journalentries import (
    MAGIC,
    Gap,
    Snapshot,
    Stopped,
    decode_entries,
    encode_entry,
)
from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import Clock, make_settings, numbered


def opened(folder: Path, **changes: Any) -> FileOutput:
    """A log with 10 records a file."""
    settings = make_settings(folder, rotation=RotationPolicy(lines=10), **changes)
    output = FileOutput(str(folder / "app_%d.log"), settings, clock=Clock())
    output.open()
    return output


def kept(folder: Path) -> list[int]:
    """The records that readers find, in their order."""
    source = FileSource(str(folder / "app_%d.log"), print)
    return [int(entry.msg.split()[-1]) for entry in source.entries()]


def test_the_current_file_is_moved_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a signal, too: at the second look another file is begun under its name."""
    output = opened(tmp_path)
    output.write([numbered(1, 3)])
    (tmp_path / "app_0.log").rename(tmp_path / "old")
    now = Clock().now
    output.tick(now + 10)
    output.write([numbered(4, 1)])
    output.tick(now + 20)
    output.write([numbered(5, 2)])
    output.close()
    assert (tmp_path / "old").read_bytes().count(b"\n") == 4
    assert kept(tmp_path) == [5, 6]
    assert "app_0.log was moved; a new one is begun" in caplog.text


def test_logrotate_is_not_run_ahead_of(tmp_path: Path) -> None:
    """Whoever has moved the file may make the next one: that one is taken."""
    output = opened(tmp_path)
    output.write([numbered(1, 3)])
    path = tmp_path / "app_0.log"
    path.rename(tmp_path / "old")
    now = Clock().now
    output.tick(now + 10)
    assert not path.exists()
    path.touch()
    inode = path.stat().st_ino
    output.tick(now + 20)
    output.write([numbered(4, 2)])
    output.close()
    assert path.stat().st_ino == inode
    assert kept(tmp_path) == [4, 5]


def test_a_copy_of_a_file_that_grows(tmp_path: Path) -> None:
    """What `gzip -k` made of the current file is part of it, before and after it is compressed."""
    output = opened(tmp_path, compress="gzip")
    output.write([numbered(1, 5)])
    path = tmp_path / "app_0.log"
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert kept(tmp_path) == [*range(1, 6)]
    output.write([numbered(6, 3)])
    assert kept(tmp_path) == [*range(1, 9)]
    output.write([numbered(9, 4)])
    assert output.wait_idle()
    assert not path.exists()
    assert kept(tmp_path) == [*range(1, 13)]
    output.close()


def test_two_forms_of_a_file_are_one(tmp_path: Path) -> None:
    """A compressed file that nobody can compare its original with costs no other file."""
    output = opened(tmp_path)
    output.write([numbered(1, 25)])
    output.close()
    # Not what is in the file of that name, so that both stay.
    (tmp_path / "app_1.log.gz").write_bytes(gzip.compress(b"I 1#1 something 99\n"))
    output = opened(tmp_path, retention=Retention(count=3))
    assert output.wait_idle()
    output.close()
    assert {*range(1, 26)} <= set(kept(tmp_path))


def on_another_boot(path: Path, synced: int) -> None:
    """A journal as the death of the machine leaves it: only so many blocks are surely on disk."""
    entries = []
    for entry in decode_entries(path.read_bytes()):
        assert not isinstance(entry, Gap)
        if isinstance(entry, Snapshot):
            entry = replace(entry, boot="another boot")
        if not isinstance(entry, Stopped):
            entries.append(entry)
    path.write_bytes(MAGIC + b"".join(map(encode_entry, entries[: synced + 1])))
    path.with_suffix(".lock").unlink()


def test_a_copy_does_not_bring_back_what_is_cut(tmp_path: Path) -> None:
    """What nobody was told is stored comes again: a copy of it, made after the loss, would stay."""
    output = opened(tmp_path)
    for number in range(1, 7):
        output.write([numbered(number, 1)])
        output.sync()
    output.close()
    on_another_boot(tmp_path / ".app_%d.log.journal", 4)
    path = tmp_path / "app_0.log"
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(path.read_bytes()))
    output = opened(tmp_path)
    for number in range(5, 9):
        output.write([numbered(number, 1)])
    assert output.wait_idle()
    output.close()
    assert kept(tmp_path) == [*range(1, 9)]


def test_a_journal_that_was_not_synced_for_another_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files go only if a sync of the journal is to be believed: not right after one that failed."""
    output = opened(tmp_path)
    output.write([numbered(1, 12)])
    log = output._log
    assert log is not None
    syncing = log.held.syncing
    ours = syncing.journal_to_sync()
    real = os.fdatasync

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fdatasync", fail)
    with pytest.raises(OSError, match="Input/output error"):
        syncing.journal_now()
    monkeypatch.setattr("os.fdatasync", real)
    with pytest.raises(OSError, match="not synced"):
        syncing.bring_journal_to_disk(ours)
    written = []
    pwrite = os.pwrite

    def note(descriptor: int, data: bytes, offset: int) -> int:
        written.append(len(data))
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr("os.pwrite", note)
    syncing.journal_now()
    assert sum(written) == (tmp_path / ".app_%d.log.journal").stat().st_size
    output.close()
