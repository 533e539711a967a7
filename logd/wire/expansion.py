"""Keeps what a session's batch expands to when it is written within bounds.

In a pickle, and in a batch's columns, one long text can be named by thousands of records for two
bytes each. That is what makes honest batches small, and it would let a frame of 1 MiB become
gigabytes of log. So the columns have room for a few characters per byte that a frame may have;
a batch beyond that is kept, with its longest texts cut, visibly: refusing it would only make its
client send it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from logd.records.batch import Context, Special
from logd.records.callpath import Path
from logd.wire import fields
from logd.wire.limits import (
    CONTEXTS_PER_FRAME_BYTE,
    EXPANSION,
    EXPANSION_CHARS,
    ITEMS_PER_FRAME_BYTE,
    MAX_SPECIAL_CHARS,
    MESSAGES_PER_FRAME_BYTE,
    cut,
)


class Room(NamedTuple):
    """Characters that a batch's columns may be written as."""

    contexts: int
    items: int
    messages: int

    @classmethod
    def of_frames(cls, max_frame_bytes: int) -> Room:
        """For the batches of frames that may be so long."""
        return cls(
            CONTEXTS_PER_FRAME_BYTE * max_frame_bytes,
            ITEMS_PER_FRAME_BYTE * max_frame_bytes,
            MESSAGES_PER_FRAME_BYTE * max_frame_bytes,
        )


def room_of(frame_bytes: int) -> int:
    """Characters that the special items of a frame of one record may have.

    One text may be named by many items: what a frame expands to is a multiple of its own length.
    """
    return min(MAX_SPECIAL_CHARS, EXPANSION * frame_bytes + EXPANSION_CHARS)


def fit_contexts(
    contexts: Sequence[Context], chars: Sequence[int], positions: Sequence[int], room: int
) -> Sequence[Context]:
    """The contexts, cut where all their records together would take more than `room` characters.

    Args:
        contexts: the contexts of a batch.
        chars: how many characters each takes when it is written.
        positions: for each record the position of its context.
        room: characters that all records' contexts may take.
    """
    count = len(positions)
    if max(chars) * count <= room or sum(map(chars.__getitem__, positions)) <= room:
        return contexts
    share = room // count
    # Once for each object: one may be listed many times.
    long = {
        id(context): context for context, size in zip(contexts, chars, strict=True) if size > share
    }
    # A path is often the same for many.
    paths = {id(context.path): context.path for context in long.values()}
    short_paths = {key: _shortened_path(path, share // 4) for key, path in paths.items()}
    short = {
        key: _shortened(context, share // 4, short_paths[id(context.path)])
        for key, context in long.items()
    }
    return [short.get(id(context), context) for context in contexts]


def _shortened(context: Context, name: int, path: Path) -> Context:
    """The context with another path and `name` characters of each of its names."""
    return Context(
        context.pid,
        context.tid,
        cut(context.threadname, name),
        cut(context.cat, name),
        path,
        context.tblen,
        cut(context.cfunc, name),
    )


def _shortened_path(path: Path, room: int) -> Path:
    kept: list[tuple[str | None, int | None]] = []
    for level in path:
        room -= len(level[0] or "") + fields.LEVEL_CHARS
        if room < 0:
            kept.append((f"[... {len(path) - len(kept)} more]", None))
            break
        kept.append(level)
    return tuple(kept)


def fit_messages(msgs: Sequence[str], room: int) -> Sequence[str]:
    """The messages, the longest of them cut where all together take more than `room`."""
    if sum(map(len, msgs)) <= room:
        return msgs
    share = room // len(msgs)
    return [cut(msg, share) for msg in msgs]


def shared_items(pairs: Sequence[object], room: int, rows: int) -> tuple[Special, int]:
    """The items that several records have, cut where all of them together take more than `room`.

    Args:
        pairs: key, value, key, value, ..., unchecked.
        room: characters that all items may take from here on.
        rows: how many records have them.

    Returns:
        The items, one object for all records, and the room that is left.

    Raises:
        WireError: a key that is no text.
    """
    share = max(0, room // rows)
    items, left = fields.bounded_items(zip(pairs[::2], pairs[1::2], strict=True), share)
    if left < -share:
        # A last item may come on top of a share, and of a small one it can be a multiple.
        items, left = fields.bounded_items(zip(pairs[::2], pairs[1::2], strict=True), 0)
        left = share
    return items, room - rows * (share - left)
