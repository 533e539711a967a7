"""The journal beside a log file: what was to be appended where, and whose records it carries.

Before a block of entries is appended to the log, the journal says at which offset, how long, with
which checksum and with which marks. A log that was torn by a crash is cut off where its journal
stops being right, so that a block and its marks are always there together or not at all; how that
is found out stands in `recovery.py`.

The file is a magic line and then entries: length and CRC-32 of the payload, 4 bytes each, little
endian, then the payload, a MessagePack array that begins with the kind of the entry. The first
entry is a `Snapshot`, which makes everything before it needless: when the journal has grown, a
fresh one takes its place by renaming. What is not whole at the end was being written when the
process died and was never acted on. What is not whole in the middle is another thing: if an entry
behind it says that it was on disk, a disk or a hand has damaged it since. Then it is passed over,
with a `Gap` in its place.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from logd.outputs.disk import FILE_MODE, must_be_regular, write_all
from logd.outputs.failpoints import failpoint

MAGIC = b"logd journal 1\n"

COMPACT_BYTES = 1 << 20
"""A journal longer than this, and than four times its snapshot, is replaced by a fresh one."""

_FRAME = struct.Struct("<II")


class Opened(msgspec.Struct, tag="open", array_like=True, frozen=True):
    """From here on blocks go to this file.

    Attributes:
        name: its name in the log's folder.
        inode: tells it from another file that has the name later.
        size: bytes in it by now.
        lines: records in it by now.
        started: when its first record came, in seconds since the epoch; 0.0 while it is empty.
        next_name: the file that a rotation would overwrite; "" if that depends on the time.
        next_inode: what is there now, 0 for nothing: if something else is there after the machine
            died, a rotation had begun of which the journal does not know.
        before: what the file before this one is called by now; "": as when it was opened.
    """

    name: str
    inode: int
    size: int
    lines: int
    started: float
    next_name: str = ""
    next_inode: int = 0
    before: str = ""


class Snapshot(msgspec.Struct, tag="snap", array_like=True, frozen=True):
    """Everything that was known when this journal was begun.

    Attributes:
        boot: which run of the machine it was, "" if that is unknown.
        durable: whether blocks are made to survive the death of the machine.
        number: number of the last block before.
        marks: client id, highest sequence number, when last seen.
        current: the current file; None before the first.
        files: the closed files in the order in which they were begun: plain name, records.
        generation: counts the starts of the log.
        begun: how many files the log has begun, the current one included; 0: unknown.
    """

    boot: str
    durable: bool
    number: int
    marks: list[tuple[bytes, int, float]]
    current: Opened | None
    files: list[tuple[str, int]] = []
    generation: int = 0
    begun: int = 0


class Rotating(msgspec.Struct, tag="rot", array_like=True, frozen=True):
    """The next file is about to be begun.

    Attributes:
        name: its name.
        old_inode: the file that has that name now and goes; 0 for none.
        old_files: inodes of all that goes, compressed forms of it, too; earlier versions noted the
            time of the last write with each.
    """

    name: str
    old_inode: int
    old_files: list[int | tuple[int, int]] = []


class Append(msgspec.Struct, tag="app", array_like=True, frozen=True):
    """A block is about to be appended to the current file.

    Attributes:
        number: counts blocks from 1, over all journals of the log.
        synced: all blocks up to this number survive the death of the machine.
        offset: where in the file it begins.
        length: its bytes.
        checksum: CRC-32 of them.
        entries: records in it.
        time: now, in seconds since the epoch.
        marks: client id -> highest sequence number in the block.
    """

    number: int
    synced: int
    offset: int
    length: int
    checksum: int
    entries: int
    time: float
    marks: dict[bytes, int]


class Synced(msgspec.Struct, tag="sync", array_like=True, frozen=True):
    """All blocks up to a number survive the death of the machine; said before a file goes for good.

    Of a file that is no longer there nobody can see whether a block is in it, and another file may
    have got its inode.
    """

    number: int


class Forgotten(msgspec.Struct, tag="forget", array_like=True, frozen=True):
    """Sessions whose marks were dropped."""

    clients: list[bytes]


class Stopped(msgspec.Struct, tag="stop", array_like=True, frozen=True):
    """The log was closed in order and synced; nothing before needs to be checked."""


class Gap(msgspec.Struct, frozen=True):
    """Entries were here that can't be read any more; never written.

    Attributes:
        size: their bytes.
    """

    size: int


Entry: TypeAlias = Snapshot | Opened | Rotating | Append | Synced | Forgotten | Stopped
"""What a journal is written of."""

# An array of less than 16 items, and the kind of an entry.
_BEGINNING = re.compile(rb"[\x90-\x9f](?:\xa3(?:rot|app)|\xa4(?:open|snap|stop|sync)|\xa6forget)")

_NO_SNAPSHOT = Snapshot("", durable=True, number=0, marks=[], current=None)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def encode_entry(entry: Entry) -> bytes:
    """One entry as it stands in the file."""
    payload = _encode(entry)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def decode_entries(data: bytes) -> Iterator[Entry | Gap]:
    """The entries of a journal's bytes, up to the end or what was never on disk as a whole."""
    found = list(_readable(data))
    for place, entry in enumerate(found):
        if isinstance(entry, Gap) and not _was_on_disk(found[place + 1 :]):
            return
        yield entry


