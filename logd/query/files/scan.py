"""Blocks of the files of one log, in both directions, each with its place; see `raw.py`."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from logd.query.files.layouts import DEFAULT
from logd.query.files.listing import FileRef
from logd.query.files.raw import DAMAGED, backwards, chunks, whole_blocks, whole_size
from logd.query.positions import GENERATION_BYTES, FilePosition, generation_of
from logd.text.reading import BREAK, MARK

WINDOW_BYTES = 32 << 20
"""Of a compressed file that is read backwards this much is held at a time; the rest is decompressed
once more for each window."""

_BREAK_GROWTH = len(BREAK) - len(MARK)


class ReadBlock(NamedTuple):
    """Whole entries of one file.

    Attributes:
        place: the bytes of the file before it, uncompressed.
        on_disk: how far the file was read to get it, in bytes on disk.
        data: the entries with their line ends.
    """

    place: int
    on_disk: int
    data: bytes


class Found(NamedTuple):
    """Entries of a block that are wanted.

    Attributes:
        ref: the file.
        generation: of the file, see `logd.query.positions`.
        place: where the block begins.
        end: where it ends.
        all_raws: all entries of the block.
        raws: the ones that are wanted, in their order: the same objects.
        has_fast_lines: see `Prefilter`.
    """

    ref: FileRef
    generation: str
    place: int
    end: int
    all_raws: list[bytes]
    raws: list[bytes]
    has_fast_lines: bool

    @property
    def is_fast(self) -> bool:
        """What `Prefilter.is_fast` says of the wanted ones: only who counts needs to know."""
        return self.has_fast_lines and DEFAULT.fits(self.raws)

    def places(self) -> list[tuple[int, int]]:
        """For each wanted entry the bytes of the file before it and with it."""
        sizes = [len(raw) + 1 + raw.count(MARK) * _BREAK_GROWTH for raw in self.all_raws]
        starts = list(accumulate(sizes, initial=self.place))
        starts[-1] = self.end  # a piece of what is no entry has no line end
        if len(self.raws) == len(self.all_raws):
            return list(pairwise(starts))
        found, wanted = [], iter(self.raws)
        following = next(wanted, None)
        for number, raw in enumerate(self.all_raws):
            if raw is following:
                found.append((starts[number], starts[number + 1]))
                following = next(wanted, None)
        return found

    def positions(self) -> Sequence[tuple[FilePosition, FilePosition]]:
        """The same as positions."""
        path, generation = self.ref.plain_path, self.generation
        return [
            (FilePosition(path, start, generation), FilePosition(path, end, generation))
            for start, end in self.places()
        ]


def read_generation(descriptor: int, ref: FileRef) -> str:
    """What tells the content of a file from what its name stood for earlier or will later."""
    start = b""
    # The start of a file that is damaged further on is as good.
    with contextlib.suppress(*DAMAGED):
        for piece in chunks(descriptor, ref, 0, GENERATION_BYTES):
            start += piece
            if len(start) >= GENERATION_BYTES:
                break
    return generation_of(start)


def blocks_forwards(
    descriptor: int, ref: FileRef, start: int, end: int | None
) -> Iterator[ReadBlock]:
    """The blocks from one place to another, None for the end."""
    place = start
    for data in whole_blocks(chunks(descriptor, ref, start, end)):
        behind = place + len(data)
        on_disk = os.lseek(descriptor, 0, os.SEEK_CUR) if ref.suffix else behind
        yield ReadBlock(place, on_disk, data)
        place = behind


def blocks_backwards(
    descriptor: int, ref: FileRef, start: int, end: int | None
) -> Iterator[ReadBlock]:
    """The same, the last block first."""
    found = (
        _compressed_backwards(descriptor, ref, start, end)
        if ref.suffix
        else _plain_backwards(descriptor, ref, end)
    )
    for block in found:
        if block.place < start:
            if block.place + len(block.data) > start:
                data = block.data[start - block.place :]
                yield ReadBlock(start, block.on_disk, data)
            return
        yield block


def _plain_backwards(descriptor: int, ref: FileRef, end: int | None) -> Iterator[ReadBlock]:
    behind = whole_size(descriptor, ref.size if end is None else end)
    for data in backwards(descriptor, behind):
        behind -= len(data)
        yield ReadBlock(behind, ref.size - behind, data)


def _compressed_backwards(
    descriptor: int, ref: FileRef, start: int, end: int | None
) -> Iterator[ReadBlock]:
    problem: Exception | None = None
    while end is None or end > start:
        window: deque[ReadBlock] = deque()
        held = 0
        try:
            for block in blocks_forwards(descriptor, ref, start, end):
                window.append(block)
                held += len(block.data)
                while held - len(window[0].data) >= WINDOW_BYTES:
                    held -= len(window.popleft().data)
        except DAMAGED as exc:
            problem = exc
        if not window:
            break
        yield from reversed(window)
        end = window[0].place
    if problem is not None:
        raise problem
