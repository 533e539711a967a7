"""How much a question may cost: an answer that is not whole says where to go on.

budget = Budget(bytes=64 << 20, seconds=0.5)
newest = list(source.placed(wanted, newest_first=True, budget=budget))
if budget.next is not None:
    older = source.placed(wanted, end=budget.next, newest_first=True, budget=Budget(...))
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from logd.query.positions import Position
from logd.records.entry import Entry

ENTRY_BYTES = 100
"""An entry that comes from no file counts as this much more than its message."""


class Cancelled(Exception):
    """Nobody wants the answer any more; raised and caught within the library."""


def _never() -> bool:
    return False


@dataclass
class Budget:
    """Bounds of one question; to be used once.

    At least one block of a file, or one row of a table, is looked at, so that a caller that
    goes on comes to an end.

    Attributes:
        bytes: of the log, uncompressed, that may be looked at; None: any number.
        seconds: that it may take; None: any number. Files look at the time after each block of a
            mebibyte, tables after each row that is found.
        cancelled: asked for each block and, within one, for some hundred entries; once it says
            yes, the answer ends.
        next: where the rest begins: the `end` of what is read newest first, else the `start`;
            None if the answer is whole.
        looked_at: bytes that were looked at.
    """

    bytes: int | None = None
    seconds: float | None = None
    cancelled: Callable[[], bool] = _never
    next: Position | None = None
    looked_at: int = 0
    _begun: float = field(default_factory=time.monotonic, repr=False)

    @property
    def is_spent(self) -> bool:
        """Whether it is time to stop."""
        return (
            (self.bytes is not None and self.looked_at >= self.bytes)
            or (self.seconds is not None and time.monotonic() - self._begun >= self.seconds)
            or self.cancelled()
        )

    def take(self, entry: Entry, edge: Position) -> bool:
        """Count an entry that was looked at; whether it was the last one.

        Args:
            entry: the entry.
            edge: where the rest begins behind it.
        """
        self.looked_at += len(entry.msg) + ENTRY_BYTES
        if self.is_spent:
            self.next = edge
            return True
        return False

    def check(self) -> None:
        """Stop if nobody wants more.

        Raises:
            Cancelled: so it is.
        """
        if self.cancelled():
            raise Cancelled
