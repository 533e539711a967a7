"""Where batches wait for their acknowledgement: in memory, or in a spool on disk.

The session keeps the order and the numbers; a store keeps the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from logd_client.natives import Lock
from logd_client.rowjournal import RowJournal
from logd_client.session import Entry
from logd_client.spool import Spool
from logd_client.spoolreader import SpoolPosition

__all__ = ["MemoryStore", "SpoolStore", "Store"]


class Store(Protocol):
    """Keeps the frames of one session. Used by one thread."""

    @property
    def is_full(self) -> bool:
        """True while no more should be given to it."""

    def open(self) -> None:
        """Make sure that it can be used; done by the first `keep` at the latest.

        Raises:
            OSError: the directory of a spool can't be written.
        """

    def keep(self, entry: Entry) -> Entry:
        """Take an entry with its frame; what is returned goes into the session."""

    def load(self, entry: Entry) -> bytes:
        """The frame of an entry that `keep` returned."""

    def acknowledge(self, acked: int) -> None:
        """Everything up to that sequence number is stored by the server."""

    def close(self, *, is_delivered: bool) -> None:
        """The session ends."""

    def abandon(self) -> None:
        """Give up what a child process inherited, without touching what the parent owns."""


class MemoryStore:
    """Frames in memory; their bytes count towards the buffer's bound."""

    is_full = False

    def open(self) -> None:
        pass

    def keep(self, entry: Entry) -> Entry:
        return entry

    def load(self, entry: Entry) -> bytes:
        frame: bytes = entry.frame
        return frame

    def acknowledge(self, acked: int) -> None:
        pass

    def close(self, *, is_delivered: bool) -> None:
        pass

    def abandon(self) -> None:
        pass


class SpoolStore:
    """Frames on disk, up to a number of bytes.

    When the disk refuses, entries stay in memory, and so do all that follow until those are
    acknowledged: a spool with a hole in its numbers could not be delivered by another process.

    Args:
        directory: what several processes share as their spool.
        client_id: the session whose frames it keeps.
        max_bytes: at this size `is_full` becomes true; one taking from the buffer may exceed it.
        report: takes the error of a disk that refuses.
        opened: called once the session has its folder.

    Attributes:
        journal: for the rows that are not here yet, in the same folder; used by the buffer.
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
        self._max_bytes = max_bytes
        self._report = report
        self._memory_until = 0
        self._acked = 0
        self._opening = Lock()
        self.journal = RowJournal(
            lambda: self._opened().folder, max_bytes, self._batch_bytes, report
        )

    def _batch_bytes(self) -> int:
        spool = self._spool
        return 0 if spool is None else spool.size

    def _opened(self) -> Spool:
        # By the sender's thread or by the journal's, whichever comes first.
        with self._opening:
            if self._spool is None:
                self._spool = Spool.create(self._directory, self._client_id, self._max_bytes)
                self._tell_opened()
            return self._spool

    @property
    def is_full(self) -> bool:
        return self._spool is not None and self._spool.size >= self._max_bytes

    def open(self) -> None:
        self._opened()
        self.journal.prepare()

    def keep(self, entry: Entry) -> Entry:
        if self._memory_until > self._acked:
            self._memory_until = entry.last
            return entry
        try:
            return self._opened().store(entry)
        except OSError as exc:
            self._report(exc)
            self._memory_until = entry.last
            return entry

    def load(self, entry: Entry) -> bytes:
        if self._spool is not None and isinstance(entry.frame, SpoolPosition):
            return self._spool.load(entry.frame, entry.size)
        frame: bytes = entry.frame
        return frame

    def acknowledge(self, acked: int) -> None:
        self._acked = acked
        if self._spool is None:
            return
        try:
            self._spool.acknowledge(acked)
        except OSError as exc:
            # The server knows what it has; a later acknowledgement writes the number again.
            self._report(exc)

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
