"""Where records go that could not be delivered before the end: a file, or a handler of `logging`.

Lines of the file are what `logd replay FILE` sends: nothing but an operator's command is needed
to have the records in the log after all, under the times at which they were logged.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Union

from logd_client.logging23 import LEVELMAP
from logd_client.records import AnyRow

__all__ = ["Fallback", "keep"]

Fallback = Union[str, Path, logging.Handler]


def keep(rows: Iterable[AnyRow], fallback: Fallback, reason: str) -> int:
    """Give the rows to the fallback; returns how many.

    Raises:
        OSError: the file can't be written.
    """
    if isinstance(fallback, logging.Handler):
        return _handle(rows, fallback)
    lines = [json.dumps(_letter(row, reason)).encode("ascii") + b"\n" for row in rows]
    # Readable by nobody else, as logs may hold what nobody else should know.
    descriptor = os.open(fallback, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with open(descriptor, "ab") as file:  # noqa: PTH123 - of a descriptor
        file.writelines(lines)
    return len(lines)


def _letter(row: AnyRow, reason: str) -> dict[str, Any]:
    """A line; the record has the shape that `logd` gives its dead letters."""
    context, msgid, when, msg, items = row
    pid, tid, threadname, cat, path, tblen, cfunc = context.fields
    record = {
        "time": when,
        "ts": "",
        "cat": cat,
        "pid": pid,
        "peer": "",
        "msgid": msgid,
        "msg": msg,
        "threadname": threadname,
        "tid": tid,
        "cfunc": cfunc,
        "path": "<-".join(f"{_short_name(name)}({line})" for name, line in path if name),
        "special": dict(zip(items[::2], items[1::2])),
        "levels": path,
        "tblen": tblen,
    }
    return {"time": time.time(), "output": "client", "reason": reason, "record": record}


def _short_name(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _handle(rows: Iterable[AnyRow], handler: logging.Handler) -> int:
    levels = {cat: level for level, cat in LEVELMAP.items()}
    count = 0
    for context, _, when, msg, items in rows:
        pid, tid, threadname, cat, path, _, cfunc = context.fields
        pathname, lineno = path[0] if path else ("", 0)
        special: dict[Any, Any] = dict(zip(items[::2], items[1::2]))
        level = levels.get(cat, logging.INFO)
        attributes = {
            "name": special.pop("logger", "root"),
            "msg": msg,
            "levelno": level,
            "levelname": logging.getLevelName(level),
            "pathname": pathname or "",
            "filename": os.path.basename(pathname or ""),  # noqa: PTH119 - of any system
            "lineno": lineno or 0,
            "funcName": cfunc,
            "created": when,
            "msecs": int(when * 1e6) // 1000 % 1000,
            "process": pid,
            "thread": tid,
            "threadName": threadname,
        }
        handler.handle(logging.makeLogRecord({**special, **attributes}))
        count += 1
    handler.flush()
    return count
