"""Where in a file the entries of a time can be, so that the rest need not be read.

Entries stand in the order in which they reached the daemon. Mostly that is the order of their
times; but a sender that was cut off brings its old ones later, and its clock may be ahead. Nothing
comes before it was logged, so what is too early to be wanted may be passed over once all around it
is; behind the end of a selection reading goes on until entries are later by `LATE_S`.
"""

from __future__ import annotations

from logd.query.files.listing import FileRef
from logd.query.files.raw import BLOCK_BYTES, chunks, last_entry_start, split, whole_blocks
from logd.text.reading import BREAK, LineReader

LATE_S = 3600.0
"""Entries that came later than this after they were logged may be missed by `until`; clocks may
be ahead by as much."""

_PROBE_BYTES = 1 << 16


class TimeBounds:
    """Looks at times of entries here and there.

    Args:
        reader: reads the entries.
        since: the earliest time wanted, None for any.
        until: the time that ends what is wanted, None for none.
    """

    def __init__(self, reader: LineReader, since: float | None, until: float | None) -> None:
        self._reader = reader
        self._since = since
        self._until = until

    def is_too_old(self, ref: FileRef) -> bool:
        """Whether a file was last written to well before the time wanted."""
        return self._since is not None and ref.mtime_ns / 1e9 < self._since - LATE_S

    def start(self, descriptor: int, ref: FileRef, end: int) -> int:
        """A place before the first wanted entry of a file, where an entry begins."""
        if self._since is None or ref.suffix:
            return 0
        low, high = 0, end
        while high - low > BLOCK_BYTES:
            middle = (low + high) // 2
            latest = self._latest(descriptor, ref, middle)
            if latest is not None and latest < self._since:
                low = middle
            else:
                high = middle
        # A block more, for what stands a little out of order.
        low = max(0, low - BLOCK_BYTES)
        return low and self._entry_start(descriptor, ref, low)

    def is_over(self, block: bytes) -> bool:
        """Whether a block, and so all behind it, is too late to be wanted."""
        if self._until is None:
            return False
        times = self._some_times(block)
        return bool(times) and min(times) >= self._until + LATE_S

    def is_before(self, block: bytes) -> bool:
        """Whether a block, and so all before it, is too early to be wanted."""
        if self._since is None:
            return False
        times = self._some_times(block)
        return bool(times) and max(times) < self._since - LATE_S

    def _some_times(self, block: bytes) -> list[float]:
        """The times of the first entry, one in the middle, and the last."""
        middle = last_entry_start(block[: len(block) // 2])
        # The last line end is behind the last entry.
        places = {0, middle, last_entry_start(block[:-1])}
        found = []
        for place in places:
            line = block[place : block.find(b"\n", place)]
            time = self._reader.read(line).time
            if time is None:
                return []
            found.append(time)
        return found

    def _latest(self, descriptor: int, ref: FileRef, place: int) -> float | None:
        """The latest time of the entries around a place."""
        for piece in chunks(descriptor, ref, place, place + _PROBE_BYTES):
            whole = b"".join(whole_blocks([piece]))
            times = [self._reader.read(entry).time for entry in split(whole)[1:]]
            return max((time for time in times if time is not None), default=None)
        return None

    def _entry_start(self, descriptor: int, ref: FileRef, place: int) -> int:
        """The beginning of an entry near `place`, before or a little after it."""
        continuation = BREAK[1:]
        for piece in chunks(descriptor, ref, place, place + BLOCK_BYTES):
            at = -1
            while (at := piece.find(b"\n", at + 1)) >= 0 and at + 1 < len(piece):
                if not continuation.startswith(piece[at + 1 : at + 1 + len(continuation)]):
                    return place + at + 1
        return 0
