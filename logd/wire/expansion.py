"""Bounds what a session's batch becomes when it is written.

In a pickle, and in a batch's columns, one long text can be named by thousands of records for two
bytes each. That is what makes honest batches small, and it would let a frame of 1 MiB become
gigabytes of log. So the columns have room for a few characters for each byte of their frame,
counted as they will be written; a batch beyond that is kept, with its longest texts cut, visibly:
refusing it would only make its client send it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from logd.records.callpath import Path
from logd.records.context import Context, Special
from logd.wire import fields
from logd.wire.limits import (
    CHARS_OF_AN_ESCAPE,
    EXPANSION,
    EXPANSION_CHARS,
    MAX_BATCH_CONTEXT_CHARS,
    MAX_BATCH_ITEM_CHARS,
    MAX_SPECIAL_CHARS,
    MESSAGES_PER_FRAME_BYTE,
    RECORD_CONTEXT_CHARS,
    RECORD_ITEM_CHARS,
    cut,
    written_chars,
)

PathChars = Callable[[Path], int]

_CONTEXTS_SHARE = 5 / 8
"""Of the room of contexts and special items, if both need more than there is."""


class CharRoom:
    """Characters that a batch's columns may be written as.

    Contexts and items have some room of their own. What remains of the common room after the
    messages is for both.

    Args:
        frame_bytes: the length of its frame.
        count: how many records it has.

    Attributes:
        messages: characters that the messages may take.
        written: about how many characters were taken, in all.
    """

    __slots__ = ("_common", "_contexts", "_items", "messages", "written")

    def __init__(self, frame_bytes: int, count: int) -> None:
        self._common = EXPANSION * frame_bytes + EXPANSION_CHARS
        self._contexts = min(MAX_BATCH_CONTEXT_CHARS, RECORD_CONTEXT_CHARS * count)
        self._items = min(MAX_BATCH_ITEM_CHARS, RECORD_ITEM_CHARS * count)
        self.messages = MESSAGES_PER_FRAME_BYTE * frame_bytes + EXPANSION_CHARS
        self.written = 0

    def items(self, msgs: Sequence[str], contexts_chars: int) -> int:
        """How many characters the items may take, besides the messages and the contexts."""
        taken = sum(map(len, msgs))
        self.written = taken
        self._common -= taken
        beyond = max(0, contexts_chars - self._contexts)
        return self._items + self._common - min(beyond, int(self._common * _CONTEXTS_SHARE))

    def contexts(self, items_chars: int, contexts_chars: int) -> int:
        """How many characters the contexts may take besides the items.

        Args:
            items_chars: what the items take.
            contexts_chars: what the contexts would take.
        """
        room = self._contexts + self._common - max(0, items_chars - self._items)
        self.written += items_chars + min(room, contexts_chars)
        return room


def contexts_chars(chars: Sequence[int], positions: Sequence[int]) -> int:
    """How many characters the contexts of all records take, each of `chars` by its position."""
    return sum(map(chars.__getitem__, positions))


def room_of(frame_bytes: int) -> int:
    """Characters that the special items of a frame of one record may have.

    One text may be named by many items: what a frame expands to is a multiple of its own length.
    """
    return min(MAX_SPECIAL_CHARS, EXPANSION * frame_bytes + EXPANSION_CHARS)


def fit_contexts(
    contexts: Sequence[Context],
    chars: Sequence[int],
    positions: Sequence[int],
    room: int,
    path_chars: PathChars,
) -> Sequence[Context]:
    """The contexts, cut if all their records together would take more than `room` characters.

    Args:
        contexts: the contexts of a batch.
        chars: how many characters each takes when it is written.
        positions: for each record the position of its context.
        room: characters that all records' contexts may take.
        path_chars: how many characters a path takes when it is written.
    """
    count = len(positions)
    if max(chars) * count <= room or contexts_chars(chars, positions) <= room:
        return contexts
    share = room // count
    # Once for each object: one may be listed many times.
    long = {
        id(context): context for context, size in zip(contexts, chars, strict=True) if size > share
    }
    # A path is often the same for many.
    paths = {id(context.path): context.path for context in long.values()}
    short_paths = {
        key: _shortened_path(path, share // 4, path_chars) for key, path in paths.items()
    }
    short = {
        key: _shortened(context, share // 4, short_paths[id(context.path)])
        for key, context in long.items()
    }
    return [short.get(id(context), context) for context in contexts]


def _shortened(context: Context, name: int, path: Path) -> Context:
    """The context with another path and room for `name` characters in each of its names."""
    texts = (context.threadname, context.cat, context.cfunc)
    threadname, cat, cfunc = [cut(text, _fitting(text, name)) for text in texts]
    return Context(context.pid, context.tid, threadname, cat, path, context.tblen, cfunc)


def _shortened_path(path: Path, room: int, path_chars: PathChars) -> Path:
    kept: list[tuple[str | None, int | None]] = []
    for level in path:
        room -= path_chars((level,))
        if room < 0:
            kept.append((f"[... {len(path) - len(kept)} more]", None))
            break
        kept.append(level)
    return tuple(kept)


def fit_messages(msgs: Sequence[str], room: int) -> Sequence[str]:
    """The messages, the longest of them cut if all together take more than `room`."""
    if sum(map(len, msgs)) <= room:
        # No text is there more than once or twice, so that its escapes need no counting.
        return msgs
    share = room // len(msgs)
    return [cut(msg, _fitting(msg, share)) for msg in msgs]


def _fitting(text: str, room: int) -> int:
    """How many characters of a text have room when it is written."""
    return room if written_chars(text[:room]) <= room else room // CHARS_OF_AN_ESCAPE


def shared_items(pairs: Sequence[object], room: int, rows: int) -> tuple[Special, int]:
    """The items that several records have, cut if all of them together take more than `room`.

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
