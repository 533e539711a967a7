"""Inodes come again: a file is known by what it holds, and names are listed by one at a time."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from logd.outputs.base import OutputUnavailable
from logd.outputs.disk import entries_of, write_again
from logd.outputs.files.journalentries import (
    MAGIC,
    Append,
    Entry,
    Gap,
    Opened,
    Rotating,
    Snapshot,
    Stopped,
    Synced,
    decode_entries,
    encode_entry,
)
from logd.outputs.files.output import FileOutput
from logd.outputs.files.recovery import Replaced, recover
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import CLIENT, make_settings, numbered

JOURNAL = ".app_%d.log.journal"


def opened(folder: Path, **more: Any) -> FileOutput:
    """A log with 10 records a file."""
    output = FileOutput(
        str(folder / "app_%d.log"),
        make_settings(folder, rotation=RotationPolicy(lines=10), **more),
    )
    output.open()
    return output


def kept(folder: Path) -> list[int]:
    """The records that readers find, in their order."""
    source = FileSource(str(folder / "app_%d.log"), print)
    return [int(entry.msg.split()[-1]) for entry in source.entries()]


def block(number: int, synced: int) -> Append:
    """A block that is in no file."""
    return Append(number, synced, 0, 50, 1, 1, 0.0, {CLIENT: 100 + number})


def on_another_boot(path: Path, *more: Entry, was_synced: bool = True) -> None:
    """A journal as the death of the machine leaves it, with these entries behind its own.

    Args:
        path: the journal.
        more: the entries.
        was_synced: whether it tells what was synced.
    """
    entries: list[Entry] = []
    for entry in decode_entries(path.read_bytes()):
        assert not isinstance(entry, Gap)
        if isinstance(entry, Snapshot):
            entries.append(replace(entry, boot="another boot"))
        elif isinstance(entry, Append) and not was_synced:
            entries.append(replace(entry, synced=0))
        elif not isinstance(entry, Stopped) and (was_synced or not isinstance(entry, Synced)):
            entries.append(entry)
    path.write_bytes(MAGIC + b"".join(map(encode_entry, [*entries, *more])))
    # What the orderly stop left does not fit any more.
    lock = path.with_suffix(".lock")
    lock.write_text(lock.read_text().partition(", stopped")[0] + "\n")


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_new_file_that_was_to_get_the_inode_of_an_old_one(
    is_compressed: bool, tmp_path: Path
) -> None:
    """The journal is ahead of the folder: what is still the old file is not cut as the new one."""
    output = opened(tmp_path)
    output.write([numbered(1, 10)])
    output.close()
    old = tmp_path / "app_0.log"
    state = old.stat()
    if is_compressed:
        # Its removal is lost; so is the creation of the new one.
        trash = tmp_path / f".app_0.log.{state.st_ino}.trash"
        (tmp_path / "app_0.log.copy").write_bytes(old.read_bytes())
        old.rename(trash)
        (tmp_path / "app_0.log.copy").rename(old)
    on_another_boot(
        tmp_path / JOURNAL,
        Rotating("app_1.log", 0),
        Opened("app_1.log", state.st_ino, 0, 0, 0.0),
        block(2, 1),
    )
    output = opened(tmp_path)
    try:
        assert output.wait_idle()
        assert kept(tmp_path) == [*range(1, 11)]
        assert not list(tmp_path.glob("*.torn*"))
    finally:
        output.close()


def test_what_is_set_aside_is_counted(tmp_path: Path) -> None:
    """Status and metrics tell of it from the start on, until someone removes it."""
    output = opened(tmp_path)
    output.write([numbered(1, 3)])
    output.close()
    on_another_boot(tmp_path / JOURNAL)
    with (tmp_path / "app_0.log").open("ab") as file:
        file.write(b"half a line")
    (tmp_path / "other.log.torn").write_bytes(b"not ours")
    output = opened(tmp_path)
    try:
        assert output.status().measures == {"set_aside_files": 1, "set_aside_bytes": 11}
        (tmp_path / "app_0.log.torn").unlink()
        output.tick(time.time() + 10)
        assert output.status().measures["set_aside_files"] == 0
    finally:
        output.close()


def test_files_removed_before_the_journal_says_more(tmp_path: Path) -> None:
    """What is synced is noted before a closed file goes: its blocks are not missed later."""
    settings: dict[str, Any] = {"naming": "date", "retention": Retention(count=2)}
    output = opened(tmp_path, **settings)
    output.write([numbered(1, 45)])
    output.sync()
    assert output.wait_idle()
    assert kept(tmp_path) == [*range(31, 46)]
    assert output._log is not None
    # It ends as if it was killed.
    output._log.janitor.close()
    output._log._closing.close()
    output._log = None
    on_another_boot(tmp_path / JOURNAL)
    output = opened(tmp_path, **settings)
    assert output._log is not None
    assert output._log.held.marks.numbers() == {CLIENT: 45}
    output.close()
    assert kept(tmp_path) == [*range(31, 46)]
    assert not list(tmp_path.glob("*.torn*"))


def test_what_a_rotation_overwrote_goes_whatever_its_time() -> None:
    """By its inode, until the new file is known to be on disk: from then on that may be another."""
    current = Opened("a_1", 1, 0, 0, 0.0)
    snapshot = Snapshot("boot", durable=True, number=0, marks=[], current=current)
    new = Opened("a_0", 6, 0, 0, 0.0)
    story: list[Entry] = [
        snapshot,
        Opened("a_0", 4, 0, 0, 0.0),
        Rotating("a_0", 0, [5, (6, 1_790_000_000)]),
        new,
        block(1, 0),
        block(2, 0),
    ]
    (replaced,) = recover(story, "", lambda *_: True, lambda _: 0).replaced
    assert replaced == Replaced("a_0", {4, 5}, new, block(1, 0))
    assert recover([*story, Synced(2)], "", lambda *_: True, lambda _: 0).replaced == []


def test_what_the_first_of_two_tries_to_rotate_overwrote_goes() -> None:
    """A disk that refused in the midst of a rotation: the second try finds the place empty."""
    current = Opened("a_1", 1, 0, 0, 0.0)
    new = Opened("a_0", 6, 0, 0, 0.0)
    story: list[Entry] = [
        Snapshot("boot", durable=True, number=0, marks=[], current=current),
        Rotating("a_0", 0, [5]),
        Rotating("a_0", 0, []),
        new,
        block(1, 0),
    ]
    (replaced,) = recover(story, "", lambda *_: True, lambda _: 0).replaced
    assert replaced == Replaced("a_0", {5}, new, block(1, 0))


@pytest.mark.parametrize("new", [None, b"", b"what nobody was told is stored\n"])
def test_overwritten_by_a_rotation_of_which_the_journal_has_no_note(
    new: bytes | None, tmp_path: Path
) -> None:
    """Its blocks are not missed, though the name of the old file is lost: what came later counts.

    Without order on disk the new file's name may be there, and neither the renaming of the old
    file, nor the journal's note of it, nor its next block, which would say that all was synced.
    """
    settings: dict[str, Any] = {"retention": Retention(count=3)}
    folder = tmp_path / "logs"
    output = opened(folder, **settings)
    output.write([numbered(1, 25)])
    output.sync()
    output.close()
    # The oldest of the three, and the next to be overwritten. Outside, nobody gets its inode.
    old = folder / "app_0.log"
    old.rename(tmp_path / "old")
    if new is not None:
        old.write_bytes(new)
    on_another_boot(folder / JOURNAL, was_synced=False)
    output = opened(folder, **settings)
    try:
        assert output._log is not None
        assert output._log.held.marks.numbers() == {CLIENT: 25}
        assert kept(folder) == [*range(11, 26)]
        assert [path.read_bytes() for path in folder.glob("*.torn*")] == ([new] if new else [])
        output.write([numbered(26, 10)])
        assert kept(folder) == [*range(11, 36)]
    finally:
        output.close()


def test_a_cut_that_the_disk_did_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try has something to sync: else what was cut would be back after another death."""
    output = opened(tmp_path)
    output.write([numbered(1, 5)])
    output.close()
    path = tmp_path / "app_0.log"
    on_another_boot(tmp_path / JOURNAL)
    with path.open("ab") as file:
        file.write(b"half a line")
    fdatasync, ftruncate = os.fdatasync, os.ftruncate
    story: list[str] = []

    def noted_sync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == path.stat().st_ino and "cut" in story:
            story.append("sync")
            if story.count("sync") == 1:
                raise OSError(errno.EIO, "Input/output error")
        fdatasync(descriptor)

    def noted_cut(descriptor: int, size: int) -> None:
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            story.append("cut")
        ftruncate(descriptor, size)

    monkeypatch.setattr(os, "fdatasync", noted_sync)
    monkeypatch.setattr(os, "ftruncate", noted_cut)
    with pytest.raises(OutputUnavailable):
        opened(tmp_path)
    output = opened(tmp_path)
    output.close()
    assert story[:2] == ["cut", "sync"]
    again = story[2:]
    assert again[again.index("cut") :][:3] == ["cut", "cut", "sync"]
    assert kept(tmp_path) == [*range(1, 6)]
    assert (tmp_path / "app_0.log.torn").read_bytes() == b"half a line"


