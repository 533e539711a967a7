r"""The folder on disk that keeps a session's records, so that they survive the death of the app.

`DIR/<client id in hex>/` belongs to one session of one process:

    state       16 bytes "logd spool v1\n\0\0", the 16-byte client id, the highest acknowledged
                sequence number, 8 bytes big-endian, and the CRC-32 of all that, 4 bytes, which
                early versions did not write. The process that owns the session holds a lock
                (flock) on this file for as long as it lives.
    1.rows ...  the records, see `rowjournal.py`

A folder whose lock is free belongs to a process that is gone. The next process that opens the
same DIR adopts it (`leftovers.py`): it sends the records under their own client id and numbers, so
that the server recognises what it already has, and removes the folder. Damage is read around, see
`spoolreader.py`; the damaged file stays in DIR as `damaged-<client id>-<name>`.

The lock belongs to the file as it was opened, and the map of it keeps that open: an app that closes
descriptors that are not its own does not give up the lock. Some file systems (overlayfs) let go of
it all the same. So the owner looks, and takes a new folder if another process has got this one.

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
from collections.abc import Iterator
from pathlib import Path

from logd_client.descriptors import Descriptor
from logd_client.encoding import CLIENT_ID_BYTES
from logd_client.mappedfile import MappedFile
from logd_client.spoolreader import FILES

__all__ = ["Spool", "open_leftovers"]

_MAGIC = b"logd spool v1\n\0\0"
_ACKED = struct.Struct(">Q")
_ACKED_OFFSET = len(_MAGIC) + CLIENT_ID_BYTES
_STATE_CRC = struct.Struct(">I")
_STATE_BYTES = _ACKED_OFFSET + _ACKED.size + _STATE_CRC.size
_STATE = "state"
_FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

_own: set[Path] = set()
"""The folders of this process: their locks say nothing if the app has closed descriptors."""


class Spool:
    """A locked folder; made by `create` or by `open_leftovers`. Used by one thread.

    Attributes:
        folder: where its files are.
        client_id: the session that it belongs to.
        acked: the highest acknowledged number when it was opened; None if that is damaged.
        damaged: files that were found damaged; `close` keeps them.
    """

    def __init__(self, folder: Path, state_fd: int, client_id: bytes) -> None:
        """Takes over the descriptor, which has the lock."""
        self.folder = folder
        self.client_id = client_id
        self.damaged: list[Path] = []
        data = os.pread(state_fd, _STATE_BYTES, 0)
        self.acked = _acked(data)
        is_early = len(data) < _STATE_BYTES
        if is_early:
            os.ftruncate(state_fd, _STATE_BYTES)
        self._state = MappedFile(state_fd, _STATE_BYTES)
        if is_early:
            self.acknowledge(self.acked or 0)
        self._lock = Descriptor.of(state_fd)
        _own.add(folder)

    @classmethod
    def create(cls, directory: str | Path, client_id: bytes, acked: int = 0) -> Spool:
        """A new, locked folder for a session.

        Raises:
            OSError: the directory can't be made or written.
        """
        directory = Path(directory)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Locked under a name that nobody adopts, then renamed: there is no moment at which
        # another process finds the folder without its lock.
        temporary = Path(tempfile.mkdtemp(prefix=".new-", dir=directory))
        state_fd = os.open(temporary / _STATE, _FLAGS | os.O_CREAT, 0o600)
        try:
            fcntl.flock(state_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(state_fd, _state(client_id, acked))
            folder = directory / client_id.hex()
            if folder.exists():  # another process has it, see `is_lost`
                folder = directory / temporary.name[1:]
            temporary.rename(folder)
        except BaseException:
            os.close(state_fd)
            raise
        return cls(folder, state_fd, client_id)

    def acknowledge(self, acked: int) -> None:
        """Everything up to that sequence number is on the server's disk."""
        self._state.bytes[:] = _state(self.client_id, acked)

    @property
    def is_lost(self) -> bool:
        """Whether the folder is gone, or may be another process's by now."""
        if self._lock.is_same:
            return False
        try:
            number = os.open(self.folder / _STATE, _FLAGS)
        except FileNotFoundError:
            return True
        except OSError:  # no descriptor is free: another time
            return False
        lock = Descriptor.of(number)
        try:
            if (lock.device, lock.inode) != (self._lock.device, self._lock.inode):
                os.close(number)
                return True
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(number)
            return not _holds_lock(lock.inode)
        self._lock = lock
        return False

    def close(self, *, remove: bool) -> None:
        """Give up the lock; with `remove` the folder goes too, but for damaged files.

        Without it the next process that opens the directory adopts what is left.
        """
        if remove:
            for pattern in FILES:
                for path in self.folder.glob(pattern):
                    if path in self.damaged:
                        path.rename(self.kept_as(path))
                    else:
                        path.unlink()
            (self.folder / _STATE).unlink()
            self.folder.rmdir()
        self.abandon()

    def kept_as(self, path: Path) -> Path:
        """Where a damaged file goes."""
        return self.folder.parent / f"damaged-{self.folder.name}-{path.name}"

    def abandon(self) -> None:
        """Let go of it; what a child process of the owner does, which shares the lock."""
        _own.discard(self.folder)
        self._state.close()
        self._lock.close()


def _acked(data: bytes) -> int | None:
    """The number that a state file has; None if that is damaged."""
    (acked,) = _ACKED.unpack_from(data, _ACKED_OFFSET)
    if len(data) < _STATE_BYTES:
        is_good = data.startswith(_MAGIC)
    else:
        is_good = data == _state(data[len(_MAGIC) : _ACKED_OFFSET], acked)
    return int(acked) if is_good else None


def _state(client_id: bytes, acked: int) -> bytes:
    state = _MAGIC + client_id + _ACKED.pack(acked)
    return state + _STATE_CRC.pack(zlib.crc32(state))


def _holds_lock(inode: int) -> bool:
    """Whether this process has a lock on that file, by a descriptor or a map of it."""
    with contextlib.suppress(OSError):
        held = re.compile(rf"FLOCK +\S+ +WRITE +{os.getpid()} [0-9a-f]+:[0-9a-f]+:{inode} ")
        return held.search(Path("/proc/locks").read_text("ascii")) is not None
    return False


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
        spool = _adopt(folder) if folder not in _own else None
        if spool is not None:
            yield spool


def _adopt(folder: Path) -> Spool | None:
    try:
        state_fd = os.open(folder / _STATE, _FLAGS)
    except OSError:
        return None
    try:
        fcntl.flock(state_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        head = os.pread(state_fd, _ACKED_OFFSET + _ACKED.size, 0)
        # Another process that adopted it may have removed it between our open and our lock.
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
