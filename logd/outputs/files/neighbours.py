"""Other logs in the folder of a log, whose files must not have names that are this one's, too.

A log takes what has a name of its pattern for a file of its own, in whatever order it is found,
and removes the oldest. Of two logs in use whose patterns have names in common (`app_%d.log` and
`app_1%d.log`, or `app_%Y%m%d.log`), each would remove files of the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Literal

from logd.outputs.base import OutputUnusable
from logd.outputs.disk import entries_of
from logd.outputs.files.names import Names, parse_pattern

_LOCK_SUFFIX = ".lock"
_NAMINGS: tuple[Literal["ring", "date"], ...] = ("ring", "date")


def have_names_in_common(some: Names, others: Names, now: float) -> bool:
    """Whether a file may be one of two logs."""
    return any(some.matches(name) for name in _examples(others, now)) or any(
        others.matches(name) for name in _examples(some, now)
    )


def check_neighbours(folder: int, own_lock: str, names: Names, now: float) -> None:
    """See that no log in use in this folder has names in common with this one.

    Args:
        folder: descriptor of the folder.
        own_lock: the name of this log's lock file.
        names: how its files are called.
        now: seconds since the epoch.

    Raises:
        OutputUnusable: there is one.
        OSError: the folder can't be read.
    """
    for lock in _locks(folder):
        pattern = lock.removeprefix(".").removesuffix(_LOCK_SUFFIX)
        if lock != own_lock and _is_alike(pattern, names, now) and _is_in_use(folder, lock):
            raise OutputUnusable(
                f"a log with the pattern {pattern} is written in the same folder, and its files "
                "may have names of this one's: use another folder or pattern"
            )


def _is_alike(pattern: str, names: Names, now: float) -> bool:
    for naming in _NAMINGS:
        with contextlib.suppress(OutputUnusable):
            _, others = parse_pattern(pattern, naming=naming, count=None, rotates=True, utc=False)
            if have_names_in_common(names, others, now):
                return True
    return False


def _examples(names: Names, now: float) -> Iterator[str]:
    for kind in (names, *names.kin):
        yield from kind.examples(now)


def _locks(folder: int) -> list[str]:
    with entries_of(folder) as entries:
        return [
            entry.name
            for entry in entries
            if entry.name.startswith(".")
            and entry.name.endswith(_LOCK_SUFFIX)
            and entry.is_file(follow_symlinks=False)
        ]


def _is_in_use(folder: int, lock: str) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
