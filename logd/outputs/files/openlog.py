"""A log of text files while it is open: the current file, its journal, its marks, its rotation.

`FileOutput` owns it, gives it blocks to write and turns its errors into those of outputs. Here
every failure of the system is an `OSError`, and after each one the call may be repeated.

The lock is held for each block, for a rotation, and by other threads for renames and small
writes; nobody waits for the disk while holding it, except where the system makes a write wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from logd.outputs.base import OutputSettings
from logd.outputs.disk import make_folder
from logd.outputs.failpoints import failpoint
from logd.outputs.files.blocks import Block, Room
from logd.outputs.files.janitor import Janitor
from logd.outputs.files.journal import (
    Append,
    Forgotten,
    Journal,
    Rotating,
    Snapshot,
    Stopped,
    read_journal,
)
from logd.outputs.files.lockfile import take_lock
from logd.outputs.files.logfile import LogFile, count_entries, write_again
from logd.outputs.files.names import Names
from logd.outputs.files.resume import adopt, boot_id, described, inode_of, make_way, resume

logger = logging.getLogger(__name__)


class OpenLog:
    """One log, from its opening on; `close` ends it.

    Args:
        path: the folder; it is made where it is missing.
        hidden_name: what the names of journal and lock begin with.
        names: how the log's files are called.
        settings: rotation, retention and so on.
        clock: tells the time, in seconds since the epoch.
        label: the log's name in messages.

    Attributes:
        file: the current file.
        marks: what is known of sessions.
        janitor: looks after closed files.
        rotations: how often it went on to the next file.

    Raises:
        OutputUnusable: another process has the log, or a name is taken by something else.
        OSError: the system refused.
    """

    def __init__(
        self,
        path: Path,
        hidden_name: str,
        names: Names,
        settings: OutputSettings,
        clock: Callable[[], float],
        label: str,
    ) -> None:
        self._names = names
        self._policy = settings.rotation
        self._durable = settings.durable
        self._clock = clock
        self._label = label
        self._lock = threading.RLock()
        # Files left by a rotation that are not synced yet; taken over by `sync`.
        self._retired: list[LogFile] = []
        self._is_folder_changed = False
        # A write failed and what it left behind is not removed yet.
        self._must_undo = False
        # A sync failed: what was not on disk before has to be written once more.
        self._must_rewrite = False
        self.rotations = 0
        self._synced_rotations = 0
        with contextlib.ExitStack() as undo:
            make_folder(path)
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._folder)
            undo.callback(os.close, take_lock(self._folder, f"{hidden_name}.lock"))
            self._take_up(f"{hidden_name}.journal", undo)
            self.janitor = Janitor(
                self._folder,
                names,
                self._lock,
                lambda: self.file.name,
                retention=settings.retention,
                compress=settings.compress,
                min_free_bytes=settings.min_free_bytes,
                label=label,
                clock=clock,
            )
            self._closing = undo.pop_all()

    def _take_up(self, journal_name: str, undo: contextlib.ExitStack) -> None:
        now = self._clock()
        entries = read_journal(self._folder, journal_name)
        if entries:
            resumed = resume(self._folder, self._names, entries, now, durable=self._durable)
        else:
            resumed = adopt(self._folder, self._names, now)
        self.file, self.marks = resumed.file, resumed.marks
        undo.callback(lambda: self.file.close())
        self._number = self._synced = resumed.number
        self._due = self._policy.due_after(self.file.started) if self.file.lines else float("inf")
        failpoint("files.before_fresh_journal")
        self._journal = Journal(self._folder, journal_name)
        fresh = self._journal.write_fresh(self._snapshot(), durable=self._durable)
        self._journal.switch_to(fresh)
        undo.callback(self._journal.close)
        if self._durable:
            os.fsync(self._folder)

    def _snapshot(self) -> Snapshot:
        self.marks.prune(self._clock())
        return Snapshot(
            boot=boot_id(),
            durable=self._durable,
            number=self._number,
            marks=self.marks.items(),
            current=described(self.file, self._folder, self._names),
        )

    def close(self) -> None:
        """Sync and close. After an error, too, everything is closed; the next start repairs it.

        Raises:
            OSError: the disk refused the last step.
        """
        self.janitor.close()
        with self._closing:
            with self._lock:
                self._undo()
            self.sync()
            for file in self._retired:
                file.close()
            failpoint("files.before_stop")
            self._journal.append(Stopped())
            if self._durable:
                _sync_and_close(self._journal.duplicate())

    # -- writing -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Before blocks are made: clear up after a failed write, and rotate if it is time."""
        with self._lock:
            self._undo()
            self._meet_others()
            if self._clock() >= self._due:
                self._rotate()

    def room(self) -> Room:
        """What still goes into the current file."""
        file, policy = self.file, self._policy
        return Room(
            None if policy.lines is None else max(0, policy.lines - file.lines),
            None if policy.size is None else max(0, policy.size - file.size),
            file.lines == 0,
        )

    def append(self, block: Block) -> None:
        """Write a block and its marks; either is there whole when it returns, or nothing is."""
        data = block.data()
        with self._lock:
            self._meet_others()
            file, now = self.file, self._clock()
            if file.lacks_line_end:
                data = b"\n" + data
            self._journal.append(
                Append(
                    number=self._number + 1,
                    synced=self._synced,
                    offset=file.size,
                    length=len(data),
                    checksum=zlib.crc32(data),
                    entries=block.entries,
                    time=now,
                    marks=block.marks,
                )
            )
            try:
                file.append(data)
            except OSError:
                self._must_undo = True
                self._undo()
                raise
            self._number += 1
            if not file.lines:
                file.started = now
                self._due = self._policy.due_after(now)
            file.lines += block.entries
            for client, last in block.marks.items():
                self.marks.note(client, last, now)

    def _undo(self) -> None:
        """Take back a block that was not written whole; repeated until the disk lets it happen."""
        if self._must_undo:
            self.file.cut_back()
            self._journal.take_back()
            self._must_undo = False

    def _meet_others(self) -> None:
        """Take the file as it is where someone else changed it since our last write."""
        file = self.file
        state = os.fstat(file.descriptor)
        if state.st_size == file.size and state.st_nlink:
            return
        if not state.st_nlink:
            logger.warning("%s: %s was removed; a new one is begun", self._label, file.name)
            self.reopen()
            return
        logger.info(
            "%s: %s has %d bytes where we left %d (copytruncate, or someone else's lines)",
            self._label,
            file.name,
            state.st_size,
            file.size,
        )
        if state.st_size < file.size:
            file.lines = count_entries(file.descriptor) if state.st_size else 0
        file.size = state.st_size
        file.look_at_end()
        file.synced_size = min(file.synced_size, file.size)
        self._journal.append(described(file, self._folder, self._names))

    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop the marks of sessions."""
        with self._lock:
            self.marks.forget(clients)
            self._journal.append(Forgotten(list(clients)))

    # -- rotation ----------------------------------------------------------------------------

    def rotate(self) -> None:
        """Go on to the next file, unless nothing is in the current one."""
        with self._lock:
            self._undo()
            if self.file.size:
                self._rotate()

    def rotate_if_due(self, now: float) -> None:
        """Go on to the next file if the schedule says so."""
        with self._lock:
            if now >= self._due:
                self.rotate()

    def _rotate(self) -> None:
        if self._durable and self._synced_rotations < self.rotations:
            # After the death of the machine one file may have been begun of which the journal
            # does not know (`Opened.next_inode`); with two of them there was no telling.
            self._journal.sync()
            self._synced_rotations = self.rotations
        target = self._names.following(self.file.name, self._clock())
        failpoint("rotation.before_note")
        self._journal.append(Rotating(target, inode_of(self._folder, target)))
        failpoint("rotation.before_way")
        make_way(self._folder, target)
        failpoint("rotation.before_create")
        self._go_on_with(LogFile(self._folder, target, is_new=True))
        self.rotations += 1
        self._due = float("inf")
        failpoint("rotation.after")
        self.janitor.wake()

    def reopen(self) -> None:
        """Open the current file under its name, where that is another file by now."""
        with self._lock:
            if inode_of(self._folder, self.file.name) == self.file.inode:
                return
            self._undo()
            fresh = LogFile(self._folder, self.file.name)
            if fresh.size:
                fresh.lines, fresh.started = count_entries(fresh.descriptor), self._clock()
            self._go_on_with(fresh)
            self._due = self._policy.due_after(fresh.started) if fresh.lines else float("inf")

    def _go_on_with(self, fresh: LogFile) -> None:
        failpoint("rotation.before_opened")
        try:
            self._journal.append(described(fresh, self._folder, self._names))
        except OSError:
            fresh.close()
            raise
        self._is_folder_changed = True
        if self._durable:
            self._retired.append(self.file)
        else:
            self.file.close()
        self.file = fresh

    # -- syncing -----------------------------------------------------------------------------

    def sync(self) -> None:
        """Make all blocks appended before survive the death of the machine.

        Also puts a fresh journal in the place of one that has grown long.
        """
        if not self._durable:
            self._compact_unsynced()
            return
        with self._lock:
            file = self.file
            snapshot = self._snapshot() if self._journal.wants_compaction else None
            # The last that may fail before anything is taken over from here to be synced.
            descriptors = self._duplicates()
            number, size, rotations = self._number, file.size, self.rotations
            retired, self._retired = self._retired, []
            is_folder_changed, self._is_folder_changed = self._is_folder_changed, False
            if snapshot is not None:
                self._journal.begin_compaction()
        try:
            self._sync_files(retired, file, descriptors, is_folder_changed)
        except OSError:
            with self._lock:
                self._must_rewrite = True
                self._retired = retired + self._retired
                self._is_folder_changed = True
                if snapshot is not None:
                    self._journal.cancel_compaction()
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        with self._lock:
            self._synced = number
            self._synced_rotations = max(rotations, self._synced_rotations)
            # Cut by someone in the meantime, it may be smaller now.
            file.synced_size = min(size, file.size)
        for old in retired:
            old.close()
        if snapshot is not None:
            self._compact(snapshot)

    def _duplicates(self) -> list[int]:
        """Second descriptors of file and journal: both may be closed while they are synced."""
        log = os.dup(self.file.descriptor)
        try:
            return [log, self._journal.duplicate()]
        except OSError:
            os.close(log)
            raise

    def _sync_files(
        self,
        retired: Sequence[LogFile],
        file: LogFile,
        descriptors: Sequence[int],
        is_folder_changed: bool,
    ) -> None:
        log, journal = descriptors
        if self._must_rewrite:
            for old in retired:
                write_again(old.descriptor, old.synced_size, old.size)
            write_again(log, file.synced_size, file.size)
        failpoint("files.before_sync")
        for old in retired:
            os.fdatasync(old.descriptor)
        os.fdatasync(log)
        failpoint("journal.before_sync")
        os.fdatasync(journal)
        if is_folder_changed:
            failpoint("files.before_folder_sync")
            os.fsync(self._folder)
        self._must_rewrite = False
        failpoint("files.after_sync")

    def _compact(self, snapshot: Snapshot) -> None:
        """Replace the journal; `snapshot` is synced, what came since is copied."""
        try:
            fresh = self._journal.write_fresh(snapshot, durable=self._durable)
            with self._lock:
                self._journal.switch_to(fresh)
                self._is_folder_changed = True
        except OSError as exc:
            with self._lock:
                self._journal.cancel_compaction()
            logger.warning("%s: the journal grows on: %s", self._label, exc)

    def _compact_unsynced(self) -> None:
        with self._lock:
            if self._journal.wants_compaction:
                self._journal.begin_compaction()
                self._compact(self._snapshot())


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
