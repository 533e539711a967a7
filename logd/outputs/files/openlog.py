"""A log of text files while it is open: the current file, its journal, its marks, its rotation.

`FileOutput` owns it, gives it blocks to write and turns its errors into those of outputs. Here
every failure of the system is an `OSError`, and after each one the call may be repeated.

The lock is held for each block, for a rotation, and by other threads for renames and small
writes; nobody waits for the disk while holding it, except if the system makes a write wait.
"""

from __future__ import annotations

import contextlib
import errno
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
from logd.outputs.files.boots import boot_id
from logd.outputs.files.compression import missing_in
from logd.outputs.files.generation import Generation
from logd.outputs.files.janitor import Janitor
from logd.outputs.files.journal import (
    Append,
    Forgotten,
    Journal,
    Opened,
    Rotating,
    Snapshot,
    Stopped,
    Synced,
    read_journal,
)
from logd.outputs.files.lockfile import LockFile
from logd.outputs.files.logfile import LogFile, count_entries
from logd.outputs.files.names import Names
from logd.outputs.files.resume import (
    adopt,
    described,
    forms,
    inode_of,
    inodes_of,
    make_way,
    moved_name,
    resume,
    set_aside,
)
from logd.outputs.files.succession import Succession
from logd.outputs.files.syncing import Syncing
from logd.outputs.marks import Marks
from logd.text.reading import BREAK

logger = logging.getLogger(__name__)