@pytest.mark.parametrize("is_copied", [False, True])
def test_an_original_that_is_back_under_the_name_of_a_new_file(
    is_copied: bool, tmp_path: Path
) -> None:
    """It is no part of the new file; the new file itself may have another inode, as a copy."""
    output = opened(tmp_path, retention=Retention(count=2))
    for first in (1, 11, 21):
        output.write([numbered(first, 10)])
    output.write([numbered(31, 2)])
    output.close()
    # app_1.log is the current file, and the second one of that name.
    new = tmp_path / "app_1.log"
    whole = new.read_bytes()
    new.rename(tmp_path / "kept")
    for number in range(8):
        # Not an inode of what the rotations removed: that would be what they removed.
        (tmp_path / f"filler{number}").touch()
    new.write_bytes(whole if is_copied else b"an older record\n" * 10)
    on_another_boot(tmp_path / JOURNAL, was_synced=False)
    output = opened(tmp_path, retention=Retention(count=2))
    output.close()
    found = list(tmp_path.glob("*.torn*"))
    if is_copied:
        assert kept(tmp_path) == [*range(21, 33)]
        assert not found
    else:
        assert kept(tmp_path) == [*range(21, 31)]
        assert [path.read_bytes().count(b"\n") for path in found] == [10]


def test_two_look_into_a_folder_at_once(tmp_path: Path) -> None:
    """Each sees all names: a rotation missed some while the janitor was looking."""
    names = {f"{number}.log" for number in range(20)}
    for name in names:
        (tmp_path / name).touch()
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with entries_of(folder) as some, entries_of(folder) as others:
            first = next(some).name
            assert {entry.name for entry in others} == names
            assert {first, *(entry.name for entry in some)} == names
    finally:
        os.close(folder)


def test_written_again_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes a part only is gone on with."""
    path = tmp_path / "app_0.log"
    path.write_bytes(b"a record\n" * 3)
    written = set[int]()
    pwrite = os.pwrite

    def short(descriptor: int, data: bytes, place: int) -> int:
        written.update(range(place, place + min(2, len(data))))
        return pwrite(descriptor, data[:2], place)

    monkeypatch.setattr(os, "pwrite", short)
    with path.open("r+b") as file:
        write_again(file.fileno(), 9, 27)
    assert written == set(range(9, 27))
    assert path.read_bytes() == b"a record\n" * 3
