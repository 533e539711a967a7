"""Decides which records are lone ones: few enough that each may be sent by the thread that logs it.

Sending costs a call some twenty microseconds, several times that if the processor has forgotten
the code meanwhile. A thread that takes the records of ten milliseconds costs less for each as soon
as there are some; to wake it for one costs more. So the threads that log may send a few records at
once, and `RATE` a second forever; beyond that the sender's thread takes over, until records are
few again.
"""

from __future__ import annotations

__all__ = ["RATE", "Pace"]

RATE = 300.0
"""Records a second: from there on a thread that is woken once for several costs less."""

BURST = 60.0
"""Records at once: what a program says when it starts or ends, or in one request."""


class Pace:
    """What may still be sent at once."""

    def __init__(self) -> None:
        self._left = BURST
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Whether one more is a lone one; `now` is the monotonic time."""
        left = self._left + (now - self._at) * RATE
        self._at = now
        if left < 1.0:
            self._left = left
            return False
        self._left = (left if left < BURST else BURST) - 1.0  # noqa: FURB136 - each call pays
        return True
