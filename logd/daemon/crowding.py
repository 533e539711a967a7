"""Tells people that sessions are forgotten before their day is over, at most once an hour."""

from __future__ import annotations

import time
from collections.abc import Callable

from logd.outputs.health import RETRYING, Tell

TELL_EVERY_S = 3600.0


class Crowding:
    """One place that remembers sessions up to a number.

    Args:
        place: what it is, for people.
        limit: how many it remembers.
        on_problem: takes what is to be told.
        clock: monotonic time, in seconds.
    """

    def __init__(
        self, place: str, limit: int, on_problem: Tell, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._place = place
        self._limit = limit
        self._on_problem = on_problem
        self._clock = clock
        self._told = 0
        self._silent_until = float("-inf")

    def look(self, pushed_out: int) -> None:
        """See whether more were forgotten; `pushed_out` is how many were in all."""
        now = self._clock()
        if pushed_out <= self._told or now < self._silent_until:
            return
        count, self._told = pushed_out - self._told, pushed_out
        self._silent_until = now + TELL_EVERY_S
        self._on_problem(
            RETRYING,
            f"{self._place}: {count} sessions were forgotten before they had said nothing for a "
            f"day, for there are more than {self._limit}: what one sends again now may be written "
            "twice; raise max_sessions",
        )
