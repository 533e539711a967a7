"""Compressed files are in frames, and a place in them is reached by those."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from logd.outputs.files import compression, zstd
from logd.outputs.files.compression import Kind, compress_file
from logd.query.files.frames import frame_before, frames_of
from logd.query.files.listing import FileRef
from logd.query.files.raw import chunks
from logd.query.files.source import FileSource
from logd.query.selection import Selection
from tests.query.log_making import START, Notes, records, write_log

LINES = b"".join(b"entry %d\n  | its second line\n" % number for number in range(2000))


def _compress(folder: Path, kind: Kind, data: bytes) -> Path:
    (folder / "a.log").write_bytes(data)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return folder / compress_file(descriptor, "a.log", kind, lambda: True)
    finally:
        os.close(descriptor)


@pytest.fixture(autouse=True)
def small_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames of some kilobytes."""
    monkeypatch.setattr(compression, "FRAME_BYTES", 5000)
    monkeypatch.setattr(compression, "_PIECE_BYTES", 700)


def test_frames_end_where_entries_do(tmp_path: Path) -> None:
    """Each frame is unpacked by itself, and begins with an entry, not with its second line."""
    path = _compress(tmp_path, "zstd", LINES)
    data = path.read_bytes()
    whole = b""
    count = 0
    while data:
        size = zstd.get_frame_size(data)
        frame = zstd.decompress(data[:size])
        assert frame.startswith(b"entry ")
        whole += frame
        data = data[size:]
        count += 1
    assert whole == LINES
    assert count > 10


@pytest.mark.parametrize("data", [b"", b"no line end", b"x" * 20_000, LINES[:-1]])
def test_whatever_it_holds_is_kept(tmp_path: Path, data: bytes) -> None:
    """A file without entries, or with none that ends, is compressed as it is."""
    assert gzip.decompress(_compress(tmp_path, "gzip", data).read_bytes()) == data
    packed = _compress(tmp_path, "zstd", data).read_bytes()
    assert packed
    assert zstd.decompress(packed) == data


@pytest.mark.parametrize(("kind", "command"), [("gzip", "zcat"), ("zstd", "zstdcat")])
def test_the_usual_commands_read_it(tmp_path: Path, kind: Kind, command: str) -> None:
    """zcat and zstdcat show all frames."""
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    packed = _compress(tmp_path, kind, LINES).read_bytes()
    found = subprocess.run([command], input=packed, capture_output=True, check=True)
    assert found.stdout == LINES


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_any_place_is_reached(tmp_path: Path, kind: Kind) -> None:
    """Bytes from any place to any other are those of the file."""
    path = _compress(tmp_path, kind, LINES)
    named = path.rename(tmp_path / f"a.log{compression.SUFFIXES[kind]}")
    state = named.stat()
    ref = FileRef(named, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    descriptor = os.open(named, os.O_RDONLY)
    try:
        for start in (0, 1, 4999, 30_000, len(LINES) - 1, len(LINES), len(LINES) + 5):
            for end in (start, start + 10_000, None):
                assert b"".join(chunks(descriptor, ref, start, end)) == LINES[start:end]
        is_zstd = kind == "zstd"
        assert (len(frames_of(descriptor, ref.suffix)) > 10) is is_zstd
        assert (frame_before(descriptor, ref.suffix, 30_000)[1] > 20_000) is is_zstd
    finally:
        os.close(descriptor)


def test_frames_of_others_are_no_obstacle(tmp_path: Path) -> None:
    """One frame, frames that don't tell their size, and what is none: read from the start."""
    compressor = zstd.ZstdCompressor()
    silent = compressor.compress(LINES) + compressor.flush()
    path = tmp_path / "a.zst"
    for data in (silent, zstd.compress(LINES), b"", b"nothing of the kind"):
        path.write_bytes(data)
        descriptor = os.open(path, os.O_RDONLY)
        assert frame_before(descriptor, ".zst", 5000) == (0, 0)
        os.close(descriptor)


def test_a_stretch_of_time_is_read_from_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its index a compressed file is unpacked only where the time is that is asked for."""
    monkeypatch.setattr("logd.query.files.raw.BLOCK_BYTES", 700)
    monkeypatch.setattr("logd.query.files.indexing.MIN_INDEXED_BYTES", 1)
    pattern = tmp_path / "app_%d.log"
    write_log(pattern, records(1, 410), lines=400, compress="zstd")
    source = FileSource(str(pattern), Notes())
    source.summarise(keys=["cat"])
    wanted = Selection(since=START + 300, until=START + 310)
    for newest_first in (False, True):
        told: list[float] = []
        found = [
            e.msgid for e in source.entries(wanted, newest_first=newest_first, watch=told.append)
        ]
        assert sorted(found) == list(range(300, 310))
        assert len(told) < 8, "of about 70 blocks"
