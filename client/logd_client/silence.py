"""How long a server may say nothing while something waits for its acknowledgement.

If it says nothing for longer, its machine may be gone, and the client connects again. If that did
not help, the time doubles, because servers of earlier versions send no keep-alives while their
database is away. It does not double if servers share their marks: all of those send keep-alives,
and the next one may be gone as well.
"""

from __future__ import annotations

from logd_client.roaming import Roaming

__all__ = ["Silence"]

MAX_SILENCE_S = 960.0


class Silence:
    """Used by the session's `Link`.

    Args:
        roaming: says how long it may be at first.

    Attributes:
        alive_at: when the server last said something, or had nothing to say (monotonic time).
    """

    def __init__(self, roaming: Roaming) -> None:
        self._roaming = roaming
        self._least_s = 0.0
        self.alive_at = 0.0

    @property
    def _limit_s(self) -> float:
        return max(self._least_s, self._roaming.silence_s)

    def left_s(self, now: float) -> float:
        """After how long it is over."""
        return max(0.0, self.alive_at + self._limit_s - now)

    def is_over(self, now: float) -> bool:
        """Whether to give up the connection; if so, the next may say nothing for twice as long."""
        if now - self.alive_at <= self._limit_s:
            return False
        if not self._roaming.has_shared_marks:
            self._least_s = min(self._limit_s * 2, MAX_SILENCE_S)
        return True

    def acknowledged(self, now: float) -> None:
        """The server works."""
        self.alive_at = now
        self._least_s = 0.0
