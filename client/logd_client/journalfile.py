"""One file of the journal: of its full size from the beginning, and mapped into memory.

Writing a row is a copy: no system call, which would cost 1.5 us more, and which would let another
thread have the interpreter for milliseconds. When the process dies, the system keeps the pages;
only the death of the machine can lose them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from pathlib import Path

from logd_client.mappedfile import MappedFile
from logd_client.records import AnyRow
from logd_client.spoolreader import ROWS_BEGIN, ROWS_MAGIC, SALT, read_rows

__all__ = ["JournalFile"]


class JournalFile:
    """One file, mapped until it is sealed.

    Attributes:
        size: bytes of the file.
        salt: where its checksums begin.
        first: sequence number of its first row.
        last: that of its last row, once another file is written.
        is_sealed: True if nothing can be written any more.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size
        self.salt = self.first = self.last = 0
        self.is_sealed = False
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _write_in_place(fd)
            # Every block must be there: if the disk is full, a write into a hole of a mapped
            # file ends the process.
            _fill(fd, size)
            self._mapped = MappedFile(fd, size)
            self.map = self._mapped.bytes
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(fd)

    def begin(self, first: int) -> None:
        """Make it empty; the next row has that number."""
        salt = os.urandom(SALT.size)
        self.map[:ROWS_BEGIN] = ROWS_MAGIC + salt
        (self.salt,) = SALT.unpack(salt)
        self.first, self.last = first, 0

    def read(self) -> dict[int, AnyRow]:
        """Its rows by their numbers, but for damaged ones.

        Raises:
            OSError: the file is gone.
        """
        return read_rows(self._path.read_bytes()).rows

    def copy_to(self, path: Path) -> JournalFile:
        """The same in another file.

        Raises:
            OSError: the file can't be written, or is gone.
        """
        data = self._path.read_bytes()
        copy = JournalFile(path, self.size)
        copy.map[:] = data
        copy.salt, copy.first, copy.last = self.salt, self.first, self.last
        return copy

    def close(self) -> None:
        """Close it; what is written stays."""
        if not self.is_sealed:
            self.is_sealed = True
            self._mapped.close()

    def remove(self) -> None:
        """Close and delete it."""
        self.close()
        with contextlib.suppress(OSError):
            self._path.unlink()


def _write_in_place(fd: int) -> None:
    """Ask btrfs to write the file in place, as others do: else each write needs room anew."""
    if sys.platform == "linux":
        set_flags, no_copy_on_write = 0x40086602, struct.pack("l", 0x00800000)
        with contextlib.suppress(OSError):
            fcntl.ioctl(fd, set_flags, no_copy_on_write)


def _fill(fd: int, size: int) -> None:
    zeros = bytes(min(size, 1 << 20))
    written = 0
    while written < size:
        written += os.pwrite(fd, zeros[: size - written], written)
