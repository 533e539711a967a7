"""Which batches of a session go next, and what becomes of those that the server refuses."""

from __future__ import annotations

from collections.abc import Callable

from logd_client.clientsession import Session
from logd_client.framelimit import FrameLimit
from logd_client.records import EncodedBatch
from logd_client.store import Store
from logd_client.suspects import Suspects

__all__ = ["Outgoing"]

_SEND_BYTES = 512 * 1024


class Outgoing:
    """Used by the session's `Link`.

    Args:
        session: has the entries.
        store: has their frames.
        report: takes the losses.
        freed: takes the number of bytes of memory that are freed if entries are replaced.
    """

    def __init__(
        self,
        session: Session,
        store: Store,
        report: Callable[[BaseException], None],
        freed: Callable[[int], None],
    ) -> None:
        self._session = session
        self._store = store
        self._limit = FrameLimit(session, store, freed)
        self._suspects = Suspects(session, self._limit, report, freed)

    @property
    def lost(self) -> int:
        """Number of records that the server refused for good, or that could not be read."""
        return self._suspects.lost + self._store.lost

    @property
    def is_plain(self) -> bool:
        """True while nothing was refused: every batch may go as it is, several at once."""
        return not self._suspects.is_careful and self._limit.max_bytes is None

    def take(self) -> bytes:
        """The next frames to send; b"" for none."""
        if not self._suspects.may_send():
            return b""
        self._limit.fit_next()
        entries = self._session.take(_SEND_BYTES if self.is_plain else 0)
        if entries:
            self._suspects.sent(entries[0])
        return b"".join([self._store.load(entry) for entry in entries])

    def take_suspect(self) -> EncodedBatch | None:
        """The batch that was out alone when the connection ended; it is forgotten."""
        return self._suspects.take_suspect()

    def refused(self, suspect: EncodedBatch | None) -> None:
        """The server refused a frame; the connection is closed."""
        self._suspects.refused(suspect)
