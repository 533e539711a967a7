"""Keeps account of what an open log has on disk, and brings the rest there.

The log hands out a `SyncPortion` under its lock, syncs it without the lock, so that writing goes
on, and says under the lock again how that went.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from logd.outputs.disk import sync_names, write_again
from logd.outputs.failpoints import failpoint
from logd.outputs.files.journal import Journal
from logd.outputs.files.logfile import LogFile


@dataclass(frozen=True)
class SyncPortion:
    """What one sync is to bring to disk.

    Attributes:
        retired: files that rotations left; the sync closes them.
        file: the current file.
        size: how much of it counts.
        number: of the last block.
        rotations: how many there were.
        is_folder_changed: whether names came or went.
        must_rewrite: whether a sync failed before, so that the system may take for written what
            is not: it has to be written once more.
        descriptors: second ones of file and journal: both may be closed meanwhile.
    """

    retired: Sequence[LogFile]
    file: LogFile
    size: int
    number: int
    rotations: int
    is_folder_changed: bool
    must_rewrite: bool
    descriptors: Sequence[int]


class Syncing:
    """Keeps account of what is on disk. All but `bring_to_disk` is called under the log's lock.

    Args:
        folder: descriptor of the log's folder.
        journal: the log's journal.
        number: of the last block, which is on disk.

    Attributes:
        number: of the last block that survives the death of the machine.
        rotations: how many rotations the journal on disk tells of.
        is_folder_changed: whether names came or went since the last sync.
    """

    def __init__(self, folder: int, journal: Journal, number: int) -> None:
        self._folder = folder
        self._journal = journal
        self.number = number
        self.rotations = 0
        self.is_folder_changed = False
        self._retired: list[LogFile] = []
        # Those of the portion that is under way.
        self._leaving: Sequence[LogFile] = ()
        # A sync failed: what was not on disk before has to be written once more.
        self._must_rewrite = False
        # The same of the journal, which several threads sync. The lock is held for a sync and its
        # outcome: after one that failed the next one would say that all is well.
        self._is_journal_doubtful = False
        self._journal_lock = threading.Lock()
        self._files_lock = threading.Lock()

    def retire(self, file: LogFile) -> None:
        """Take over a file that a rotation left, to sync and close it."""
        self._retired.append(file)

    def close(self) -> None:
        """Close what is left."""
        while self._retired:
            self._retired.pop().close()

    def take(self, file: LogFile, number: int, rotations: int) -> SyncPortion:
        """What is to be synced now.

        Raises:
            OSError: there are no more descriptors; nothing is taken.
        """
        descriptors = self._duplicates(file)
        portion = SyncPortion(
            self._retired,
            file,
            file.size,
            number,
            rotations,
            self.is_folder_changed,
            self._must_rewrite,
            descriptors,
        )
        self._leaving = self._retired
        self._retired, self.is_folder_changed, self._must_rewrite = [], False, False
        return portion

    def journal_now(self) -> None:
        """Sync the journal at once, under the lock.

        Raises:
            OSError: the disk refused.
        """
        self.bring_journal_to_disk(self.journal_to_sync())

    def journal_to_sync(self) -> int:
        """A descriptor of the journal, for `bring_journal_to_disk`.

        Raises:
            OSError: the disk refused, or there are no more descriptors.
        """
        descriptor = self._journal.duplicate()
        try:
            if self._is_journal_doubtful:
                # Under the lock, other than the files: an entry may be taken back at any time.
                write_again(descriptor, 0, os.fstat(descriptor).st_size)
                self._is_journal_doubtful = False
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def bring_journal_to_disk(self, descriptor: int) -> None:
        """Sync the journal, and close the descriptor; the lock is not needed.

        Raises:
            OSError: the disk refused, now or to another thread since `journal_to_sync`.
        """
        try:
            with self._journal_lock:
                if self._is_journal_doubtful:
                    raise OSError(errno.EIO, "the journal was not synced just now")
                try:
                    os.fdatasync(descriptor)
                except OSError:
                    self._is_journal_doubtful = True
                    raise
        finally:
            os.close(descriptor)

    def _duplicates(self, file: LogFile) -> list[int]:
        log = os.dup(file.descriptor)
        try:
            return [log, self.journal_to_sync()]
        except OSError:
            os.close(log)
            raise

    def bring_to_disk(self, portion: SyncPortion) -> None:
        """Sync it; without the lock. Then either `done` or `failed` is to be called.

        Raises:
            OSError: the disk refused.
        """
        log, journal = portion.descriptors
        try:
            try:
                with self._files_lock:
                    self._bring_files_to_disk(portion, log)
            finally:
                os.close(log)
            failpoint("journal.before_sync")
        except BaseException:
            os.close(journal)
            raise
        self.bring_journal_to_disk(journal)
        if portion.is_folder_changed:
            failpoint("files.before_folder_sync")
            sync_names(self._folder)
        failpoint("files.after_sync")

    def _bring_files_to_disk(self, portion: SyncPortion, log: int) -> None:
        try:
            if portion.must_rewrite:
                for old in portion.retired:
                    write_again(old.descriptor, old.synced_size, old.size)
                write_again(log, portion.file.synced_size, portion.size)
            failpoint("files.before_sync")
            for old in portion.retired:
                os.fdatasync(old.descriptor)
            os.fdatasync(log)
        except OSError:
            self._must_rewrite = True
            raise

    def done(self, portion: SyncPortion) -> None:
        """It is on disk."""
        self.number = portion.number
        self.rotations = max(portion.rotations, self.rotations)
        # Cut by someone in the meantime, it may be smaller now.
        portion.file.synced_size = min(portion.size, portion.file.size)
        for old in portion.retired:
            old.close()
        self._leaving = ()

    def failed(self, portion: SyncPortion) -> None:
        """It is not: the next portion has it, too."""
        self._must_rewrite = True
        self._retired = [*portion.retired, *self._retired]
        self._leaving = ()
        self.is_folder_changed = True

    def files_now(self, file: LogFile) -> None:
        """Sync all files at once, under the lock, and leave the account as it is.

        Raises:
            OSError: the disk refused.
        """
        files = (*self._leaving, *self._retired, file)
        with self._files_lock:
            try:
                for one in files if self._must_rewrite else ():
                    write_again(one.descriptor, one.synced_size, one.size)
                for one in files:
                    os.fdatasync(one.descriptor)
            except OSError:
                self._must_rewrite = True
                raise
