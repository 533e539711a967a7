"""Folders and files that the daemon writes: closed to others, and written whole."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_MODE = 0o640
FOLDER_MODE = 0o750

PIECE_BYTES = 1 << 20
"""How much of a file is read at a time."""


def make_folder(path: Path) -> None:
    """Make a folder, and those it is in, for its owner and group; what exists stays as it is.

    `Path.mkdir(parents=True)` would open the levels above to everyone. A new folder is on disk when
    this returns: what is synced in it later would be lost with its name.

    Raises:
        OSError: the system refused.
    """
    missing = [path]
    while not missing[-1].parent.exists():
        missing.append(missing[-1].parent)
    for folder in reversed(missing):
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Bring the names in a folder to disk.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_names(descriptor)
    finally:
        os.close(descriptor)


def sync_names(folder: int) -> None:
    """Bring the names in an open folder to disk, on file systems where that can be asked for.

    Raises:
        OSError: the disk refused.
    """
    try:
        os.fsync(folder)
    except OSError as exc:
        # Shares of Windows and some of FUSE: they do it by themselves, or never.
        if exc.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


@contextmanager
def entries_of(folder: int) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in an open folder.

    `os.scandir` of a descriptor goes on where others that use the same descriptor are: two threads
    would see a part each.

    Raises:
        OSError: the system refused.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(".", flags, dir_fd=folder)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def must_be_regular(descriptor: int, name: str) -> None:
    """See that what was opened is a file; else close it.

    Raises:
        OSError: it is a pipe, a device, a folder.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def pieces_of(descriptor: int, offset: int, length: int) -> Iterator[bytes]:
    """A stretch of a file, as far as it is there."""
    while length > 0 and (piece := os.pread(descriptor, min(length, PIECE_BYTES), offset)):
        yield piece
        offset += len(piece)
        length -= len(piece)


def write_again(descriptor: int, start: int, stop: int) -> None:
    """Write a stretch of a file over itself.

    After a failed sync the system may take the pages for written that are not; this makes them
    be written once more by the next sync.
    """
    # The descriptor itself may be for appending, whatever the offset.
    second = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_CLOEXEC)
    try:
        place = start
        for piece in pieces_of(second, start, stop - start):
            view = memoryview(piece)
            while view:
                written = os.pwrite(second, view, place)
                view = view[written:]
                place += written
    finally:
        os.close(second)
