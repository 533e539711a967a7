"""The records of `recorder.c`, and marks between them."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEAD = struct.Struct("<IcQQQQHH")


@dataclass(frozen=True)
class Operation:
    """What was done.

    Attributes:
        kind: C a file and D a folder `inode` is made as `name` in `folder`; L it is linked there;
            U `name` goes from `folder`; R `inode` is renamed from `name` in `folder` to `target`
            in `other`; W `data` is written at `offset`; T the file is cut at `offset`; A it gets
            another time of its last write; B and E a sync begins and ends, `offset` tells which,
            `error` is its errno; M a mark, see `name`.
        time: of the file's last write after it, or when it was; in ns since the epoch.
    """

    kind: str
    time: int
    folder: int = 0
    inode: int = 0
    other: int = 0
    offset: int = 0
    error: int = 0
    name: str = ""
    target: str = ""
    data: bytes = b""


def _operation(payload: bytes) -> Operation:
    _, kind, moment, a, b, c, name_length, target_length = _HEAD.unpack_from(payload)
    place = _HEAD.size
    name = payload[place : place + name_length].decode()
    place += name_length
    target = payload[place : place + target_length].decode()
    data = payload[place + target_length :]
    match kind.decode():
        case "W" | "T" | "A" as letter:
            return Operation(letter, moment, inode=a, offset=b, data=data)
        case "B" | "E" as letter:
            return Operation(letter, moment, inode=a, offset=b, error=c)
        case letter:
            return Operation(
                letter, moment, folder=a, inode=b, other=c, name=name, target=target, data=data
            )


def read_trace(path: Path) -> Iterator[Operation]:
    """All operations of a trace, in their order."""
    data = path.read_bytes()
    place = 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        yield _operation(data[place : place + 4 + length])
        place += 4 + length


class Marker:
    """Puts marks into the trace of the process it is in.

    Args:
        file: the trace, open for appending, unbuffered.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def __call__(self, text: str) -> None:
        name = text.encode()
        length = _HEAD.size - 4 + len(name)
        self._file.write(_HEAD.pack(length, b"M", time.time_ns(), 0, 0, 0, len(name), 0) + name)
