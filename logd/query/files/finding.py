"""Finds the entries of a log's files that pass a selection, block by block.

It passes over files that are too old, and over blocks in which nothing can be wanted. If a file
goes away while it is read, or is damaged, it says so and reads on behind that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from logd.query.budget import Budget, Cancelled
from logd.query.fields import TEXT
from logd.query.files.heldopen import HeldOpen
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import DAMAGED, split
from logd.query.files.scan import (
    Found,
    ReadBlock,
    blocks_backwards,
    blocks_forwards,
    read_generation,
)
from logd.query.files.shortcut import CellCounter
from logd.query.files.timebounds import TimeBounds
from logd.query.files.together import Question, count_file
from logd.query.files.ways import Scan, spans
from logd.query.positions import CannotRead, FilePosition, Gone, Position
from logd.query.selection import Selection
from logd.query.source import Note, Watch
from logd.text.reading import LineReader


class Finder:
    """Reads the files of one log.

    Args:
        name: the log's, for messages.
        files: the log's files.
        reader: knows the format of their lines.
        timestamp: the format of timestamps, None if lines have none.
        on_note: told what readers should know.
        on_damage: told what can't be read.
    """

    def __init__(
        self,
        name: str,
        files: RingFiles,
        reader: LineReader,
        timestamp: str | None,
        on_note: Note,
        on_damage: Note,
    ) -> None:
        self._name = name
        self._files = files
        self._reader = reader
        self._timestamp = timestamp
        self._on_note = on_note
        self._on_damage = on_damage

    def check(
        self, selection: Selection, *, needs_fields: bool = False, needs_times: bool = False
    ) -> None:
        """Make sure that lines tell what is asked for.

        Raises:
            CannotRead: they don't.
        """
        needs_fields = needs_fields or any(term.field != TEXT for term in selection.terms)
        needs_times = needs_times or selection.has_times
        if not self._reader.is_own_format and (needs_fields or needs_times):
            raise CannotRead(
                f"{self._name}: lines are in a format of your own (line_format): "
                "only texts and regular expressions can be searched for"
            )
        if needs_times and not self._reader.times.is_readable:
            raise CannotRead(
                f"{self._name}: timestamps ({self._timestamp or 'none'}) have no date to go by: "
                "a search by time is not possible"
            )

    def count(self, questions: Sequence[Question], watch: Watch) -> None:
        """Count all files for several questions of the same times."""
        refs = self._files.listing()
        total, done = sum(ref.size for ref in refs) or 1, 0
        with HeldOpen(refs) as held:
            for ref in refs:
                if not questions[0].bounds.is_too_old(ref):
                    on_block = _telling(watch, done, total)
                    self._count_file(held, ref, questions, on_block, is_closed=ref is not refs[-1])
                done += ref.size

    def _count_file(
        self,
        held: HeldOpen,
        ref: FileRef,
        questions: Sequence[Question],
        on_block: Callable[[ReadBlock], None],
        *,
        is_closed: bool,
    ) -> None:
        with held.opened(ref) as opened:
            if opened is None:
                self._note_gone(ref)
                return
            descriptor, now = opened
            self._reader.times.last_written = now.mtime_ns / 1e9
            behind = 0
            try:
                # Not what came since the listing.
                size = now.size if now.suffix else min(ref.size, now.size)
                for place in count_file(
                    descriptor,
                    replace(now, size=size),
                    read_generation(descriptor, now),
                    self._reader,
                    questions,
                    is_closed=is_closed,
                    on_block=on_block,
                ):
                    behind = place
            except DAMAGED as exc:
                self._note_damaged(now, behind, exc)

    def found(
        self,
        selection: Selection,
        start: Position | None,
        end: Position | None,
        watch: Watch,
        *,
        newest_first: bool = False,
        counter: CellCounter | None = None,
        budget: Budget | None = None,
    ) -> Iterator[Found]:
        """The entries that pass, block by block; those of a block are in the file's order.

        What `counter` counts by an index is not among them.
        """
        self.check(selection)
        # What an index has counted of a file is not taken back if the rest of it is given up.
        check = budget.check if budget is not None and counter is None else None
        sieve = _Sieve(
            Prefilter(selection, self._reader, check),
            TimeBounds(self._reader, selection.since, selection.until),
        )
        refs = self._files.listing()
        current = refs[-1] if refs else None
        refs, first_place, last_place = self._between(refs, start, end)
        total = sum(ref.size for ref in refs) or 1
        done = 0
        # The oldest are held open, as the ring would overwrite them first.
        with HeldOpen([] if newest_first else refs) as held:
            for ref in reversed(refs) if newest_first else refs:
                span = (
                    first_place if ref is refs[0] else 0,
                    last_place if ref is refs[-1] else None,
                )
                if not sieve.bounds.is_too_old(ref):
                    on_block = _telling(watch, done, total)
                    is_closed = ref is not current
                    scan = Scan(selection, *span, newest_first, counter, is_closed, on_block)
                    yield from self._found_in(held, ref, scan, sieve, budget)
                    if budget is not None and budget.next is not None:
                        rest = budget.next
                        is_end = isinstance(rest, FilePosition) and rest.size == span[0]
                        if newest_first and ref is refs[0] and is_end:
                            budget.next = None
                        return
                done += ref.size

    def _found_in(
        self, held: HeldOpen, ref: FileRef, scan: Scan, sieve: _Sieve, budget: Budget | None
    ) -> Iterator[Found]:
        """The same of one file, until the budget is spent."""
        prefilter, counter = sieve.prefilter, scan.counter
        counted_before = 0 if counter is None else counter.files
        edge = None
        for block, generation in self._blocks(held, ref, scan):
            scan.on_block(block)
            places = (block.place, block.place + len(block.data))
            before, behind = (
                FilePosition(ref.plain_path, place, generation)
                for place in (reversed(places) if scan.newest_first else places)
            )
            if sieve.may_have(block.data):
                raws = split(block.data)
                try:
                    wanted = prefilter.wanted(raws)
                except Cancelled:
                    edge = before
                    break
                if wanted:
                    yield Found(ref, generation, *places, raws, wanted, prefilter.has_fast_lines)
            if budget is None:
                continue
            budget.looked_at += len(block.data)
            edge = behind
            if budget.is_spent and (counter is None or counter.files == counted_before):
                break
        else:
            # All of it was read; where that ends is only known of a file read backwards.
            if edge is not None and scan.newest_first:
                edge = replace(edge, size=scan.start)
        if budget is not None and edge is not None and budget.is_spent:
            budget.next = edge

    def _between(
        self, refs: list[FileRef], start: Position | None, end: Position | None
    ) -> tuple[list[FileRef], int, int | None]:
        """The files from one position to another, where to begin in the first one, and where to
        end in the last one, None for its end.

        Raises:
            Gone: one of the positions is no more.
        """
        first_place, last_place = 0, None
        if isinstance(end, FilePosition):
            refs = refs[: self._number(refs, end) + 1]
            last_place = end.size
        if isinstance(start, FilePosition):
            refs = refs[self._number(refs, start) :]
            first_place = start.size
        return refs, first_place, last_place

    def _number(self, refs: Sequence[FileRef], position: FilePosition) -> int:
        """Which of the files a position is in."""
        for number, ref in enumerate(refs):
            if ref.plain_path == position.path and self._is_same(ref, position):
                return number
        if self._files.are_renamed and position.generation:
            # Closed since; the newest are the likely ones.
            for number, ref in reversed(list(enumerate(refs))):
                if self._is_same(ref, position):
                    return number
        raise Gone(f"{position.path}: what was at the position was overwritten since")

    @staticmethod
    def _is_same(ref: FileRef, position: FilePosition) -> bool:
        if not position.generation:
            return True
        opened = open_file(ref)
        if opened is None:
            return False
        try:
            descriptor, now = opened
            is_long_enough = bool(now.suffix) or now.size >= position.size
            return is_long_enough and read_generation(descriptor, now) == position.generation
        except DAMAGED:
            return False
        finally:
            os.close(opened[0])

    def _blocks(self, held: HeldOpen, ref: FileRef, scan: Scan) -> Iterator[tuple[ReadBlock, str]]:
        """The blocks of one file that have to be read, and its generation."""
        with held.opened(ref) as opened:
            if opened is None:
                self._note_gone(ref)
                return
            descriptor, now = opened
            self._reader.times.last_written = now.mtime_ns / 1e9
            if not now.suffix:
                end = min(ref.size if scan.end is None else scan.end, now.size)
                scan = replace(scan, end=end)
            behind = 0
            direction = blocks_backwards if scan.newest_first else blocks_forwards
            try:
                generation = read_generation(descriptor, now)
                found = spans(descriptor, now, generation, self._reader, scan)
                for first, last in reversed(found) if scan.newest_first else found:
                    for block in direction(descriptor, now, first, last):
                        yield block, generation
                        behind = max(behind, block.place + len(block.data))
            except DAMAGED as exc:
                self._note_damaged(now, behind, exc)

    def _note_gone(self, ref: FileRef) -> None:
        self._on_note(f"{ref.path} was overwritten before it could be read: the log goes on faster")

    def _note_damaged(self, ref: FileRef, behind: int, exc: BaseException) -> None:
        what = f"what follows its first {behind} bytes, uncompressed, is missing" if behind else ""
        self._on_damage(
            f"{ref.path} can't be read to its end ({exc}): {what or 'nothing of it can be read'}"
        )


class _Sieve(NamedTuple):
    """What sifts entries, and what passes over blocks."""

    prefilter: Prefilter
    bounds: TimeBounds

    def may_have(self, data: bytes) -> bool:
        """False if surely no entry of a block is wanted."""
        return self.bounds.may_have(data) and self.prefilter.may_match(data)


def _telling(watch: Watch, done: int, total: int) -> Callable[[ReadBlock], None]:
    """Tells of progress: `done` of `total` bytes are in files before."""

    def on_block(block: ReadBlock) -> None:
        watch(min(1.0, (done + block.on_disk) / total))

    return on_block
