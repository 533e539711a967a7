"""A log of text files as a source: every file of the ring, compressed ones too.

Works beside the daemon or without one. What is read is the log as it stood at the beginning.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice

from logd.query.files.counts import RawCounts
from logd.query.files.follow import FileFollower
from logd.query.files.listing import FileRef, RingFiles, open_file
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import DAMAGED, backwards, chunks, split, whole_blocks, whole_size
from logd.query.files.snapshot import Snapshot
from logd.query.files.timebounds import TimeBounds
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import (
    CannotRead,
    Counts,
    FilePosition,
    Follower,
    Key,
    Note,
    Position,
    Source,
    Watch,
    unwatched,
)
from logd.records.entry import Entry
from logd.text.reading import BREAK, MARK, LineReader
from logd.text.timestamps import DEFAULT_FORMAT


class FileSource(Source):
    """The text files of one pattern.

    Args:
        pattern: of their names, as in the settings.
        on_note: see `Source`.
        count: size of the ring; None: unknown.
        timestamp: the format of timestamps, None where lines have none.
        is_own_format: False where lines are in a format of the user's own.

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

    def has(self, position: Position) -> bool:
        return isinstance(position, FilePosition) and self._files.has(position.path)

    def end(self) -> Position | None:
        while refs := self._files.listing():
            last = refs[-1]
            opened = open_file(last)
            if opened is None:
                continue
            descriptor, now = opened
            try:
                size = now.size if now.suffix else whole_size(descriptor, now.size)
            finally:
                os.close(descriptor)
            # Nothing comes to a compressed file any more.
            return FilePosition(last.plain_path, 1 << 62 if now.suffix else size)
        return None

    def entries(
        self,
        selection: Selection = EVERYTHING,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[Entry]:
        if not newest_first:
            found = self._oldest_first(selection, end, watch)
            return islice((self._reader.read(raw) for raws, _ in found for raw in raws), limit)
        if limit is None:
            raise ValueError("newest_first needs a limit: nothing else bounds the memory")
        last = self._newest_first(selection, limit, end, watch)
        return islice((self._reader.read(raw) for raws in last for raw in reversed(raws)), limit)

    def texts(
        self, selection: Selection, *, limit: int | None = None, watch: Watch = unwatched
    ) -> Iterator[bytes]:
        for raws, _ in self._oldest_first(selection, None, watch):
            if limit is not None:
                raws = raws[:limit]
                limit -= len(raws)
            text = b"\n".join((*raws, b""))
            yield text.replace(MARK, BREAK) if MARK in text else text
            if limit == 0:
                return

    def counts(
        self, selection: Selection, key: Key | None = None, watch: Watch = unwatched
    ) -> Counts:
        self._check(selection, key)
        counter = RawCounts(key, self._reader)
        for raws, is_fast in self._oldest_first(selection, None, watch):
            counter.add(raws, is_fast=is_fast)
        return counter.counts

    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[bytes]:
        self._check(selection)
        if start is not None and not isinstance(start, FilePosition):
            raise AssertionError(f"{start} is no position in {self.name}")
        self._reader.times.last_written = None
        prefilter = Prefilter(selection, self._reader)
        return FileFollower(self._files, self._reader, prefilter, start, on_note or self.on_note)

    def _check(self, selection: Selection, key: Key | None = None) -> None:
        """Make sure that lines tell what is asked for.

        Raises:
            CannotRead: they don't.
        """
        needs_fields = selection.cats is not None or selection.pid is not None or selection.where
        if not self._reader.is_own_format and (
            needs_fields or selection.has_times or key is not None
        ):
            raise CannotRead(
                f"{self.name}: lines are in a format of your own (line_format): "
                "of the filters only --grep can be used"
            )
        needs_times = selection.has_times or key == "hour"
        if needs_times and not self._reader.times.is_readable:
            raise CannotRead(
                f"{self.name}: timestamps ({self._timestamp or 'none'}) have no date to go by: "
                "times can't be asked for"
            )

    # -- oldest first --------------------------------------------------------------------------

    def _oldest_first(
        self, selection: Selection, end: Position | None, watch: Watch
    ) -> Iterator[tuple[list[bytes], bool]]:
        """Raw entries that pass, and whether they are fast to look at (`Prefilter.is_fast`)."""
        self._check(selection)
        prefilter = Prefilter(selection, self._reader)
        bounds = TimeBounds(self._reader, selection.since, selection.until)
        refs, last_size = self._until(end)
        total = sum(ref.size for ref in refs) or 1
        done = 0
        with Snapshot(refs) as snapshot:
            for ref in refs:
                if not bounds.is_too_old(ref):
                    size = last_size if ref is refs[-1] else None
                    for place, block in self._blocks(snapshot, ref, size, bounds):
                        watch(min(1.0, (done + place) / total))
                        if bounds.is_over(block):
                            return
                        if prefilter.may_match(block):
                            raws = prefilter.wanted(split(block))
                            if raws:
                                yield raws, prefilter.is_fast(raws)
                done += ref.size

    def _until(self, end: Position | None) -> tuple[list[FileRef], int | None]:
        """The files up to a position, and how much of the last one counts, None for all."""
        refs = self._files.listing()
        if isinstance(end, FilePosition):
            for place, ref in enumerate(refs):
                if ref.plain_path == end.path:
                    return refs[: place + 1], end.size
        return refs, None

    def _blocks(
        self, snapshot: Snapshot, ref: FileRef, size: int | None, bounds: TimeBounds
    ) -> Iterator[tuple[int, bytes]]:
        """Blocks of one file, each with the place on disk behind it."""
        with snapshot.opened(ref) as opened:
            if opened is None:
                self._note_gone(ref)
                return
            descriptor, now = opened
            self._reader.times.last_written = now.mtime_ns / 1e9
            if not now.suffix:
                size = min(ref.size if size is None else size, now.size)
            start = 0 if size is None else bounds.start(descriptor, now, size)
            place = start
            try:
                for block in whole_blocks(chunks(descriptor, now, start, size)):
                    place += len(block)
                    on_disk = os.lseek(descriptor, 0, os.SEEK_CUR) if now.suffix else place
                    yield on_disk, block
            except DAMAGED as exc:
                self._note_damaged(now, exc)

    # -- newest first --------------------------------------------------------------------------

    def _newest_first(
        self, selection: Selection, limit: int, end: Position | None, watch: Watch
    ) -> Iterator[list[bytes]]:
        """Raw entries that pass: lists that are each in the files' order, the last one first."""
        self._check(selection)
        prefilter = Prefilter(selection, self._reader)
        bounds = TimeBounds(self._reader, selection.since, selection.until)
        refs, last_size = self._until(end)
        for number, ref in enumerate(reversed(refs)):
            watch(number / len(refs))
            if bounds.is_too_old(ref):
                continue
            size = last_size if ref is refs[-1] else None
            opened = open_file(ref)
            if opened is None:
                self._note_gone(ref)
                continue
            descriptor, now = opened
            self._reader.times.last_written = now.mtime_ns / 1e9
            try:
                if now.suffix:
                    raws = self._last_compressed(descriptor, now, size, prefilter, limit)
                    limit -= len(raws)
                    yield raws
                else:
                    size = min(ref.size if size is None else size, now.size)
                    for block in backwards(descriptor, size):
                        if bounds.is_before(block):
                            return
                        if prefilter.may_match(block):
                            raws = prefilter.wanted(split(block))
                            limit -= len(raws)
                            yield raws
                        if limit <= 0:
                            return
            except DAMAGED as exc:
                self._note_damaged(now, exc)
            finally:
                os.close(descriptor)

    def _last_compressed(
        self, descriptor: int, ref: FileRef, size: int | None, prefilter: Prefilter, limit: int
    ) -> list[bytes]:
        last: deque[bytes] = deque(maxlen=max(0, limit))
        for block in whole_blocks(chunks(descriptor, ref, 0, size)):
            if prefilter.may_match(block):
                last.extend(prefilter.wanted(split(block)))
        return list(last)

    def _note_gone(self, ref: FileRef) -> None:
        self.on_note(f"{ref.path} was overwritten before it could be read: the log goes on faster")

    def _note_damaged(self, ref: FileRef, exc: BaseException) -> None:
        self.on_note(f"{ref.path} can't be read to its end: {exc}")
