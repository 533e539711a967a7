"""One file as raw entries, forwards, backwards, compressed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.outputs.files import zstd
from logd.query.files import raw as rawfile
from logd.query.files.listing import FileRef
from logd.query.files.raw import DAMAGED, backwards, chunks, split, whole_blocks, whole_size
from logd.query.files.source import FileSource
from logd.text.reading import MARK

LINES = st.lists(
    st.sampled_from(["entry", "  | more", "", " ", "  |", "  | ", "another, longer entry"]),
    max_size=12,
)


def expected(text: bytes) -> list[bytes]:
    """The entries of a file, the plain way: those that have ended their line."""
    entries: list[bytes] = []
    *lines, last = text.split(b"\n")
    for line in lines:
        if line.startswith(b"  | ") and entries:
            entries[-1] += MARK + line[4:]
        else:
            entries.append(line)
    # What may be about to continue the last entry keeps it from being whole.
    if last and b"  | ".startswith(last[:4]) and entries:
        entries.pop()
    return entries


def cut(text: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The text in pieces."""
    for size in sizes:
        yield text[:size]
        text = text[size:]
    if text:
        yield text


@given(LINES, st.sampled_from(["", "\n"]), st.lists(st.integers(1, 9), max_size=30))
def test_any_pieces_give_the_same_entries(lines: list[str], end: str, sizes: list[int]) -> None:
    """However a file is read, its whole entries are found, and only they."""
    text = ("first\n" + "\n".join(lines) + end).encode()
    blocks = list(whole_blocks(cut(text, sizes)))
    assert [entry for block in blocks for entry in split(block)] == expected(text)


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, FileRef]]:
    """A file and its description."""
    state = path.stat()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield (
            descriptor,
            FileRef(path, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns),
        )
    finally:
        os.close(descriptor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples."""
    return tmp_path_factory.mktemp("raw")


@given(lines=LINES, end=st.sampled_from(["", "\n"]), repeats=st.sampled_from([1, 40, 4000]))
def test_backwards_is_forwards_turned_round(
    folder: Path, lines: list[str], end: str, repeats: int
) -> None:
    """The blocks from the end hold the same entries."""
    path = folder / "log"
    text = (("first\n" + "\n".join(lines) + "\n") * repeats + "last" + end).encode()
    path.write_bytes(text)
    with opened(path) as (descriptor, _):
        blocks = list(backwards(descriptor, len(text)))
        found = [entry for block in reversed(blocks) for entry in split(block)]
        assert found == expected(text)
        whole = text[: whole_size(descriptor, len(text))]
    assert [entry for block in whole_blocks([whole]) for entry in split(block)] == expected(text)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_compressed_or_not(tmp_path: Path, suffix: str) -> None:
    """Any part of a file is read, counted in bytes of its original."""
    text = b"".join(b"line %d\n" % number for number in range(300_000))
    data = text
    if suffix:
        data = COMPRESS[suffix](text[:1000]) + COMPRESS[suffix](text[1000:])
    path = tmp_path / f"log{suffix}"
    path.write_bytes(data)
    with opened(path) as (descriptor, ref):
        for start, end in ((0, None), (0, 10), (7, 2_000_000), (1_500_000, None)):
            assert b"".join(chunks(descriptor, ref, start, end)) == text[start:end]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    """What is no compressed file, or only its beginning, raises a documented error."""
    compress = COMPRESS[suffix]
    path = tmp_path / f"log{suffix}"
    for data in (b"not compressed at all", compress(os.urandom(3 << 20))[:2_000_000]):
        path.write_bytes(data)
        with opened(path) as (descriptor, ref):
            try:
                whole = b"".join(chunks(descriptor, ref, 0, None))
            except DAMAGED:
                continue
            assert suffix == ".zst"
            assert len(whole) < 3 << 20


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no log does not fill the memory: it comes in pieces, each byte of it once."""
    monkeypatch.setattr(rawfile, "MAX_ENTRY_BYTES", 5000)
    monkeypatch.setattr(rawfile, "BLOCK_BYTES", 1000)
    line = b"".join(b"%9d " % number for number in range(20_000))
    text = b"first\n" + line + b"\n" + b"last\n  | more\n"
    blocks = list(whole_blocks(text[at : at + 700] for at in range(0, len(text), 700)))
    assert b"".join(blocks) == text
    assert max(map(len, blocks)) <= 5700
    assert split(blocks[-1]) == [b"last" + MARK + b"more"]
    path = tmp_path / "log"
    path.write_bytes(text)
    with opened(path) as (descriptor, _):
        blocks = list(backwards(descriptor, len(text)))
        assert b"".join(reversed(blocks)) == text
        # But for the first read, which looks for the last few lines.
        assert max(map(len, blocks[2:])) <= 6000
        assert split(blocks[-1])[0] == b"first"


def test_pieces_of_a_line_have_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places go on from piece to piece, without a byte between them or twice."""
    monkeypatch.setattr(rawfile, "MAX_ENTRY_BYTES", 5000)
    monkeypatch.setattr(rawfile, "BLOCK_BYTES", 1000)
    path = tmp_path / "log_0"
    size = path.write_bytes(b"first\n" + b"x" * 100_000 + b"\nlast\n")
    for newest_first in (False, True):
        source = FileSource(f"{tmp_path}/log_%d", print)
        found = list(source.placed(newest_first=newest_first))[:: -1 if newest_first else 1]
        starts = [one.position.size for one in found]
        ends = [one.behind.size for one in found]
        assert len(found) > 3
        assert starts == [0, *ends[:-1]]
        assert ends[-1] == size
        assert sum(one.entry.msg.count("x") for one in found) == 100_000
