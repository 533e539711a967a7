"""What hostile frames are made of: parts of pickles, records with one field out of place."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Iterable
from typing import NamedTuple

MIB = 1 << 20
NOW = struct.pack(">d", 1.7e9)


class Hostile(NamedTuple):
    name: str
    payload: bytes
    is_refused: bool = True


def counted4(data: bytes) -> bytes:
    """Bytes with their length before them, as pickles have them."""
    return struct.pack("<I", len(data)) + data


def text(value: str | bytes) -> bytes:
    """BINUNICODE."""
    return b"X" + counted4(value.encode() if isinstance(value, str) else value)


# The opcodes of an 11-tuple up to the field that a row is about.
TO_MSG = b"(K\x01K\x02K\x03" + text("t") + b"G" + NOW
TO_PATH = TO_MSG + text("m") + text("E")
TO_SPECIAL = TO_PATH + b")K\x05" + text("f")
REST_AFTER_PATH = b"K\x05" + text("f") + b"}t."


def with_msg(code: bytes) -> bytes:
    """An 11-tuple whose msg is what the opcodes make."""
    return TO_MSG + code + text("E") + b")" + REST_AFTER_PATH


def with_path(code: bytes) -> bytes:
    """An 11-tuple whose path is what the opcodes make."""
    return TO_PATH + code + REST_AFTER_PATH


def with_special(code: bytes) -> bytes:
    """An 11-tuple whose special items is what the opcodes make."""
    return TO_SPECIAL + code + b"t."


def log_record(code: bytes) -> bytes:
    """A LogRecord dict with further items given as opcodes (key, value, ...)."""
    return b"}q\x00(" + text("msg") + text("m") + text("created") + b"G" + NOW + code + b"u."


def batch(
    *,
    first: object = 1,
    count: object = 1,
    contexts: object = ((1, 2, "t", "E", (), 0, "f"),),
    index: object = b"",
    msgids: object = 1,
    times: object = NOW,
    msgs: object = "m",
    specials: object = (),
) -> bytes:
    """A session's batch of one record, but for the columns given."""
    return pickle.dumps(("batch", first, count, contexts, index, msgids, times, msgs, specials), 4)


def blanks(count: int, **columns: object) -> bytes:
    """A session's batch of records without text, all of one time, but for the columns given."""
    return batch(count=count, **{"times": NOW * count, "msgs": "\0" * (count - 1)} | columns)


NAMES = (
    "msgid",
    "pid",
    "tid",
    "threadname",
    "ts",
    "msg",
    "cat",
    "path",
    "tblen",
    "cfunc",
    "special",
)
ROW = (1, 2, 3, "t", 1.7e9, "m", "E", (("a.py", 1),), 5, "f", {})


def row(**fields: object) -> tuple[object, ...]:
    """An 11-tuple, but for the fields given by name."""
    return tuple(fields.get(name, value) for name, value in zip(NAMES, ROW, strict=True))


def as_json(value: object) -> bytes:
    """A frame of JSON."""
    return json.dumps(value).encode()


def row_numbers(rows: Iterable[int]) -> bytes:
    """Row numbers of records that share items."""
    return b"".join(struct.pack(">H", row) for row in rows)


class Runs:
    """What any pickle could do to a careless reader."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("import os; os._exit(66)",))


class ShellCommand:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, ("kill -9 $PPID",))


def doubled(levels: int, opening: bytes, closing: bytes) -> bytes:
    """A pair of two times the pair before: 2**levels leaves to print or to hash."""
    code = text("x") + b"q\x00"
    for level in range(levels):
        get = b"h" + bytes([level])
        code += opening + get + get + closing + b"q" + bytes([level + 1])
    return code


def same_hash_keys(count: int) -> bytes:
    """Integers that are equal modulo 2**61 - 1, which is how CPython hashes them."""
    code = b""
    for n in range(1, count + 1):
        value = n * (2**61 - 1)
        data = value.to_bytes(10, "little")
        code += b"\x8a\x0a" + data + b"N"
    return b"}(" + code + b"u"


def many(parts: bytes, size: int = MIB - 200) -> bytes:
    """The same again and again, as often as fits a frame."""
    return parts * (size // len(parts))
