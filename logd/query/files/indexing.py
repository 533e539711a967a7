"""Makes the index of a file, or goes on with an open one; see `sidecar.py`.

The daemon has it made as the file grows and after a rotation (`logd.daemon.indexkeeper`), else the
first reader makes it that has to read the whole file anyhow.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Sequence

from logd.query.files.blocktimes import Blocks, BlockTimes
from logd.query.files.layouts import DEFAULT, Layout, structured_layout
from logd.query.files.listing import FileRef
from logd.query.files.outlines import MINUTE, Outlines
from logd.query.files.prefilter import Prefilter
from logd.query.files.raw import BLOCK_BYTES, split
from logd.query.files.scan import ReadBlock, blocks_forwards, read_generation
from logd.query.files.sidecar import (
    BROKEN,
    NEVER,
    Cell,
    Combination,
    Index,
    seam_of,
)
from logd.query.files.tally import column_of, moment_of, text_of
from logd.query.files.trigrams import TrigramMaker
from logd.query.selection import EVERYTHING
from logd.records.entry import Entry
from logd.text.items import item_text, parse_items
from logd.text.reading import LineReader

MIN_INDEXED_BYTES = 4 << 20
"""A smaller file is read about as quickly as its index would be."""

MAX_COMBINATIONS = 20_000
"""A log with more of them in one file is none that can be counted in advance."""

OPEN_BLOCKS = 2
"""The last blocks of a file that grows are in no index: what is written there may not be whole."""

_MINUTE_S = 60
_FIELDS = ("cat", "host", "site", "item.logger")
_NO_TIMES = (1 << 62, -(1 << 62))


class NotIndexed(Exception):
    """A file is of a kind that no index can be made of."""


class _Builder:
    """Collects what an index is made of.

    Args:
        reader: reads the entries.
        begun: the index of the beginning of the same file; None: there is none.

    Raises:
        BROKEN: that one can't be read.
    """

    def __init__(self, reader: LineReader, begun: Index | None = None) -> None:
        self._reader = reader
        self._prefilter = Prefilter(EVERYTHING, reader)
        self._outlines = Outlines(reader, ["logger"])
        self._columns = [column_of(name) for name in ("minute", *_FIELDS)]
        self._numbers: dict[Combination, int] = {}
        self._known: dict[tuple[bytes | None, ...], int] = {}
        self._moments: dict[bytes | None, int] = {}
        self.blocks: list[BlockTimes] = []
        self.cells: list[Cell] = []
        self.bits: list[bytes] = []
        self.entries = 0
        self.is_counted = True
        self._trigrams = TrigramMaker()
        if begun is not None:
            self._numbers = {found: number for number, found in enumerate(begun.combinations)}
            self.blocks = list(begun.blocks)
            self.cells = list(begun.all_cells)
            self.bits = [begun.all_bits]
            self.entries = sum(begun.totals)
            self.is_counted = begun.is_counted

    @property
    def combinations(self) -> Sequence[Combination]:
        return list(self._numbers)

    def add(self, block: ReadBlock) -> None:
        """Take in one block."""
        raws = split(block.data)
        self.entries += len(raws)
        counted = times = None
        try:
            if self._prefilter.is_fast(raws):
                counted, times = self._fast(raws)
            elif (layout := structured_layout(raws)) is not None:
                counted, times = self._outlined(raws, layout)
        except (IndexError, ValueError):
            counted = None
        if counted is None or times is None:
            counted, times = self._slow(raws)
        before = len(self.cells)
        self.cells += sorted((minute, which, n) for (minute, which), n in counted.items())
        end = block.place + len(block.data)
        self.bits.append(self._trigrams.bits(block.data))
        self.blocks.append(BlockTimes(block.place, end, *times, before, True))
        if len(self._numbers) > MAX_COMBINATIONS:
            raise NotIndexed("too many combinations")

    def leave_out_what_differs(self) -> None:
        """Keep times alone if too little is the same for cells to be worth it."""
        if not self.is_counted or len(self.cells) > self.entries // 2 + 1000:
            self.blocks = [b._replace(cells_before=0, is_counted=False) for b in self.blocks]
            self.cells, self._numbers, self.is_counted = [], {}, False

    def _fast(self, raws: list[bytes]) -> tuple[Counter[tuple[int, int]], tuple[int, int]]:
        columns = [column(raws) for column in self._columns if column is not None]
        counted: Counter[tuple[int, int]] = Counter()
        for (stamp, *values), number in Counter(zip(*columns, strict=True)).items():
            if any(value and b"\\" in value for value in values):
                raise ValueError("whether that is an escape only the whole line tells")
            counted[self._minute(stamp), self._number(tuple(values))] += number
        return counted, self._times(raws, DEFAULT)

    def _outlined(
        self, raws: list[bytes], layout: Layout
    ) -> tuple[Counter[tuple[int, int]], tuple[int, int]]:
        """The same of JSON lines or logfmt."""
        outlines = self._outlines.counted(raws, MINUTE)
        if outlines is None:
            raise ValueError("entries that must be read")
        counted: Counter[tuple[int, int]] = Counter()
        for entry, number in outlines:
            counted[int(entry.time or 0), self._number_of(entry)] += number
        return counted, self._times(raws, layout)

    def _minute(self, stamp: bytes | None) -> int:
        found = self._moments.get(stamp)
        if found is None:
            moment = None if stamp is None else moment_of(self._reader, stamp[:16], stamp[16:])
            if moment is None:
                raise ValueError("a timestamp that is no time")
            found = self._moments[stamp] = int(moment)
        return found

    def _number(self, values: tuple[bytes | None, ...]) -> int:
        found = self._known.get(values)
        if found is None:
            cat, host, site, logger = values
            items = None if logger is None else parse_items(f"k={text_of(logger)}")
            if logger is not None and not items:
                raise ValueError("an item that can't be read")
            found = self._known[values] = self._numbered(
                "" if cat == b"-" else text_of(cat or b""),
                text_of(host or b""),
                text_of(site or b""),
                None if items is None else item_text(items["k"]),
            )
        return found

    def _numbered(self, cat: str, host: str, site: str, logger: str | None) -> int:
        return self._numbers.setdefault(Combination(cat, host, site, logger), len(self._numbers))

    def _times(self, raws: list[bytes], layout: Layout) -> tuple[int, int]:
        """The first millisecond of the entries, and the one behind the last."""
        zones = {raw[layout.zone] for raw in raws}
        found = []
        for zone in zones:
            stamps = [raw[layout.stamp] for raw in raws if raw[layout.zone] == zone]
            for stamp in (min(stamps), max(stamps)):
                moment = self._reader.times.read(text_of(stamp + zone.replace(b":", b"")))
                if moment is None:
                    raise ValueError("a timestamp that is no time")
                found.append(round(moment * 1000))
        return min(found), max(found) + 1

    def _slow(self, raws: list[bytes]) -> tuple[Counter[tuple[int, int]], tuple[int, int]]:
        counted: Counter[tuple[int, int]] = Counter()
        first, behind = _NO_TIMES
        for raw in raws:
            entry = self._reader.read(raw)
            minute = NEVER
            if entry.time is not None:
                minute = int(entry.time // _MINUTE_S) * _MINUTE_S
                # Times have microseconds; floats of that size are good for a tenth of one.
                milliseconds = round(entry.time * 1_000_000) // 1000
                first, behind = min(first, milliseconds), max(behind, milliseconds + 1)
            counted[minute, self._number_of(entry)] += 1
        return counted, (first, behind)

    def _number_of(self, entry: Entry) -> int:
        items = entry.special
        logger = item_text(items["logger"]) if "logger" in items else None
        return self._numbered(entry.cat, entry.peer, entry.site, logger)


def build(
    descriptor: int,
    ref: FileRef,
    reader: LineReader,
    on_block: Callable[[ReadBlock], object] = lambda _block: None,
    *,
    begun: Index | None = None,
    is_open: bool = False,
    until: int | None = None,
) -> bytes:
    """The index of a file, encoded.

    Args:
        descriptor: of the file.
        ref: the file as it is.
        reader: reads its entries; their timestamps have the default format.
        on_block: told of each block; what it raises ends the work.
        begun: an open index to go on with.
        is_open: whether the file grows.
        until: where an open index ends at the latest; None: as late as it can.

    Raises:
        NotIndexed: there is no index of such a file.
        DAMAGED: the file can't be read to its end.
    """
    generation = read_generation(descriptor, ref)
    if not generation or not can_index(reader):
        raise NotIndexed("what tells it from others is missing")
    place = 0 if begun is None else begun.size
    if is_open and ref.size - place <= OPEN_BLOCKS * BLOCK_BYTES:
        raise NotIndexed("there is nothing of it yet that stays")
    try:
        builder = _Builder(reader, begun)
    except BROKEN as exc:
        raise NotIndexed("what was begun of it can't be read") from exc
    waiting: deque[ReadBlock] = deque()
    for block in blocks_forwards(descriptor, ref, place, None if ref.suffix else ref.size):
        on_block(block)
        waiting.append(block)
        if until is not None and place >= until:
            break
        if len(waiting) > (OPEN_BLOCKS if is_open else 0):
            place = _added(builder, waiting.popleft(), place)
    size = place if ref.suffix or is_open else ref.size
    if place > size:
        raise NotIndexed("an entry that is too long was divided")
    builder.leave_out_what_differs()
    seam = seam_of(descriptor, ref, size) if is_open else ""
    if is_open and not (seam and builder.blocks):
        raise NotIndexed("there is nothing of it yet that stays")
    mtime_ns = 0 if is_open else ref.mtime_ns
    blocks = Blocks.of(builder.blocks)
    index = Index(size, mtime_ns, generation, builder.combinations, blocks, seam)
    return index.encoded(builder.cells, b"".join(builder.bits))


def _added(builder: _Builder, block: ReadBlock, place: int) -> int:
    """Add the block that has to begin at a place; returns where it ends."""
    if block.place != place:
        raise NotIndexed("an entry that is too long was divided")
    builder.add(block)
    return block.place + len(block.data)


def can_index(reader: LineReader) -> bool:
    """Whether there are indexes of logs that are read so."""
    return reader.is_own_format and reader.times.is_default


def is_worth_it(ref: FileRef) -> bool:
    """Whether a file is large enough; of a compressed one a tenth is much."""
    return ref.size * (10 if ref.suffix else 1) >= MIN_INDEXED_BYTES


def is_unchanged(descriptor: int, ref: FileRef, *, is_open: bool = False) -> bool:
    """Whether a file is still what it was when it was opened, or at least begins with it.

    Args:
        descriptor: of the file.
        ref: the file as it was.
        is_open: whether it may have grown.
    """
    state = os.fstat(descriptor)
    if is_open:
        return state.st_size >= ref.size
    return (state.st_size, state.st_mtime_ns) == (ref.size, ref.mtime_ns)
