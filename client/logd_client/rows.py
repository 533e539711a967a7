"""Numbered rows: the list that waits for the sender; what no frame can take is made to fit."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Sequence

from logd_client.buffer import lost_row
from logd_client.encoding import encode_batches
from logd_client.records import AnyRow, EncodedBatch
from logd_client.values import fit_row

__all__ = ["UNFIT", "NumberedRows", "encode_fitting", "fitted"]

UNFIT = (ValueError, TypeError, OverflowError, AttributeError, pickle.PicklingError)
"""What encoding raises, rarely: a record over the size of a frame, or of types that came past
`Log`."""


class NumberedRows(list[AnyRow]):
    """Rows whose sequence numbers follow on each other.

    A list that continues another finds its first number by looking back, and that only after it
    took the other's place: a finalizer or a signal handler that logs in the midst of the exchange
    appends either to the old list, before it is counted, or to the new one.
    """

    __slots__ = ("_before", "_first")

    def __init__(self, before: NumberedRows | None = None) -> None:
        super().__init__()
        self._before = before
        self._first = 1

    @property
    def first(self) -> int:
        """Sequence number of the first row; if there is none yet, of the next."""
        before = self._before
        if before is not None:
            self._first = before.first + len(before)
            self._before = None
        return self._first


def encode_fitting(first: int, rows: Sequence[AnyRow]) -> list[EncodedBatch]:
    """The rows as entries from sequence number `first` on, made to fit if they must be."""
    try:
        return encode_batches(first, rows)
    except UNFIT:
        return encode_batches(first, [fitted(row) for row in rows])


def fitted(row: AnyRow) -> AnyRow:
    """A row that fits a frame, in the worst case one that tells of its loss."""
    try:
        return fit_row(row)
    except Exception as exc:  # whatever is in it must not take the others along
        text = f"1 record lost by pid {os.getpid()}: it can't be encoded ({type(exc).__name__})"
        return lost_row(1, os.getpid(), time.time(), text)
