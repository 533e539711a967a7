"""The default layout for a few records: each by itself, in one go.

What `LineFormat` does by columns pays off from a dozen records on. At modest rates there are three
or four at a time, and what counts is how many calls it takes, with nothing of it in the processor's
cache. Both make the same text; what needs an escape is left to the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from logd.records.context import ContextItems
from logd.text.escaping import is_safe

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.records.context import Context
    from logd.text.escaping import ItemTexts

FEW = 16
"""Up to this many lines it is cheaper than by columns."""

_MAX_KNOWN = 4096

_Around = tuple["Context", str, str]
"""A context, and what stands before the message id and behind the time in each of its records."""


class FewLines:
    """See the module. Safe to share between threads; keeps texts of contexts for reuse.

    Args:
        make: makes what stands around the records of a context, as in `_Around`.
        digits: makes the digits of a time that stand behind the message.
        items: makes the texts of items.
    """

    __slots__ = ("_around", "_digits", "_items", "_make")

    def __init__(
        self,
        make: Callable[[Batch, Context], tuple[str, str]],
        digits: Callable[[float], str],
        items: ItemTexts,
    ) -> None:
        self._make = make
        self._digits = digits
        self._items = items
        # By identity: contexts that come again are mostly the same object, and to hash one takes
        # longer than all else about it. Each is held here, so that nothing else has its id.
        self._around: dict[int, _Around] = {}

    def forget(self) -> None:
        """From now on names of files look otherwise."""
        self._around = {}

    def encode(self, batch: Batch) -> bytes | None:
        """The entries as the bytes of a text file; None if they are to be made by columns."""
        stamps, messages = batch.ts, batch.msg
        if not stamps or "" in stamps or batch.peer:
            return None
        texts = " ".join((*stamps, *messages))
        if "\\" in texts or not is_safe(texts):
            return None
        contexts, special, shared = batch.contexts, batch.special, None
        if type(special) is ContextItems:
            shared, special = special.shared, special.own
        around, digits = self._around, self._digits
        parts: list[str] = []
        for row, position in enumerate(batch.index):
            context = contexts[position]
            known = around.get(id(context))
            if known is None or known[0] is not context:
                known = self._learn(batch, context)
            items = special.get(row) or (shared and shared[position])
            parts += (
                *(stamps[row], known[1], str(batch.msgid[row]), " ", messages[row]),
                *(digits(batch.time[row]), known[2], self._items.text(items) if items else ""),
                "\n",
            )
        return "".join(parts).encode("utf-8", "backslashreplace")

    def _learn(self, batch: Batch, context: Context) -> _Around:
        if len(self._around) >= _MAX_KNOWN:
            self._around = {}
        known = self._around[id(context)] = (context, *self._make(batch, context))
        return known
