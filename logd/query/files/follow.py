"""What is appended to a log of text files, through rotations, by looking again and again.

The current file is held open, so that what its writer still adds after a rotation is read to its
end under whatever name; the next file is taken up once something is in it. Files that came and
went between two looks are found by the order of the ring. Nothing is ever waited for here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import (
    BLOCK_BYTES,
    DAMAGED,
    MAX_ENTRY_BYTES,
    last_entry_start,
    split,
)
from logd.query.files.scan import ReadBlock, blocks_forwards, read_generation
from logd.query.positions import FilePosition
from logd.query.source import Follower, Note
from logd.records.entry import Entry
from logd.text.reading import LineReader

# This many bytes before the place reached tell whether a file was emptied and written anew.
_REMEMBERED_BYTES = 64
# A write becomes visible page by page: an end between pages is the end of a write.
_PAGE_BYTES = 4096
_SETTLED_NS = 1_000_000_000


class FileFollower(Follower[bytes]):
    """Follows one log; see `Follower`.

    Args:
        files: the log.
        reader: reads its entries.
        prefilter: says which are wanted.
        start: where to begin; None: with the first entry of the first file.
        on_note: see `LogSource`.
    """

    def __init__(
        self,
        files: RingFiles,
        reader: LineReader,
        prefilter: Prefilter,
        start: FilePosition | None,
        on_note: Note,
    ) -> None:
        self._files = files
        self._reader = reader
        self._prefilter = prefilter
        self._start = start
        self._on_note = on_note
        self._descriptor = -1
        self._ref: FileRef | None = None
        self._place = 0
        self._before = b""
        # Blocks of a file that is finished.
        self._blocks: Iterator[ReadBlock] | None = None
        self._held_size = -1
        self._looked_at = (0, 0)
        self._next: FileRef | None = None
        self._generation = ""
        # A file of plain name: where it was when it was opened, and where it will go.
        self._opened_as = self._closed_as = Path()
        # At once, while the file is sure to be the one that is meant.
        self._begin()

    def _more(self) -> Sequence[bytes] | None:
        block = self._next_block()
        if block is None:
            return None
        if not self._prefilter.may_match(block):
            return ()
        return self._prefilter.wanted(split(block))

    def _entry(self, item: bytes) -> Entry:
        return self._reader.read(item)

    def position(self) -> FilePosition | None:
        if self._ref is None:
            return self._start
        if not self._generation and self._descriptor >= 0:
            self._generation = self._read_generation()
        return FilePosition(self._ref.plain_path, self._place, self._generation)

    def _read_generation(self) -> str:
        assert self._ref is not None  # noqa: S101 - the caller has looked
        try:
            return read_generation(self._descriptor, self._ref)
        except DAMAGED:
            return ""

    def close(self) -> None:
        self._blocks = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    # -- blocks of entries -----------------------------------------------------------------------

    def _next_block(self) -> bytes | None:
        while True:
            if self._ref is None and not self._begin():
                return None
            if self._blocks is None:
                news = self._news()
                if news:
                    return news
                if not self._is_finished():
                    return None
                self._read_to_end()
            block = self._from_finished()
            if block:
                return block
            if not self._go_on():
                return None

    def _read_to_end(self) -> None:
        """The file is finished: what is left of it comes without a look at what may follow."""
        assert self._ref is not None  # noqa: S101 - set by `_begin`
        self._blocks = blocks_forwards(self._descriptor, self._ref, self._place, None)

    def _from_finished(self) -> bytes | None:
        try:
            block = next(self._blocks, None) if self._blocks is not None else None
        except DAMAGED as exc:
            self._on_note(f"{self._ref and self._ref.path} can't be read to its end: {exc}")
            return None
        if block is None:
            return None
        self._place = block.place + len(block.data)
        self._before = block.data[-_REMEMBERED_BYTES:]
        return block.data

    def _news(self) -> bytes:
        """Whole entries that were appended, about a block of them at most."""
        size = os.fstat(self._descriptor).st_size
        if size < self._place or not self._is_as_before():
            self._on_note(f"{self._ref and self._ref.path} was emptied: reading it from its start")
            self._place, self._generation = 0, ""
        data, cut = b"", 0
        while len(data) <= MAX_ENTRY_BYTES:
            piece = os.pread(self._descriptor, BLOCK_BYTES, self._place + len(data))
            data += piece
            cut = last_entry_start(data)
            if cut and len(piece) == BLOCK_BYTES:
                return self._took(data[:cut])
            if not piece:
                break
        else:
            return self._took(data)
        if data.endswith(b"\n"):
            end = self._place + len(data)
            if end % _PAGE_BYTES or self._held_size == end:
                cut = len(data)
            self._held_size = end
        return self._took(data[:cut])

    def _took(self, block: bytes) -> bytes:
        self._place += len(block)
        if block:
            self._before = (self._before + block)[-_REMEMBERED_BYTES:]
        return block if not block or block.endswith(b"\n") else block + b"\n"

    def _is_as_before(self) -> bool:
        known = self._before
        start = self._place - len(known)
        return os.pread(self._descriptor, len(known), start) == known

    # -- from file to file -----------------------------------------------------------------------

    def _begin(self) -> bool:
        """Open the file of the start; False while there is none."""
        refs = self._files.listing()
        start = self._start
        for number in self._candidates(refs, start):
            if not self._open(refs, number, start.size if start else 0):
                return False
            if start is not None and not self._is_of(start.generation):
                if self._files.are_renamed:
                    continue
                break
            self._start = None
            return True
        if refs and start is not None:
            self._note_lost()
            self._start = None
            return self._open(refs, 0, 0)
        return False

    def _candidates(self, refs: Sequence[FileRef], start: FilePosition | None) -> list[int]:
        """Numbers of the files that the start may be in, the one of its name first."""
        if start is None:
            return [0] if refs else []
        of_name = [number for number, ref in enumerate(refs) if ref.plain_path == start.path]
        if not (self._files.are_renamed and start.generation):
            return of_name
        return of_name + [n for n in reversed(range(len(refs))) if n not in of_name]

    def _is_of(self, generation: str) -> bool:
        """Whether the open file is the one that a position is of."""
        return not generation or generation == self._read_generation()

    def _open(self, refs: Sequence[FileRef], number: int, place: int) -> bool:
        """Open one of the files at a place in it; False if it is gone."""
        ref, is_last = refs[number], number == len(refs) - 1
        opened = open_file(ref)
        if opened is None:
            return False
        self.close()
        self._descriptor, self._ref = opened
        if ref.is_renamed:
            self._opened_as, self._closed_as = self._ref.path, self._files.closed_path(refs)
        if not self._ref.suffix and self._ref.size < place:
            if not (self._files.are_renamed and self._start and self._start.generation):
                self._note_lost()
            place = 0
        self._place, self._before, self._held_size = place, b"", -1
        self._generation = ""
        self._looked_at, self._next = (0, 0), None
        if not is_last or self._ref.suffix:
            self._read_to_end()
        return True

    def _is_finished(self) -> bool:
        """Whether another file is written to by now, so that nothing comes to this one."""
        ref = self._ref
        assert ref is not None  # noqa: S101 - set by `_begin`
        if self._next is None:
            folder = ref.path.parent.stat()
            look = (folder.st_mtime_ns, _inode(ref))
            if look == self._looked_at:
                return False
            refs, place = self._find()
            if place == len(refs) - 1 or not refs:
                # What changes within one tick of the clock leaves the folder's time as it is.
                is_settled = time.time_ns() - folder.st_mtime_ns > _SETTLED_NS
                self._looked_at = look if is_settled else (0, 0)
                return False
            self._next = refs[place + 1]
            if place + 1 < len(refs) - 1:
                return True
        # Empty, it may stand there before the writer of this one has turned to it (logrotate).
        try:
            return self._next.path.stat().st_size > 0
        except FileNotFoundError:
            return True

    def _find(self) -> tuple[list[FileRef], int]:
        """The listing, and the place of the present file in it; -1 if it is no more."""
        refs = self._files.listing()
        state = os.fstat(self._descriptor)
        assert self._ref is not None  # noqa: S101 - set by `_begin`
        mine = self._ref
        found = [
            (likeness, place)
            for place, ref in enumerate(refs)
            if (ref.plain_path == mine.plain_path or mine.is_renamed)
            and (likeness := self._likeness(ref, state))
        ]
        if found:
            place = max(found, key=lambda item: item[0])[1]
            if mine.is_renamed:
                # By the name that it has now another is known to be the next one, or to be missing.
                self._ref = replace(mine, path=Path(refs[place].plain_path))
            return refs, place
        return refs, -1

    def _likeness(self, ref: FileRef, state: os.stat_result) -> int:
        """How surely a file is the present one, or what compression made of it; 0: it is not."""
        if ref.inode == state.st_ino:
            return 3
        if not ref.suffix:
            return 0
        # By what it holds: its time may have been changed by hand.
        opened = open_file(ref)
        if opened is not None:
            descriptor, now = opened
            try:
                generation = read_generation(descriptor, now)
            finally:
                os.close(descriptor)
            self._generation = self._generation or self._read_generation()
            if generation == self._generation != "":
                return 2
        return int(ref.mtime_ns == state.st_mtime_ns)

    def _go_on(self) -> bool:
        """Turn to the file after the finished one; False if there is none by now."""
        refs, place = self._find()
        self._blocks = None
        if place + 1 >= len(refs):
            # A compressed one that was the last: the daemon is about to begin another. To any
            # other one more may come.
            is_compressed = self._ref is not None and self._ref.suffix
            self._blocks = iter(()) if is_compressed else None
            return False
        following = refs[place + 1]
        if place < 0:
            assert self._ref is not None  # noqa: S101 - set by `_begin`
            overwritten_ns = os.fstat(self._descriptor).st_ctime_ns
            last = self._ref
            if last.is_renamed and last.path == self._opened_as:
                last = replace(last, path=self._closed_as)
            if not self._files.is_next(last, overwritten_ns, following):
                self._note_lost()
        return self._open(refs, place + 1, 0)

    def _note_lost(self) -> None:
        self._on_note(
            f"{self._files.pattern}: some entries were overwritten before they could be shown"
        )


def _inode(ref: FileRef) -> int:
    try:
        return ref.path.stat().st_ino
    except FileNotFoundError:
        return 0
