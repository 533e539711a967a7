"""Where one file is to be read for a question: all of it, or what its index leaves over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from logd.query.files import sidecar, trigrams
from logd.query.files.frames import frames_of
from logd.query.files.indexing import NotIndexed, built, can_index, is_unchanged, is_worth_it
from logd.query.files.listing import FileRef
from logd.query.files.raw import DAMAGED
from logd.query.files.scan import Block
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
    on_block: Callable[[Block], object]


def spans(
    descriptor: int, ref: FileRef, generation: str, reader: LineReader, scan: Scan
) -> Sequence[tuple[int, int | None]]:
    """The stretches of a file that have to be read; what else counts was counted.

    Args:
        descriptor: of the file.
        ref: the file as it is.
        generation: see `logd.query.positions`.
        reader: reads its entries.
        scan: what is asked.
    """
    everything = [(scan.start, scan.end)]
    texts = trigrams.needed(scan.selection)
    is_of_use = scan.counter is not None or scan.selection.has_times or bool(texts)
    is_of_use = is_of_use or bool(scan.selection.groups)
    if not can_index(reader) or not is_of_use:
        return everything
    index = sidecar.load(ref, generation) or _made(descriptor, ref, reader, scan)
    if index is None:
        return everything
    try:
        found = route(
            index,
            scan.selection,
            scan.start,
            scan.end,
            is_counting=scan.counter is not None,
            can_jump=not ref.suffix or len(frames_of(descriptor, ref.suffix)) > 2,
            may_have=_sieve(index, scan.selection, texts),
        )
        if scan.counter is not None and found.counted:
            scan.counter.add(index, found.counted)
    except sidecar.BROKEN:
        return everything
    return found.spans


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


def _made(descriptor: int, ref: FileRef, reader: LineReader, scan: Scan) -> sidecar.Index | None:
    """An index made now, if all of the file has to be read anyhow."""
    is_all = (scan.start, scan.end or ref.size) == (0, ref.size) and not scan.selection.has_times
    if scan.counter is None or not is_all or not scan.is_closed or not is_worth_it(ref):
        return None
    try:
        data, index = built(descriptor, ref, reader, scan.on_block)
    except (NotIndexed, *DAMAGED):
        return None
    if not is_unchanged(descriptor, ref):
        return None
    # Mostly the folder is the daemon's, and the reader a guest: the answer is there all the same.
    with contextlib.suppress(OSError):
        sidecar.save(ref, descriptor, data)
    return index
