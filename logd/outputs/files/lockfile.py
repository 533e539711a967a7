"""The lock that keeps two processes from writing the same log."""

from __future__ import annotations

import fcntl
import os

from logd.outputs.base import OutputLocked
from logd.outputs.disk import FILE_MODE, must_be_regular

_MAX_BYTES = 4096


class LockFile:
    """A lock file that this process has, and that stays when the lock ends.

    It holds the process id in its first line, and a note for its next owner in the second.

    Args:
        folder: descriptor of the folder; stays the caller's.
        name: file name.

    Raises:
        OutputLocked: another process has it; the text says which.
        OSError: the system refused.

    Attributes:
        note: what was left.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._name = name
        self._descriptor, self.note = _taken(folder, name)

    def leave(self, note: str) -> None:
        """Leave a note, in the place of one before.

        Raises:
            OSError: the system refused.
        """
        self.note = note
        _write(self._descriptor, note)

    def renew(self) -> bool:
        """Take the lock again if someone removed its file; whether that was so.

        Raises:
            OutputLocked: another process has it by now.
            OSError: the system refused.
        """
        if is_same(self._folder, self._name, self._descriptor):
            return False
        fresh, _ = _taken(self._folder, self._name)
        os.close(self._descriptor)
        self._descriptor = fresh
        _write(fresh, self.note)
        return True

    def close(self) -> None:
        """Give up the lock; once."""
        os.close(self._descriptor)


def is_same(folder: int, name: str, descriptor: int) -> bool:
    """Whether a name still leads to an open file."""
    try:
        named = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(named, os.fstat(descriptor))


def _taken(folder: int, name: str) -> tuple[int, str]:
    """The descriptor that has the lock, and the note that was in the file."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, FILE_MODE, dir_fd=folder)
    must_be_regular(descriptor, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        note = os.pread(descriptor, _MAX_BYTES, 0).decode("utf-8", "replace").partition("\n")[2]
        _write(descriptor, note.strip())
    except BlockingIOError as exc:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").partition("\n")[0].strip()
        os.close(descriptor)
        raise OutputLocked(
            f"process {owner or '?'} is writing these files: stop it, or use another pattern"
        ) from exc
    except OSError:
        os.close(descriptor)
        raise
    return descriptor, note.strip()


def _write(descriptor: int, note: str) -> None:
    data = f"{os.getpid()}\n{note}\n".encode()
    os.pwrite(descriptor, data, 0)
    os.ftruncate(descriptor, len(data))
