"""A sink of loguru that logs to logd: what is bound or given as `extra` are items."""

from __future__ import annotations

import itertools
import traceback
from typing import Any

from logd_client.bound import merged
from logd_client.log import Log
from logd_client.logging23 import LEVELMAP, category
from logd_client.values import as_text, flat_items, make_context

__all__ = ["LoguruSink"]

_MAX_PLACES = 4096


class LoguruSink:
    """Give it to `logger.add`; the message is sent as it is, without the sink's format.

        logger.add(logd_client.LoguruSink(logd_client.createClientLog("loghost")))

    Args:
        log: its server takes the records.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._put = log.server.put
        self._ids = itertools.count(1)
        self._contexts: dict[Any, Any] = {}

    def __call__(self, message: Any) -> None:
        """Take a message of loguru, which is a text with the attribute `record`."""
        record = message.record
        items = dict(record["extra"])
        level = record["level"]
        if level.no not in LEVELMAP:
            items.setdefault("level", level.name)
        text = as_text(record["message"])
        if record["exception"] is not None:
            text = f"{text}\n{_exception(message)}"
        self._put(
            self._context(record),
            self._ids,
            record["time"].timestamp(),
            text,
            merged(
                self._log.common_items(), ("logger", as_text(record["name"])), flat_items(items)
            ),
        )

    def _context(self, record: Any) -> Any:
        """What records of one place have in common; with `enqueue` it is of another thread."""
        thread, process = record["thread"], record["process"]
        place = (
            process.id,
            thread.id,
            thread.name,
            record["level"].no,
            record["file"].path,
            record["line"],
            record["function"],
        )
        found = self._contexts.get(place)
        if found is None:
            if len(self._contexts) >= _MAX_PLACES:
                self._contexts.clear()
            pid, tid, threadname, level, path, line, function = place
            found = self._contexts[place] = make_context(
                pid, tid, threadname, category(level), ((path, line),), 0, function
            )
        return found


def _exception(message: Any) -> str:
    kind, value, trace = message.record["exception"]
    if trace is None:
        # With `enqueue` only loguru's own text, made before, has the traceback.
        _, begin, rest = message.rpartition("Traceback (most recent call last):")
        if begin:
            return as_text(begin + rest).rstrip()
    return "".join(traceback.format_exception(kind, value, trace)).rstrip()
