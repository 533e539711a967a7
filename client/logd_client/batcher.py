"""Takes records from the buffer and makes entries of the session of them.

At once when there was silence; after that, for some milliseconds, it lets the next batch grow.
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


class Batcher:
    """Stands between a buffer and a session; used by the sender's thread.

    Attributes:
        collect_at: monotonic time before which the next batch should not be taken.
    """

    def __init__(self, buffer: Buffer, session: Session, store: Store) -> None:
        self._buffer = buffer
        self._session = session
        self._store = store
        self.collect_at = 0.0

    def collect(self, now: float, *, at_once: bool) -> None:
        """Encode what waits in the buffer, if it is time, or `at_once` says that somebody waits."""
        if self._store.is_full:
            return
        if now < self.collect_at and not at_once and not self._buffer.has_full_batch:
            return
        rows, row_bytes = self._buffer.take()
        if not rows:
            return
        in_memory = 0
        for entry in encode_fitting(self._session.next_sequence, rows):
            kept = self._store.keep(entry)
            self._session.add(kept)
            if isinstance(kept.frame, SpoolPosition):
                self._buffer.stored(kept.last)
            else:
                in_memory += kept.size
        self._buffer.keep(row_bytes, in_memory)
        linger_s = min(max(LINGER_MIN_S, LINGER_PER_ROW_S * len(rows)), LINGER_MAX_S)
        self.collect_at = now + linger_s
