"""Decides which records are lone ones: few enough that each may be sent by the thread that logs it.

Sending costs a call some twenty microseconds; handing it to the sender's thread costs more than
that if the thread has to be woken for it, and far less if it takes hundreds at a time. So a
thread may send a few records at once, and `RATE` a second for ever; beyond that the sender's thread
takes over, until records are few again.
"""

from __future__ import annotations

__all__ = ["Pace"]

RATE = 4000.0
"""Records a second: from there on a thread that is woken once for several costs less."""

BURST = 30.0
"""Records at once: what a program says when it ends, or in one request."""


class Pace:
    """What may still be sent at once."""

    def __init__(self) -> None:
        self._left = BURST
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Whether one more is a lone one; `now` is the monotonic time."""
        left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        if left < 1.0:
            self._left = left
            return False
        self._left = left - 1.0
        return True
