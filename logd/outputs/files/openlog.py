"""A log of text files while it is open: writes blocks, and copes with what others do to the files.

`FileOutput` owns it, gives it blocks to write and turns its errors into those of outputs. Here
every failure of the system is an `OSError`, and after each one the call may be repeated.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from logd.outputs.base import OutputSettings
from logd.outputs.disk import make_folder, sync_names
from logd.outputs.failpoints import failpoint
from logd.outputs.files.beginnings import Beginnings
from logd.outputs.files.blocks import Block, Room
from logd.outputs.files.compression import missing_in
from logd.outputs.files.folder import forms, inode_of, set_aside
from logd.outputs.files.generation import Generation
from logd.outputs.files.held import Held
from logd.outputs.files.janitor import Janitor
from logd.outputs.files.journal import Journal
from logd.outputs.files.journalentries import Forgotten, Stopped, read_journal
from logd.outputs.files.lockfile import LockFile
from logd.outputs.files.logfile import LogFile, count_entries
from logd.outputs.files.logfolder import LogFolder
from logd.outputs.files.names import Names
from logd.outputs.files.neighbours import check_neighbours
from logd.outputs.files.resume import adopt, resume
from logd.outputs.files.rotating import Rotator
from logd.outputs.files.settling import Settler, sync_and_close
from logd.outputs.files.succession import Succession
from logd.outputs.marks import Marks
from logd.text.reading import BREAK, LineReader

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
        held: its state; for others to look at.
        rotator: goes on to the next file.
        settler: syncs it.
        janitor: looks after closed files.
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
        # The current file had lost its name at the last look.
        self._was_moved = False
        # `prepare` has just looked; the first block after it need not.
        self._has_met_others = False
        with contextlib.ExitStack() as undo:
            make_folder(path)
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._folder)
            log_folder = LogFolder(self._folder, names, Beginnings(LineReader(settings.timestamp)))
            lock_name = f"{hidden_name}.lock"
            check_neighbours(self._folder, lock_name, names, clock())
            self._lock_file = LockFile(self._folder, lock_name)
            undo.callback(self._lock_file.close)
            self.held = held = self._taken_up(
                log_folder, f"{hidden_name}.journal", settings, clock, label, marks, undo
            )
            self.settler = Settler(held)
            self.janitor = Janitor(
                log_folder,
                held.lock,
                lambda: held.succession.known,
                settle=self.settler.settle,
                retention=settings.retention,
                compress=settings.compress,
                min_free_bytes=settings.min_free_bytes,
                label=label,
                clock=clock,
            )
            self.rotator = Rotator(held, self.janitor.wake)
            self.set_aside = set_aside(self._folder, names)
            gone = self.janitor.surplus()
            if gone:
                logger.warning("%s: %s", label, held.succession.surplus_text(gone))
            self._closing = undo.pop_all()

    def _taken_up(
        self,
        log_folder: LogFolder,
        journal_name: str,
        settings: OutputSettings,
        clock: Callable[[], float],
        label: str,
        marks: Marks | None,
        undo: contextlib.ExitStack,
    ) -> Held:
        """The log where the last run left it, with a fresh journal that says so."""
        folder, names, now = self._folder, self._names, clock()
        entries = read_journal(folder, journal_name)
        left = Generation.of_note(self._lock_file.note)
        if entries:
            is_old = left.is_after(entries)
            resumed = resume(log_folder, entries, now, durable=settings.durable, is_old=is_old)
        else:
            resumed = adopt(log_folder, now)
        held = Held(
            folder=folder,
            names=names,
            label=label,
            clock=clock,
            policy=settings.rotation,
            durable=settings.durable,
            generation=left.start + 1,
            file=resumed.file,
            marks=resumed.marks,
            journal=Journal(folder, journal_name),
            succession=Succession(log_folder, resumed.known),
            number=resumed.number,
        )
        undo.callback(lambda: held.file.close())
        if marks is not None:
            held.marks.take_over(marks)
        held.marks.limit_to(settings.max_sessions)
        failpoint("files.before_fresh_journal")
        held.journal.switch_to(held.journal.write_fresh(held.snapshot(), durable=settings.durable))
        undo.callback(held.journal.close)
        if settings.durable:
            sync_names(folder)
        self._lock_file.leave(str(Generation(held.generation)))
        undo.callback(held.syncing.close)
        return held

    def close(self) -> None:
        """Sync and close. After an error, too, everything is closed; the next start repairs it.

        Raises:
            OSError: the disk refused the last step.
        """
        held = self.held
        self.janitor.close()
        with self._closing:
            with held.lock:
                held.undo()
                # What nobody would see any more; without a folder there is no place for it.
                with contextlib.suppress(OSError):
                    self._meet_others()
            self.settler.sync()
            failpoint("files.before_stop")
            held.journal.append(Stopped())
            if held.durable:
                sync_and_close(held.journal.duplicate())
            self._lock_file.leave(str(Generation(held.generation, held.number)))

    def prepare(self) -> None:
        """Before blocks are made: clear up after a failed write, and rotate if it is time."""
        held = self.held
        with held.lock:
            held.undo()
            self._meet_others()
            if held.clock() >= held.due:
                self.rotator.rotate_now()
            self._has_met_others = True

    def room(self) -> Room:
        """What still goes into the current file."""
        file, policy = self.held.file, self.held.policy
        return Room(
            None if policy.lines is None else max(0, policy.lines - file.lines),
            None if policy.size is None else max(0, policy.size - file.size),
            file.lines == 0,
        )

    def append(self, block: Block) -> None:
        """Write a block and its marks; either is there whole when it returns, or nothing is."""
        data = block.data()
        with self.held.lock:
            if not self._has_met_others:
                self._meet_others()
            self._has_met_others = False
            self.held.append(data, block.entries, block.marks)

    def appends_few(self, data: bytes, entries: int, marks: dict[bytes, int]) -> bool:
        """All of `prepare`, `room` and `append` for a small block; False if it has no room.

        At modest rates their calls took as long as the rest.
        """
        held = self.held
        with held.lock:
            held.undo()
            self._meet_others()
            file, policy = held.file, held.policy
            if (
                held.clock() >= held.due
                or (policy.lines is not None and file.lines + entries > policy.lines)
                or (policy.size is not None and file.size + len(data) > policy.size)
            ):
                return False
            held.append(data, entries, marks)
        return True

    def _meet_others(self) -> None:
        """Take file and journal as they are if someone else changed them since our last write."""
        held = self.held
        if held.journal.is_removed:
            held.renew_journal()
        file = held.file
        state = os.fstat(file.descriptor)
        if state.st_size == file.size and state.st_nlink:
            return
        if not state.st_nlink:
            self._begin_anew(file)
            return
        logger.info(
            "%s: %s has %d bytes, but logd had written %d (copytruncate, or foreign lines)",
            held.label,
            file.name,
            state.st_size,
            file.size,
        )
        if state.st_size < file.size:
            file.lines = count_entries(file.descriptor) if state.st_size else 0
        file.size = state.st_size
        file.look_at_end()
        file.synced_size = min(file.synced_size, file.size)
        held.journal.append(held.described(file))

    def _begin_anew(self, file: LogFile) -> None:
        """Someone removed the current file; what their compressed form of it lacks is kept."""
        held = self.held
        logger.warning("%s: %s was removed; a new one is begun", held.label, file.name)
        places = (missing_in(self._folder, f, file.descriptor) for f in forms(file.name)[1:])
        start = next((place for place in places if place is not None), file.size)
        data = os.pread(file.descriptor, file.size - start, start)
        self.rotator.reopen()
        if data:
            logger.warning(
                "%s: %d bytes that came while it was compressed are written to the new one",
                held.label,
                len(data),
            )
            held.append(data, data.count(b"\n") - data.count(BREAK), {})

    def look_around(self) -> None:
        """See whether someone took the file, journal or lock away; called every few seconds.

        Also counts what was set aside: people remove it.

        Raises:
            OutputUnusable: another process has taken the lock.
        """
        held = self.held
        self.set_aside = set_aside(self._folder, self._names)
        with held.lock:
            if self._lock_file.renew():
                logger.warning("%s: its lock file was removed; it is made anew", held.label)
            held.undo()
            if held.journal.is_removed or not held.journal.is_in_place:
                held.renew_journal()
            self._meet_others()
            self._look_for_name()

    def _look_for_name(self) -> None:
        """Begin a file under the name that someone took from the current one."""
        held = self.held
        is_moved = inode_of(self._folder, held.file.name) != held.file.inode
        if is_moved and self._was_moved:
            logger.warning("%s: %s was moved; a new one is begun", held.label, held.file.name)
            self.rotator.reopen()
            is_moved = False
        # The program that moved it may be about to make another: that one comes first.
        self._was_moved = is_moved

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
        held = self.held
        with held.lock:
            held.marks.forget(clients)
            held.journal.append(Forgotten(list(clients)))