def synced_by(entry: Entry | Gap) -> int:
    """The last block that is on disk for certain, as far as one entry tells; 0 if it does not."""
    match entry:
        case Append(synced=number) | Synced(number=number):
            return number
    return 0


def _was_on_disk(behind: Sequence[Entry | Gap]) -> bool:
    """Whether what stands behind a gap says that all before it was synced."""
    first = next((entry for entry in behind if isinstance(entry, Append)), None)
    return any(
        isinstance(entry, Stopped) or (first is not None and synced_by(entry) >= first.number)
        for entry in behind
    )


def _readable(data: bytes) -> Iterator[Entry | Gap]:
    """All that can be read, with gaps between; a rest that can't is left out."""
    place = len(MAGIC) if data.startswith(MAGIC) else 0
    while place < len(data):
        decoded = _entry_at(data, place)
        if decoded is None:
            following = _next_place(data, place + 1)
            if following is None:
                return
            yield Gap(following - place)
            place = following
            continue
        entry, place = decoded
        yield entry


def _entry_at(data: bytes, place: int) -> tuple[Entry, int] | None:
    """The entry that begins at a place and where it ends, if it is whole and of a known kind."""
    start = place + _FRAME.size
    if start > len(data):
        return None
    length, checksum = _FRAME.unpack_from(data, place)
    payload = data[start : start + length]
    if len(payload) < length or zlib.crc32(payload) != checksum:
        return None
    try:
        return _decode(payload), start + length
    except msgspec.DecodeError:
        # Whole, but of another version of logd.
        return None


def _next_place(data: bytes, place: int) -> int | None:
    """Where the first whole entry begins from a place on."""
    for match in _BEGINNING.finditer(data, place + _FRAME.size):
        start = match.start() - _FRAME.size
        if _entry_at(data, start) is not None:
            return start
    return None


def read_journal(folder: int, name: str) -> list[Entry | Gap]:
    """The entries of the journal `name`; empty if there is none or nothing of it can be read.

    Otherwise the first is a `Snapshot`: one that knows nothing if the journal's own is damaged.

    Args:
        folder: descriptor of the folder.
        name: file name.
    """
    # Without O_NONBLOCK a pipe that someone put there would keep us waiting forever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        return []
    must_be_regular(descriptor, name)
    with os.fdopen(descriptor, "rb") as file:
        entries = list(decode_entries(file.read()))
    if entries and not isinstance(entries[0], Snapshot):
        gap = () if isinstance(entries[0], Gap) else (Gap(0),)
        return [_NO_SNAPSHOT, *gap, *entries]
    return entries