class OpenLog:
    """One log, from its opening on; `close` ends it.

    Args:
        path: the folder; it is made if it is missing.
        hidden_name: what the names of journal and lock begin with.
        names: how the log's files are called.
        settings: rotation, retention and so on.
        clock: tells the time, in seconds since the epoch.
        label: the log's name in messages.
        marks: known from the folder in whose place this one is.

    Attributes:
        file: the current file.
        marks: what is known of sessions.
        janitor: looks after closed files.
        rotations: how often it went on to the next file.
        set_aside: files of what crashes left, and their bytes.

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
        marks: Marks | None = None,
    ) -> None:
        self._path = path
        self._names = names
        self._policy = settings.rotation
        self._durable = settings.durable
        self._clock = clock
        self._label = label
        self._lock = threading.RLock()
        self._one_sync = threading.Lock()
        # What the journal called `Opened.next_inode` since the last rotation.
        self._noted_next: set[int] = set()
        # A write failed and what it left behind is not removed yet.
        self._must_undo = False
        # `prepare` has just looked; the first block after it need not.
        self._has_met_others = False
        self.rotations = 0
        # Without syncs not even the note of the first file is on disk.
        self._settled_rotations = 0 if settings.durable else -1
        with contextlib.ExitStack() as undo:
            make_folder(path)
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._folder)
            self._lock_file = LockFile(self._folder, f"{hidden_name}.lock")
            undo.callback(self._lock_file.close)
            self._take_up(f"{hidden_name}.journal", marks, undo)
            self.janitor = Janitor(
                self._folder,
                names,
                self._lock,
                lambda: self._succession.files,
                settle=self.settle,
                retention=settings.retention,
                compress=settings.compress,
                min_free_bytes=settings.min_free_bytes,
                label=label,
                clock=clock,
            )
            self.set_aside = set_aside(self._folder, names)
            gone = self.janitor.surplus()
            if gone:
                logger.warning("%s: %s", label, self._succession.surplus_text(gone))
            self._closing = undo.pop_all()

    def _take_up(self, journal_name: str, marks: Marks | None, undo: contextlib.ExitStack) -> None:
        now = self._clock()
        entries = read_journal(self._folder, journal_name)
        left = Generation.of_note(self._lock_file.note)
        self._generation = left.start + 1
        if entries:
            resumed = resume(
                self._folder,
                self._names,
                entries,
                now,
                durable=self._durable,
                is_old=left.is_after(entries),
            )
        else:
            resumed = adopt(self._folder, self._names, now)
        self.file, self.marks = resumed.file, resumed.marks
        undo.callback(lambda: self.file.close())
        if marks is not None:
            self.marks.take_over(marks)
        self._number = resumed.number
        self._due = self._policy.due_after(self.file.started) if self.file.lines else float("inf")
        self._succession = Succession(self._folder, self._names, resumed.known)
        failpoint("files.before_fresh_journal")
        self._journal = Journal(self._folder, journal_name)
        self._journal.switch_to(self._journal.write_fresh(self._snapshot(), durable=self._durable))
        undo.callback(self._journal.close)
        if self._durable:
            os.fsync(self._folder)
        self._lock_file.leave(str(Generation(self._generation)))
        self._syncing = Syncing(self._folder, self._journal, resumed.number)
        undo.callback(self._syncing.close)

    def _snapshot(self) -> Snapshot:
        self.marks.prune(self._clock())
        return Snapshot(
            boot=boot_id(),
            durable=self._durable,
            number=self._number,
            marks=self.marks.items(),
            current=self._described(self.file),
            files=self._succession.closed(),
            generation=self._generation,
            begun=self._succession.begun,
        )

    def _described(self, file: LogFile) -> Opened:
        opened = described(file, self._folder, self._succession.foreseen)
        self._noted_next.add(opened.next_inode)
        return opened

    def close(self) -> None:
        """Sync and close. After an error, too, everything is closed; the next start repairs it.

        Raises:
            OSError: the disk refused the last step.
        """
        self.janitor.close()
        with self._closing:
            with self._lock:
                self._undo()
                # What nobody would see any more; without a folder there is no place for it.
                with contextlib.suppress(OSError):
                    self._meet_others()
            self.sync()
            failpoint("files.before_stop")
            self._journal.append(Stopped())
            if self._durable:
                _sync_and_close(self._journal.duplicate())
            self._lock_file.leave(str(Generation(self._generation, self._number)))

    # -- writing -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Before blocks are made: clear up after a failed write, and rotate if it is time."""
        with self._lock:
            self._undo()
            self._meet_others()
            if self._clock() >= self._due:
                self._rotate()
            self._has_met_others = True

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
            if not self._has_met_others:
                self._meet_others()
            self._has_met_others = False
            self._append(data, block.entries, block.marks)

    def _append(self, data: bytes, entries: int, marks: dict[bytes, int]) -> None:
        file, now = self.file, self._clock()
        if file.lacks_line_end and data:
            data = b"\n" + data
        self._journal.append(
            Append(
                number=self._number + 1,
                synced=self._syncing.number,
                offset=file.size,
                length=len(data),
                checksum=zlib.crc32(data),
                entries=entries,
                time=now,
                marks=marks,
            )
        )
        try:
            if data:
                file.append(data)
        except OSError:
            self._must_undo = True
            self._undo()
            raise
        self._number += 1
        if not file.lines and entries:
            file.started = now
            self._due = self._policy.due_after(now)
        file.lines += entries
        for client, last in marks.items():
            self.marks.note(client, last, now)

    def _undo(self) -> None:
        """Take back a block that was not written whole; repeated until the disk lets it happen."""
        if self._must_undo:
            self.file.cut_back()
            self._journal.take_back()
            self._must_undo = False

    def _meet_others(self) -> None:
        """Take file and journal as they are if someone else changed them since our last write."""
        if self._journal.is_removed:
            self._renew_journal()
        file = self.file
        state = os.fstat(file.descriptor)
        if state.st_size == file.size and state.st_nlink:
            return
        if not state.st_nlink:
            self._begin_anew(file)
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
        self._journal.append(self._described(file))

    def _begin_anew(self, file: LogFile) -> None:
        """Someone removed the current file; what their compressed form of it lacks is kept."""
        logger.warning("%s: %s was removed; a new one is begun", self._label, file.name)
        places = (missing_in(self._folder, f, file.descriptor) for f in forms(file.name)[1:])
        start = next((place for place in places if place is not None), file.size)
        data = os.pread(file.descriptor, file.size - start, start)
        self.reopen()
        if data:
            logger.warning(
                "%s: %d bytes that came while it was compressed are written to the new one",
                self._label,
                len(data),
            )
            self._append(data, data.count(b"\n") - data.count(BREAK), {})

    def _renew_journal(self) -> None:
        """Someone removed the journal: the next start would know of no marks."""
        logger.warning("%s: its journal was removed; it is made anew", self._label)
        if self._durable:
            # A journal's first entry stands for what is on disk.
            self._syncing.files_now(self.file)
        self._journal.switch_to(self._journal.write_fresh(self._snapshot(), durable=self._durable))
        self._syncing.is_folder_changed = True
        if self._durable:
            os.fsync(self._folder)

    def look_around(self) -> None:
        """See whether someone took journal or lock away; called every few seconds.

        Also counts what was set aside: people remove it.

        Raises:
            OutputUnusable: another process has taken the lock.
        """
        self.set_aside = set_aside(self._folder, self._names)
        with self._lock:
            if self._lock_file.renew():
                logger.warning("%s: its lock file was removed; it is made anew", self._label)
            self._undo()
            if self._journal.is_removed or not self._journal.is_in_place:
                self._renew_journal()
            self._meet_others()

    @property
    def is_in_place(self) -> bool:
        """Whether the log's path still leads to the folder that is written to."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._folder))
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            # It can't be seen from here, which says nothing about where it is.
            return True

    @property
    def free_bytes(self) -> int:
        """What the log's file system has left for us."""
        space = os.fstatvfs(self._folder)
        return space.f_bavail * space.f_frsize

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
        if self._durable and self._syncing.rotations < self.rotations:
            # After the death of the machine one file may have been begun of which the journal
            # does not know (`Opened.next_inode`); with two of them there was no telling.
            self._note_synced()
            self._syncing.journal_now()
            # The journal itself may have been replaced since the folder was synced.
            os.fsync(self._folder)
            self._syncing.rotations = self.rotations
        if self._names.current_name:
            self._begin_plain()
        else:
            self._begin_next()
        self.rotations += 1
        self._due = float("inf")
        failpoint("rotation.after")
        self.janitor.wake()

    def _begin_next(self) -> None:
        """Begin the next file under its own name."""
        target = self._succession.next_name(self._clock())
        failpoint("rotation.before_note")
        self._journal.append(
            Rotating(target, inode_of(self._folder, target), [*inodes_of(self._folder, target)])
        )
        failpoint("rotation.before_way")
        make_way(self._folder, target)
        failpoint("rotation.before_create")
        fresh = LogFile(self._folder, target, is_new=True)
        try:
            if self._durable and fresh.inode in self._noted_next:
                # By its inode it would be taken for the file that it overwrites.
                self._syncing.journal_now()
            self._go_on_with(fresh, "")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(target, dir_fd=self._folder)
            raise

    def _begin_plain(self) -> None:
        """Rename the current file, and begin another under the name that it had.

        The journal is told when both are done. Until then it has the file's inode: by that the
        next start finds it, whatever it is called, and nothing is in the new one yet.
        """
        old, name = self.file, self._names.current_name
        if inode_of(self._folder, old.name) != old.inode:
            # Someone else has renamed it.
            self.reopen()
            return
        target = self._succession.closed_name(old.started or self._clock())
        failpoint("rotation.before_rename")
        self._rename(old.name, target)
        failpoint("rotation.before_plain")
        try:
            if self._durable:
                # POSIX has no order of names on disk: with the new file's there and the rename
                # not, a power loss would leave what was acknowledged without a name.
                os.fsync(self._folder)
            fresh = LogFile(self._folder, name, is_new=True)
            try:
                self._go_on_with(fresh, target)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
                raise
        except OSError:
            with contextlib.suppress(OSError):
                self._rename(target, old.name)
            raise

    def _rename(self, name: str, target: str) -> None:
        os.rename(name, target, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def reopen(self) -> None:
        """Open the current file under its name, if that is another file by now."""
        with self._lock:
            if inode_of(self._folder, self.file.name) == self.file.inode:
                return
            self._undo()
            fresh = LogFile(self._folder, self.file.name)
            if fresh.size:
                fresh.lines, fresh.started = count_entries(fresh.descriptor), self._clock()
            moved = moved_name(self._folder, self._names, self._described(self.file))
            self._go_on_with(fresh, moved)
            self._due = self._policy.due_after(fresh.started) if fresh.lines else float("inf")

    def _go_on_with(self, fresh: LogFile, name_of_old: str) -> None:
        failpoint("rotation.before_opened")
        succession = self._succession
        try:
            self._succession = succession.with_file(fresh.name, self.file.lines, name_of_old)
            opened = described(fresh, self._folder, self._succession.foreseen, name_of_old)
            self._journal.append(opened)
        except OSError:
            self._succession = succession
            fresh.close()
            raise
        self._noted_next = {opened.next_inode}
        self._syncing.is_folder_changed = True
        if self._durable:
            self._syncing.retire(self.file)
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
        # The janitor asks for it, too, and what one has taken the other must not call synced.
        with self._one_sync:
            self._sync()

    def _sync(self) -> None:
        with self._lock:
            snapshot = self._snapshot() if self._journal.wants_compaction else None
            # The last that may fail before anything is taken over from here to be synced.
            portion = self._syncing.take(self.file, self._number, self.rotations)
            if snapshot is not None:
                self._journal.begin_compaction()
        try:
            self._syncing.bring_to_disk(portion)
        except OSError:
            with self._lock:
                self._syncing.failed(portion)
                if snapshot is not None:
                    self._journal.cancel_compaction()
            raise
        with self._lock:
            self._syncing.done(portion)
        if snapshot is not None:
            self._compact(snapshot)

    def settle(self) -> None:
        """Bring to disk what the journal and the folder say of the rotations so far.

        The janitor asks for it before it gives up a file: one that is still the current one after
        a power loss must be there.
        """
        with self._lock:
            rotations = self.rotations
            if rotations == self._settled_rotations:
                return
        with self._one_sync:
            if self._durable:
                self._sync()
            with self._lock:
                if self._durable:
                    self._note_synced()
                journal = self._journal.duplicate()
            try:
                _sync_and_close(journal)
                if not self._durable:
                    os.fsync(self._folder)
            except OSError:
                with self._lock:
                    self._syncing.distrust()
                raise
        self._settled_rotations = rotations

    def _note_synced(self) -> None:
        self._undo()
        try:
            self._journal.append(Synced(self._syncing.number))
        except OSError as exc:
            # Files go to make room for others: that must not fail for want of room.
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def _compact(self, snapshot: Snapshot) -> None:
        """Replace the journal; `snapshot` is synced, what came since is copied."""
        try:
            fresh = self._journal.write_fresh(snapshot, durable=self._durable)
            with self._lock:
                self._journal.switch_to(fresh)
                self._syncing.is_folder_changed = True
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
