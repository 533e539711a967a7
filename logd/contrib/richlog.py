"""Messages that carry more than a line: where the program is, what a dictionary holds."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logd_client import Log

__all__ = ["RichLog1"]

# An entry is for people to read; beyond this the entry says how much is left out.
_MAX_ITEMS = 1_000
_MAX_VALUE_CHARS = 1_000
_MAX_STACK_LINES = 200


class RichLog1:
    """Wraps a log. Calling it is calling the log; all else of the log is found on it too.

    Args:
        log: a `logd_client.Log`.
    """

    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(
        self,
        message: str,
        cat: str = "",
        special: Mapping[str, Any] | None = None,
        traceDepth: int = 1,
        **kwargs: Any,
    ) -> int | None:
        """Log a message as the wrapped log does."""
        return self._send(message, cat, special, traceDepth + 1, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def trace(
        self,
        message: str,
        use_ex: bool = False,
        *,
        cat: str = "",
        special: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Log a message with the stack of the call, innermost last, as one entry.

        Args:
            message: stands in the first line.
            use_ex: show the exception that is being handled, with its traceback, instead.
            cat: the category.
            special: see `Log`.

        Returns:
            The message id, as of `Log`.
        """
        if not use_ex:
            lines = traceback.format_stack(sys._getframe(1))
        elif sys.exception() is None:
            lines = ["(no exception is being handled)"]
        else:
            lines = traceback.format_exception(sys.exception())
        text = "".join(lines).rstrip("\n").split("\n")
        if len(text) > _MAX_STACK_LINES:
            left_out = len(text) - _MAX_STACK_LINES
            text = [f"({left_out} lines left out)", *text[left_out:]]
        return self._send("\n".join([message, *text]), cat, special, 2)

    def dict(
        self,
        d: Mapping[Any, Any],
        message: str,
        *,
        cat: str = "",
        special: Mapping[str, Any] | None = None,
    ) -> int | None:
        """Log a message and below it the items of a dictionary, a line each, as one entry.

        Values are shown as `repr` does, at most 1,000 characters each and 1,000 items; one whose
        `repr` fails is shown with the failure.

        Returns:
            The message id, as of `Log`.
        """
        lines = [
            f"{_shown(key)}: {_shown(value)}"
            for key, value in itertools.islice(d.items(), _MAX_ITEMS)
        ]
        if len(d) > _MAX_ITEMS:
            lines.append(f"({len(d) - _MAX_ITEMS:,} items left out)")
        return self._send("\n".join([message, *lines]), cat, special, 2)

    def _send(
        self,
        message: str,
        cat: str,
        special: Mapping[str, Any] | None,
        depth: int,
        **kwargs: Any,
    ) -> int | None:
        # One more for this method.
        return self._log(message, cat, special, depth + 1, **kwargs)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception as exc:
        # A broken object must not make the app's log call fail.
        text = f"<{type(value).__name__} whose repr failed: {type(exc).__name__}>"
    if len(text) > _MAX_VALUE_CHARS:
        text = (
            f"{text[:_MAX_VALUE_CHARS]}... ({len(text) - _MAX_VALUE_CHARS:,} characters left out)"
        )
    return text
