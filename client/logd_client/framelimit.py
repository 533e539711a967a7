"""The largest frame that the server takes, as far as its refusals tell, and batches cut to it.

A server whose `max_frame_bytes` was lowered refuses batches that it took before. Usually no record
of such a batch is too large by itself, so it is cut in two and sent again. If a batch of a single
record is refused, cutting does not help.
"""

from __future__ import annotations

from collections.abc import Callable

from logd_client.clientsession import Session
from logd_client.decoding import rows_of_frame
from logd_client.encoding import encode_batches
from logd_client.records import EncodedBatch
from logd_client.store import Store

__all__ = ["FrameLimit"]

_MIN_LIMIT = 4096
"""No server has a lower limit: a smaller frame is refused for something else."""


class FrameLimit:
    """Cuts what a session is to send next. Used by the session's `Link`.

    Args:
        session: has the entries.
        store: has their frames.
        freed: takes the number of bytes of memory that a cut has freed; below 0 if it needs more.

    Attributes:
        max_bytes: larger frames were refused; None while all sizes pass.
    """

    def __init__(self, session: Session, store: Store, freed: Callable[[int], None]) -> None:
        self._session = session
        self._store = store
        self._freed = freed
        self.max_bytes: int | None = None

    def is_cut(self, refused: EncodedBatch) -> bool:
        """Cut an entry that was refused, the session's next one; false if that can't help."""
        if refused.records < 2:
            if refused.size <= _MIN_LIMIT:
                self.max_bytes = None
            return False
        self.max_bytes = refused.size - 1
        self.fit_next()
        return True

    def fit_next(self) -> None:
        """Cut the session's next entry until it is small enough, or has one record."""
        while self.max_bytes is not None:
            entry = self._session.next_unsent
            if entry is None or entry.size <= self.max_bytes or entry.records < 2:
                return
            rows = rows_of_frame(self._store.load(entry))
            middle = len(rows) // 2
            parts = [
                *encode_batches(entry.first, rows[:middle]),
                *encode_batches(entry.first + middle, rows[middle:]),
            ]
            self._session.replace_next(parts)
            self._freed(entry.memory_bytes - sum([part.size for part in parts]))
