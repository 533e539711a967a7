"""Tells people that records wait in memory for a server that is away: a kill would lose them.

Not at once: a server that is started anew is back within seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from logd_client.natives import monotonic

__all__ = ["Outage"]

_FIRST_S = 10.0
_AGAIN_S = 60.0


class Outage:
    """Watches how many records wait without a connection.

    Args:
        count: how many wait now; 0 if there is a connection.
        tell: takes that number: after ten seconds, then once a minute.
    """

    def __init__(self, count: Callable[[], int], tell: Callable[[int], None]) -> None:
        self._count = count
        self._tell = tell
        self._tell_at: float | None = None

    def look(self) -> None:
        """Tell if it is time."""
        count = self._count()
        if not count:
            self._tell_at = None
            return
        now = monotonic()
        if self._tell_at is None:
            self._tell_at = now + _FIRST_S
        elif now >= self._tell_at:
            self._tell_at = now + _AGAIN_S
            self._tell(count)
