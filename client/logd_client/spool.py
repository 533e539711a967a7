r"""Batches on disk until they are acknowledged, so that they survive the death of the app.

`DIR/<client id in hex>/` belongs to one session of one process:

    state               16 bytes "logd spool v1\n\0\0", the 16-byte client id, and the highest
                        acknowledged sequence number, 8 bytes big-endian, written in place. The
                        process that owns the session holds a lock (flock) on this file for as
                        long as it lives.
    00000000000000000001.batches
                        entries, one after the other; the name is the first sequence number. An
                        entry: length of the frame, CRC-32 of what follows, both 4 bytes; first
                        sequence number, 8 bytes; number of records, 4 bytes; the frame.
    1.rows              records that are in no batch yet, see `rowjournal.py`

A folder whose lock is free belongs to a process that is gone. The next process that opens the
same DIR adopts it: it sends the entries under their own client id and numbers, so that the server
recognises what it already has, and removes the folder. A torn end, from a crash in the midst of a
write, is left out: its records are in a file of rows.

Files are not synced: they survive the death of the process, not that of the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from logd_client.rowjournal import ROWS_SUFFIX, entries_of_rows
from logd_client.session import CLIENT_ID_BYTES, FRAME_BYTES_MAX, Entry

__all__ = ["Spool", "SpoolPosition", "open_leftovers"]

_MAGIC = b"logd spool v1\n\0\0"
_ACKED = struct.Struct(">Q")
_ACKED_OFFSET = len(_MAGIC) + CLIENT_ID_BYTES
_ENTRY = struct.Struct(">IIQI")
_CHECKED = struct.Struct(">QI")
_SEGMENT_BYTES = 8 << 20
"""A file is removed when all of it is acknowledged; this keeps files few and what lingers small.
Where a quarter of the spool's bound is less, files have that."""

_STATE = "state"
_SUFFIX = ".batches"


class SpoolPosition(NamedTuple):
    """Where an entry's frame lies."""

    segment: int
    offset: int


class _Segment:
    """One open file of entries."""

    def __init__(self, path: Path, flags: int) -> None:
        self.path = path
        self.fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.size = os.fstat(self.fd).st_size
        self.last = 0

    def append(self, data: bytes) -> None:
        """All of the data or, where the disk refuses, nothing of it."""
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self.fd, data[written:], self.size + written)
        except OSError:
            # What was written of it would be a torn entry before good ones.
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, self.size)
            raise
        self.size += len(data)


