"""The thread that makes durable what an output has written, while it writes the next.

A sync costs latency and next to no throughput that way, and one sync serves all that was written
by the time it starts (group commit). At modest rates syncs are what costs most of all, so few
records wait some milliseconds for the next ones.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from logd.outputs.backoff import Backoff
from logd.outputs.health import Trouble
from logd.outputs.line import Item, Line

SYNC_EVERY_S = 0.5
"""From one sync to the next if nobody is told that it happened: two of them cost as much as writing
ten records."""

ACK_EVERY_S = 0.01
"""The same if the ack of one session depends on it, whose caller may wait for it."""

ACKS_EVERY_S = 0.1
"""The same if the acks of several sessions depend on it: those are mostly programs that log and go
on. A client that waits for each ack without a pause is recognised (`Work.is_awaited`)."""

MANY_RECORDS = 256
"""This many are worth a sync at once: their senders are fast, and may wait for room."""


class Syncer:
    """Syncs one output.

    Args:
        sync: the output's.
        line: where written items wait; `lock` guards it.
        finish: called with items that are durable.
        trouble: syncs that fail; the output sees to it that the next one makes them good.
    """

    def __init__(
        self,
        sync: Callable[[], None],
        line: Line,
        lock: threading.Lock,
        finish: Callable[[Sequence[Item]], None],
        backoff: Backoff,
        trouble: Trouble,
    ) -> None:
        self._sync = sync
        self._line = line
        self._written = threading.Condition(lock)
        self._finish = finish
        self._backoff = backoff
        self._trouble = trouble
        self._is_ending = False
        # A write wakes the thread from a pause only if it makes it shorter.
        self._is_pausing = False
        self._pausing_until = 0.0
        self._begun_at = float("-inf")
        self._forget()

    def _forget(self) -> None:
        """Nothing waits for the next sync."""
        self._records = 0
        self._is_awaited = False
        self._sessions: set[bytes] = set()

    def notify(self, items: Sequence[Item]) -> None:
        """Items were written; the lock is held."""
        has_acks = False
        for item in items:
            self._records += item.records
            if item.work is None or item.work.is_awaited:
                self._is_awaited = True
            elif item.work.acks:
                has_acks = True
                self._sessions.update(item.work.acks)
        # Only these can make it earlier.
        is_urgent = has_acks or self._is_awaited or self._records >= MANY_RECORDS
        if not self._is_pausing or (is_urgent and self._due_at() < self._pausing_until):
            self._written.notify()

    def end(self) -> None:
        """Nothing more will be written."""
        with self._written:
            self._is_ending = True
            self._written.notify()

    def run(self) -> None:
        """Sync until `end`, or until time is over; what is not durable stays unfinished."""
        while True:
            with self._written:
                self._written.wait_for(lambda: self._line.written or self._is_ending)
                self._pause()
                items = self._line.take_to_sync()
                self._forget()
            self._begun_at = time.monotonic()
            if not items or not self._backoff.persist(self._sync, self._trouble.failed):
                return
            self._trouble.worked()
            self._finish(items)
            with self._written:
                self._line.syncing = ()

    def _pause(self) -> None:
        """Let the time between two syncs pass; the lock is held on entry and return."""
        self._is_pausing = True
        while (left_s := (due_at := self._due_at()) - time.monotonic()) > 0:
            self._pausing_until = due_at
            self._written.wait(left_s)
        self._is_pausing = False

    def _due_at(self) -> float:
        """When to sync what is written, by `time.monotonic`."""
        if self._presses():
            return self._begun_at
        if not self._sessions:
            return self._begun_at + SYNC_EVERY_S
        return self._begun_at + (ACK_EVERY_S if len(self._sessions) == 1 else ACKS_EVERY_S)

    def _presses(self) -> bool:
        return (
            self._is_awaited
            or self._records >= MANY_RECORDS
            or self._is_ending
            or self._backoff.is_ending
        )
