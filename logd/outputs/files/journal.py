"""The journal beside a log file: what was to be appended where, and whose records it carries.

Before a block of entries is appended to the log, the journal says at which offset, how long, with
which checksum and with which marks. A log that was torn by a crash is cut off where its journal
stops being right, so that a block and its marks are always there together or not at all; how that
is found out stands in `recovery.py`, what the file is written of in `journalentries.py`. When the
journal has grown, a fresh one takes its place by renaming.
"""

from __future__ import annotations

import contextlib
import os

from logd.outputs.disk import FILE_MODE, write_all
from logd.outputs.failpoints import failpoint
from logd.outputs.files.journalentries import (
    MAGIC,
    Entry,
    Opened,
    Rotating,
    Snapshot,
    Synced,
    encode_entry,
)

COMPACT_BYTES = 1 << 20
"""A journal longer than this, and than four times its snapshot, is replaced by a fresh one."""


class Journal:
    """The journal of a running output, open for appending.

    Calls are to be serialised by the owner, but for `write_fresh`, which may run beside `append`.

    Args:
        folder: descriptor of the folder; stays the caller's.
        name: file name. Nothing is touched before `switch_to`.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._name = name
        self._fresh_name = f"{name}.new"
        self._descriptor = -1
        self._size = 0
        self._last_length = 0
        # A part of an entry may stand at the end: the disk refused to cut it off, too.
        self._has_rest = False
        self._compact_at = COMPACT_BYTES
        self._since: list[bytes] | None = None
        self._has_rotated_since = False

    @property
    def wants_compaction(self) -> bool:
        """True when it is long enough to be worth replacing, and nobody is at it."""
        return self._size > self._compact_at and self._since is None

    @property
    def is_removed(self) -> bool:
        """True once someone removed the file; cheap."""
        return os.fstat(self._descriptor).st_nlink == 0

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still found under its name."""
        try:
            named = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def append(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            OSError: the disk refused; before the next entry no part of this one is left.
        """
        frame = encode_entry(entry)
        failpoint("journal.before_write")
        if self._has_rest:
            self._cut_rest()
        try:
            written = os.write(self._descriptor, frame)
            if written < len(frame):
                # Mostly the disk is full, and the next call says so.
                write_all(self._descriptor, frame[written:])
        except OSError:
            self._has_rest = True
            self._cut_rest()
            raise
        self._size += len(frame)
        self._last_length = len(frame)
        if self._since is not None:
            self._since.append(frame)
            self._has_rotated_since |= isinstance(entry, (Rotating, Opened, Synced))
        failpoint("journal.after_write")

    def _cut_rest(self) -> None:
        os.ftruncate(self._descriptor, self._size)
        self._has_rest = False

    def take_back(self) -> None:
        """Remove the entry that was appended last, once."""
        self._size -= self._last_length
        if self._since and self._last_length:
            self._since.pop()
        self._last_length = 0
        os.ftruncate(self._descriptor, self._size)

    def duplicate(self) -> int:
        """A second descriptor of the file, for syncing it while it may be replaced."""
        return os.dup(self._descriptor)

    def begin_compaction(self) -> None:
        """From now on remember what is appended: it comes after the snapshot taken now."""
        self._since = []
        self._has_rotated_since = False

    def cancel_compaction(self) -> None:
        """No fresh journal now; the next try is due when this one has grown by a quarter."""
        self._since = None
        self._compact_at = self._size + COMPACT_BYTES // 4

    def write_fresh(self, snapshot: Snapshot, *, durable: bool) -> int:
        """Write a new journal beside this one; it is not in force before `switch_to`.

        Args:
            snapshot: what it begins with.
            durable: sync it.

        Returns:
            Its descriptor.
        """
        # One that is there was left by a crash, or put there to be written through: not used.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._fresh_name, dir_fd=self._folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._fresh_name, flags, FILE_MODE, dir_fd=self._folder)
        try:
            failpoint("journal.before_fresh")
            write_all(descriptor, MAGIC + encode_entry(snapshot))
            if durable:
                failpoint("journal.before_fresh_sync")
                os.fdatasync(descriptor)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(self._fresh_name, dir_fd=self._folder)
            raise
        return descriptor

    def switch_to(self, fresh: int) -> None:
        """Put the journal from `write_fresh` in the place of this one, with what came since.

        Raises:
            OSError: the disk refused; the old one stays in force and `fresh` is closed.
        """
        try:
            write_all(fresh, b"".join(self._since or ()))
            if self._since and self._has_rotated_since:
                # Files may have been removed because the old journal's note of it is on disk.
                os.fdatasync(fresh)
            failpoint("journal.before_rename")
            os.rename(
                self._fresh_name, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
        except OSError:
            os.close(fresh)
            raise
        failpoint("journal.after_rename")
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = fresh
        self._has_rest = False
        self._since = None
        self._size = os.fstat(fresh).st_size
        self._compact_at = max(COMPACT_BYTES, 4 * self._size)

    def close(self) -> None:
        """Close the file; does nothing when closed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
