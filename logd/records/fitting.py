"""Makes anything that a filter or a caller leaves in a record fit its column.

A record is never lost for a wrong type: a value that fits nothing becomes a text, or nothing.
"""

from __future__ import annotations

from typing import Any

from logd.records.callpath import Path
from logd.records.context import Context, Special
from logd.records.job import MsgJob

_CONTEXT_TYPES = (int, int, str, str, tuple, int, str)
# The first second of the year 10000, which no calendar of the standard library knows.
_END_OF_TIME = 253_402_300_800


def context_of(job: MsgJob) -> Context:
    """The context of a record, whatever its fields are by now."""
    context = Context(job.pid, job.tid, job.threadname, job.cat, job.path, job.tblen, job.cfunc)
    return context if tuple(map(type, context)) == _CONTEXT_TYPES else _fitted(context)


def position_of(context: Context, positions: dict[Context, int]) -> int:
    """Where a context is among those of a batch; a new one gets the next place.

    Args:
        context: its path may be anything.
        positions: context -> its place; the new one is added.
    """
    try:
        known = positions.get(context)
    except TypeError:  # a list in the path
        known = None
    if known is not None:
        return known
    if not _is_path(context.path):
        context = _fitted(context)
    return positions.setdefault(context, len(positions))


def _is_path(path: Any) -> bool:
    return all(
        type(step) is tuple
        and len(step) == 2
        and isinstance(step[0], str | None)
        and isinstance(step[1], int | None)
        for step in path
    )


def _fitted(context: Context) -> Context:
    """A context of what some filter or caller left in a record."""
    pid, tid, threadname, cat, path, tblen, cfunc = context
    return Context(
        fitting_int(pid),
        fitting_int(tid),
        fitting_text(threadname),
        fitting_text(cat),
        _path(path),
        fitting_int(tblen),
        fitting_text(cfunc),
    )


def _path(value: Any) -> Path:
    try:
        return tuple(
            (
                None if name is None else fitting_text(name),
                None if line is None else fitting_int(line),
            )
            for name, line in value or ()
        )
    except (TypeError, ValueError):
        return ((fitting_text(value), None),)


def fitting_text(value: Any) -> str:
    """A text, whatever the value is."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else str(value)
    except Exception:  # a filter's own type; its record must not be lost for it
        return f"<{type(value).__name__} without a text>"


def fitting_int(value: Any) -> int:
    """A whole number; 0 if the value is not one."""
    try:
        return value if isinstance(value, int) else int(value)
    except (TypeError, ValueError, OverflowError):
        return 0


def fitting_time(value: Any) -> float:
    """Seconds since the epoch, year 1970 to 9999; 0 if the value is no such time."""
    fits = isinstance(value, (float, int)) and 0 <= value < _END_OF_TIME
    return float(value) if fits else 0.0


def fitting_items(items: Any) -> Special:
    """The items of a record; what is no mapping becomes one item."""
    try:
        pairs: dict[Any, Any] = dict(items)
    except (TypeError, ValueError):
        return {"special": fitting_text(items)}
    return {fitting_text(key): _item(value) for key, value in pairs.items()}


def _item(value: Any) -> Any:
    fits = value is None or isinstance(value, (str, int, float))
    return value if fits else fitting_text(value)
