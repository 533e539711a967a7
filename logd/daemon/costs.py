"""What records cost after they were decoded: the text that outputs make of them.

A frame is short if its records share what is long: the text of a context is written for each
record that has it, and so are special items. The sender of such frames is charged for the text
that they become, in the queue's budget and in its turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from logd.records.batch import Batch
from logd.records.context import Context, ContextItems
from logd.text.escaping import is_safe

WRITING_S_PER_RECORD = 2e-6
WRITING_S_PER_BYTE = 10e-9
"""About what it takes to format and write records, of any output: the slowest are slower."""

USUAL_BYTES = 200
"""Texts of contexts and items up to here are part of what any record costs."""

MAX_ESCAPE = 6
r"""A character may be written as `\u202e`."""


def writing_s(batch: Batch, size: int) -> float:
    """About how long it takes to write the records of a batch, `size` as of `text_bytes`."""
    return WRITING_S_PER_RECORD * len(batch) + WRITING_S_PER_BYTE * size


def text_bytes(batch: Batch) -> int:
    """About how many bytes the records of a batch will have as text."""
    size = _written(" ".join(batch.msg))
    size += _repeated(list(map(_context_bytes, batch.contexts)), batch.index)
    special = batch.special
    if not special:
        return size
    own: Iterable[Mapping[str, Any]] = special.values()
    if isinstance(special, ContextItems):
        size += _repeated(list(map(_items_bytes, special.shared)), batch.index)
        own = special.own.values()
    known: dict[int, int] = {}
    for items in own:
        # Records often share one object.
        each = known.get(id(items))
        if each is None:
            each = known[id(items)] = _items_bytes(items)
        size += each
    return size


def _written(text: str) -> int:
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8")) if is_safe(text) else MAX_ESCAPE * len(text)


def _repeated(sizes: Sequence[int], index: Sequence[int]) -> int:
    """The sum of the sizes that the records of a batch point to; 0 if all are usual."""
    if max(sizes, default=0) <= USUAL_BYTES:
        return 0
    return sum(map(sizes.__getitem__, index))


def _context_bytes(context: Context) -> int:
    names = [name or "" for name, _ in context.path]
    return 8 * len(names) + _written(" ".join([context.threadname, context.cfunc, *names]))


def _items_bytes(items: Mapping[str, Any]) -> int:
    texts = [value if type(value) is str else "" for value in items.values()]
    return 8 * len(texts) + _written(" ".join([*items, *texts]))
