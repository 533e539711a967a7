"""What a record is on its way to the server: a row with its context, and a batch of such."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Union

__all__ = ["TIME_END", "AnyRow", "Context", "EncodedBatch", "Items", "Row"]

TIME_END = 253_402_300_800.0
"""Seconds since the epoch of the year 10000, which many programs can't hold."""

ContextFields = tuple[int, int, str, str, tuple[tuple[Optional[str], Optional[int]], ...], int, str]
"""(pid, tid, threadname, cat, path, tblen, cfunc)"""

Items = tuple[Union[str, int, float, None], ...]
"""Special items, flat: (key, value, key, value, ...); empty for none."""


class Context:
    """What the records of one place in a program have in common; the same object for all of them.

    Compared and hashed as an object, not by its fields: that is what lets `encode_batch` number
    the contexts of thousands of records in C.

    Attributes:
        fields: see `ContextFields`.
        json: the same as the row journal writes it, from when it first does.
        chars: about how many characters it is written as, from when somebody first asks.
        pickled: the same as a batch of one record has it, from when there first is one.
    """

    __slots__ = ("chars", "fields", "json", "pickled")

    chars: int

    json: bytes

    pickled: bytes

    def __init__(self, fields: ContextFields) -> None:
        self.fields = fields


class Row(NamedTuple):
    """One record as the client buffers it (plain tuples of the same shape do as well)."""

    context: Context
    msgid: int
    time: float
    msg: str
    items: Items


AnyRow = Union[Row, tuple[Context, int, float, str, Items]]


class EncodedBatch(NamedTuple):
    """One encoded batch that waits for its acknowledgement.

    Attributes:
        first: sequence number of its first record.
        records: how many records it has.
        size: length of the frame in bytes.
        frame: the frame, length included; None if a spool has the records.
    """

    first: int
    records: int
    size: int
    frame: Any

    @property
    def last(self) -> int:
        """Sequence number of its last record."""
        return self.first + self.records - 1

    @property
    def memory_bytes(self) -> int:
        """How many bytes of memory it takes; none if a spool has it."""
        return 0 if self.frame is None else self.size
