"""Tells a flood of bad frames from an honest sender's odd one."""

from __future__ import annotations

MAX_BAD_FRAMES = 20
"""Bad frames that a connection may send, beyond those that good ones make up for."""

GOOD_FOR_A_BAD = 10
"""This many good frames make up for a bad one: a sender with an odd record now and then stays."""


class BadFrames:
    """The bad frames of one connection; used by the pipeline's thread.

    Attributes:
        is_clean: there are none that good ones have not made up for.
    """

    __slots__ = ("_debt", "is_clean")

    def __init__(self) -> None:
        self._debt = 0.0
        self.is_clean = True

    def good(self, frames: int) -> None:
        """Count frames that were decoded."""
        if self._debt:
            self._debt = max(0.0, self._debt - frames / GOOD_FOR_A_BAD)
            self.is_clean = not self._debt

    def bad(self) -> bool:
        """Count a bad frame; True if that makes it a flood."""
        self._debt += 1.0
        self.is_clean = False
        return self._debt > MAX_BAD_FRAMES
