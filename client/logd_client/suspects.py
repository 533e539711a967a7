"""Finds the batch that a server refuses among all others.

After a refused frame batches are sent one at a time, until all that had been sent is through: then
it is known which one is refused. It is cut in two, if that may help, or given up: a record that
says so takes its place, and the others go on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from logd_client.buffer import lost_row
from logd_client.clientsession import Session
from logd_client.encoding import encode_batches
from logd_client.framelimit import FrameLimit
from logd_client.problems import RecordsLost
from logd_client.records import EncodedBatch

__all__ = ["Suspects"]


class Suspects:
    """Used by the session's `Link`.

    Args:
        session: has the entries.
        limit: cuts them.
        report: takes the losses.
        freed: takes the number of bytes of memory that a lost batch has freed.

    Attributes:
        is_careful: True while one batch at a time is sent.
        lost: records that were given up.
    """

    def __init__(
        self,
        session: Session,
        limit: FrameLimit,
        report: Callable[[BaseException], None],
        freed: Callable[[int], None],
    ) -> None:
        self._session = session
        self._limit = limit
        self._report = report
        self._freed = freed
        self._until = 0
        self._suspect: EncodedBatch | None = None
        self.is_careful = False
        self.lost = 0

    def may_send(self) -> bool:
        """Whether the next batch may go: not while one is out that may be refused."""
        if not self.is_careful:
            return True
        if self._session.acked >= self._until:
            self.is_careful = False
            return True
        return not self._session.has_unacknowledged

    def sent(self, entry: EncodedBatch) -> None:
        """This one is out now, alone."""
        if self.is_careful:
            self._suspect = entry

    def take_suspect(self) -> EncodedBatch | None:
        """The one that was out alone when the connection ended; it is forgotten."""
        suspect, self._suspect = self._suspect, None
        return suspect

    def refused(self, suspect: EncodedBatch | None) -> None:
        """The server refused a frame; the connection is closed."""
        is_found = suspect is not None and suspect == self._session.oldest
        if suspect is not None and is_found and not self._limit.is_cut(suspect):
            self._give_up(suspect, "the server refused them as malformed or too large")
        self._be_careful()

    def _be_careful(self) -> None:
        self.is_careful = True
        self._until = self._session.sent_sequence

    def _give_up(self, entry: EncodedBatch, reason: str) -> None:
        """Put a record in the place of a batch that can't be delivered; it says so."""
        pid = os.getpid()
        text = f"{entry.records} record(s) lost by pid {pid}: {reason}"
        (notice,) = encode_batches(entry.last, [lost_row(entry.records, pid, time.time(), text)])
        self._session.replace_oldest(notice)
        self.lost += entry.records
        self._report(RecordsLost(text, entry.records))
        self._freed(entry.memory_bytes - notice.size)
