"""One file of a log: opening it safely, appending to it, and looking into it after a crash.

All names are relative to a descriptor of the log's folder, which can't be exchanged for another
folder meanwhile, and a name that is a symbolic link or no regular file is refused.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Container

from logd.outputs.disk import (
    FILE_MODE,
    PIECE_BYTES,
    entries_of,
    must_be_regular,
    pieces_of,
    write_all,
)
from logd.outputs.failpoints import failpoint
from logd.outputs.files.compression import read_compressed
from logd.outputs.files.journalentries import Append, Opened
from logd.outputs.files.names import COMPRESSED_SUFFIXES, plain_name
from logd.outputs.files.unpacking import DAMAGED

# What a line begins with that continues the entry before it.
_CONTINUED = b"\n  | "

_SAFE_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class LogFile:
    """The file that is being written.

    Attributes:
        descriptor: open for reading and appending.
        name: in the log's folder.
        inode: which file it is, whatever it is called by now.
        size: bytes that are in it as far as we know.
        lines: records in it.
        started: when its first record came, 0.0 while it is empty.
        synced_size: bytes of it that are known to be on disk.
        lacks_line_end: the last line has no end, so that what follows would be glued to it.
    """

    def __init__(self, folder: int, name: str, *, is_new: bool = False) -> None:
        """Open the file, or make it.

        Args:
            folder: descriptor of the folder.
            name: file name.
            is_new: nothing may be there yet.

        Raises:
            OSError: the system refused; ELOOP for a symbolic link, EINVAL if it is not a file.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _SAFE_FLAGS | (os.O_EXCL if is_new else 0)
        self.descriptor = os.open(name, flags, FILE_MODE, dir_fd=folder)
        must_be_regular(self.descriptor, name)
        state = os.fstat(self.descriptor)
        self.name = name
        self.inode = state.st_ino
        self.size = state.st_size
        self.synced_size = state.st_size
        self.lines = 0
        self.started = 0.0
        self.look_at_end()

    def look_at_end(self) -> None:
        """Find out `lacks_line_end` after someone else changed the file."""
        self.lacks_line_end = self.size > 0 and os.pread(self.descriptor, 1, self.size - 1) != b"\n"

    def append(self, data: bytes) -> None:
        """Add `data` as a whole.

        Raises:
            OSError: the disk refused. `size` is what it was; call `cut_back` before anything else.
        """
        failpoint("files.before_write")
        written = os.write(self.descriptor, data)
        while written < len(data):
            # Mostly the disk is full, and the next call says so.
            failpoint("files.within_write")
            written += os.write(self.descriptor, data[written:])
        failpoint("files.after_write")
        self.size += len(data)
        self.lacks_line_end = False

    def cut_back(self) -> None:
        """Remove what a failed `append` left behind."""
        os.ftruncate(self.descriptor, self.size)

    def close(self) -> None:
        """Close the descriptor; once."""
        os.close(self.descriptor)


def count_entries(descriptor: int) -> int:
    """How many records a file holds; reads all of it."""
    ends = continued = 0
    before = b"\n"
    place = 0
    while piece := os.pread(descriptor, PIECE_BYTES, place):
        place += len(piece)
        ends += piece.count(b"\n")
        # A line end at the end of one piece may belong to what begins the next.
        joined = before[-len(_CONTINUED) + 1 :] + piece
        continued += joined.count(_CONTINUED)
        before = joined
    if place and not before.endswith(b"\n"):
        ends += 1
    return ends - continued


def holds_block(folder: int, file: Opened, block: Append) -> bool:
    """Tell whether a block is in its file, whole and unchanged.

    It is looked for where the journal says and at the end of the file: where something else was
    appended between the look at the size and our write, it came to stand later. The file may have
    been moved, compressed or copied to another disk meanwhile, and another may have its inode;
    what a file holds tells that it is the one.
    """
    names = dict.fromkeys((file.name, *names_of_inode(folder, file.inode)))
    return any(is_block(folder, name, block) for name in names) or any(
        is_compressed_block(folder, file.name + suffix, block) for suffix in COMPRESSED_SUFFIXES
    )


