"""When the files of a log were begun, by the records in them.

A file's own time is not reliable: `touch`, a copy or a restored backup change it. If ages came from
it, a log might remove its newest files. The times of the records stay as they are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import NamedTuple

from logd.outputs.files.age import Age
from logd.outputs.files.names import plain_name
from logd.outputs.files.unpacking import DAMAGED, first_bytes
from logd.text.reading import BREAK, MARK, LineReader

_HEAD_BYTES = 1 << 16
_MAX_RECORDS = 31
"""How many of the first records are asked. The middle one's time counts: a single one may have come
late, or from a wrong clock."""

_MAX_KEPT = 16_384


class SeenFile(NamedTuple):
    """A file as a look at its folder shows it.

    Attributes:
        inode: which file it is.
        size: bytes on disk.
        written_ns: when it was last written to, as far as nobody changed that.
        changed_ns: when anything about it was changed; no hand can set that.
    """

    inode: int
    size: int
    written_ns: int
    changed_ns: int

    @classmethod
    def of(cls, state: os.stat_result) -> SeenFile:
        """What `stat` says."""
        return cls(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


class Beginnings:
    """Reads the first records of files; what was read once is kept. Safe to share between threads.

    Args:
        reader: reads their entries.
    """

    def __init__(self, reader: LineReader) -> None:
        self._reader = reader
        self._known: dict[SeenFile, int | None] = {}
        self._lock = threading.Lock()

    def age(self, folder: int, name: str, seen: SeenFile) -> Age:
        """How old a file is.

        Args:
            folder: descriptor of the folder.
            name: its name there.
            seen: the file.
        """
        begun = self.begun_ns(folder, name, seen)
        if begun is None:
            return Age(seen.written_ns, seen.written_ns, is_read=False)
        return Age(begun, seen.written_ns)

    def begun_ns(self, folder: int, name: str, seen: SeenFile) -> int | None:
        """The time of a file's first records; None if they have none, or can't be read."""
        with self._lock:
            if seen not in self._known:
                if len(self._known) >= _MAX_KEPT:
                    self._known.clear()
                self._known[seen] = self._read(folder, name, seen)
            return self._known[seen]

    def _read(self, folder: int, name: str, seen: SeenFile) -> int | None:
        # Timestamps without a year have that of the file's own time: there is nothing better.
        self._reader.times.last_written = seen.written_ns / 1e9
        times = []
        for raw in _first_entries(folder, name):
            time = self._reader.read(raw).time
            if time is not None:
                times.append(time)
            if len(times) == _MAX_RECORDS:
                break
        return int(sorted(times)[(len(times) - 1) // 2] * 1e9) if times else None


def _first_entries(folder: int, name: str) -> Iterator[bytes]:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            head = first_bytes(file, name.removeprefix(plain_name(name)), _HEAD_BYTES)
    except (OSError, *DAMAGED):
        return
    raws = head.replace(BREAK, MARK).split(b"\n")
    if len(head) >= _HEAD_BYTES and len(raws) > 1:
        # It goes on behind what was read.
        raws.pop()
    yield from filter(None, raws)