class Spool:
    """The folder of one session; made by `create` or by `open_leftovers`. Used by one thread.

    Attributes:
        folder: where its files are.
        client_id: the session that it belongs to.
        size: bytes of all files of entries.
    """

    def __init__(
        self, folder: Path, state_fd: int, client_id: bytes, max_bytes: int = 4 * _SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self._state_fd = state_fd
        self._segment_bytes = min(_SEGMENT_BYTES, max_bytes // 4)
        self.client_id = client_id
        self._segments: dict[int, _Segment] = {}
        self._order: deque[int] = deque()
        self.size = 0

    @classmethod
    def create(
        cls, directory: str | Path, client_id: bytes, max_bytes: int = 4 * _SEGMENT_BYTES
    ) -> Spool:
        """A new, locked folder for a new session; `max_bytes` is what it is meant to hold.

        Raises:
            OSError: the directory can't be made or written.
        """
        directory = Path(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked under a name that nobody adopts, then renamed: there is no moment at which
        # another process finds the folder without its lock.
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
        state_fd = os.open(temporary / _STATE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(state_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(state_fd, _MAGIC + client_id + _ACKED.pack(0))
            folder = directory / client_id.hex()
            temporary.rename(folder)
        except BaseException:
            os.close(state_fd)
            raise
        return cls(folder, state_fd, client_id, max_bytes)

    def store(self, entry: Entry) -> Entry:
        """Append an entry's frame; the entry returned has its place instead of the frame.

        Raises:
            OSError: the disk refused; nothing of it is in the spool.
        """
        checked = _CHECKED.pack(entry.first, entry.records) + entry.frame
        if not self._order or self._segments[self._order[-1]].size >= self._segment_bytes:
            path = self.folder / f"{entry.first:020d}{_SUFFIX}"
            self._segments[entry.first] = _Segment(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            self._order.append(entry.first)
        segment = self._segments[self._order[-1]]
        header = struct.pack(">II", entry.size, zlib.crc32(checked))
        segment.append(header + checked)
        segment.last = entry.last
        self.size += len(header) + len(checked)
        position = SpoolPosition(self._order[-1], segment.size - entry.size)
        return entry._replace(frame=position)

    def load(self, position: SpoolPosition, size: int) -> bytes:
        """The frame of `size` bytes at a place that `store` returned.

        Raises:
            OSError: it can't be read, or somebody cut the file.
        """
        segment = self._segments[position.segment]
        data = os.pread(segment.fd, size, position.offset)
        if len(data) != size:
            raise OSError(
                f"{segment.path}: {len(data)} bytes at {position.offset}, expected {size}"
            )
        return data

    def acknowledge(self, acked: int) -> None:
        """Everything up to that sequence number is on the server's disk and may go."""
        os.pwrite(self._state_fd, _ACKED.pack(acked), _ACKED_OFFSET)
        while self._order:
            segment = self._segments[self._order[0]]
            if segment.last > acked or (
                len(self._order) == 1 and segment.size < self._segment_bytes
            ):
                break
            self._remove(self._order.popleft())

    def _remove(self, name: int) -> None:
        segment = self._segments.pop(name)
        self.size -= segment.size
        os.close(segment.fd)
        segment.path.unlink()

    def read_entries(self) -> list[Entry]:
        """All whole entries in order, without those acknowledged; opens the files for `load`.

        Reading stops at the first entry that is torn, damaged or out of order.
        """
        (acked,) = _ACKED.unpack(os.pread(self._state_fd, _ACKED.size, _ACKED_OFFSET))
        entries: list[Entry] = []
        paths = sorted(self.folder.glob("*" + _SUFFIX))
        for path in paths:
            name = int(path.name[: -len(_SUFFIX)])
            segment = self._segments[name] = _Segment(path, os.O_RDONLY)
            self._order.append(name)
            self.size += segment.size
            end = 0
            for entry in _read_segment(segment.fd, name):
                if entries and entry.first != entries[-1].last + 1:
                    return [e for e in entries if e.last > acked]
                entries.append(entry)
                segment.last = entry.last
                end = entry.frame.offset + entry.size
            if end < segment.size:
                break
        return [entry for entry in entries if entry.last > acked]

    def read_left(self) -> list[Entry]:
        """`read_entries`, and after them, with frames in memory, the rows that are in no batch."""
        entries = self.read_entries()
        (acked,) = _ACKED.unpack(os.pread(self._state_fd, _ACKED.size, _ACKED_OFFSET))
        after = entries[-1].last if entries else acked
        return [*entries, *entries_of_rows(self.folder, after, is_known=bool(entries))]

    def close(self, *, remove: bool) -> None:
        """Close the files and give up the lock; with `remove` the folder goes too.

        Without it the next process that opens the directory adopts what is left.
        """
        for segment in self._segments.values():
            os.close(segment.fd)
        self._segments.clear()
        self._order.clear()
        if remove:
            for suffix in (_SUFFIX, ROWS_SUFFIX):
                for path in self.folder.glob("*" + suffix):
                    path.unlink()
            (self.folder / _STATE).unlink()
            self.folder.rmdir()
        os.close(self._state_fd)

    def abandon(self) -> None:
        """Close the files in a child process; the parent, who shares the lock, keeps it."""
        for segment in self._segments.values():
            os.close(segment.fd)
        self._segments.clear()
        os.close(self._state_fd)


def _read_segment(fd: int, name: int) -> Iterator[Entry]:
    offset = 0
    while True:
        header = os.pread(fd, _ENTRY.size, offset)
        if len(header) < _ENTRY.size:
            return
        size, checksum, first, records = _ENTRY.unpack(header)
        if not records or not 0 < size <= FRAME_BYTES_MAX + 4:
            return
        frame = os.pread(fd, size, offset + _ENTRY.size)
        if len(frame) < size or zlib.crc32(_CHECKED.pack(first, records) + frame) != checksum:
            return
        yield Entry(first, records, size, SpoolPosition(name, offset + _ENTRY.size))
        offset += _ENTRY.size + size


def open_leftovers(directory: str | Path) -> Iterator[Spool]:
    """The sessions of processes that are gone, each locked for this process.

    Those of living processes, and of others that are adopting at the same time, are passed over;
    folders that are no spool are left alone.
    """
    try:
        folders = sorted(path for path in Path(directory).iterdir() if path.name[:1] != ".")
    except FileNotFoundError:
        return
    for folder in folders:
        spool = _adopt(folder)
        if spool is not None:
            yield spool


def _adopt(folder: Path) -> Spool | None:
    try:
        state_fd = os.open(folder / _STATE, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(state_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        head = os.pread(state_fd, _ACKED_OFFSET + _ACKED.size, 0)
        # Whoever adopted it before may have removed it between our open and our lock.
        is_gone = os.fstat(state_fd).st_nlink == 0
        if not is_gone and len(head) == _ACKED_OFFSET + _ACKED.size and head.startswith(_MAGIC):
            return Spool(folder, state_fd, head[len(_MAGIC) : _ACKED_OFFSET])
    except OSError:
        # Locked: its process lives.
        pass
    os.close(state_fd)
    return None
