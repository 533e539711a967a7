r"""One file of the queue on disk: its format, and how it is read around damage.

A segment begins with a line of text and a line of JSON that says whose it is:

    logd queue 1
    {"output": "db postgresql://..."}

Then come entries, one for a batch, without anything between them. An entry is a head of 76 bytes,
little endian, and the payload, the batch as `batchbytes.py` makes it:

    offset  bytes
     0       4     the mark f5 4c 51 31
     4       4     length of the payload
     8       4     CRC-32 of the payload
    12       4     how many records the batch has
    16      16     id of the session that they came by, zeros without one
    32       8     sequence number of the first record in it, 0 without one
    40       8     of the last
    48       8     `synced`: all of this file before this offset was on disk when this was written
    56       8     when it was kept, a double: seconds since the epoch
    64       8     reserved, 0
    72       4     CRC-32 of the 72 bytes before

An entry without payload and records closes a segment: nothing follows, and all before is on disk.
A start that finds a segment that is not closed cuts off what does not count, and closes it.

What fails its checksum is damage. If a later entry says that the place of the damage was on disk
before (`synced`), a disk or a person did it: the entry is left out and all behind it counts. Else
it is in the last group, whose sync never ended: nobody was told that it was kept, and the file
ends there. Without this difference a loss of power could leave a gap in a session, and what is
behind the gap would have the sender told that the gap is stored, too.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from logd.outputs.disk import write_again

MAGIC = b"logd queue 1\n"
MARK = b"\xf5LQ1"
MAX_PAYLOAD_BYTES = 1 << 30

_HEAD = struct.Struct("<4sIII16sQQQdQ")
_CRC = struct.Struct("<I")
HEAD_BYTES = _HEAD.size + _CRC.size
_SEARCH_BYTES = 1 << 20


class Head(NamedTuple):
    """What stands before a payload, see the module."""

    length: int
    checksum: int
    records: int
    client: bytes
    first: int
    last: int
    synced: int
    at: float

    @property
    def is_end(self) -> bool:
        """Whether it closes the segment."""
        return not (self.length or self.records)


@dataclass(frozen=True)
class StoredBatch:
    """A whole entry.

    Attributes:
        start, end: where it stands in the file.
        head: what is known without decoding it.
        payload: the batch.
    """

    start: int
    end: int
    head: Head
    payload: bytes

    @property
    def records(self) -> int:
        """How many records it has."""
        return self.head.records


@dataclass(frozen=True)
class Damage:
    """A stretch of a file that is no entry.

    Attributes:
        start, end: where it stands in the file.
        records: how many records were in it; None if nothing tells.
    """

    start: int
    end: int
    records: int | None = None


def opening(output: str) -> bytes:
    """How a segment of this output begins."""
    return MAGIC + json.dumps({"output": output}).encode() + b"\n"


def pack_entry(
    payload: bytes, *, records: int, client: bytes, first: int, last: int, synced: int, at: float
) -> bytes:
    """An entry."""
    head = _HEAD.pack(
        *(MARK, len(payload), zlib.crc32(payload), records, client, first, last, synced, at, 0)
    )
    return b"".join((head, _CRC.pack(zlib.crc32(head)), payload))


def pack_end(synced: int, at: float) -> bytes:
    """The entry that closes a segment."""
    return pack_entry(b"", records=0, client=b"", first=0, last=0, synced=synced, at=at)


def unpack_head(data: bytes) -> Head | None:
    """The head at the beginning of `data`; None if there is none."""
    if len(data) < HEAD_BYTES or not data.startswith(MARK):
        return None
    if _CRC.unpack_from(data, _HEAD.size)[0] != zlib.crc32(data[: _HEAD.size]):
        return None
    _, length, checksum, records, client, first, last, synced, at, _ = _HEAD.unpack_from(data)
    if length > MAX_PAYLOAD_BYTES:
        return None
    return Head(length, checksum, records, client, first, last, synced, at)


def read_output(file: BinaryIO) -> str | None:
    """Whose segment it is; None if its beginning does not say."""
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        return None
    try:
        return str(json.loads(file.readline(1 << 16))["output"])
    except (ValueError, KeyError, TypeError):
        return None


def read_segment(
    file: BinaryIO, start: int = 0, stop: int | None = None
) -> Iterator[StoredBatch | Damage]:
    """All entries between two offsets, each checked, and what is damaged.

    Args:
        file: the segment.
        start: 0 for the beginning, or where an entry ended.
        stop: where to stop; the end of the file if None.

    Raises:
        OSError: the file can't be read.
    """
    size = file.seek(0, 2) if stop is None else stop
    place = start or _after_opening(file)
    while place < size:
        found = _read_one(file, place, size)
        yield found
        place = found.end


def _after_opening(file: BinaryIO) -> int:
    file.seek(0)
    if file.read(len(MAGIC)) == MAGIC and file.readline(1 << 16).endswith(b"\n"):
        return file.tell()
    return 0


def _read_one(file: BinaryIO, place: int, size: int) -> StoredBatch | Damage:
    file.seek(place)
    head = unpack_head(file.read(min(HEAD_BYTES, size - place)))
    if head is None:
        return Damage(place, _next_head(file, place + 1, size))
    end = place + HEAD_BYTES + head.length
    if end > size:
        return Damage(place, size, head.records)
    payload = file.read(head.length)
    if len(payload) < head.length or zlib.crc32(payload) != head.checksum:
        return Damage(place, end, head.records)
    return StoredBatch(place, end, head, payload)


def _next_head(file: BinaryIO, start: int, size: int) -> int:
    """Where the next whole head stands; `size` if nowhere."""
    place = start
    while place < size:
        file.seek(place)
        data = file.read(min(_SEARCH_BYTES + HEAD_BYTES, size - place))
        if not data:
            return size
        found = data.find(MARK)
        while found >= 0:
            if unpack_head(data[found : found + HEAD_BYTES]) is not None:
                return place + found
            found = data.find(MARK, found + 1)
        # A head may begin in the last bytes: they are looked at again with what follows.
        step = len(data) - HEAD_BYTES
        if step <= 0:
            return size
        place += step
    return size


# -- taking up what an earlier run left ------------------------------------------------------------


class TakenUp(NamedTuple):
    """What counts of a segment that an earlier run left.

    Attributes:
        parts: heads of its entries and what is damaged, in order.
        end: how much of the file counts; 0 if nothing does.
        is_foreign: it holds something, and nothing of it is ours.
        cut: records behind damage that were cut off, for nothing says that they were promised.
    """

    parts: Sequence[Head | Damage]
    end: int
    is_foreign: bool = False
    cut: int = 0


def open_segment(path: Path, *, writes: bool = False, folder: int | None = None) -> BinaryIO:
    """Open a segment; follows no link, waits for no pipe.

    Args:
        path: where it is.
        writes: whether it is to be written to.
        folder: a descriptor of its folder, which may have been moved.

    Raises:
        OSError: the system refused.
    """
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_RDWR if writes else os.O_RDONLY)
    descriptor = os.open(path if folder is None else path.name, flags, dir_fd=folder)
    return os.fdopen(descriptor, "rb+" if writes else "rb")


def take_up(path: Path, keep_copy: Callable[[Path], object]) -> TakenUp:
    """Read a segment that nobody writes to any more, and leave in it what counts; on disk then.

    Args:
        path: the segment.
        keep_copy: called before entries are cut off.

    Raises:
        OSError: the disk refused.
    """
    with open_segment(path, writes=True) as file:
        doubtful: list[_Slim | Damage] = []
        parts = list(trusted(file, doubtful))
        heads = [part if isinstance(part, Damage) else part.head for part in parts]
        if not _is_ended(heads):
            # What only the kernel holds may be told to senders as stored in a moment; written
            # once more, for the disk may have refused to sync it to an earlier start.
            write_again(file.fileno(), 0, file.seek(0, os.SEEK_END))
        os.fsync(file.fileno())
        cut = sum(part.head.records for part in doubtful if isinstance(part, _Slim))
        if not any(head.records or isinstance(head, Damage) for head in heads):
            return TakenUp((), 0, is_foreign=bool(doubtful) and read_output(file) is None)
        end = parts[-1].end
        if not _is_ended(heads):
            if cut:
                keep_copy(path)
            file.seek(end)
            file.truncate()
            file.write(pack_end(end, 0.0))
            file.flush()
            os.fsync(file.fileno())
            end += HEAD_BYTES
    return TakenUp(heads, end, cut=cut)


def _is_ended(heads: Sequence[Head | Damage]) -> bool:
    """Whether the last entry says that all of the segment is on disk."""
    return bool(heads) and isinstance(heads[-1], Head) and heads[-1].is_end


class _Slim(NamedTuple):
    """An entry without its payload."""

    start: int
    end: int
    head: Head


def trusted(file: BinaryIO, held: list[_Slim | Damage]) -> Iterator[_Slim | Damage]:
    """The parts of a segment that count, see the module; the others are left in `held`."""
    for part in read_segment(file):
        is_damage = isinstance(part, Damage)
        held.append(part if isinstance(part, Damage) else _Slim(part.start, part.end, part.head))
        vouched = 0 if is_damage else held[-1].head.synced  # type: ignore[union-attr]
        while held and (isinstance(held[0], _Slim) or held[0].start < vouched):
            yield held.pop(0)


def find_output(path: Path) -> str | None:
    """The name of the output whose segment a file is; None if it does not say."""
    try:
        with open_segment(path) as file:
            return read_output(file)
    except OSError:
        return None


def count_records(path: Path) -> int:
    """About how many records a segment has, by its heads alone; 0 if it can't be read."""
    count = 0
    try:
        with open_segment(path) as file:
            size = file.seek(0, os.SEEK_END)
            place = _after_opening(file)
            while place < size:
                file.seek(place)
                head = unpack_head(file.read(HEAD_BYTES))
                count += 0 if head is None else head.records
                end = place + HEAD_BYTES + (0 if head is None else head.length)
                place = end if head is not None else _next_head(file, place + 1, size)
    except OSError:
        return count
    return count
