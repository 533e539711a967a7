"""Tells people that records are being dropped: at once, then once a minute with the count."""

from __future__ import annotations

from collections.abc import Callable

from logd_client.natives import monotonic

__all__ = ["LOSSES_AGAIN_S", "Losses"]

LOSSES_AGAIN_S = 60.0
"""How often it is told while it goes on."""


class Losses:
    """Watches a count of dropped records.

    Args:
        count: how many records were dropped so far.
        tell: takes how many were dropped since the last time.
    """

    def __init__(self, count: Callable[[], int], tell: Callable[[int], None]) -> None:
        self._count = count
        self._tell = tell
        self._told = 0
        self._tell_at = 0.0

    def look(self, *, is_end: bool = False) -> None:
        """Tell if it is time; at the end it always is."""
        lost = self._count()
        if lost == self._told:
            return
        now = monotonic()
        if is_end or now >= self._tell_at:
            self._tell_at = now + LOSSES_AGAIN_S
            self._tell(lost - self._told)
            self._told = lost