class Journal:
    """The journal of a running output, open for appending.

    Calls are to be serialised by the owner, but for `write_fresh`, which may run beside `append`.

    Args:
        folder: descriptor of the folder; stays the caller's.
        name: file name. Nothing is touched before `switch_to`.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._name = name
        self._fresh_name = f"{name}.new"
        self._descriptor = -1
        self._size = 0
        self._last_length = 0
        self._compact_at = COMPACT_BYTES
        self._since: list[bytes] | None = None
        self._has_rotated_since = False

    @property
    def wants_compaction(self) -> bool:
        """True when it is long enough to be worth replacing, and nobody is at it."""
        return self._size > self._compact_at and self._since is None

    @property
    def is_removed(self) -> bool:
        """True once someone removed the file; cheap."""
        return os.fstat(self._descriptor).st_nlink == 0

    @property
    def is_in_place(self) -> bool:
        """Whether the file is still found under its name."""
        try:
            named = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))

    def append(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            OSError: the disk refused; no part of the entry remains.
        """
        frame = encode_entry(entry)
        failpoint("journal.before_write")
        try:
            written = os.write(self._descriptor, frame)
            if written < len(frame):
                # Mostly the disk is full, and the next call says so.
                write_all(self._descriptor, frame[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(frame)
        self._last_length = len(frame)
        if self._since is not None:
            self._since.append(frame)
            self._has_rotated_since |= isinstance(entry, (Rotating, Opened, Synced))
        failpoint("journal.after_write")

    def take_back(self) -> None:
        """Remove the entry that was appended last, once."""
        self._size -= self._last_length
        if self._since and self._last_length:
            self._since.pop()
        self._last_length = 0
        os.ftruncate(self._descriptor, self._size)

    def duplicate(self) -> int:
        """A second descriptor of the file, for syncing it while it may be replaced."""
        return os.dup(self._descriptor)

    def begin_compaction(self) -> None:
        """From now on remember what is appended: it comes after the snapshot taken now."""
        self._since = []
        self._has_rotated_since = False

    def cancel_compaction(self) -> None:
        """No fresh journal now; the next try is due when this one has grown by a quarter."""
        self._since = None
        self._compact_at = self._size + COMPACT_BYTES // 4

    def write_fresh(self, snapshot: Snapshot, *, durable: bool) -> int:
        """Write a new journal beside this one; it is not in force before `switch_to`.

        Args:
            snapshot: what it begins with.
            durable: sync it.

        Returns:
            Its descriptor.
        """
        # One that is there was left by a crash, or put there to be written through: not used.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._fresh_name, dir_fd=self._folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._fresh_name, flags, FILE_MODE, dir_fd=self._folder)
        try:
            failpoint("journal.before_fresh")
            write_all(descriptor, MAGIC + encode_entry(snapshot))
            if durable:
                failpoint("journal.before_fresh_sync")
                os.fdatasync(descriptor)
        except OSError:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(self._fresh_name, dir_fd=self._folder)
            raise
        return descriptor

    def switch_to(self, fresh: int) -> None:
        """Put the journal from `write_fresh` in the place of this one, with what came since.

        Raises:
            OSError: the disk refused; the old one stays in force and `fresh` is closed.
        """
        try:
            write_all(fresh, b"".join(self._since or ()))
            if self._since and self._has_rotated_since:
                # Files may have been removed because the old journal's note of it is on disk.
                os.fdatasync(fresh)
            failpoint("journal.before_rename")
            os.rename(
                self._fresh_name, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder
            )
        except OSError:
            os.close(fresh)
            raise
        failpoint("journal.after_rename")
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = fresh
        self._since = None
        self._size = os.fstat(fresh).st_size
        self._compact_at = max(COMPACT_BYTES, 4 * self._size)

    def close(self) -> None:
        """Close the file; does nothing when closed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
