"""A log of text files as a source: every file of the ring, compressed ones too.

Works beside the daemon or without one. What is read is the log as it stood at the beginning.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from logd.outputs.files.names import TORN, torn_of
from logd.query.budget import Budget, Cancelled
from logd.query.fields import TEXT
from logd.query.files.follow import FileFollower
from logd.query.files.heldopen import HeldOpen
from logd.query.files.indexing import can_index
from logd.query.files.inventory import pieces
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import DAMAGED, split, whole_size
from logd.query.files.scan import (
    Block,
    Found,
    blocks_backwards,
    blocks_forwards,
    read_generation,
)
from logd.query.files.shortcut import CellCounter, can_count
from logd.query.files.tally import RawTally
from logd.query.files.timebounds import TimeBounds
from logd.query.files.together import Question, count_file
from logd.query.files.verify import checks
from logd.query.files.ways import Scan, spans
from logd.query.inventory import Piece
from logd.query.positions import CannotRead, FilePosition, Gone, Placed, Position
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Follower, Note, Source, Watch, chosen_fields, unwatched
from logd.query.summaries import Key, Step, Summary
from logd.query.verifying import Checked
from logd.records.entry import Entry
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT


class FileSource(Source):
    """The text files of one pattern.

    Args:
        pattern: of their names, as in the settings.
        on_note: see `Source`.
        count: size of the ring; None: unknown.
        timestamp: the format of timestamps, None if lines have none.
        is_own_format: False if lines are in a format of the user's own.

    Raises:
        CannotRead: the pattern can't be used.
    """

    def __init__(
        self,
        pattern: str,
        on_note: Note,
        *,
        count: int | None = None,
        timestamp: str | None = DEFAULT_FORMAT,
        is_own_format: bool = True,
    ) -> None:
        super().__init__(on_note)
        self.name = f"file {pattern}"
        self._files = RingFiles(pattern, count=count)
        self._reader = LineReader(timestamp, is_own_format=is_own_format)
        self._timestamp = timestamp

    def is_there(self) -> bool:
        return bool(self._files.listing())

    def aside(self) -> Sequence[Source]:
        try:
            names = sorted(path.name for path in self._files.folder.iterdir())
        except OSError:
            return ()
        # A name with .torn.INODE belongs to the log of the plain name .torn.
        patterns = {
            self._files.folder / (taken_from + TORN): None
            for name in names
            if (taken_from := torn_of(name)) is not None
            and self._files.has(str(self._files.folder / taken_from))
        }
        return [
            FileSource(
                str(pattern),
                self.on_note,
                timestamp=self._timestamp,
                is_own_format=self._reader.is_own_format,
            )
            for pattern in patterns
        ]

    def has(self, position: Position) -> bool:
        return isinstance(position, FilePosition) and self._files.has(position.path)

    @property
    def _identity(self) -> str:
        return Path(self._files.pattern).name

    def _for_cursor(self, position: Position) -> Position:
        # Folders are moved, and nothing outside needs to know them.
        if isinstance(position, FilePosition):
            return replace(position, path=Path(position.path).name)
        return position

    def _from_cursor(self, position: Position) -> Position:
        if isinstance(position, FilePosition):
            return replace(position, path=str(self._files.folder / Path(position.path).name))
        return position

    def end(self) -> Position | None:
        size = 0
        while refs := self._files.listing():
            last = refs[-1]
            opened = open_file(last)
            if opened is None:
                continue
            descriptor, now = opened
            try:
                size = now.size if now.suffix else whole_size(descriptor, now.size)
                generation = read_generation(descriptor, now)
            except DAMAGED:
                generation = ""
            finally:
                os.close(descriptor)
            # Nothing comes to a compressed file any more.
            return FilePosition(last.plain_path, 1 << 62 if now.suffix else size, generation)
        return None

    def placed(
        self,
        selection: Selection = EVERYTHING,
        *,
        start: Position | None = None,
        end: Position | None = None,
        newest_first: bool = False,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Iterator[Placed]:
        read = self._reader.read
        for found in self._found(
            selection, start, end, watch, newest_first=newest_first, budget=budget
        ):
            placed = zip(found.positions(), found.raws, strict=True)
            for (position, behind), raw in reversed(list(placed)) if newest_first else placed:
                yield Placed(position, behind, read(raw))

    def entries(
        self,
        selection: Selection = EVERYTHING,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[Entry]:
        found = self._found(selection, start, end, watch, newest_first=newest_first)
        raws = (
            raw for some in found for raw in (reversed(some.raws) if newest_first else some.raws)
        )
        return islice(map(self._reader.read, raws), limit)

    def texts(
        self,
        selection: Selection,
        *,
        limit: int | None = None,
        start: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[bytes]:
        for found in self._found(selection, start, None, watch):
            raws = found.raws
            if limit is not None:
                raws = raws[:limit]
                limit -= len(raws)
            text = b"\n".join((*raws, b""))
            yield text.replace(MARK, BREAK) if MARK in text else text
            if limit == 0:
                return

    def summarise(
        self,
        selection: Selection = EVERYTHING,
        *,
        step: Step | None = None,
        keys: Sequence[Key] = (),
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Summary:
        self._check(selection, needs_fields=bool(keys), needs_times=step is not None)
        tally = RawTally(step, keys, self._reader)
        counter = None
        # Cells don't tell the seconds that a short answer of the step "auto" is made of.
        if can_index(self._reader) and can_count(selection, step, keys):
            counter = CellCounter(tally, selection)
            if tally.cells is not None:
                tally.cells.go_by_minute()
        for found in self._found(
            selection,
            start,
            end,
            watch,
            newest_first=budget is not None,
            counter=counter,
            budget=budget,
        ):
            tally.add_raw(found.raws, is_fast=found.is_fast)
        is_short = step == "auto" and tally.cells is not None and not tally.cells.is_wide
        if counter is None or not is_short:
            return tally.summary()
        tally = RawTally(step, keys, self._reader)
        again = start if budget is None or budget.next is None else budget.next
        for found in self._found(selection, again, end, watch):
            tally.add_raw(found.raws, is_fast=found.is_fast)
        return tally.summary()

    def picture(
        self,
        selection: Selection = EVERYTHING,
        *,
        step: Step | None = None,
        keys: Sequence[str] = (),
        watch: Watch = unwatched,
    ) -> Summary:
        apart = chosen_fields(selection, keys)
        if not apart or step == "auto":
            return super().picture(selection, step=step, keys=keys, watch=watch)
        self._check(selection, needs_fields=True, needs_times=step is not None)
        rest = [key for key in keys if key not in apart]
        main = Question.of(selection, step, rest, self._reader)
        others = [Question.of(selection.without(key), None, [key], self._reader) for key in apart]
        self._count([main, *others], watch)
        summary = main.tally.summary()
        for other in others:
            found = other.tally.summary()
            summary.facets |= found.facets
            summary.others |= found.others
        return summary

    def _count(self, questions: Sequence[Question], watch: Watch) -> None:
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
        on_block: Callable[[Block], None],
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

    def inventory(self) -> Sequence[Piece]:
        return list(pieces(self._files, self._reader))

    def verify(self, watch: Watch = unwatched) -> Iterator[Checked]:
        return checks(self._files, self._reader, watch)

    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[bytes]:
        self._check(selection)
        if start is not None and not isinstance(start, FilePosition):
            raise AssertionError(f"{start} is no position in {self.name}")
        self._reader.times.last_written = None
        prefilter = Prefilter(selection, self._reader)
        return FileFollower(self._files, self._reader, prefilter, start, on_note or self.on_note)

    def _check(
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
                f"{self.name}: lines are in a format of your own (line_format): "
                "only texts and regular expressions can be asked for"
            )
        if needs_times and not self._reader.times.is_readable:
            raise CannotRead(
                f"{self.name}: timestamps ({self._timestamp or 'none'}) have no date to go by: "
                "times can't be asked for"
            )

    # -- reading -------------------------------------------------------------------------------

    def _found(
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
        self._check(selection)
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
                    is_fast = prefilter.is_fast(wanted)
                    yield Found(ref, generation, *places, raws, wanted, is_fast)
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

    def _blocks(self, held: HeldOpen, ref: FileRef, scan: Scan) -> Iterator[tuple[Block, str]]:
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
        self.on_note(f"{ref.path} was overwritten before it could be read: the log goes on faster")

    def _note_damaged(self, ref: FileRef, behind: int, exc: BaseException) -> None:
        self.is_damaged = True
        what = f"what follows its first {behind} bytes, uncompressed, is missing" if behind else ""
        self.on_note(
            f"{ref.path} can't be read to its end ({exc}): {what or 'nothing of it can be read'}"
        )


class _Sieve(NamedTuple):
    """What sifts entries, and what passes over blocks."""

    prefilter: Prefilter
    bounds: TimeBounds

    def may_have(self, data: bytes) -> bool:
        """False if surely no entry of a block is wanted."""
        return self.bounds.may_have(data) and self.prefilter.may_match(data)


def _telling(watch: Watch, done: int, total: int) -> Callable[[Block], None]:
    """Tells of progress: `done` of `total` bytes are in files before."""

    def on_block(block: Block) -> None:
        watch(min(1.0, (done + block.on_disk) / total))

    return on_block
