"""Items of the context in which a record is logged: what was bound, the trace, the task.

`bind` gives items to all records that are logged within its block, in this thread or task, by
`Log` or by `logging`:

    with logd_client.bind(request_id="r-17"):
        logging.info("order paid")

If the application uses OpenTelemetry, records have `trace_id` and `span_id`; those of an asyncio
task have its name as `task`. Nothing is imported for that: only modules that are there already
are asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from logd_client.records import Items
from logd_client.values import as_text, flat_items

__all__ = ["PROBES", "bind", "bound_items", "context_items", "merged"]

_bound: ContextVar[Items] = ContextVar("logd_client.bound", default=())
_bound_here = _bound.get
bound_items: Callable[[], Items] = _bound_here
"""What is bound here, without anything else of the context."""

_modules = sys.modules


class bind:
    """A context manager: records logged within it have these items.

    An inner one adds to an outer one; the same key is the inner's. A task inherits what was bound
    where it was made. A thread begins with nothing: run its function in `copy_context()` of the
    module `contextvars` to hand items on.

    Args:
        items: keys and values; see `values.item_value` for what they become.
    """

    def __init__(self, **items: Any) -> None:
        self._items = flat_items(items)
        self._tokens: list[Token[Items]] = []

    def __enter__(self) -> None:
        self._tokens.append(_bound.set(merged(_bound.get(), self._items)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            _bound.reset(self._tokens.pop())
        except ValueError:
            # The block ends in another context than it began in, as in a generator that a
            # framework closes from elsewhere: nothing is bound there.
            pass


def merged(*parts: Items) -> Items:
    """Items one after the other, each key once: the last value counts."""
    filled = [part for part in parts if part]
    if len(filled) < 2:
        return filled[0] if filled else ()
    held: dict[Any, Any] = {}
    for part in filled:
        held.update(zip(part[::2], part[1::2]))
    return tuple([one for pair in held.items() for one in pair])


class _Probes:
    """What can be asked of modules that the application has imported.

    Attributes:
        loop: the running event loop of this thread, None without one.
        span: the current span of OpenTelemetry.
        plain_at: with how many modules there is nothing to ask, so that `bound_items` is all.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.plain_at = -1
        self.loop: Callable[[], Any] | None = None
        self.task: Callable[[Any], Any] = _nothing
        self.span: Callable[[], Any] | None = None

    def look(self) -> None:
        """See which modules there are."""
        self.seen = len(_modules)
        events, tasks = _modules.get("asyncio.events"), _modules.get("asyncio.tasks")
        loop = getattr(events, "_get_running_loop", None)
        task = getattr(tasks, "current_task", None)
        if loop is not None and task is not None:
            self.task, self.loop = task, loop
        self.span = getattr(_modules.get("opentelemetry.trace"), "get_current_span", None)
        self.plain_at = self.seen if self.loop is None and self.span is None else -1


def _nothing(loop: Any) -> None:
    return None


PROBES = _Probes()


def context_items() -> Items:
    """The items of the context; mostly none, and that is told quickly. Never raises."""
    if len(_modules) != PROBES.seen:
        PROBES.look()
    if PROBES.loop is not None and (loop := PROBES.loop()) is not None:
        return _with(_task_items(loop))
    return _with(()) if PROBES.span is not None else _bound_here()


def _with(items: Items) -> Items:
    if PROBES.span is not None:
        items += _span_items(PROBES.span)
    bound = _bound_here()
    return merged(items, bound) if bound else items


def _task_items(loop: Any) -> Items:
    try:
        task = PROBES.task(loop)
        return () if task is None else ("task", as_text(task.get_name()))
    except Exception:  # a loop or task of another library: the record matters more
        return ()


def _span_items(current_span: Callable[[], Any]) -> Items:
    try:
        span = current_span().get_span_context()
        if not span.trace_id:
            return ()
        return ("trace_id", f"{span.trace_id:032x}", "span_id", f"{span.span_id:016x}")
    except Exception:  # see `_task_items`
        return ()
