"""The thread that makes durable what an output has written, while it writes the next.

A sync costs latency and next to no throughput that way, and one sync serves all that was written
by the time it starts (group commit).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from logd.outputs.backoff import Backoff
from logd.outputs.health import Trouble
from logd.outputs.line import Item, Line


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

    def notify(self) -> None:
        """Something was written; the lock is held."""
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
                items = self._line.take_to_sync()
            if not items or not self._backoff.persist(self._sync, self._trouble.failed):
                return
            self._trouble.worked()
            self._finish(items)
            with self._written:
                self._line.syncing = ()
