"""What happens to an error inside a log call, by the `errorHandler` argument of `Log`.

A logging failure should rarely be the end of the app, so an error can be printed or dropped
instead of raised. Any object with `handleException(e)` serves as well as those here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol, TextIO

__all__ = [
    "ErrorHandler",
    "SilentErrorHandler",
    "StderrErrorHandler",
    "StdoutErrorHandler",
    "create_error_handler",
]


class ErrorHandler(Protocol):
    """Takes the errors of log calls, from any thread."""

    def handleException(self, e: BaseException) -> None:
        """Deal with the error; what this raises goes to the app."""


def _print(e: BaseException, stream: TextIO | None) -> None:
    if stream is None:  # a process without a console
        return
    try:
        stream.write(f"logd: {type(e).__name__}: {e}\n")
        stream.flush()
    except (OSError, ValueError):
        # The stream is closed or broken: nowhere is left to say so.
        pass


class StderrErrorHandler:
    """Prints one line on what `sys.stderr` is at that time."""

    def handleException(self, e: BaseException) -> None:
        _print(e, sys.stderr)


class StdoutErrorHandler:
    """Prints one line on what `sys.stdout` is at that time."""

    def handleException(self, e: BaseException) -> None:
        _print(e, sys.stdout)


class SilentErrorHandler:
    """Drops the error. If a record failed, nothing tells that it is missing."""

    def handleException(self, e: BaseException) -> None:
        pass


_BY_NAME: dict[str, Callable[[], ErrorHandler]] = {
    "stderr": StderrErrorHandler,
    "stdout": StdoutErrorHandler,
    "silent": SilentErrorHandler,
}


def create_error_handler(choice: ErrorHandler | str | None) -> ErrorHandler | None:
    """The handler for an `errorHandler` argument; None if errors go to the app.

    Raises:
        TypeError: a string other than "stderr", "stdout", "silent" (in any case), or an object
            without `handleException`.
    """
    if choice is None:
        return None
    if isinstance(choice, str):
        if choice.lower() not in _BY_NAME:
            raise TypeError(
                f"errorHandler {choice!r}: expected None, an object with handleException(e), "
                'or one of "stderr", "stdout", "silent"'
            )
        return _BY_NAME[choice.lower()]()
    if not callable(getattr(choice, "handleException", None)):
        raise TypeError(f"errorHandler {choice!r} has no method handleException(e)")
    return choice
