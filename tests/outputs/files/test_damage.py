"""Files whose journal was damaged, cut or replaced since: what the log holds is never less."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from logd.outputs.files.generation import Generation
from logd.outputs.files.journalentries import (
    MAGIC,
    Append,
    Gap,
    Snapshot,
    decode_entries,
    encode_entry,
)
from logd.outputs.files.output import FileOutput
from logd.query.files.source import FileSource
from logd.rotation.policy import Retention, RotationPolicy
from tests.outputs.output_making import make_settings, numbered

JOURNAL = ".app_%d.log.journal"
RECORDS = 60


@pytest.fixture(autouse=True)
def boots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start of an output finds the machine started anew."""
    numbers = count()
    for module in ("resume", "held"):
        name = f"logd.outputs.files.{module}.boot_id"
        monkeypatch.setattr(name, lambda: f"boot {next(numbers)}")
    # Nobody takes the power away here; really waiting for the disk would only take time.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("os.fdatasync", lambda descriptor: None)


def made(folder: Path, **more: object) -> FileOutput:
    """An output, ten records a file."""
    settings = make_settings(folder, rotation=RotationPolicy(lines=10), **more)
    return FileOutput(str(folder / "app_%d.log"), settings)


def write(folder: Path, first: int, last: int, *, is_stopped: bool = True) -> FileOutput:
    """Write records one by one, each acknowledged, and stop in order, or die as a machine does."""
    output = made(folder)
    output.open()
    for number in range(first, last + 1):
        output.write([numbered(number, 1)])
        output.sync()
    if is_stopped:
        output.close()
    else:
        assert output._log is not None
        output._log.janitor.close()
        output._log._closing.close()
        output._log = None
    return output


def messages(folder: Path) -> list[int]:
    """The records that a query finds, by number."""
    notes: list[str] = []
    source = FileSource(str(folder / "app_%d.log"), notes.append)
    return [int(entry.msg.split()[-1]) for entry in source.entries()]


