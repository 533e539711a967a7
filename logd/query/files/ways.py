"""Which parts of a file a question needs: all of it, or what its index leaves over."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from logd.query.files import sidecar, trigrams
from logd.query.files.frames import frames_of
from logd.query.files.indexing import (
    MIN_INDEXED_BYTES,
    NotIndexed,
    build,
    can_index,
    is_unchanged,
    is_worth_it,
)
from logd.query.files.listing import FileRef
from logd.query.files.raw import DAMAGED
from logd.query.files.scan import ReadBlock
from logd.query.files.shortcut import CellCounter, Combinations, route
from logd.query.selection import Selection
from logd.text.reading import LineReader


@dataclass(frozen=True)
class Scan:
    """What is asked of one file.

    Attributes:
        selection: which entries are wanted.
        start: nothing before this place.
        end: nothing behind this place; None: to the end.
        newest_first: whether it is read backwards.
        counter: counts what an index tells; None: entries are wanted.
        is_closed: whether nothing comes to the file any more.
        on_block: told of each block that is read; what it raises ends the work.
    """

    selection: Selection
    start: int
    end: int | None
    newest_first: bool
    counter: CellCounter | None
    is_closed: bool
    on_block: Callable[[ReadBlock], object]


Spans = Sequence[tuple[int, int | None]]
"""Stretches of a file, from where to where; None: to its end."""


def spans(descriptor: int, ref: FileRef, generation: str, reader: LineReader, scan: Scan) -> Spans:
    """The stretches of a file that have to be read; what else counts was counted.

    Args:
        descriptor: of the file.
        ref: the file as it is.
        generation: see `logd.query.positions`.
        reader: reads its entries.
        scan: what is asked.
    """
    return spans_of_each(descriptor, ref, generation, reader, [scan])[0]


def spans_of_each(
    descriptor: int, ref: FileRef, generation: str, reader: LineReader, scans: Sequence[Scan]
) -> Sequence[Spans]:
    """The same for several questions to one file."""
    everything = [[(scan.start, scan.end)] for scan in scans]
    if not can_index(reader) or not any(map(_is_index_of_use, scans)):
        return everything
    index = sidecar.load(ref, generation, descriptor)
    if index is not None and index.is_open and ref.suffix:
        index = None  # the daemon is about to finish it
    index = _made(descriptor, ref, reader, scans[0], index) or index
    if index is None:
        return everything
    can_jump = not ref.suffix or len(frames_of(descriptor, ref.suffix)) > 2
    return [_left_over(index, scan, can_jump=can_jump) for scan in scans]


def _is_index_of_use(scan: Scan) -> bool:
    selection = scan.selection
    return scan.counter is not None or selection.has_times or bool(selection.groups)


def _left_over(index: sidecar.Index, scan: Scan, *, can_jump: bool) -> Spans:
    """What an index leaves to be read; the rest is counted."""
    try:
        found = route(
            index,
            scan.selection,
            scan.start,
            scan.end,
            is_counting=scan.counter is not None,
            can_jump=can_jump,
            may_have=_sieve(index, scan.selection, trigrams.needed(scan.selection)),
        )
        if scan.counter is not None and found.counted:
            scan.counter.add(index, found.counted)
    except sidecar.BROKEN:
        return [(scan.start, scan.end)]
    return found.spans


def segments(each: Sequence[Spans]) -> Sequence[tuple[int, int | None, Sequence[int]]]:
    """Stretches to read once for several questions: from, to, and the numbers of the questions.

    Args:
        each: what each question has to read. Pure.
    """
    borders: set[tuple[bool, int]] = set()
    for some in each:
        for begin, end in some:
            borders |= {(False, begin), (end is None, end or 0)}
    found: list[tuple[int, int | None, Sequence[int]]] = []
    for (_, begin), (is_end, place) in pairwise(sorted(borders)):
        stop = None if is_end else place
        active = [n for n, some in enumerate(each) if any(_covers(span, begin) for span in some)]
        if not active or begin == stop:
            continue
        if found and found[-1][1:] == (begin, active):
            found[-1] = (found[-1][0], stop, active)
        else:
            found.append((begin, stop, active))
    return found


def _covers(span: tuple[int, int | None], place: int) -> bool:
    begin, end = span
    return begin <= place and (end is None or place < end)


def _sieve(
    index: sidecar.Index, selection: Selection, texts: trigrams.Needed
) -> Callable[[int], bool] | None:
    """Tells which blocks may have what is wanted, whatever its time; None: all may."""
    combinations = Combinations(index, selection)
    if not texts and not combinations.is_of_use:
        return None

    def may_have(number: int) -> bool:
        return (not texts or trigrams.may_have(index.bits(number), texts)) and (
            not combinations.is_of_use or combinations.may_have(number)
        )

    return may_have


def _made(
    descriptor: int, ref: FileRef, reader: LineReader, scan: Scan, known: sidecar.Index | None
) -> sidecar.Index | None:
    """An index made now, if all that it lacks has to be read anyhow; None if there is no need."""
    is_all = (scan.start, scan.end or ref.size) == (0, ref.size) and not scan.selection.has_times
    if scan.counter is None or not is_all or not is_worth_it(ref):
        return None
    if known is not None and (not known.is_open or ref.size - known.size < MIN_INDEXED_BYTES):
        return None
    if not os.access(sidecar.index_path(ref).parent, os.W_OK):
        return None  # it would be made for this once
    is_open = not scan.is_closed
    try:
        data = build(descriptor, ref, reader, scan.on_block, begun=known, is_open=is_open)
    except (NotIndexed, *DAMAGED):
        return None
    if not is_unchanged(descriptor, ref, is_open=is_open):
        return None
    # Mostly the folder is the daemon's, and the reader a guest: the answer is there all the same.
    with contextlib.suppress(OSError):
        sidecar.save(ref, descriptor, data)
    return sidecar.decoded(data)
