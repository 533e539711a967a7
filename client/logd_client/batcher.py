"""Takes records from the buffer and makes entries of the session of them.

While records are few, each as it comes. Under load a batch grows for some milliseconds: one for
many records costs the app, the network and the server least.
"""

from __future__ import annotations

import time

from logd_client.buffer import NEVER, Buffer
from logd_client.clientsession import Session
from logd_client.pace import RATE
from logd_client.rows import encode_fitting
from logd_client.store import Store

__all__ = ["Batcher"]

LINGER_S = 0.020
"""How long a batch grows. The thread that takes it costs the app the more, the more often it wakes
up; what waits is lost if the process is killed."""

LATE_S = 0.010
"""How much later the others look for a batch: the sender's thread if threads that log send them, as
no further record may come, and it saves the thread to wake up; those if its turn comes late."""

_MAX_GATHERED = 64
"""With more records in a batch its thread is cheaper."""

_WINDOW_S = 0.050
"""Over that time it is counted whether records are few."""


class Batcher:
    """Stands between a buffer and a session; used by one thread at a time.

    Attributes:
        collect_at: monotonic time before which the next batch should not be taken.
        is_under_load: True while batches are worth the wait for them.
    """

    def __init__(self, buffer: Buffer, session: Session, store: Store) -> None:
        self._buffer = buffer
        self._session = session
        self._store = store
        self._window_from = 0.0
        self._window_rows = 0
        self.collect_at = 0.0
        self.is_under_load = False

    def collect(self, now: float, *, at_once: bool, may_gather: bool) -> None:
        """Encode what waits in the buffer, if it is time, or `at_once` says that somebody waits.

        `may_gather`: whether threads that log may send the next batch.
        """
        if now < self.collect_at and not at_once and not self._buffer.has_full_batch:
            return
        rows = self._take()
        self._measure(now, rows)
        if rows:
            self.linger(now, rows, may_gather=may_gather)

    def expect_load(self, now: float) -> None:
        """Records are no lone ones any more: let batches grow."""
        self.is_under_load = True
        self._window_from, self._window_rows = now, 0
        self.collect_at = now + LINGER_S

    def linger(self, now: float, rows: int, *, may_gather: bool) -> None:
        """Let the next batch grow; the last one had that many rows."""
        if may_gather and rows <= _MAX_GATHERED:
            self._buffer.tell_at = time.time() + LINGER_S
            self.collect_at = now + LINGER_S + LATE_S
        else:
            self._buffer.tell_at = time.time() + LINGER_S + LATE_S if may_gather else NEVER
            self.collect_at = now + LINGER_S

    def gathered(self, now: float, rows: int) -> None:
        """A batch was sent past `collect`."""
        self._window_rows += rows
        self.linger(now, rows, may_gather=True)

    def end_load(self, now: float) -> None:
        """Records are few again."""
        self.is_under_load = False
        self._window_from, self._window_rows = now, 0

    def _measure(self, now: float, rows: int) -> None:
        """See whether records have become few."""
        self._window_rows += rows
        passed_s = now - self._window_from
        if passed_s >= _WINDOW_S:
            self.is_under_load = self._window_rows >= passed_s * RATE
            self._window_from, self._window_rows = now, 0
        elif not rows:
            self.is_under_load = False

    def collect_few(self) -> None:
        """Encode the few records that wait, for the thread that logged them."""
        self._take()

    def _take(self) -> int:
        rows, row_bytes = self._buffer.take()
        if not rows:
            return 0
        in_memory = 0
        for entry in encode_fitting(self._session.next_sequence, rows):
            kept = self._store.keep(entry)
            self._session.add(kept)
            in_memory += kept.memory_bytes
        self._buffer.keep(row_bytes, in_memory)
        return len(rows)
