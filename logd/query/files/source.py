"""A log of text files as a source: every file of the ring, compressed ones too.

Works beside the daemon or without one. What is read is the log as it stood at the beginning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from logd.outputs.files.names import TORN, torn_of
from logd.query.barsteps import Step
from logd.query.budget import Budget
from logd.query.files.finding import Finder
from logd.query.files.follow import FileFollower
from logd.query.files.indexing import can_index
from logd.query.files.inventory import pieces
from logd.query.files.listing import RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import DAMAGED, whole_size
from logd.query.files.scan import read_generation
from logd.query.files.shortcut import CellCounter, can_count
from logd.query.files.tally import RawTally
from logd.query.files.together import Question
from logd.query.files.verify import checks
from logd.query.inventory import StoredPiece
from logd.query.positions import FilePosition, Placed, Position
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Follower, LogSource, Note, Watch, chosen_fields, unwatched
from logd.query.summaries import Key, Summary
from logd.query.verifying import Checked
from logd.records.entry import Entry
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT


class FileSource(LogSource):
    """The text files of one pattern.

    Args:
        pattern: of their names, as in the settings.
        on_note: see `LogSource`.
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
        self._files = RingFiles(pattern, count=count, reader=LineReader(timestamp))
        self._reader = LineReader(timestamp, is_own_format=is_own_format)
        self._timestamp = timestamp
        self._finder = Finder(
            self.name, self._files, self._reader, timestamp, self.on_note, self._damaged
        )

    def _damaged(self, text: str) -> None:
        self.is_damaged = True
        self.on_note(text)

    def is_there(self) -> bool:
        return bool(self._files.listing())

    def aside(self) -> Sequence[LogSource]:
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
        some = self._finder.found(
            selection, start, end, watch, newest_first=newest_first, budget=budget
        )
        for found in some:
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
        found = self._finder.found(selection, start, end, watch, newest_first=newest_first)
        raws = (
            raw for some in found for raw in (reversed(some.raws) if newest_first else some.raws)
        )
        return islice(map(self._reader.read, raws), limit)

    def texts(
        self,
        selection: Selection,
        *,
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[bytes]:
        for found in self._finder.found(selection, start, end, watch):
            text = b"\n".join((*found.raws, b""))
            yield text.replace(MARK, BREAK) if MARK in text else text

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
        self._finder.check(selection, needs_fields=bool(keys), needs_times=step is not None)
        tally = RawTally(step, keys, self._reader)
        counter = None
        # Cells don't tell the seconds that a short answer of the step "auto" is made of.
        if can_index(self._reader) and can_count(selection, step, keys):
            counter = CellCounter(tally, selection)
            if tally.cells is not None:
                tally.cells.go_by_minute()
        for found in self._finder.found(
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
        for found in self._finder.found(selection, again, end, watch):
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
        self._finder.check(selection, needs_fields=True, needs_times=step is not None)
        rest = [key for key in keys if key not in apart]
        main = Question.of(selection, step, rest, self._reader)
        others = [Question.of(selection.without(key), None, [key], self._reader) for key in apart]
        self._finder.count([main, *others], watch)
        summary = main.tally.summary()
        for other in others:
            found = other.tally.summary()
            summary.facets |= found.facets
            summary.others |= found.others
        return summary

    def inventory(self) -> Sequence[StoredPiece]:
        return list(pieces(self._files, self._reader))

    def verify(self, watch: Watch = unwatched) -> Iterator[Checked]:
        return checks(self._files, self._reader, watch)

    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[bytes]:
        self._finder.check(selection)
        if start is not None and not isinstance(start, FilePosition):
            raise AssertionError(f"{start} is no position in {self.name}")
        self._reader.times.last_written = None
        prefilter = Prefilter(selection, self._reader)
        return FileFollower(self._files, self._reader, prefilter, start, on_note or self.on_note)
