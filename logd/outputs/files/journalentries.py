"""What the journal beside a log file consists of, and how it is read.

The file is a magic line and then entries: length and CRC-32 of the payload, 4 bytes each, little
endian, then the payload, a MessagePack array that begins with the kind of the entry. The first
entry is a `Snapshot`, which makes everything before it needless. What is not whole at the end was
being written when the process died and was never acted on. What is not whole in the middle is
another thing: if an entry behind it says that it was on disk, the disk or a person has damaged it
since. Then it is passed over, with a `Gap` in its place.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from logd.outputs.disk import must_be_regular

MAGIC = b"logd journal 1\n"

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
        written: when the last record was written to each of them, as far as that is known: plain
            name, seconds since the epoch.
    """

    boot: str
    durable: bool
    number: int
    marks: list[tuple[bytes, int, float]]
    current: Opened | None
    files: list[tuple[str, int]] = []
    generation: int = 0
    begun: int = 0
    written: list[tuple[str, float]] = []


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
