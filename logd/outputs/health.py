"""How an output is: one answer for `logd status`, metrics and others that ask.

`OutputStatus` is what the output knows of itself; `Health` adds what its worker knows: whether it
fails, what waits for it in memory and on disk, and for how long. `Trouble` keeps track of one
thing that can fail, and tells people when that begins, lasts and ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from logd.outputs.base import OutputStatus
from logd.outputs.queuestate import QueueStatus

logger = logging.getLogger(__name__)

Tell = Callable[[str, str], None]
"""Takes a category and a line for the readers of the log."""

PROBLEM, RETRYING, WORKS = "E", "W", "I"
"""Categories of the daemon's own lines: something is wrong; it is tried again; it works again."""

REPORT_EVERY_S = 60.0
"""How often what goes on failing is mentioned again in the daemon's own log."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """A snapshot of an output and all that waits for it.

    Attributes:
        status: what the output says of itself.
        failing_since: since when it takes no records, in seconds since the epoch; None if it does.
        retries: how often it was tried since then.
        last_error: text and time of the last failure of any kind; None without one.
        waiting_records: how many records wait to be written, in memory and on disk.
        lag_s: how long the oldest record has waited that is not durable in the output.
        queue: what waits on disk.
        queue_full_since: since when the disk takes no more; None if it does.
    """

    status: OutputStatus
    failing_since: float | None
    retries: int
    last_error: tuple[str, float] | None
    waiting_records: int
    lag_s: float
    queue: QueueStatus
    queue_full_since: float | None


class Trouble:
    """One thing that can fail, from the first failure until it works again. For one thread.

    Args:
        begins, lasts, ends: what people are told: "output x " and this.
        on_problem: tells them when it begins and ends.
        clock: seconds since the epoch.

    Attributes:
        since: when it began; None while there is none.
        tries: failures since then.
        last_error: text and time of the last failure ever.
    """

    def __init__(
        self,
        begins: str,
        lasts: str,
        ends: str,
        on_problem: Tell,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._begins, self._lasts, self._ends = begins, lasts, ends
        self._on_problem = on_problem
        self._clock = clock
        self._reported_at = 0.0
        self.since: float | None = None
        self.tries = 0
        self.last_error: tuple[str, float] | None = None

    def failed(self, exc: Exception) -> None:
        """It failed, perhaps once more."""
        now = self._clock()
        self.tries += 1
        self.last_error = (str(exc), now)
        if self.since is None:
            self._reported_at = self.since = now
            self._on_problem(RETRYING, f"{self._begins}: {exc}")
        elif now - self._reported_at >= REPORT_EVERY_S:
            self._reported_at = now
            logger.warning(
                "%s after %.0f s and %d tries: %s",
                *(self._lasts, now - self.since, self.tries, exc),
            )

    def note(self, exc: Exception) -> None:
        """Something failed that is not tried again."""
        self.last_error = (str(exc), self._clock())

    def worked(self) -> None:
        """It works."""
        if self.since is not None:
            away_s = self._clock() - self.since
            self.since = None
            self.tries = 0
            self._on_problem(WORKS, f"{self._ends} after {away_s:.1f} s")


def troubles(
    output: str, on_problem: Tell, clock: Callable[[], float]
) -> tuple[Trouble, Trouble, Trouble]:
    """What may be wrong with an output: it takes no records, the disk has no room, a sync fails."""
    name = f"output {output}"
    return (
        Trouble(
            f"{name} is unavailable, retrying",
            f"{name} is still unavailable",
            f"{name} works again",
            on_problem,
            clock,
        ),
        Trouble(
            f"{name}: there is no room on disk for what waits, so senders have to wait",
            f"{name}: there is still no room on disk, and senders wait",
            f"{name}: there is room on disk again for what waits",
            on_problem,
            clock,
        ),
        Trouble(
            f"{name} can't sync, retrying",
            f"{name} still can't sync",
            f"{name} syncs again",
            on_problem,
            clock,
        ),
    )
