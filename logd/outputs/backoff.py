"""Tries again, with growing pauses, until it works or a deadline is over."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from logd.outputs.base import OutputUnavailable, OutputUnusable

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 10.0
MOMENT_S = 2.0
"""Once there is a deadline, it ends this long after a failure: what fails now may fail long."""

FAILURES = (OutputUnavailable, OutputUnusable, OSError)
"""What may pass: a database that starts, a disk that is full, rights that somebody mends."""


class Backoff:
    """Repeats what fails. One for an output; all of its threads may use it at the same time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadline = math.inf

    def give_up_at(self, deadline: float) -> None:
        """Try nothing again from `deadline` (by `time.monotonic`) on; an earlier one stays."""
        with self._changed:
            self._deadline = min(deadline, self._deadline)
            self._changed.notify_all()

    @property
    def deadline(self) -> float:
        """When it is enough, by `time.monotonic`; infinite as long as nobody said so."""
        return self._deadline

    @property
    def is_ending(self) -> bool:
        """Whether there is a deadline."""
        return self._deadline < math.inf

    @property
    def is_over(self) -> bool:
        """Whether it is enough now."""
        return time.monotonic() >= self._deadline

    def persist(self, act: Callable[[], None], on_failure: Callable[[Exception], None]) -> bool:
        """Call `act` until it does not fail; False if it was enough before.

        Args:
            act: raises one of `FAILURES` if it is to be called again.
            on_failure: called with each of them, before the pause.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                act()
            except FAILURES as exc:
                on_failure(exc)
                if self.is_ending:
                    self.give_up_at(time.monotonic() + MOMENT_S)
            else:
                return True
            if not self._pause(pause_s):
                return False
            pause_s = FIRST_PAUSE_S if self.is_ending else min(pause_s * 2, MAX_PAUSE_S)

    def _pause(self, pause_s: float) -> bool:
        """Wait, but not longer once there is a deadline; False if it is enough."""
        until = time.monotonic() + pause_s
        with self._changed:
            deadline = self._deadline
            while (now := time.monotonic()) < min(until, deadline) and deadline == self._deadline:
                self._changed.wait(min(until, deadline) - now)
        return not self.is_over
