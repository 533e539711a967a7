"""Counts the answers to several questions in one pass over files; see `LogSource.picture`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from logd.query.barsteps import Step
from logd.query.files.indexing import can_index
from logd.query.files.listing import FileRef
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import split
from logd.query.files.scan import ReadBlock, blocks_forwards
from logd.query.files.shortcut import CellCounter, can_count
from logd.query.files.tally import RawTally
from logd.query.files.timebounds import TimeBounds
from logd.query.files.ways import Scan, segments, spans_of_each
from logd.query.selection import Selection
from logd.query.summaries import Key
from logd.text.reading import LineReader


@dataclass(frozen=True)
class Question:
    """One question, and its answer as it is counted.

    Attributes:
        selection: which entries count.
        tally: takes them.
        counter: counts by indexes; None: they don't tell.
        prefilter: sifts entries.
        bounds: tells which blocks are of another time.
    """

    selection: Selection
    tally: RawTally
    counter: CellCounter | None
    prefilter: Prefilter
    bounds: TimeBounds

    @classmethod
    def of(
        cls, selection: Selection, step: Step | None, keys: Sequence[Key], reader: LineReader
    ) -> Question:
        """A question that nothing was counted for yet."""
        tally = RawTally(step, keys, reader)
        counter = None
        # Cells don't tell the seconds that a short answer of the step "auto" is made of.
        if can_index(reader) and can_count(selection, step, keys):
            counter = CellCounter(tally, selection)
            if tally.cells is not None:
                tally.cells.go_by_minute()
        bounds = TimeBounds(reader, selection.since, selection.until)
        return cls(selection, tally, counter, Prefilter(selection, reader), bounds)

    def count(self, block: ReadBlock, raws: list[bytes]) -> None:
        """Count those entries of a block that are wanted."""
        wanted = self.prefilter.wanted(raws)
        if wanted:
            self.tally.add_raw(wanted, is_fast=self.prefilter.is_fast(wanted))

    def may_have(self, data: bytes) -> bool:
        """False if surely no entry of a block is wanted."""
        return self.bounds.may_have(data) and self.prefilter.may_match(data)


def count_file(
    descriptor: int,
    ref: FileRef,
    generation: str,
    reader: LineReader,
    questions: Sequence[Question],
    *,
    is_closed: bool,
    on_block: Callable[[ReadBlock], object],
) -> Iterable[int]:
    """Count the entries of one file for all questions, each block read once.

    Args:
        descriptor: of the file.
        ref: the file as it is.
        generation: see `logd.query.positions`.
        reader: reads its entries.
        questions: of the same times.
        is_closed: whether nothing comes to the file any more.
        on_block: told of each block that is read; what it raises ends the work.

    Returns:
        Where each block that was counted ends, as it was.

    Raises:
        DAMAGED: the file can't be read to its end.
    """
    end = None if ref.suffix else ref.size
    scans = [
        Scan(question.selection, 0, end, False, question.counter, is_closed, on_block)
        for question in questions
    ]
    for begin, stop, active in segments(spans_of_each(descriptor, ref, generation, reader, scans)):
        for block in blocks_forwards(descriptor, ref, begin, stop):
            on_block(block)
            raws: list[bytes] | None = None
            for number in active:
                if questions[number].may_have(block.data):
                    raws = split(block.data) if raws is None else raws
                    questions[number].count(block, raws)
            yield block.place + len(block.data)
