"""A processor of structlog that logs to logd: the event is the message, all else are items."""

from __future__ import annotations

import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

from logd_client.log import Log
from logd_client.logging23 import LEVELMAP
from logd_client.values import as_text

__all__ = ["StructlogProcessor"]

_LEVELS = {
    "critical": 50,
    "fatal": 50,
    "exception": 40,
    "error": 40,
    "warn": 30,
    "warning": 30,
    "info": 20,
    "debug": 10,
}


class StructlogProcessor:
    """The last processor of a chain, or one before a renderer for the console.

        structlog.configure(processors=[
            structlog.contextvars.merge_contextvars,
            logd_client.StructlogProcessor(logd_client.createClientLog("loghost")),
        ])

    Args:
        log: takes the records.
        pass_on: True if other processors follow; else structlog does nothing more.
    """

    def __init__(self, log: Log, *, pass_on: bool = False) -> None:
        self._log = log
        self._pass_on = pass_on

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        items = dict(event_dict)
        text = as_text(items.pop("event", ""))
        level = items.pop("level", method_name)
        for part in (_exception(items.pop("exc_info", None)), *_texts(items)):
            if part:
                text = f"{text}\n{part}"
        # As structlog itself has it, a level of the application's own is no standard one.
        number = _LEVELS.get(level)
        if number is None:
            items["level"] = level
        cat = LEVELMAP.get(number, "") if number is not None else ""
        self._log(text, cat, items, _depth_outside_structlog())
        if not self._pass_on:
            raise sys.modules["structlog"].DropEvent
        return event_dict


def _texts(items: dict[str, Any]) -> list[str]:
    """What earlier processors made of an exception and a stack."""
    return [as_text(items.pop(key)) for key in ("exception", "stack") if key in items]


def _exception(info: Any) -> str:
    if not info:
        return ""
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    elif not isinstance(info, tuple):
        info = sys.exc_info()
    return "".join(traceback.format_exception(*info)).rstrip("\n") if info[0] else ""


def _depth_outside_structlog() -> int:
    """How far out of the processor the app's frame is, as a `traceDepth` of a call made there."""
    depth = 1
    frame = sys._getframe(1).f_back
    while frame is not None:
        depth += 1
        if frame.f_globals.get("__name__", "").split(".")[0] != "structlog":
            return depth
        frame = frame.f_back
    return depth
