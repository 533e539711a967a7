"""When a link connects again: after a pause that grows, with jitter.

After a connection that brought something forward the next attempt comes at once; after that the
pause doubles up to some seconds, with jitter so that a thousand clients of one restarted server do
not come back in step. If the server refuses (version, token, certificate), the pause is a
minute, because only a person can help then.
"""

from __future__ import annotations

import random

from logd_client.natives import monotonic

__all__ = ["RETRY_MAX_S", "Backoff"]

RETRY_FIRST_S = 0.05
RETRY_MAX_S = 5.0
RETRY_REFUSED_S = 60.0
RECORD_TRIES_S = 0.1
"""This long after a failed attempt a record may make one of its own, in the middle of a pause: the
process may end before the pause does."""

_random = random.SystemRandom()
"""The app's own random numbers (`random.seed`) are none of our business."""


class Backoff:
    """The time of the next attempt, and how long the next pause is."""

    def __init__(self) -> None:
        self._at = self._record_at = 0.0
        self._pause_s = 0.0
        self._is_hopeless = False

    def pause(self) -> None:
        """An attempt has failed."""
        self._pause_s = min(max(self._pause_s * 2, RETRY_FIRST_S), RETRY_MAX_S)
        self._is_hopeless = False
        self._begin(self._pause_s, RECORD_TRIES_S)

    def pause_for_people(self) -> None:
        """The server refuses: nothing will change soon."""
        self._is_hopeless = True
        self._begin(RETRY_REFUSED_S, RETRY_REFUSED_S)

    def _begin(self, pause_s: float, record_s: float) -> None:
        jitter, now = _random.uniform(0.5, 1.0), monotonic()
        self._at = now + pause_s * jitter
        self._record_at = now + record_s * jitter

    def pause_as_planned(self, planned: tuple[float, float]) -> None:
        """An attempt before its time has failed: the pause is no longer for it.

        Args:
            planned: what `plan` was before.
        """
        if planned[0] > monotonic():
            self._at, self._pause_s = planned

    @property
    def plan(self) -> tuple[float, float]:
        """When the next attempt is due, and how long the pause before it was."""
        return self._at, self._pause_s

    def begin_anew(self) -> None:
        """There is progress: the next pause is a short one."""
        self._pause_s = 0.0

    def end_pause(self) -> None:
        """Let the next attempt come at once."""
        self._at = 0.0

    def end_within(self, now: float, limit_s: float) -> None:
        """Do not let the pause last longer than that from now: somebody waits."""
        if not self._is_hopeless:
            self._at = min(self._at, now + limit_s)

    def left_s(self, now: float) -> float:
        """How long the pause still is."""
        return max(0.0, self._at - now)

    @property
    def is_over(self) -> bool:
        """True if it is time for the next attempt."""
        return monotonic() >= self._at

    @property
    def is_over_for_records(self) -> bool:
        """True if a record may try."""
        return monotonic() >= min(self._at, self._record_at)
