"""Goes on to the next file of an open log, or to another file that somebody put in its place.

The next file has a name of its own and may overwrite the oldest one, or, with plain names (app.log
is always the current one), the current file is renamed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from logd.outputs.disk import sync_names
from logd.outputs.failpoints import failpoint
from logd.outputs.files.folder import inode_of, inodes_of, make_way, moved_name
from logd.outputs.files.held import Held, described
from logd.outputs.files.journalentries import Rotating
from logd.outputs.files.logfile import LogFile, count_entries


class Rotator:
    """Rotates one log. After an `OSError` the current file is the one it was.

    Args:
        held: the log's state.
        on_rotated: called after each rotation.
    """

    def __init__(self, held: Held, on_rotated: Callable[[], None]) -> None:
        self._held = held
        self._on_rotated = on_rotated

    def rotate(self) -> None:
        """Go on to the next file, unless nothing is in the current one."""
        held = self._held
        with held.lock:
            held.undo()
            if held.file.size:
                self.rotate_now()

    def rotate_if_due(self, now: float) -> None:
        """Go on to the next file if the schedule says so."""
        with self._held.lock:
            if now >= self._held.due:
                self.rotate()

    def rotate_now(self) -> None:
        """Go on to the next file; the lock is held, and nothing is left to undo."""
        held = self._held
        if held.durable and held.syncing.rotations < held.rotations:
            # After the death of the machine one file may have been begun of which the journal
            # does not know (`Opened.next_inode`); with two of them there was no telling.
            held.note_synced()
            held.syncing.journal_now()
            # The journal itself may have been replaced since the folder was synced.
            sync_names(held.folder)
            held.syncing.rotations = held.rotations
        if held.names.current_name:
            self._begin_plain()
        else:
            self._begin_next()
        held.rotations += 1
        held.due = float("inf")
        failpoint("rotation.after")
        self._on_rotated()

    def _begin_next(self) -> None:
        """Begin the next file under its own name."""
        held = self._held
        target = held.succession.next_name(held.clock())
        failpoint("rotation.before_note")
        held.journal.append(
            Rotating(target, inode_of(held.folder, target), [*inodes_of(held.folder, target)])
        )
        failpoint("rotation.before_way")
        make_way(held.folder, target)
        failpoint("rotation.before_create")
        fresh = LogFile(held.folder, target, is_new=True)
        try:
            if held.durable and fresh.inode in held.noted_next:
                # By its inode it would be taken for the file that it overwrites.
                held.syncing.journal_now()
            self._go_on_with(fresh, "")
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(target, dir_fd=held.folder)
            raise

    def _begin_plain(self) -> None:
        """Rename the current file, and begin another under the name that it had.

        The journal is told when both are done. Until then it has the file's inode: by that the
        next start finds it, whatever it is called, and nothing is in the new one yet.
        """
        held = self._held
        old, name = held.file, held.names.current_name
        if inode_of(held.folder, old.name) != old.inode:
            # Someone else has renamed it.
            self.reopen()
            return
        target = held.succession.closed_name(old.started or held.clock())
        failpoint("rotation.before_rename")
        self._rename(old.name, target)
        failpoint("rotation.before_plain")
        try:
            if held.durable:
                # POSIX has no order of names on disk: with the new file's there and the rename
                # not, a power loss would leave what was acknowledged without a name.
                sync_names(held.folder)
            fresh = LogFile(held.folder, name, is_new=True)
            try:
                self._go_on_with(fresh, target)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=held.folder)
                raise
        except OSError:
            with contextlib.suppress(OSError):
                self._rename(target, old.name)
            raise

    def _rename(self, name: str, target: str) -> None:
        os.rename(name, target, src_dir_fd=self._held.folder, dst_dir_fd=self._held.folder)

    def reopen(self) -> None:
        """Open the current file under its name, if that is another file by now."""
        held = self._held
        with held.lock:
            if inode_of(held.folder, held.file.name) == held.file.inode:
                return
            held.undo()
            if held.durable:
                # Or a power loss leaves the old one without a name, see `_begin_plain`.
                sync_names(held.folder)
            fresh = LogFile(held.folder, held.file.name)
            if fresh.size:
                fresh.lines, fresh.started = count_entries(fresh.descriptor), held.clock()
            moved = moved_name(held.folder, held.names, held.described(held.file))
            self._go_on_with(fresh, moved)
            held.due = held.policy.due_after(fresh.started) if fresh.lines else float("inf")

    def _go_on_with(self, fresh: LogFile, name_of_old: str) -> None:
        held = self._held
        failpoint("rotation.before_opened")
        succession = held.succession
        try:
            held.succession = succession.with_file(fresh.name, held.file.lines, name_of_old)
            opened = described(fresh, held.folder, held.succession.foreseen, name_of_old)
            held.journal.append(opened)
        except OSError:
            held.succession = succession
            fresh.close()
            raise
        held.noted_next = {opened.next_inode}
        held.syncing.is_folder_changed = True
        if held.durable:
            held.syncing.retire(held.file)
        else:
            held.file.close()
        held.file = fresh
