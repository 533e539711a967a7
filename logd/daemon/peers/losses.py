"""Losses that clients report: records they had to drop before the daemon ever saw them.

In the place of lost records a client of `logd_client` sends one that says how many they were, in
its special item `lost`. Here they are added up, for status and metrics. Counted by the pipeline's
thread; read by any.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from logd_client.buffer import CAT_INTERNALERROR

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.records.context import Context

THREADNAME = "logd_client"
"""What such a record has in the place of a thread's name, see `logd_client.buffer.lost_row`."""

ITEM = "lost"

_THREADNAME_OF = attrgetter("threadname")

MAX_LOST_IN_A_REPORT = 1 << 53
"""No client loses more; a larger number is somebody's joke."""


@dataclass(frozen=True)
class Report:
    """One client's word about records it lost.

    Attributes:
        time: when it was received, in seconds since the epoch.
        peer: the client's address, "" for this machine.
        pid: its process id.
        records: how many records it lost.
    """

    time: float
    peer: str
    pid: int
    records: int


class LossReports:
    """All reports since the start.

    Attributes:
        records: how many records clients say they lost.
        reports: how often one said so.
        last: the last report, None without one.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.records = 0
        self.reports = 0
        self.last: Report | None = None

    def look_at_each(self, batches: Sequence[Batch]) -> None:
        """Count the reports in batches of few contexts."""
        for batch in batches:
            for context in batch.contexts:
                if context.threadname == THREADNAME:
                    self.look_at(batch)
                    break

    def look_at(self, batch: Batch) -> None:
        """Count the reports in a batch; cheap if it has none."""
        # By columns: nearly no batch has one, and with SocketHandler each record has items.
        if not batch.special or THREADNAME not in map(_THREADNAME_OF, batch.contexts):
            return
        contexts = {
            position: context
            for position, context in enumerate(batch.contexts)
            if _is_of_client(context)
        }
        if not contexts:
            return
        for row, items in batch.special.items():
            context = contexts.get(batch.index[row])
            lost = items.get(ITEM)
            if context is not None and type(lost) is int and 0 < lost <= MAX_LOST_IN_A_REPORT:
                self.records += lost
                self.reports += 1
                self.last = Report(self._clock(), batch.peer, context.pid, lost)


def _is_of_client(context: Context) -> bool:
    return (
        context.cat == CAT_INTERNALERROR and context.threadname == THREADNAME and not context.path
    )
