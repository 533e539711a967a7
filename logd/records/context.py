"""What records of one place in a program have in common, kept once for all of them."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from functools import cached_property
from typing import NamedTuple

from logd.records.callpath import Path

Special = Mapping[str, str | int]
"""Items that the application added to one record."""


class ContextItems(Mapping[int, Special]):
    """The special items of a batch's records, if those of one place share them.

    Callers that look at records use it as any other `Batch.special`, a mapping. A caller that
    works by columns takes the items of a context once, and spends nothing on the records. If each
    record has the name of its logger, that saves a tenth of all work.

    Args:
        shared: for each context of the batch the items of its records, empty for none.
        index: for each record the position of its context.
        own: record number -> items of records whose contexts share none.
    """

    def __init__(
        self, shared: Sequence[Special], index: Sequence[int], own: Mapping[int, Special]
    ) -> None:
        self.shared = shared
        self.own = own
        self._index = index

    @property
    def different(self) -> Sequence[Special]:
        """The items as they are kept: those that records share once only."""
        return [*self.shared, *self.own.values()]

    @cached_property
    def _rows(self) -> dict[int, Special]:
        rows = {row: self.shared[position] for row, position in enumerate(self._index)}
        rows.update(self.own)
        return {row: items for row, items in rows.items() if items}

    def __getitem__(self, row: int) -> Special:
        return self._rows[row]

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return any(self.shared) or bool(self.own)

    # What a mapping has by itself looks up key after key.

    def keys(self) -> KeysView[int]:
        return self._rows.keys()

    def values(self) -> ValuesView[Special]:
        return self._rows.values()

    def items(self) -> ItemsView[int, Special]:
        return self._rows.items()


class Context(NamedTuple):
    """What the records of one place in a program have in common.

    Attributes:
        pid: process id of the sender.
        tid: thread id of the sender, 0 if unknown.
        threadname: name of the sending thread.
        cat: category, e.g. "E" for errors; may be empty.
        path: the call path, see `Path`; empty if the stack was not read.
        tblen: depth of the whole stack at the log call, 0 if unknown.
        cfunc: name of the calling function; empty if unknown.
    """

    pid: int
    tid: int
    threadname: str
    cat: str
    path: Path
    tblen: int
    cfunc: str
