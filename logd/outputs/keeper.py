"""The thread that moves to disk what an output can't take now, so that nobody waits for it.

It works while the output's own thread is stuck in a call, too: what is in hand is kept as well.
If that is written after all, the output's marks tell, and what was kept is passed over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from logd.outputs.backoff import Backoff
from logd.outputs.base import OutputUnavailable
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.health import Trouble
from logd.outputs.line import Item, Line
from logd.outputs.queuestate import QueueFull
from logd.outputs.work import SESSION_NAME

if TYPE_CHECKING:
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
"""How often a full disk is tried again, if nothing was removed from the queue meanwhile."""


class Keeper:
    """Keeps what waits for one output.

    Args:
        queue: takes what is kept.
        line: what waits; `lock` guards it.
        is_needed: whether anything should go to disk now; called with the lock held.
        may_keep: whether a batch may be on disk; what may not stays in the line.
        finish: called with items that are on disk.
        trouble: a disk without room.

    Attributes:
        is_relief_wanted: all is to be kept once, for senders wait.
    """

    def __init__(
        self,
        queue: DiskQueue,
        line: Line,
        lock: threading.Lock,
        is_needed: Callable[[], bool],
        may_keep: Callable[[Batch], bool] | None,
        finish: Callable[[Sequence[Item]], None],
        backoff: Backoff,
        trouble: Trouble,
    ) -> None:
        self._queue = queue
        self._line = line
        self._needed = threading.Condition(lock)
        self._is_needed = is_needed
        self._may_keep = may_keep
        self._finish = finish
        self._backoff = backoff
        self._trouble = trouble
        self._is_ending = False
        self._has_room = False
        self.is_relief_wanted = False

    def notify(self) -> None:
        """Something may have to be kept; the lock is held."""
        self._needed.notify()

    def notify_room(self) -> None:
        """The queue got smaller; the lock is held."""
        self._has_room = True
        self._needed.notify()

    def end(self) -> None:
        """Keep nothing more."""
        with self._needed:
            self._is_ending = True
            self._needed.notify()

    def run(self) -> None:
        """Keep what should be kept, until `end`."""
        while True:
            with self._needed:
                while not (self._is_ending or self._is_needed()):
                    if self._has_room:
                        self._trouble.worked()
                    self._needed.wait(self._until_deadline())
                if self._is_ending:
                    return
                self._has_room = False
                items = self._line.unfinished()
            is_kept = self.keep(items, beyond_limit=self._backoff.is_ending)
            with self._needed:
                if is_kept:
                    self.is_relief_wanted = False
                elif not self._is_ending:
                    self._needed.wait_for(self._may_try_again, LOOK_AGAIN_S)

    def _may_try_again(self) -> bool:
        return self._is_ending or self._has_room or self._backoff.is_ending

    def _until_deadline(self) -> float | None:
        left_s = self._backoff.deadline - time.monotonic()
        return None if left_s == float("inf") else max(0.0, left_s) or None

    def keep(self, items: Sequence[Item], *, beyond_limit: bool) -> bool:
        """Append items to the queue; False if there is not room for all of them."""
        if self._may_keep is not None:
            return self._keep_some(items, self._may_keep, beyond_limit=beyond_limit)
        batches = [batch for item in items for batch in item.batches]
        try:
            self._queue.append(batches, beyond_limit=beyond_limit)
        except QueueFull as exc:
            self._trouble.failed(exc)
            self._finish(_first(items, exc.kept))
            return False
        self._trouble.worked()
        self._finish(items)
        return True

    def keep_rest(self, output: str) -> Exception | None:
        """Keep what is left at the end, beyond the limit if it must; returns what went wrong.

        Args:
            output: its name.
        """
        with self._needed:
            rest = self._line.unfinished()
        if self._may_keep is not None:
            return self._keep_own(output, rest, self._may_keep)
        if not rest or self.keep(rest, beyond_limit=True):
            return None
        with self._needed:
            records = sum(item.records for item in self._line.unfinished())
        reason = self._trouble.last_error[0] if self._trouble.last_error else "no room"
        problem = OutputUnavailable(
            f"output {output}: {records} records could be neither written "
            f"nor kept on disk: {reason}"
        )
        logger.error("%s", problem)
        return problem

    def _keep_own(
        self, output: str, rest: Sequence[Item], may_keep: Callable[[Batch], bool]
    ) -> Exception | None:
        """Keep what nobody else has; of the rest clients or a source have each record."""
        batches = [batch for item in rest for batch in item.batches]
        try:
            self._queue.append([batch for batch in batches if may_keep(batch)], beyond_limit=True)
        except (QueueFull, OSError) as exc:
            logger.error(
                "output %s: records of senders without acknowledgements are lost: %s", output, exc
            )
            return exc
        return None

    def _keep_some(
        self, items: Sequence[Item], may_keep: Callable[[Batch], bool], *, beyond_limit: bool
    ) -> bool:
        """Append what may be on disk; the rest of each item stays where it is."""
        kept = [batch for item in items for batch in item.batches if may_keep(batch)]
        try:
            self._queue.append(kept, beyond_limit=beyond_limit)
        except QueueFull as exc:
            # Some of it may be kept, and is again the next time: marks tell what is there twice.
            self._trouble.failed(exc)
            return False
        self._trouble.worked()
        on_disk = {id(batch) for batch in kept}
        for item in items:
            item.batches = [batch for batch in item.batches if id(batch) not in on_disk]
            item.records = sum(map(len, item.batches))
        self._finish([item for item in items if not item.batches])
        return True


def _first(items: Sequence[Item], batches: int) -> list[Item]:
    """The items whose batches are all among the first `batches`."""
    first = []
    for item in items:
        batches -= len(item.batches)
        if batches < 0:
            break
        first.append(item)
    return first


def is_own(batch: Batch) -> bool:
    """Whether a batch came by no client's session."""
    return batch.client is None or batch.client.startswith(SESSION_NAME)
