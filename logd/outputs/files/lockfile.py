"""The lock that keeps two processes from writing the same log."""

from __future__ import annotations

import fcntl
import os

from logd.outputs.base import OutputUnusable
from logd.outputs.disk import FILE_MODE, must_be_regular


def take_lock(folder: int, name: str) -> int:
    """Take a lock file; it holds the process id of who has it, and stays when the lock ends.

    Args:
        folder: descriptor of the folder.
        name: file name.

    Returns:
        The descriptor that has the lock for as long as it is open.

    Raises:
        OutputUnusable: another process has it; the text says which.
        OSError: the system refused.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, FILE_MODE, dir_fd=folder)
    must_be_regular(descriptor, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, b"%d\n" % os.getpid())
    except BlockingIOError as exc:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise OutputUnusable(
            f"process {owner or '?'} is writing these files: stop it, or use another pattern"
        ) from exc
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
