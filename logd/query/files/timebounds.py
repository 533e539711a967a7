"""Which files and blocks surely have no entry of a time, so that they need not be looked at.

Entries stand in the order in which they reached the daemon. Mostly that is the order of their
times; but a sender that was cut off brings its old ones later. So the place of an entry says
nothing for sure about its time, and neighbours don't either. Two things do:

- nothing comes before it was logged, so a file that was not changed since before a time has
  nothing of that time. Clocks may be ahead by `MAX_AHEAD_S`. People can set the time of the last
  write (`touch`), but not that of the last change;
- timestamps of the default format are local times. If as many lines begin with unwanted minutes or
  hours as there are entries in the block, none is wanted. To count them costs a fraction of parsing
  the block.
"""

from __future__ import annotations

from datetime import datetime

from logd.query.files.layouts import DEFAULT, structured_layout
from logd.query.files.listing import FileRef
from logd.text.reading import BREAK, LineReader

MAX_AHEAD_S = 3600.0
"""How far a sender's clock may be ahead of the daemon's; later entries may be missed."""

_MINUTE, _HOUR = len("2026-11-22T03:00"), len("2026-11-22T03")
_MAX_START = 64
_SPANS_S = {_MINUTE: 60, _HOUR: 3600}
# More stretches in one block than these say that its entries are in no order.
_MAX_STRETCHES = 3


class TimeBounds:
    """Looks at files and blocks.

    Args:
        reader: reads the entries.
        since: the earliest time wanted, None for any.
        until: the time that ends what is wanted, None for no end.
    """

    def __init__(self, reader: LineReader, since: float | None, until: float | None) -> None:
        self._since = since
        self._until = until
        self._reader = reader
        self._can_tell = (
            (since is not None or until is not None)
            and reader.is_own_format
            and reader.times.is_default
        )
        self._known: dict[tuple[bytes, bytes], bool] = {}

    def is_too_old(self, ref: FileRef) -> bool:
        """Whether a file was last changed well before the time wanted."""
        return self._since is not None and ref.changed_ns / 1e9 < self._since - MAX_AHEAD_S

    def may_have(self, block: bytes) -> bool:
        """False if surely no entry of a block, which has whole ones, is of the time wanted."""
        if not self._can_tell:
            return True
        layout = structured_layout([block]) or DEFAULT
        first, last = block[: layout.zone.stop], _last_start(block)
        zone = first[layout.zone]
        if last[layout.zone] != zone:
            return True
        begin, zone = layout.stamp.start or 0, zone.replace(b":", b"")
        for size in (_MINUTE, _HOUR):
            end = begin + size
            starts = self._stretches(first[begin:end], last[begin:end], zone)
            if starts is not None:
                break
        else:
            return True
        if any(self._is_wanted(start, zone) for start in starts):
            return True
        # The offset changes with the clocks, not back again within a mebibyte.
        starts = [layout.start + start for start in starts]
        others = sum(block.count(b"\n" + start) + block.startswith(start) for start in starts)
        lines = block.count(b"\n")
        return others < lines and others < lines - block.count(BREAK)

    def _stretches(self, first: bytes, last: bytes, zone: bytes) -> list[bytes] | None:
        """The minutes or hours between two that begin lines; None if they are too many."""
        if first == last:
            return [first]
        begin, end = self._moment(first, zone), self._moment(last, zone)
        if begin is None or end is None:
            return None
        begin, end = min(begin, end), max(begin, end)
        span_s = _SPANS_S[len(first)]
        if end - begin >= _MAX_STRETCHES * span_s:
            return None
        starts = []
        offset = datetime.strptime(zone.decode(), "%z").tzinfo
        while begin <= end:
            text = datetime.fromtimestamp(begin, offset).isoformat()
            starts.append(text[: len(first)].encode())
            begin += span_s
        return starts

    def _is_wanted(self, start: bytes, zone: bytes) -> bool:
        """Whether some time of a minute or an hour is wanted."""
        known = self._known.get((start, zone))
        if known is None:
            begin = self._moment(start, zone)
            known = self._known[start, zone] = begin is None or (
                (self._since is None or begin + _SPANS_S[len(start)] > self._since)
                and (self._until is None or begin < self._until)
            )
        return known

    def _moment(self, start: bytes, zone: bytes) -> float | None:
        rest = "2026-11-22T00:00:00.000"[len(start) :]
        text = f"{start.decode('ascii', 'replace')}{rest}{zone.decode('ascii', 'replace')}"
        return self._reader.times.read(text)


def _last_start(block: bytes) -> bytes:
    """The beginning of the last entry of a block."""
    place = len(block) - 1
    while (place := block.rfind(b"\n", 0, place)) >= 0:
        if not block.startswith(BREAK, place):
            return block[place + 1 : place + 1 + _MAX_START]
    return block[:_MAX_START]
