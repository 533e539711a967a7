"""What waits in memory for one output: works in the order they came, each at one step of its way.

    waiting -> in hand (being written) -> written (to be synced) -> syncing -> finished

A work is finished once it is durable for this output: written and synced, or kept on disk, which
may happen at any step; then its senders are told, and it makes room. What is kept on disk before
it was in hand leaves the line: it comes back from the disk.

Pure bookkeeping: the caller holds the worker's lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logd.outputs.work import Work
    from logd.records.batch import Batch

RECORDS_A_WRITE = 65_536
"""At most about this many records are given to an output in one call; more make it no faster."""


class Item:
    """Batches on their way.

    Attributes:
        batches: what is to be written.
        records: how many records they have.
        since: when they came, by `time.monotonic`.
        is_from_disk: they were read from the queue on disk, so that they need not be kept.
        is_finished: they are durable.
        work: what they came with; None if they came from disk.
        on_durable: to be called, outside the lock, once they are durable in the output.
    """

    __slots__ = ("batches", "is_finished", "is_from_disk", "on_durable", "records", "since", "work")

    def __init__(
        self, batches: Sequence[Batch], on_durable: Callable[[], None], work: Work | None = None
    ) -> None:
        self.batches = batches
        self.records = sum(map(len, batches))
        self.since = time.monotonic() if work is None else work.since
        self.work = work
        self.is_from_disk = work is None
        self.is_finished = False
        self.on_durable = on_durable

    @property
    def comes_again(self) -> bool:
        """Whether its batches come again from their source if they are dropped."""
        return self.work is not None and self.work.comes_again


class Line:
    """All items of one output that are in memory."""

    def __init__(self) -> None:
        self.waiting: deque[Item] = deque()
        self.in_hand: Sequence[Item] = ()
        self.written: deque[Item] = deque()
        self.syncing: Sequence[Item] = ()

    def take(self) -> Sequence[Item]:
        """Take in hand what waits, as much as an output gets in one call."""
        items: list[Item] = []
        records = 0
        while self.waiting and records < RECORDS_A_WRITE:
            item = self.waiting.popleft()
            records += item.records
            items.append(item)
        self.in_hand = items
        return items

    def put_down(self, *, to_be_synced: bool) -> Sequence[Item]:
        """What was in hand is written; returns it."""
        items, self.in_hand = self.in_hand, ()
        if to_be_synced:
            self.written.extend(items)
        return items

    def put_back(self) -> None:
        """What was in hand is not written, or not all of it: it is taken again."""
        self.waiting.extendleft(reversed(self.in_hand))
        self.in_hand = ()

    def take_to_sync(self) -> Sequence[Item]:
        """Take all that is written and not synced."""
        self.syncing = list(self.written)
        self.written.clear()
        return self.syncing

    def unfinished(self) -> list[Item]:
        """All from memory that is not durable yet, in order."""
        steps = (self.syncing, self.written, self.in_hand, self.waiting)
        return [
            item for step in steps for item in step if not (item.is_finished or item.is_from_disk)
        ]

    def finish(self, items: Iterable[Item]) -> list[Item]:
        """Note that items are durable; returns those that were not before."""
        fresh = [item for item in items if not item.is_finished]
        for item in fresh:
            item.is_finished = True
        while self.waiting and self.waiting[0].is_finished:
            self.waiting.popleft()
        return fresh

    def drop(self) -> None:
        """Let go of all that comes again; what is left is written next, in its order."""
        left = deque(item for item in self.unfinished() if not item.comes_again)
        self.waiting, self.in_hand, self.written, self.syncing = left, (), deque(), ()

    @property
    def unwritten(self) -> int:
        """How many records in memory the output has not got, and the disk neither."""
        items = (*self.in_hand, *self.waiting)
        return sum(item.records for item in items if not (item.is_finished or item.is_from_disk))

    @property
    def since(self) -> float | None:
        """When the oldest came that is not durable; None without any."""
        return next((item.since for item in self.unfinished()), None)
