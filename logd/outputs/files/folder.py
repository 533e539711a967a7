"""The files in the folder of a log, found by name, plain or compressed, and by inode.

An inode tells a file from another one that has its name later, as long as the file is there.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Container, Iterator

from logd.outputs.disk import entries_of
from logd.outputs.files.janitor import trash_name
from logd.outputs.files.journalentries import Opened
from logd.outputs.files.logfile import names_of_inode
from logd.outputs.files.names import COMPRESSED_SUFFIXES, TORN, Names, plain_name, torn_of


def inode_of(folder: int, name: str) -> int:
    """Which file has a name, 0 if none has."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return 0


def moved_name(folder: int, names: Names, file: Opened, others: Container[str] = ()) -> str:
    """The name of this log that a file has by now; "" if it has the one of before, or none.

    Args:
        folder: descriptor of the folder.
        names: how the log's files are called.
        file: the file.
        others: plain names of other files, one of which may have had the inode, see `open_known`.
    """
    found = [
        name
        for name in names_of_inode(folder, file.inode)
        if names.matches(name) and plain_name(name) not in others
    ]
    return "" if file.name in found else next(iter(found), "")


def is_there(folder: int, name: str) -> bool:
    """Whether there is a file of this plain name, compressed or not."""
    return any(inode_of(folder, form) for form in forms(name))


def forms(name: str) -> tuple[str, ...]:
    """What a file of a plain name may be called: as such, or compressed."""
    return (name, *(name + suffix for suffix in COMPRESSED_SUFFIXES))


def inodes_of(folder: int, name: str) -> Iterator[int]:
    """Each form of a file that there is."""
    return filter(None, (inode_of(folder, form) for form in forms(name)))


def torn_name(name: str) -> str:
    """Where the bytes are kept that were cut off a file, for people to see."""
    return name + TORN


def set_aside(folder: int, names: Names) -> tuple[int, int]:
    """How many files there are of what crashes left of a log, and their bytes."""
    sizes = []
    with entries_of(folder) as entries:
        for entry in entries:
            logged = torn_of(entry.name)
            if logged is not None and names.matches(logged):
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(entry.stat(follow_symlinks=False).st_size)
    return len(sizes), sum(sizes)


def make_way(folder: int, name: str) -> None:
    """Give up the file `name`, compressed or not, for the janitor to remove."""
    for old in reversed(forms(name)):
        with contextlib.suppress(FileNotFoundError):
            state = os.stat(old, dir_fd=folder, follow_symlinks=False)
            # A folder or a link that somebody put there just now is nothing of ours.
            if stat.S_ISREG(state.st_mode):
                trash = trash_name(old, state.st_ino)
                os.rename(old, trash, src_dir_fd=folder, dst_dir_fd=folder)
