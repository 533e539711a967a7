"""What a log consists of on disk: for `logd disk` and programs that watch over space. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DAY_S = 86_400


@dataclass(frozen=True)
class StoredPiece:
    """One file or table.

    Attributes:
        name: of the file, or of the table.
        size: its bytes on disk; of a table what the daemon counted, without indexes.
        kind: "current", "closed", "compressed", "table", or what else it is: "journal", "index",
            "torn" (what a crash left over), "other".
        first: when its first record was logged, in seconds since the epoch; None: not known.
        last: when it was last written to.
        records: how many records it has; None: not known without reading it.
    """

    name: str
    size: int
    kind: str
    first: float | None = None
    last: float | None = None
    records: int | None = None

    @property
    def is_log(self) -> bool:
        """Whether it has records, and is no addition to a log."""
        return self.kind in ("current", "closed", "compressed", "table")


def by_day(pieces: Iterable[StoredPiece], utc_offset_s: int) -> dict[int, float]:
    """About how many bytes came on each day.

    A piece that spans several days counts for each of them by the time it has there.

    Args:
        pieces: of one log.
        utc_offset_s: of local time, to the east.

    Returns:
        Number of the local day since the epoch -> bytes, in their order.
    """
    days: dict[int, float] = {}
    for piece in pieces:
        if not piece.is_log or piece.first is None or piece.last is None:
            continue
        begin, end = piece.first + utc_offset_s, max(piece.first, piece.last) + utc_offset_s
        span = (end - begin) or 1.0
        for day in range(int(begin // DAY_S), int(end // DAY_S) + 1):
            within = min(end, (day + 1) * DAY_S) - max(begin, day * DAY_S)
            part = within / span if end > begin else 1.0
            days[day] = days.get(day, 0.0) + piece.size * part
    return dict(sorted(days.items()))