def is_block(folder: int, name: str, block: Append) -> bool:
    """Tell whether a block is in the file of a name, see `holds_block`."""
    descriptor = _open_plain(folder, name)
    if descriptor is None:
        return False
    try:
        size = os.fstat(descriptor).st_size
        return any(
            offset >= 0
            and offset + block.length <= size
            and _checksum(descriptor, offset, block.length) == block.checksum
            for offset in (block.offset, size - block.length)
        )
    finally:
        os.close(descriptor)


def is_compressed_block(folder: int, name: str, block: Append) -> bool:
    """Tell whether a block is in the compressed file of a name, see `holds_block`."""
    descriptor = _open_plain(folder, name)
    if descriptor is None:
        return False
    checksum, place = 0, 0
    start, stop = block.offset, block.offset + block.length
    with os.fdopen(descriptor, "rb") as file, contextlib.suppress(OSError, *DAMAGED):
        for piece in read_compressed(file.fileno(), name):
            own = piece[max(0, start - place) : max(0, stop - place)]
            checksum = zlib.crc32(own, checksum)
            place += len(piece)
            if place >= stop:
                return checksum == block.checksum
    return False


def _open_plain(folder: int, name: str) -> int | None:
    try:
        return os.open(name, os.O_RDONLY | _SAFE_FLAGS, dir_fd=folder)
    except OSError:
        return None


def names_of_inode(folder: int, inode: int) -> list[str]:
    """What a file of the folder is called."""
    with entries_of(folder) as entries:
        return [entry.name for entry in entries if entry.inode() == inode]


def open_known(folder: int, file: Opened, others: Container[str]) -> int | None:
    """Open a file that the journal knows for reading and writing, by name or, moved, by inode.

    Args:
        folder: descriptor of the folder.
        file: the file.
        others: plain names of the log's other files. One of them may be what had the inode before,
            if the disk lacks its removal, or what got it since.
    """
    moved = [
        name
        for name in names_of_inode(folder, file.inode)
        # Hidden are the journal, and what the janitor makes and removes.
        if not name.startswith(".") and plain_name(name) not in others
    ]
    for name in (file.name, *moved):
        descriptor = _open_same(folder, name, file.inode)
        if descriptor is not None:
            return descriptor
    return None


def cut_off(folder: int, descriptor: int, size: int, keep_as: str) -> int:
    """Cut a file off at `size`; what stood behind goes to the end of another file first.

    Returns:
        How many bytes were cut off.
    """
    surplus = os.fstat(descriptor).st_size - size
    if surplus < 0:
        return 0
    if surplus:
        # If there is no room for what is not believed anyway, the log is worth more.
        with contextlib.suppress(OSError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _SAFE_FLAGS
            keeper = os.open(keep_as, flags, FILE_MODE, dir_fd=folder)
            try:
                for piece in pieces_of(descriptor, size, surplus):
                    write_all(keeper, piece)
                os.fdatasync(keeper)
            finally:
                os.close(keeper)
    else:
        # An earlier try may have cut it, and the disk refused to sync that: there must be
        # something to sync again.
        os.ftruncate(descriptor, size + 1)
    os.ftruncate(descriptor, size)
    # The next journal knows nothing of it: after another death what was cut would be back.
    os.fdatasync(descriptor)
    return surplus


def _open_same(folder: int, name: str, inode: int) -> int | None:
    try:
        descriptor = os.open(name, os.O_RDWR | _SAFE_FLAGS, dir_fd=folder)
    except OSError:
        return None
    if os.fstat(descriptor).st_ino == inode:
        return descriptor
    os.close(descriptor)
    return None


def _checksum(descriptor: int, offset: int, length: int) -> int:
    checksum = 0
    for piece in pieces_of(descriptor, offset, length):
        checksum = zlib.crc32(piece, checksum)
    return checksum
