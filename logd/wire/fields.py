"""Checks the fields of one record: what decoders return is anything, a `Batch` holds only these.

None stands for "unknown" in what the documented senders send and is taken as such. Anything else
of a wrong type is an error that names the field.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import cast

from logd.records.callpath import Path, short_name
from logd.records.context import Context, Special
from logd.wire.errors import WireError
from logd.wire.limits import (
    MAX_CAT_CHARS,
    MAX_FILE_CHARS,
    MAX_INTEGER,
    MAX_KEY_CHARS,
    MAX_NAME_CHARS,
    MAX_PATH_CHARS,
    MAX_SPECIAL_CHARS,
    MAX_SPECIAL_ITEMS,
    MAX_TIME,
    MAX_VALUE_CHARS,
    MIN_INTEGER,
    cut,
    written_chars,
)
from logd.wire.pickles.made import Mapped
from logd.wire.shown import key_text, scalar
from logd.wire.texts import bytes_text

LEVEL_CHARS = 8
"""What a level of a call path is written with besides its file name: digits and separators."""

_NUMBER_CHARS = 8

_NO_SPECIAL: Special = {}


def text(value: object, limit: int, field: str) -> str:
    """A text field, at most `limit` characters and the text that tells of a cut."""
    if type(value) is str:
        return value if len(value) <= limit else cut(value, limit)
    if value is None:
        return ""
    if type(value) is bytes:
        return cut(bytes_text(value), limit)
    raise wrong_type(field, "text", value)


def message(value: object) -> str:
    """The message. Whatever is no container has a text; it is bounded by its frame."""
    if type(value) is str:
        return value
    if value is None or type(value) in (int, float, bool):
        return str(value)
    if type(value) is bytes:
        return bytes_text(value)
    raise wrong_type("msg", "text", value)


def integer(value: object, field: str) -> int:
    """An integer of 64 bit."""
    if type(value) is int:
        if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
        raise WireError(f"{field}: integer of {value.bit_length()} bit, at most 64 bit allowed")
    if value is None:
        return 0
    if type(value) is bool:
        return int(value)
    raise wrong_type(field, "an integer", value)


def time(value: object) -> float:
    """Seconds since the epoch, years 1970 to 9999."""
    if type(value) is int:
        if not 0 <= value < MAX_TIME:
            raise WireError("time: outside the years 1970 to 9999")
        return float(value)
    if type(value) is not float:
        raise wrong_type("time", "seconds since the epoch", value)
    # False for NaN, too.
    if 0.0 <= value < MAX_TIME:
        return value
    raise WireError(f"time: {value!r} seconds, outside the years 1970 to 9999")


def call_path(value: object) -> Path:
    """A call path: pairs of file name and line number; long ones end with a text about the rest."""
    if value is None:
        return ()
    if type(value) not in (tuple, list):
        raise wrong_type("path", "a list of pairs", value)
    items = cast("Sequence[object]", value)
    path: list[tuple[str | None, int | None]] = []
    room = MAX_PATH_CHARS
    for item in items:
        if type(item) not in (tuple, list) or len(cast("tuple[object, ...]", item)) != 2:
            raise wrong_type("path item", "a pair", item)
        name, line = cast("tuple[object, object]", item)
        if name is not None:
            name = text(name, MAX_FILE_CHARS, "file name")
            room -= len(name)
        room -= LEVEL_CHARS
        if room < 0:
            path.append((f"[... {len(items) - len(path)} more]", None))
            break
        path.append((name, None if line is None else integer(line, "line number")))
    return tuple(path)


def full_path_chars(path: Path) -> int:
    """About how many characters a path takes when it is written with the names of all folders."""
    return LEVEL_CHARS * len(path) + written_chars("".join([name or "" for name, _ in path]))


def path_chars(path: Path) -> int:
    """The same when it is written without folders, as is usual."""
    names = [short_name(name) if name else "" for name, _ in path]
    return LEVEL_CHARS * len(path) + written_chars("".join(names))


def context(
    pid: object,
    tid: object,
    threadname: object,
    cat: object,
    path: Path,
    tblen: object,
    cfunc: object,
) -> Context:
    """What the records of one place have in common; `path` is one that `call_path` returned."""
    # What honest senders send is looked at in one go: a third of the time of six calls.
    if (
        type(threadname) is str
        and type(cat) is str
        and type(cfunc) is str
        and type(pid) is int
        and type(tid) is int
        and type(tblen) is int
        and len(cat) <= MAX_CAT_CHARS
        and len(threadname) <= MAX_NAME_CHARS
        and len(cfunc) <= MAX_NAME_CHARS
        and MIN_INTEGER <= pid <= MAX_INTEGER
        and MIN_INTEGER <= tid <= MAX_INTEGER
        and MIN_INTEGER <= tblen <= MAX_INTEGER
    ):
        return Context(pid, tid, threadname, cat, path, tblen, cfunc)
    return Context(
        integer(pid, "pid"),
        integer(tid, "tid"),
        text(threadname, MAX_NAME_CHARS, "threadname"),
        text(cat, MAX_CAT_CHARS, "cat"),
        path,
        integer(tblen, "tblen"),
        text(cfunc, MAX_NAME_CHARS, "cfunc"),
    )


def special_items(value: object, room: int = MAX_SPECIAL_CHARS) -> Special:
    """The items of a record, from a dict; all of them together have about `room` characters."""
    return items_within(value, room)[0]


def items_within(value: object, room: int) -> tuple[Special, int]:
    """The same, and the room that is left."""
    if not value:
        return _NO_SPECIAL, room
    if type(value) is dict:
        return bounded_items(iter(value.items()), room)
    if type(value) is Mapped:
        pairs = value.pairs
        return bounded_items(zip(pairs[::2], pairs[1::2], strict=True), room)
    raise wrong_type("special", "a dict", value)


def bounded_items(pairs: Iterator[tuple[object, object]], room: int) -> tuple[Special, int]:
    """Check and cut items so that all together have about `room` characters at most.

    A key is looked at before it is hashed: hashing a deep tuple would end the process.

    Returns:
        The items, and the room that is left.
    """
    kept: dict[str, object] = {}
    for key, value in pairs:
        if room <= 0 or len(kept) >= MAX_SPECIAL_ITEMS:
            kept["..."] = f"[... {1 + sum(1 for _ in pairs)} more]"
            break
        if type(key) is not str:
            key = unused_key(key, kept)
        room -= len(key)
        kind = type(value)
        if kind is str and len(cast("str", value)) <= MAX_NAME_CHARS:
            room -= written_chars(cast("str", value))
        elif kind is int and MIN_INTEGER <= cast("int", value) <= MAX_INTEGER:
            room -= _NUMBER_CHARS
        else:
            value = scalar(value, max(0, min(room, MAX_VALUE_CHARS)))
            room -= written_chars(value) if type(value) is str else _NUMBER_CHARS
        kept[key if len(key) <= MAX_KEY_CHARS else cut(key, MAX_KEY_CHARS)] = value
    return cast("Special", kept), room


def unused_key(key: object, used: Container[str]) -> str:
    """Text for a key that is none, another one than those in use."""
    text = key_text(key, MAX_KEY_CHARS)
    while text in used:
        text += "_"
    return text


def wrong_type(field: str, expected: str, value: object) -> WireError:
    """The error for a field of a wrong type."""
    return WireError(f"{field}: {expected} expected, got {type(value).__name__}")
