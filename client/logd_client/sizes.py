"""How large a batch is: in bytes, in objects, and in characters as a server writes it.

The limits of the protocol (`session.py`) that need counting. A quick count may be too high, never
too low.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from logd_client.records import Context, Items

__all__ = [
    "BATCH_BYTES",
    "MAX_BATCH_OBJECTS",
    "MAX_FRAME_BYTES",
    "BatchColumns",
    "count_objects",
    "has_good_size",
    "has_short_items",
    "item_chars",
    "most_item_chars",
]

MAX_FRAME_BYTES = 1 << 20
"""Largest payload sent; the server's default limit."""

BATCH_BYTES = 256 * 1024
"""A batch aims at no more than this: small enough to be one read, large enough to be cheap."""

MAX_BATCH_OBJECTS = 50_000
"""Most texts and tuples that the pickle of a batch remembers; readers take 65,536 at most."""

MAX_CONTEXT_CHARS = 4 * MAX_FRAME_BYTES
RECORD_CONTEXT_CHARS = 4096
MAX_ITEM_CHARS = 2 * MAX_FRAME_BYTES
RECORD_ITEM_CHARS = 2048
"""Characters that the contexts, and the special items, of a batch's records may be written as: a
bound for all together, and one for each record. Records share what they have in common, so that a
short frame can be a long text. A server writes this much without cutting anything."""

ITEM_CHARS_PER_FRAME_BYTE = 15
"""Items that are not shared may have this much more: their text is in the frame."""

_LEVEL_CHARS = 8
_NUMBER_CHARS = 8
_ESCAPE_CHARS = 6
_CUT_CHARS = 32
_SHORTEST_CUT = 64


class BatchColumns(NamedTuple):
    """Rows turned by 90 degrees, and their different contexts in the order of appearance."""

    unique: dict[Context, None]
    contexts: Sequence[Context]
    msgids: Sequence[int]
    times: Sequence[float]
    msgs: Sequence[str]
    items: Sequence[Items]


def has_good_size(columns: BatchColumns) -> bool:
    """Whether the columns fit a frame in all probability, and what a server takes whole of one."""
    return (
        sum(map(len, columns.msgs)) <= BATCH_BYTES
        and count_objects(columns) <= MAX_BATCH_OBJECTS
        and _has_short_contexts(columns)
    )


def count_objects(columns: BatchColumns) -> int:
    """About how many texts and tuples a server makes of contexts and items."""
    objects = sum([len(context.fields[4]) + 6 for context in columns.unique])
    if any(columns.items):
        objects += sum(map(len, columns.items)) + len(columns.items)
    return objects


def _has_short_contexts(columns: BatchColumns) -> bool:
    """Whether a server writes the contexts of all rows without cutting any."""
    chars: dict[Context, int] = {}
    for context in columns.unique:
        try:
            chars[context] = context.chars
        except AttributeError:
            context.chars = chars[context] = _context_chars(context)
    count = len(columns.contexts)
    limit = min(MAX_CONTEXT_CHARS, RECORD_CONTEXT_CHARS * count)
    if max(chars.values()) * count <= limit:
        return True
    return sum(map(chars.__getitem__, columns.contexts)) <= limit


def _context_chars(context: Context) -> int:
    """At least as many characters as a server takes a context to be written as."""
    _, _, threadname, cat, path, _, cfunc = context.fields
    names = [name or "" for name, _ in path]
    texts = [threadname, cat, cfunc, *names]
    # A text that is cut says how much is missing.
    cuts = _CUT_CHARS * sum([len(text) > _SHORTEST_CUT for text in texts])
    short = _written_chars(threadname + cat + cfunc)
    return short + _written_chars("".join(names)) + _LEVEL_CHARS * len(path) + cuts


def has_short_items(chars: int, count: int, frame_bytes: int) -> bool:
    """Whether a server writes that many characters of items without cutting any."""
    own = ITEM_CHARS_PER_FRAME_BYTE * frame_bytes
    return chars <= min(MAX_ITEM_CHARS, RECORD_ITEM_CHARS * count + own)


def _written_chars(text: str) -> int:
    """At most as many characters as a server writes for a text."""
    return len(text) if text.isascii() and text.isprintable() else _ESCAPE_CHARS * len(text)


def most_item_chars(items: Iterable[Items]) -> int:
    """At least as many characters as a server takes items to be written as; quick."""
    parts = list(chain.from_iterable(items))
    chars = sum([len(part) for part in parts if type(part) is str])
    return _ESCAPE_CHARS * chars + _NUMBER_CHARS * len(parts)


def item_chars(items: Iterable[Items]) -> int:
    """The same, closely: three times as dear."""
    parts = list(chain.from_iterable(items))
    texts = [_written_chars(part) for part in parts if type(part) is str]
    return sum(texts) + _NUMBER_CHARS * len(parts)
