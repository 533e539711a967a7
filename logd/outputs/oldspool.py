"""What versions before the queue on disk kept for the next start: one file, read once more.

A magic line and then batches: length and CRC-32 of the payload, 4 bytes each, little endian, then
the payload as `batchbytes.py` makes it.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from logd.outputs.batchbytes import decode_batch
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.segment import open_segment
from logd.records.batch import Batch

logger = logging.getLogger(__name__)

_MAGIC = b"logd spool 1\n"
_FRAME = struct.Struct("<II")
# How a payload begins: an array of twelve.
_ARRAY = b"\x9c"


def move_spool(
    path: Path,
    queue: DiskQueue,
    renamed: Callable[[bytes], bytes],
    on_damage: Callable[[str], None],
) -> dict[bytes, int]:
    """Append what a spool holds to the queue, and remove it; one with damage is renamed.

    If this process dies in between it is done again: sequence numbers tell what is there twice.

    Args:
        path: the spool; mostly there is none.
        queue: opened.
        renamed: what a session is called now.
        on_damage: called with a line for people.

    Returns:
        The marks of what was moved.

    Raises:
        OSError: the disk refused; the spool stays.
    """
    if path.is_symlink() or not path.is_file():
        return {}
    batches, damaged = _read(path)
    marks: dict[bytes, int] = {}
    for batch in batches:
        if batch.client is not None:
            batch.client = renamed(batch.client)
            marks[batch.client] = batch.last
    queue.append(batches, beyond_limit=True)
    if damaged:
        aside = path.rename(path.with_name(f"damaged-{path.name}"))
        on_damage(
            f"{path}: {damaged} bytes are damaged and left out, "
            f"{sum(map(len, batches))} records are kept; the file is now {aside}"
        )
    else:
        path.unlink()
    return marks


def _read(path: Path) -> tuple[list[Batch], int]:
    """The batches of a spool, and how many bytes of it are none."""
    batches: list[Batch] = []
    with open_segment(path) as file:
        data = file.read()
    place = damaged = 0 if data.startswith(_MAGIC) else len(_MAGIC)
    place = place or len(_MAGIC)
    while place < len(data):
        batch, end = _entry_at(data, place)
        if batch is None:
            end = _next_entry(data, place + 1)
            damaged += end - place
        else:
            batches.append(batch)
        place = end
    return batches, damaged


def _next_entry(data: bytes, start: int) -> int:
    """Where the next whole entry begins; the end if there is none."""
    place = data.find(_ARRAY, start + _FRAME.size)
    while place >= 0:
        if _entry_at(data, place - _FRAME.size)[0] is not None:
            return place - _FRAME.size
        place = data.find(_ARRAY, place + 1)
    return len(data)


def _entry_at(data: bytes, place: int) -> tuple[Batch | None, int]:
    """The batch at `place` and where it ends; no batch if it is damaged."""
    if len(data) - place < _FRAME.size:
        return None, len(data)
    length, checksum = _FRAME.unpack_from(data, place)
    start = place + _FRAME.size
    payload = memoryview(data)[start : start + length]
    if len(payload) == length and zlib.crc32(payload) == checksum:
        with contextlib.suppress(ValueError, TypeError, msgspec.DecodeError):
            return decode_batch(bytes(payload), None), start + length
    return None, len(data)
