"""What an open log holds: its current file, its journal, its marks, and which files there are.

Those that write to the log (`openlog.py`), rotate it (`rotating.py`) and sync it (`settling.py`)
share one `Held`. Its methods keep it consistent. All of them use it under its lock.
"""

from __future__ import annotations

import errno
import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from logd.outputs.disk import sync_names
from logd.outputs.files.boots import boot_id
from logd.outputs.files.folder import inode_of
from logd.outputs.files.journal import Journal
from logd.outputs.files.journalentries import Append, Opened, Snapshot, Synced
from logd.outputs.files.logfile import LogFile
from logd.outputs.files.names import Names
from logd.outputs.files.succession import Succession
from logd.outputs.files.syncing import Syncing
from logd.outputs.marks import Marks
from logd.rotation.policy import RotationPolicy

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Held:
    """The state of one open log.

    Attributes:
        folder: descriptor of the log's folder.
        names: how the log's files are called.
        label: the log's name in messages.
        clock: tells the time, in seconds since the epoch.
        policy: when the log rotates.
        durable: whether acknowledged records have to survive the death of the machine.
        generation: how often the log was opened.
        file: the current file.
        marks: what is known of sessions.
        journal: the log's journal.
        succession: which files there are, and what the next one is called.
        syncing: what is on disk.
        number: of the last block.
        due: when to rotate next, in seconds since the epoch.
        rotations: how often the log went on to the next file.
        noted_next: what the journal called `Opened.next_inode` since the last rotation.
        must_undo: a write failed, and what it left behind is not removed yet.
        lock: held for each block, for a rotation, and by other threads for renames and small
            writes; nobody waits for the disk while holding it, except if the system makes a write
            wait.
    """

    folder: int
    names: Names
    label: str
    clock: Callable[[], float]
    policy: RotationPolicy
    durable: bool
    generation: int
    file: LogFile
    marks: Marks
    journal: Journal
    succession: Succession
    number: int
    due: float = field(init=False)
    syncing: Syncing = field(init=False)
    rotations: int = 0
    noted_next: set[int] = field(default_factory=set)
    must_undo: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.due = self.policy.due_after(self.file.started) if self.file.lines else float("inf")
        self.syncing = Syncing(self.folder, self.journal, self.number)

    def snapshot(self) -> Snapshot:
        """All that a fresh journal begins with."""
        self.marks.prune(self.clock())
        return Snapshot(
            boot=boot_id(),
            durable=self.durable,
            number=self.number,
            marks=self.marks.items(),
            current=self.described(self.file),
            files=self.succession.closed(),
            generation=self.generation,
            begun=self.succession.known.begun,
            written=list(self.succession.known.written.items()),
        )

    def described(self, file: LogFile) -> Opened:
        """How the journal tells of a file."""
        opened = described(file, self.folder, self.succession.foreseen)
        self.noted_next.add(opened.next_inode)
        return opened

    def append(self, data: bytes, entries: int, marks: dict[bytes, int]) -> None:
        """Write a block; it is there whole when this returns, or `undo` removes what is.

        Args:
            data: whole lines.
            entries: how many entries they are.
            marks: client id -> sequence number of the last record in it.
        """
        file, now = self.file, self.clock()
        if file.lacks_line_end and data:
            data = b"\n" + data
        self.journal.append(
            Append(
                number=self.number + 1,
                synced=self.syncing.number,
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
            self.must_undo = True
            self.undo()
            raise
        self.number += 1
        if not file.lines and entries:
            file.started = now
            self.due = self.policy.due_after(now)
        file.lines += entries
        if entries:
            self.succession.known.written[file.name] = now
        for client, last in marks.items():
            self.marks.note(client, last, now)

    def undo(self) -> None:
        """Take back a block that was not written whole; repeated until the disk lets it happen."""
        if self.must_undo:
            self.file.cut_back()
            self.journal.take_back()
            self.must_undo = False

    def note_synced(self) -> None:
        """Tell the journal which block is the last that survives the death of the machine."""
        self.undo()
        try:
            self.journal.append(Synced(self.syncing.number))
        except OSError as exc:
            # Files go to make room for others: that must not fail for want of room.
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def renew_journal(self) -> None:
        """Someone removed the journal: without one the next start would know of no marks."""
        logger.warning("%s: its journal was removed; it is made anew", self.label)
        if self.durable:
            # A journal's first entry stands for what is on disk.
            self.syncing.files_now(self.file)
        self.journal.switch_to(self.journal.write_fresh(self.snapshot(), durable=self.durable))
        self.syncing.is_folder_changed = True
        if self.durable:
            sync_names(self.folder)


def described(file: LogFile, folder: int, next_name: str, before: str = "") -> Opened:
    """The current file as the journal notes it.

    Args:
        file: the file.
        folder: descriptor of the folder.
        next_name: what a rotation will call the next one; "" if that depends on the time.
        before: what the file before it is called by now; "": as it was.
    """
    return Opened(
        name=file.name,
        inode=file.inode,
        size=file.size,
        lines=file.lines,
        started=file.started,
        next_name=next_name,
        next_inode=inode_of(folder, next_name) if next_name else 0,
        before=before,
    )
