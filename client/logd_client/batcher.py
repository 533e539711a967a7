"""Takes records from the buffer and makes entries of the session of them.

At once when there was silence. After that it lets the next batch grow for some milliseconds; and
while the server has not acknowledged the last, for some more: it would not store the next any
earlier.
"""

from __future__ import annotations

from logd_client.buffer import Buffer
from logd_client.rows import encode_fitting
from logd_client.session import Session
from logd_client.spoolreader import SpoolPosition
from logd_client.store import Store

__all__ = ["Batcher"]

LINGER_MIN_S = 0.001
LINGER_MAX_S = 0.020
LINGER_PER_ROW_S = 10e-6
"""After a batch of n records the next is collected for n times this, within the limits above: at
less than 100,000 records a second that is 1 ms, beyond it batches grow to thousands of records."""

LINGER_UNACKNOWLEDGED_S = 0.010
"""How long a batch grows if the one before is not acknowledged."""

_FEW_ROWS = 4
"""Fewer in the time of `LINGER_MIN_S`, and each may be sent by the thread that logs it."""


class Batcher:
    """Stands between a buffer and a session; used by one thread at a time.

    Attributes:
        is_under_load: True while batches are worth the wait for them.
    """

    def __init__(self, buffer: Buffer, session: Session, store: Store) -> None:
        self._buffer = buffer
        self._session = session
        self._store = store
        self._earliest = self._latest = 0.0
        self.is_under_load = False

    @property
    def collect_at(self) -> float:
        """Monotonic time before which the next batch should not be taken."""
        return self._latest if self._session.has_unacknowledged else self._earliest

    def collect(self, now: float, *, at_once: bool) -> None:
        """Encode what waits in the buffer, if it is time, or `at_once` says that somebody waits."""
        if self._store.is_full:
            return
        if now < self.collect_at and not at_once and not self._buffer.has_full_batch:
            return
        rows = self._take()
        self.is_under_load = rows >= _FEW_ROWS
        if rows:
            linger_s = min(max(LINGER_MIN_S, LINGER_PER_ROW_S * rows), LINGER_MAX_S)
            self._earliest = now + linger_s
            self._latest = now + max(linger_s, LINGER_UNACKNOWLEDGED_S)

    def collect_lone(self) -> None:
        """Encode the few records that wait, for the thread that logged them."""
        if not self._store.is_full:
            self._take()

    def expect_load(self, now: float) -> None:
        """Records are no lone ones any more: let batches grow."""
        self.is_under_load = True
        self._earliest = self._latest = now + LINGER_MIN_S

    def _take(self) -> int:
        rows, row_bytes = self._buffer.take()
        if not rows:
            return 0
        in_memory = 0
        for entry in encode_fitting(self._session.next_sequence, rows):
            kept = self._store.keep(entry)
            self._session.add(kept)
            if isinstance(kept.frame, SpoolPosition):
                self._buffer.stored(kept.last)
            else:
                in_memory += kept.size
        self._buffer.keep(row_bytes, in_memory)
        return len(rows)
