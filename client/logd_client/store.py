"""Where records wait for their acknowledgement: in memory, or in a spool on disk.

The session keeps the order and the numbers; a store keeps the bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from logd_client.buffer import lost_row
from logd_client.encoding import encode_batch
from logd_client.natives import Lock
from logd_client.problems import RecordsLost, SessionProblem
from logd_client.records import AnyRow, EncodedBatch
from logd_client.rowjournal import RowJournal
from logd_client.rows import UNFIT, fitted
from logd_client.sizes import BATCH_BYTES
from logd_client.spool import Spool

__all__ = ["MemoryStore", "SpoolStore", "Store"]

_FRAME_BYTES = 4 * BATCH_BYTES
"""At most this much of what is in the journal is kept as frames, too, until it is sent: at once,
as a rule."""


class Store(Protocol):
    """Keeps the frames of one session. Used by one thread.

    Attributes:
        lost: records that it could not give back.
    """

    lost: int

    def open(self) -> None:
        """Make sure that it can be used; done by the first `keep` at the latest.

        Raises:
            OSError: the directory of a spool can't be written.
        """

    def keep(self, entry: EncodedBatch) -> EncodedBatch:
        """Take an entry with its frame; what is returned goes into the session."""

    def load(self, entry: EncodedBatch) -> bytes:
        """The frame of an entry that `keep` returned; what can't be read says so in it."""

    def acknowledge(self, acked: int) -> None:
        """Everything up to that sequence number is stored by the server."""

    def close(self, *, is_delivered: bool) -> None:
        """The session ends."""

    def abandon(self) -> None:
        """Give up what a child process inherited, without touching what the parent owns."""


class MemoryStore:
    """Frames in memory; their bytes count towards the buffer's bound."""

    lost = 0

    def open(self) -> None:
        pass

    def keep(self, entry: EncodedBatch) -> EncodedBatch:
        return entry

    def load(self, entry: EncodedBatch) -> bytes:
        frame: bytes = entry.frame
        return frame

    def acknowledge(self, acked: int) -> None:
        pass

    def close(self, *, is_delivered: bool) -> None:
        pass

    def abandon(self) -> None:
        pass


class SpoolStore:
    """No frames: the records are in the journal, and are encoded again if they are sent again.

    Those that the disk refused stay in memory.

    Args:
        directory: what several processes share as their spool.
        client_id: the session whose records it keeps.
        max_bytes: the bound of the journal's files.
        report: takes the error of a disk that refuses.
        opened: called once the session has its folder.

    Attributes:
        journal: has the records; the buffer writes it.
    """

    def __init__(
        self,
        directory: Path,
        client_id: bytes,
        max_bytes: int,
        report: Callable[[BaseException], None],
        opened: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = directory
        self._tell_opened = opened
        self._client_id = client_id
        self._spool: Spool | None = None
        self._report = report
        self._opening = Lock()
        self._frames: dict[int, bytes] = {}
        self._frame_bytes = 0
        self._acked = 0
        self._told: set[int] = set()
        self.lost = 0
        self.journal = RowJournal(
            lambda: self._opened().folder, max_bytes, report, self._new_folder
        )

    def _opened(self) -> Spool:
        # By the sender's thread or by the journal's, whichever comes first.
        with self._opening:
            if self._spool is None:
                self._spool = Spool.create(self._directory, self._client_id)
                self._tell_opened()
            return self._spool

    def open(self) -> None:
        self._opened()
        self.journal.prepare()

    def keep(self, entry: EncodedBatch) -> EncodedBatch:
        self.journal.prepare()
        if not self.journal.has(entry.first, entry.last):
            return entry
        if self._frame_bytes < _FRAME_BYTES:
            self._frames[entry.first] = entry.frame
            self._frame_bytes += entry.size
        return entry._replace(frame=None)

    def load(self, entry: EncodedBatch) -> bytes:
        if entry.frame is not None:
            frame: bytes = entry.frame
            return frame
        known = self._frames.pop(entry.first, b"")
        self._frame_bytes -= len(known)
        if len(known) == entry.size:
            return known
        found = self.journal.read(entry.first, entry.last)
        numbers = range(entry.first, entry.last + 1)
        rows = [found[number] if number in found else self._missing(number) for number in numbers]
        try:
            return encode_batch(entry.first, rows)
        except UNFIT:
            return encode_batch(entry.first, [fitted(row) for row in rows])

    def _missing(self, number: int) -> AnyRow:
        """What stands in the place of a record that can't be read."""
        pid = os.getpid()
        text = f"1 record(s) lost by pid {pid}: the spool was damaged"
        if number not in self._told:
            self._told.add(number)
            self.lost += 1
            self._report(RecordsLost(text, 1))
        return lost_row(1, pid, time.time(), text)

    def acknowledge(self, acked: int) -> None:
        self._acked = acked
        if self._spool is not None:
            self._spool.acknowledge(acked)

    def _new_folder(self) -> Path | None:
        """Where to go on if the folder is another process's now; None if all is well."""
        lost = self._spool
        if lost is None or not lost.is_lost:
            return None
        try:
            self._spool = found = Spool.create(self._directory, self._client_id, self._acked)
        except OSError as exc:
            self._report(exc)
            return None
        lost.abandon()
        text = f"spool {lost.folder}: another process has it, for the app closed its lock"
        self._report(SessionProblem(f"{text}; this one goes on in {found.folder}"))
        return found.folder

    def close(self, *, is_delivered: bool) -> None:
        if self._spool is None:
            return
        try:
            self._spool.close(remove=is_delivered)
        except OSError as exc:
            self._report(exc)
        self._spool = None

    def abandon(self) -> None:
        self.journal.close()
        if self._spool is not None:
            self._spool.abandon()
