"""What people should hear of: given to error handlers, and what is lost to `on_loss`."""

from __future__ import annotations

__all__ = ["RecordsLost", "SessionProblem"]


class SessionProblem(Exception):
    """What keeps records from being delivered, in words for people."""


class RecordsLost(SessionProblem):
    """Records that will never be delivered; the text says whose and why.

    Attributes:
        count: how many they are.
    """

    def __init__(self, text: str, count: int) -> None:
        super().__init__(text)
        self.count = count
