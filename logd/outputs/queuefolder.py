"""The folder of one queue on disk: its names, its lock, and how to find all of them.

queue-NAME.CHECKSUM/0000000001.queue    a segment of the queue
damaged-NAME.CHECKSUM-0000000001.queue  a segment that was read as far as it could be
"""

from __future__ import annotations

import fcntl
import os
import shutil
import zlib
from pathlib import Path

from logd.outputs.base import OutputUnusable
from logd.outputs.disk import make_folder, sync_folder

SUFFIX = ".queue"
PREFIX = "queue-"


def folder_name(output: str) -> str:
    """The name of the folder for an output as the settings call it, without secrets."""
    # The checksum tells outputs apart whose names look the same in a file's name.
    number = zlib.crc32(output.encode("utf-8", "backslashreplace"))
    return f"{PREFIX}{_as_file_name(output)}.{number:08x}"


def spool_name(output: str) -> str:
    """The name of the file that versions before the queue kept such records in."""
    return "spool-" + folder_name(output).removeprefix(PREFIX)


def _as_file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)[:80]


def queue_folders(state: Path) -> list[Path]:
    """The folders of all queues in a state folder that hold anything."""
    found = [path for path in sorted(state.glob(f"{PREFIX}*")) if QueueFolder(path).exists()]
    return [path for path in found if QueueFolder(path).segments()]


class QueueFolder:
    """The folder; made when it is needed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self._former: list[int] = []

    def exists(self) -> bool:
        """Whether it is there, and no link that somebody planted."""
        return self.path.is_dir() and not self.path.is_symlink()

    def make(self) -> None:
        """Make it if it is missing."""
        make_folder(self.path)

    def new_segment(self, number: int) -> Path:
        """A path for a segment with this number, or the next that is free."""
        while os.path.lexists(path := self.path / f"{number:010}{SUFFIX}"):
            number += 1
        return path

    @property
    def descriptor(self) -> int | None:
        """Of the folder, wherever it was moved to since; None without the lock."""
        return self._lock

    @property
    def is_moved(self) -> bool:
        """Whether the folder that was locked is no longer found by its path."""
        if self._lock is None:
            return False
        try:
            return not os.path.samestat(os.lstat(self.path), os.fstat(self._lock))
        except FileNotFoundError:
            return True

    def segments(self) -> list[Path]:
        """All segments, in order."""
        paths = (path for path in self.path.glob(f"*{SUFFIX}") if path.stem.isdigit())
        files = (path for path in paths if path.is_file() and not path.is_symlink())
        return sorted(files, key=lambda path: int(path.stem))

    def lock(self) -> None:
        """Keep other processes out, until `unlock`; also of one in the place of one that was moved.

        Raises:
            OutputUnusable: another one is in.
            OSError: the system refused.
        """
        if self._lock is not None and not self.is_moved:
            return
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(descriptor)
            raise OutputUnusable(f"another process uses {self.path}") from exc
        if self._lock is not None:
            # What is in there is still to be read.
            self._former.append(self._lock)
        self._lock = descriptor

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            for descriptor in (*self._former, self._lock):
                os.close(descriptor)
            self._former.clear()
            self._lock = None

    def aside(self, path: Path) -> Path:
        """Where a damaged segment goes, a name that people see."""
        name = f"damaged-{self.path.name.removeprefix(PREFIX)}-{path.name}"
        aside, number = self.path.with_name(name), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{name}.{number}")
        return aside

    def set_aside(self, path: Path) -> Path:
        """Rename a damaged segment; returns its new place."""
        return path.rename(self.aside(path))

    def copy_aside(self, path: Path) -> None:
        """Keep a copy of a damaged segment, which goes on to be used."""
        shutil.copyfile(path, self.aside(path))

    def sync(self) -> None:
        """Make durable which files are in it, and that it is there itself."""
        sync_folder(self.path)
        sync_folder(self.path.parent)
