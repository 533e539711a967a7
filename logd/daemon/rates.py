"""How fast counters grow: averages over the last 1, 10 and 60 seconds.

Fed once a second with the totals; keeps a minute of them.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

SPANS_S = (1, 10, 60)
EVERY_S = 1.0
PACE_S = 10


class Totals(NamedTuple):
    """Totals at one moment (seconds, only ever growing)."""

    at: float
    records: int
    bytes: int


class DiskPace:
    """How fast what waits on disk for an output gets less. Fed as `Rates` are."""

    def __init__(self, now: float) -> None:
        self._rates = Rates(now)

    def add(self, now: float, taken: int, kept: int) -> None:
        """Note how many records came back from the disk so far, and how many went there."""
        self._rates.add(now, taken, kept)

    @property
    def taken_per_s(self) -> float:
        """Records that the output takes from the disk, a second."""
        return self._rates.over(PACE_S)[0]

    def left_s(self, records: int) -> float | None:
        """In how many seconds nothing waits at this pace; None if that never ends."""
        taken_per_s, kept_per_s = self._rates.over(PACE_S)
        if not records:
            return 0.0
        return records / (taken_per_s - kept_per_s) if taken_per_s > kept_per_s else None


class Rates:
    """The totals of the last minute. Event loop's thread only."""

    def __init__(self, now: float) -> None:
        self._samples = deque([Totals(now, 0, 0)], maxlen=round(max(SPANS_S) / EVERY_S) + 1)

    def add(self, now: float, records: int, received_bytes: int) -> None:
        """Note the totals at `now`; to be called every `EVERY_S` seconds."""
        self._samples.append(Totals(now, records, received_bytes))

    def over(self, span_s: float) -> tuple[float, float]:
        """Records and bytes a second, over the last `span_s` seconds or what there is of them."""
        last = self._samples[-1]
        # Samples come a little late now and then; half a step more keeps the one that is meant.
        oldest = last.at - span_s - EVERY_S / 2
        first = next(sample for sample in self._samples if sample.at >= oldest)
        passed = last.at - first.at
        if passed <= 0:
            return 0.0, 0.0
        return (last.records - first.records) / passed, (last.bytes - first.bytes) / passed
