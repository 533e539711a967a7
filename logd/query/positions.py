"""Places in a log, and their short texts (cursors) for command lines, files and addresses.

A position stays good through rotation, compression and restarts. It knows what it is a position
of, so that a ring that came round is noticed and never taken for the old one: a file by what it
begins with (its generation), a table by ids that no ring gives twice. Pure.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from logd.errors import LogdError
from logd.records.entry import Entry

GENERATION_BYTES = 256
"""A file is known by this many of its first bytes, or by its first line if that is shorter."""

MAX_CURSOR_CHARS = 8192


class CannotRead(LogdError):
    """A log can't be read; the text says which, why and what to do."""


class Gone(CannotRead):
    """What was at a position is no more: the ring came round, or a table was dropped."""


class WrongCursor(LogdError, ValueError):
    """A text is no cursor, or one of another log."""


@dataclass(frozen=True)
class FilePosition:
    """A place in a log of text files.

    Attributes:
        path: the file, without the suffix of compression.
        size: the bytes of it, uncompressed, before the place.
        generation: of the file, see `generation_of`; "" if it is not known.
    """

    path: str
    size: int
    generation: str = ""


@dataclass(frozen=True)
class TablePosition:
    """A place in a log of tables.

    Attributes:
        table: the table that is written to there.
        id: of the last record before the place.
    """

    table: str
    id: int


@dataclass(frozen=True)
class MergedPosition:
    """A place in several logs that are read as one.

    Attributes:
        positions: the place in each of them; None: before all there is.
        own: number of the log with the entry that it is a place before or behind, if there is one.
            The places in the others are behind what was found there, or before it; what was passed
            over between them and that entry is not looked at.
    """

    positions: tuple[FilePosition | TablePosition | None, ...]
    own: int | None = None


Position = FilePosition | TablePosition | MergedPosition


class Placed(NamedTuple):
    """An entry and where it is.

    Attributes:
        position: the place before it: what begins there begins with it, what ends there ends
            before it.
        behind: the place behind it.
        entry: the entry.
    """

    position: Position
    behind: Position
    entry: Entry


def own_place(found: Placed) -> tuple[int, Position | None]:
    """What tells an entry from all others of a log, however it was found.

    The number of its own log among those that are read as one, and its place there.
    """
    position = found.position
    if not isinstance(position, MergedPosition):
        return 0, position
    number = position.own or 0
    return number, position.positions[number]


def is_same_place(one: Position, other: Position) -> bool:
    """Whether the same entry begins at two places of one log, be its file called otherwise now."""
    match one, other:
        case FilePosition(_, size, generation), FilePosition(_, other_size, other_generation):
            is_same_file = generation == other_generation or not (generation and other_generation)
            return size == other_size and is_same_file
        case TablePosition(_, last_id), TablePosition(_, other_id):
            return last_id == other_id
    return one == other


def generation_of(start: bytes) -> str:
    """What tells a file from others that had or will have its name.

    Args:
        start: the first `GENERATION_BYTES` bytes, or all there are.

    Returns:
        A short text; "" if the file is too short to be known.
    """
    head, line_end, _ = start[:GENERATION_BYTES].partition(b"\n")
    if not line_end and len(head) < GENERATION_BYTES:
        return ""
    return blake2b(head, digest_size=8).hexdigest()


def encode_cursor(source: str, position: Position) -> str:
    """A position as a text without blanks or characters that addresses escape.

    Args:
        source: tells the log from others.
        position: a place in it.
    """
    text = json.dumps([source, _plain(position)], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(source: str, cursor: str) -> Position:
    """The position that was encoded.

    Raises:
        WrongCursor: the text is no cursor, or one of another log.
    """
    try:
        if len(cursor) > MAX_CURSOR_CHARS:
            raise ValueError
        data = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        of_source, plain = json.loads(data)
        position = _position(plain)
    except (ValueError, TypeError, RecursionError):
        raise WrongCursor(f"{cursor[:80]!r} is no cursor of logd") from None
    if of_source != source or position is None:
        raise WrongCursor("the cursor belongs to another log")
    return position


def _plain(position: Position | None) -> object:
    match position:
        case FilePosition(path, size, generation):
            return [path, size, generation]
        case TablePosition(table, last_id):
            return [table, last_id]
        case MergedPosition(positions, own):
            return [list(map(_plain, positions)), *([] if own is None else [own])]
    return None


def _position(plain: object) -> Position | None:
    match plain:
        case None:
            return None
        case [str(path), int(size), str(generation)] if size >= 0:
            return FilePosition(path, size, generation)
        case [str(table), int(last_id)]:
            return TablePosition(table, last_id)
        case [list(several), *rest]:
            places = [p for p in map(_position, several) if not isinstance(p, MergedPosition)]
            match rest:
                case []:
                    return MergedPosition(tuple(places))
                case [int(own)] if 0 <= own < len(places):
                    return MergedPosition(tuple(places), own)
    raise ValueError(plain)
