"""The standard `logging` through a `Log`; `Log.logging23_handler()` makes the handler."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["LEVELMAP", "Logging23Handler", "seFilesExclude"]

LEVELMAP = {
    logging.CRITICAL: "C",
    logging.ERROR: "E",
    logging.WARNING: "W",
    logging.INFO: "I",
    logging.DEBUG: "D",
    logging.NOTSET: "",
}
"""Level to category, looked up at each record; change it as you like. A level that is not in it
has the category of the next lower one that is."""

_LOGGING_FOLDER = os.path.dirname(os.path.normcase(logging.__file__))  # noqa: PTH120


def seFilesExclude(filename: str) -> bool:
    """True for files of the `logging` package: as the argument of the same name it hides them."""
    return os.path.normcase(filename).startswith(_LOGGING_FOLDER + os.sep)


def category(levelno: object) -> str:
    """The category of a level by `LEVELMAP`."""
    if not isinstance(levelno, int):  # `logging.makeLogRecord` makes such records
        return ""
    found = LEVELMAP.get(levelno)
    if found is not None:
        return found
    lower = [level for level in LEVELMAP if level <= levelno]
    return LEVELMAP[max(lower)] if lower else ""


class Logging23Handler(logging.Handler):
    """Sends `logging` records through a `Log`, as a log call at the place of the logging call.

    Exception texts and stacks follow the message. The call path begins where the app called
    `logging`: frames of that package in between are left out.
    """

    def __init__(self, log: Callable[..., Any]) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Through the base class's formatter: it appends exc_info and stack_info.
            text = self.format(record)
            self._log(text, category(record.levelno), traceDepth=_depth_outside_logging())
        except Exception:  # as every handler: logging decides what to do
            self.handleError(record)

    def flush(self) -> None:
        """Do nothing: records are on their way; `Log.flush` waits for them."""


def _depth_outside_logging() -> int:
    """How far out of `emit` the app's frame is, as a `traceDepth` of a call made there."""
    depth = 1
    frame = sys._getframe(1).f_back
    while frame is not None:
        depth += 1
        if not seFilesExclude(frame.f_code.co_filename):
            return depth
        frame = frame.f_back
    return depth
