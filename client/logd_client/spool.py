r"""Batches on disk until they are acknowledged, so that they survive the death of the app.

`DIR/<client id in hex>/` belongs to one session of one process:

    state               16 bytes "logd spool v1\n\0\0", the 16-byte client id, and the highest
                        acknowledged sequence number, 8 bytes big-endian, written in place with
                        the CRC-32 of all that, 4 bytes, which early versions did not write. The
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
write, is left out: its records are in a file of rows. Damage is read around, see
`spoolreader.py`; the damaged file stays in DIR as `damaged-<client id>-<name>`.

Files are not synced: they survive the death of the process, not that of the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
import tempfile
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from logd_client.descriptors import GuardedFile
from logd_client.rowjournal import ROWS_SUFFIX
from logd_client.session import CLIENT_ID_BYTES, AnyRow, Entry
from logd_client.spoolreader import (
    BATCH_CHECKED,
    BATCH_HEADER,
    Left,
    SpoolPosition,
    join,
    read_batches,
    read_rows,
)

__all__ = ["Spool", "SpoolPosition", "open_leftovers"]

_MAGIC = b"logd spool v1\n\0\0"
_ACKED = struct.Struct(">Q")
_ACKED_OFFSET = len(_MAGIC) + CLIENT_ID_BYTES
_STATE_CRC = struct.Struct(">I")
_IDLE_BYTES = 64 << 10
"""A larger file of batches is removed once all are acknowledged, not only when it is full."""

_SEGMENT_BYTES = 8 << 20
"""A file is removed when all of it is acknowledged; this keeps files few and what lingers small.
If a quarter of the spool's bound is less, files have that."""

_STATE = "state"
_SUFFIX = ".batches"


class _Segment:
    """One open file of entries."""

    def __init__(self, path: Path, flags: int) -> None:
        self.path = path
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = GuardedFile(path, os.open(path, flags, 0o600), flags)
        self.size = os.fstat(self.fd).st_size
        self.last = 0

    @property
    def fd(self) -> int:
        """The descriptor, for the next call only."""
        return self._file.fd

    def close(self) -> None:
        """Close the file."""
        self._file.close()

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
        damaged: files that `read_left` found damaged; `close` keeps them.
    """

    def __init__(
        self, folder: Path, state_fd: int, client_id: bytes, max_bytes: int = 4 * _SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self._state = GuardedFile(
            folder / _STATE, state_fd, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, _lock
        )
        self._segment_bytes = min(_SEGMENT_BYTES, max_bytes // 4)
        self.client_id = client_id
        self._segments: dict[int, _Segment] = {}
        self._order: deque[int] = deque()
        self.size = 0
        self.damaged: list[Path] = []

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
            os.write(state_fd, _state(client_id, 0))
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
        checked = BATCH_CHECKED.pack(entry.first, entry.records) + entry.frame
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
        data = os.pread(segment.fd, BATCH_HEADER.size + size, position.offset - BATCH_HEADER.size)
        if read_batches(data, 0).entries:
            return data[BATCH_HEADER.size :]
        raise OSError(f"{segment.path}: a batch at byte {position.offset} is damaged or cut")

    def acknowledge(self, acked: int) -> None:
        """Everything up to that sequence number is on the server's disk and may go."""
        state = _state(self.client_id, acked)
        os.pwrite(self._state.fd, state[_ACKED_OFFSET:], _ACKED_OFFSET)
        idle_bytes = min(_IDLE_BYTES, self._segment_bytes)
        while self._order:
            segment = self._segments[self._order[0]]
            if segment.last > acked or (len(self._order) == 1 and segment.size < idle_bytes):
                break
            self._remove(self._order.popleft())

    def _remove(self, name: int) -> None:
        segment = self._segments.pop(name)
        self.size -= segment.size
        segment.close()
        self._discard(segment.path)

    def _discard(self, path: Path) -> None:
        if path in self.damaged:
            path.rename(self.kept_as(path))
        else:
            path.unlink()

    def read_left(self) -> Left:
        """All that is not acknowledged; opens the files for `load`."""
        acked = self._acked()
        batches: list[Entry] = []
        tail = 0
        for path in sorted(self.folder.glob("*" + _SUFFIX)):
            if not path.name[: -len(_SUFFIX)].isdecimal():
                continue
            name = int(path.name[: -len(_SUFFIX)])
            segment = self._segments[name] = _Segment(path, os.O_RDONLY)
            self._order.append(name)
            self.size += segment.size
            found = read_batches(path.read_bytes(), name)
            batches += found.entries
            segment.last = found.entries[-1].last if found.entries else name
            tail = found.tail
            if found.is_damaged:
                self.damaged.append(path)
        rows: dict[int, AnyRow] = {}
        for path in self.folder.glob("*" + ROWS_SUFFIX):
            found_rows = read_rows(path.read_bytes())
            rows.update(found_rows.rows)
            if found_rows.is_damaged:
                self.damaged.append(path)
        where = f"the spool {self.folder} was damaged"
        if acked is None:
            acked = min([*[entry.first for entry in batches], *rows], default=1) - 1
        return join(batches, rows, acked, tail, where)

    def _acked(self) -> int | None:
        """The number that the state file has; None if that is damaged."""
        data = os.pread(self._state.fd, _ACKED_OFFSET + _ACKED.size + _STATE_CRC.size, 0)
        (acked,) = _ACKED.unpack_from(data, _ACKED_OFFSET)
        if len(data) == _ACKED_OFFSET + _ACKED.size:
            is_good = data.startswith(_MAGIC)
        else:
            is_good = data == _state(data[len(_MAGIC) : _ACKED_OFFSET], acked)
        return int(acked) if is_good else None

    def close(self, *, remove: bool) -> None:
        """Close the files and give up the lock; with `remove` the folder goes too.

        Without it the next process that opens the directory adopts what is left.
        """
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        self._order.clear()
        if remove:
            for suffix in (_SUFFIX, ROWS_SUFFIX):
                for path in self.folder.glob("*" + suffix):
                    self._discard(path)
            (self.folder / _STATE).unlink()
            self.folder.rmdir()
        self._state.close()

    def kept_as(self, path: Path) -> Path:
        """Where a damaged file goes."""
        return self.folder.parent / f"damaged-{self.folder.name}-{path.name}"

    def abandon(self) -> None:
        """Close the files in a child process; the parent, who shares the lock, keeps it."""
        for segment in self._segments.values():
            segment.close()
        self._segments.clear()
        self._state.close()


def _lock(state_fd: int) -> None:
    # Another process may have adopted the folder meanwhile; it sends the same under one client id.
    with contextlib.suppress(OSError):
        fcntl.flock(state_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _state(client_id: bytes, acked: int) -> bytes:
    state = _MAGIC + client_id + _ACKED.pack(acked)
    return state + _STATE_CRC.pack(zlib.crc32(state))


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
        if not is_gone and len(head) == _ACKED_OFFSET + _ACKED.size:
            client_id = _client_id(folder, head)
            if client_id is not None:
                return Spool(folder, state_fd, client_id)
    except OSError:
        # Locked: its process lives.
        pass
    os.close(state_fd)
    return None


def _client_id(folder: Path, head: bytes) -> bytes | None:
    """The id of the session whose state file begins with `head`; None if it is none."""
    if re.fullmatch(f"[0-9a-f]{{{2 * CLIENT_ID_BYTES}}}", folder.name):
        # Written once more than in the file, where a flipped bit would make it another session.
        return bytes.fromhex(folder.name)
    return head[len(_MAGIC) : _ACKED_OFFSET] if head.startswith(_MAGIC) else None
