"""One text file as raw entries: forwards, backwards, compressed, and while it is written to.

Entries come in blocks of about a mebibyte, so that callers can pass over blocks or sift their
entries in list comprehensions. An entry is whole once its line has ended and, inside a file,
another entry has begun; a last line without its end is not an entry yet. Memory is bounded by the
block and the longest entry, and an entry by `MAX_ENTRY_BYTES`: what is longer is no log line and
comes in pieces of a block, without a line end but for the last.
"""

from __future__ import annotations

import lzma
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from logd.outputs.files import zstd
from logd.outputs.files.unpacking import inflated
from logd.query.files.frames import frame_before
from logd.query.files.listing import FileRef
from logd.text.reading import BREAK, MARK

BLOCK_BYTES = 1 << 20
MAX_ENTRY_BYTES = 16 << 20

_CONTINUATION = BREAK[1:]
_EDGE_BYTES = len(BREAK)
"""An entry's beginning is told by this many bytes, the line end before it included."""

DAMAGED = (OSError, EOFError, ValueError, zlib.error)
"""What reading a file may raise: the disk refused, or what is compressed is damaged."""


def split(block: bytes) -> list[bytes]:
    """The raw entries of a block that consists of whole ones, or the piece of one that it is."""
    if BREAK in block:
        block = block.replace(BREAK, MARK)
    raws = block.split(b"\n")
    if not raws[-1]:
        raws.pop()
    return raws


def chunks(descriptor: int, ref: FileRef, start: int, end: int | None) -> Iterator[bytes]:
    """The bytes of a file from `start` to `end`, both counted uncompressed.

    Args:
        descriptor: of the file; is not moved if the file is uncompressed.
        ref: the file.
        start: of the first byte.
        end: behind the last; None for all there is.

    Raises:
        DAMAGED: the file can't be read.
    """
    if not ref.suffix:
        while end is None or start < end:
            # Pieces end at the same places wherever the first begins, and so do blocks.
            size = BLOCK_BYTES - start % BLOCK_BYTES
            if end is not None:
                size = min(size, end - start)
            data = os.pread(descriptor, size, start)
            if not data:
                return
            start += len(data)
            yield data
        return
    on_disk, place = frame_before(descriptor, ref.suffix, start)
    os.lseek(descriptor, on_disk, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        for data in _decompressed(file, ref.suffix):
            piece = data[max(0, start - place) : None if end is None else max(0, end - place)]
            place += len(data)
            if piece:
                yield piece
            if end is not None and place >= end:
                return


def _decompressed(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    """The content in pieces of about a block; all that can be read comes before an error does."""
    waiting: list[bytes] = []
    size = 0
    problem: Exception | None = None
    try:
        for data in inflated(file, suffix):
            waiting.append(data)
            size += len(data)
            if size >= BLOCK_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    except (zstd.ZstdError, lzma.LZMAError) as exc:
        problem = ValueError(str(exc))
    except DAMAGED as exc:
        problem = exc
    if waiting:
        yield b"".join(waiting)
    if problem is not None:
        raise problem


def whole_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put pieces of a file, in order, together to blocks of whole entries with their line ends."""
    held: list[bytes] = []
    size, edge = 0, b""
    problem: Exception | None = None
    try:
        for piece in pieces:
            # In what was there before no entry begins, but perhaps across its end.
            found = last_entry_start(edge + piece)
            cut = found + size - len(edge)
            held.append(piece)
            size += len(piece)
            edge = (edge + piece[-_EDGE_BYTES:])[-_EDGE_BYTES:]
            if found and cut > 0:
                data = b"".join(held)
                yield data[:cut]
                held = [data[cut:]]
                size -= cut
            elif size > MAX_ENTRY_BYTES:
                yield from _divided(held[:-1])
                held = held[-1:]
                size = len(held[0])
    except DAMAGED as exc:
        # The lines that can be read come first.
        problem = exc
    rest = b"".join(held)
    if problem is not None:
        rest = rest[: rest.rfind(b"\n") + 1]
    # What has not ended its line, or may be about to go on with another, is being written.
    if rest.endswith(b"\n"):
        yield rest
    if problem is not None:
        raise problem


def _divided(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of what is no entry, none of them much longer than a block."""
    for part in parts:
        for start in range(0, len(part), BLOCK_BYTES):
            yield part[start : start + BLOCK_BYTES]


def last_entry_start(data: bytes) -> int:
    """Where the last entry of `data` begins, 0 if that is not certain."""
    place = len(data)
    while (place := data.rfind(b"\n", 0, place)) >= 0:
        following = data[place + 1 : place + 1 + len(_CONTINUATION)]
        # Nothing, or too little to tell from a continuation, is no certain beginning either.
        if not _CONTINUATION.startswith(following):
            return place + 1
    return 0


def whole_size(descriptor: int, size: int) -> int:
    """Where the last whole entry among the first `size` bytes of an uncompressed file ends.

    Looks at a block at a time, however long the line is that has not ended yet.
    """
    if not size or _pread(descriptor, 1, size - 1) == b"\n":
        return size
    place, span, behind = size, 1 << 12, b""
    while place > 0:
        start = max(0, place - span)
        data = _pread(descriptor, place - start, start)
        cut = last_entry_start(data + behind)
        if cut:
            return start + cut
        # A line end may be the last of a block, and what tells its meaning in the next.
        place, span, behind = start, BLOCK_BYTES, (data + behind)[: len(_CONTINUATION)]
    return 0


def backwards(descriptor: int, end: int) -> Iterator[bytes]:
    """Blocks of whole entries before `end` of an uncompressed file, the last block first."""
    place = whole_size(descriptor, end)
    held: deque[bytes] = deque()
    held_bytes = 0
    size = 1 << 16  # mostly the last few lines are wanted
    while place > 0:
        size = min(size, place)
        place -= size
        data = _pread(descriptor, size, place)
        size = BLOCK_BYTES
        # In what is behind it no entry begins, but perhaps across its end.
        edge = b"".join(islice(held, 2))[:_EDGE_BYTES]
        cut = _first_entry_start(data + edge)
        held.appendleft(data)
        held_bytes += len(data)
        if place == 0:
            yield b"".join(held)
        elif 0 <= cut <= len(data):
            data = b"".join(held)
            yield data[cut:]
            held, held_bytes = deque([data[:cut]]), cut
        elif held_bytes > MAX_ENTRY_BYTES:
            while len(held) > 1:
                yield held.pop()
            held_bytes = len(held[0])


def _pread(descriptor: int, size: int, place: int) -> bytes:
    """All of the bytes there are."""
    data = os.pread(descriptor, size, place)
    while len(data) < size:
        more = os.pread(descriptor, size - len(data), place + len(data))
        if not more:
            break
        data += more
    return data


def _first_entry_start(data: bytes) -> int:
    """Where the first entry that surely begins in `data` does so; -1 for none."""
    place = -1
    while (place := data.find(b"\n", place + 1)) >= 0:
        if place + 1 < len(data) and not data.startswith(_CONTINUATION, place + 1):
            return place + 1
    return -1