def places(data: bytes) -> Iterator[int]:
    """A byte of each part of each entry of a journal: length, checksum, kind and the rest."""
    place = len(MAGIC)
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "little")
        yield from (place, place + 4, place + 9, place + 8 + length // 2)
        place += 8 + length


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_flipped_bit_anywhere_in_a_journal(is_stopped: bool, tmp_path: Path) -> None:
    """One bit, on another boot: all records are found once, and new ones after them."""
    original = tmp_path / "original"
    write(original, 1, RECORDS, is_stopped=is_stopped)
    data = (original / JOURNAL).read_bytes()
    chosen = [0, *places(data)]
    if not is_stopped:
        # What nothing stands behind looks like what was never written as a whole.
        chosen = chosen[:-8]
    for number, place in enumerate(chosen[::7]):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        damaged = bytearray(data)
        damaged[place] ^= 1 << number % 8
        (folder / JOURNAL).write_bytes(damaged)
        write(folder, RECORDS + 1, RECORDS + 5)
        assert messages(folder) == list(range(1, RECORDS + 6)), f"byte {place}"
        shutil.rmtree(folder)


def test_what_is_behind_a_damaged_entry_is_read() -> None:
    """A journal's entries are read around one that is damaged, if they tell that it was synced."""
    blocks = [Append(number, number - 1, 10 * number, 10, 0, 1, 0.0, {}) for number in range(1, 6)]
    snapshot = Snapshot("boot", durable=True, number=0, marks=[], current=None)
    frames = [encode_entry(entry) for entry in (snapshot, *blocks)]
    whole = MAGIC + b"".join(frames)
    damaged = whole.replace(frames[3], frames[3][:-1] + b"\xff")
    found = list(decode_entries(damaged))
    assert found == [snapshot, *blocks[:2], Gap(len(frames[3])), *blocks[3:]]
    at_the_end = whole.replace(frames[5], frames[5][:-1] + b"\xff")
    assert list(decode_entries(at_the_end)) == [snapshot, *blocks[:4]]
    unsynced = [*blocks[:2], *(replace(b, synced=1) for b in blocks[2:])]
    frames = [encode_entry(entry) for entry in (snapshot, *unsynced)]
    torn = (MAGIC + b"".join(frames)).replace(frames[3], bytes(len(frames[3])))
    assert list(decode_entries(torn)) == [snapshot, *unsynced[:2]]


def test_a_missing_journal(tmp_path: Path) -> None:
    """Without its journal the log goes on, with all its records."""
    write(tmp_path, 1, RECORDS)
    (tmp_path / JOURNAL).unlink()
    write(tmp_path, RECORDS + 1, RECORDS + 5)
    assert messages(tmp_path) == list(range(1, RECORDS + 6))


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_journal_of_an_earlier_run(is_stopped: bool, tmp_path: Path) -> None:
    """A copy of the journal that was restored costs no record that was written since."""
    write(tmp_path, 1, 15)
    copy = (tmp_path / JOURNAL).read_bytes()
    write(tmp_path, 16, RECORDS, is_stopped=is_stopped)
    (tmp_path / JOURNAL).write_bytes(copy)
    write(tmp_path, RECORDS + 1, RECORDS + 5)
    assert messages(tmp_path) == list(range(1, RECORDS + 6))


def test_a_flipped_bit_in_the_note_of_a_lock() -> None:
    """It makes no other note: one that says nothing, or what it said."""
    for whole in (Generation(12), Generation(12, 345)):
        note = str(whole)
        for place, bit in itertools.product(range(len(note)), range(7)):
            damaged = note[:place] + chr(ord(note[place]) ^ 1 << bit) + note[place + 1 :]
            assert Generation.of_note(damaged) in (Generation(), whole), damaged
        assert Generation.of_note(note) == whole
        assert Generation.of_note(note.partition(" #")[0]) == whole, "that of an earlier version"


@pytest.mark.parametrize("tenths", [1, 5, 9])
def test_a_journal_without_its_end(tenths: int, tmp_path: Path) -> None:
    """A journal that was cut after an orderly stop costs no record."""
    write(tmp_path, 1, RECORDS)
    data = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(data[: len(data) * tenths // 10])
    write(tmp_path, RECORDS + 1, RECORDS + 5)
    assert messages(tmp_path) == list(range(1, RECORDS + 6))


BY_HAND: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("suffix", BY_HAND)
def test_compressed_by_hand(suffix: str, tmp_path: Path) -> None:
    """A closed file that somebody compressed is found, and is the next that makes room."""
    write(tmp_path, 1, 25)
    path = tmp_path / "app_0.log"
    path.with_name(path.name + suffix).write_bytes(BY_HAND[suffix](path.read_bytes()))
    path.unlink()
    output = made(tmp_path, retention=Retention(count=3))
    output.open()
    output.write([numbered(26, 1)])
    assert output.wait_idle()
    assert messages(tmp_path) == list(range(1, 27))
    for number in range(27, 37):
        output.write([numbered(number, 1)])
    assert output.wait_idle()
    output.close()
    assert messages(tmp_path) == list(range(11, 37))


@pytest.mark.parametrize("suffix", BY_HAND)
def test_current_file_compressed_by_hand(suffix: str, tmp_path: Path) -> None:
    """What `gzip` made of the current file is kept, and so is the file that is begun then."""
    output = made(tmp_path, compress="gzip", retention=Retention(count=5))
    output.open()
    output.write([numbered(1, 5)])
    path = tmp_path / "app_0.log"
    before = path.stat()
    compressed = path.with_name(path.name + suffix)
    compressed.write_bytes(BY_HAND[suffix](path.read_bytes()))
    os.utime(compressed, ns=(before.st_atime_ns, before.st_mtime_ns))
    path.unlink()
    output.write([numbered(6, 13)])
    assert output.wait_idle()
    output.rotate()
    assert output.wait_idle()
    assert messages(tmp_path) == list(range(1, 19))
    output.close()
    assert messages(tmp_path) == list(range(1, 19))


@pytest.mark.parametrize("after", ["write", "tick", "close"])
@pytest.mark.parametrize("unread", [0, 60, 200])
def test_written_while_the_current_file_is_compressed(
    unread: int, after: str, tmp_path: Path
) -> None:
    """What came between the read of someone's gzip and its removal of the file is kept, once."""
    output = made(tmp_path)
    output.open()
    output.write([numbered(1, 9)])
    path = tmp_path / "app_0.log"
    data = path.read_bytes()
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(data[: len(data) - unread]))
    path.unlink()
    if after == "write":
        output.write([numbered(10, 1)])
    elif after == "tick":
        output.tick(1e10)
    output.close()
    write(tmp_path, 10 + (after == "write"), 20)
    # An entry of which a part was read stands there, cut off, and whole in the new file.
    found = messages(tmp_path)
    whole = [*dict.fromkeys(found)]
    assert whole == list(range(1, 21))
    assert len(found) - len(whole) <= (unread > 0)


@pytest.mark.parametrize("is_same", [True, False])
def test_gzip_by_hand_between_runs(is_same: bool, tmp_path: Path) -> None:
    """A closed original beside a .gz goes if the .gz holds the same bytes, and only then."""
    write(tmp_path, 1, 25)
    data = (tmp_path / "app_0.log").read_bytes()
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(data if is_same else data[:-1]))
    output = made(tmp_path)
    output.open()
    assert output.wait_idle()
    output.close()
    assert (tmp_path / "app_0.log").exists() != is_same


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_gzip_by_hand_on_the_current_file_between_runs(compress: str, tmp_path: Path) -> None:
    """A file that the journal calls current, and that exists only compressed, costs no record."""
    write(tmp_path, 1, 5)
    path = tmp_path / "app_0.log"
    (tmp_path / "app_0.log.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    output = made(tmp_path, compress=compress)
    output.open()
    for number in range(6, 19):
        output.write([numbered(number, 1)])
    assert output.wait_idle()
    assert messages(tmp_path) == list(range(1, 19))
    output.close()
    write(tmp_path, 19, 20)
    assert messages(tmp_path) == list(range(1, 21))


@pytest.mark.parametrize("name", ["app_0.log", "app_2.log"])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_log(name: str, place: float, tmp_path: Path) -> None:
    """One flipped bit in a text file changes one record at most, and cuts nothing off."""
    write(tmp_path, 1, 25)
    data = bytearray((tmp_path / name).read_bytes())
    data[int(len(data) * place)] ^= 1
    (tmp_path / name).write_bytes(data)
    write(tmp_path, 26, 30)
    found = FileSource(str(tmp_path / "app_%d.log"), lambda note: None).entries()
    assert len({entry.msg for entry in found} & {f"0123 record {n}" for n in range(1, 31)}) >= 28


def test_a_copied_log_goes_on(tmp_path: Path) -> None:
    """A folder copied to another disk, after the machine died, holds each record once."""
    original = tmp_path / "original"
    write(original, 1, 25, is_stopped=False)
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    output = made(copy)
    known = output.open()
    output.close()
    assert list(known.values()) == [25]
    write(copy, 26, 30)
    assert messages(copy) == list(range(1, 31))
