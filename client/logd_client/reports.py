"""Tells people: the error handler, the same text once a minute at most; `on_loss` of losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from logd_client.errorhandlers import ErrorHandler, StderrErrorHandler
from logd_client.natives import RLock, monotonic
from logd_client.problems import RecordsLost

__all__ = ["Reports"]

_AGAIN_S = 60.0
_MAX_KNOWN = 100


class Reports:
    """Called from any thread; never raises.

    Args:
        handler: takes problems.
        on_loss: takes losses in place of the handler; None for the handler.
    """

    # See `Sender`.
    __slots__ = ("_handler", "_lock", "_on_loss", "_reported")

    def __init__(
        self, handler: ErrorHandler, on_loss: Callable[[RecordsLost], object] | None
    ) -> None:
        self._handler = handler
        self._on_loss = on_loss
        self._reported: dict[str, float] = {}
        self._lock: Any = RLock()

    def tell(self, problem: BaseException) -> None:
        """Let it be known."""
        try:
            if self._on_loss is not None and isinstance(problem, RecordsLost):
                self._on_loss(problem)
            elif self._is_new(str(problem)):
                self._handler.handleException(problem)
        except Exception as exc:  # a user's function must not end the sender
            StderrErrorHandler().handleException(exc)

    def _is_new(self, text: str) -> bool:
        now = monotonic()
        with self._lock:
            if now - self._reported.get(text, -_AGAIN_S) < _AGAIN_S:
                return False
            if len(self._reported) > _MAX_KNOWN:
                self._reported.clear()
            self._reported[text] = now
            return True

    def after_fork(self) -> None:
        """In a child process: a thread that is not there may hold the lock."""
        self._lock = RLock()
