"""What is around an entry that was found: the entries next to it, or those of its request.

Entries that belong together have something in common: the item that names the request, the thread,
or the process they come from. They are looked for near the entry, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, NamedTuple

from logd.query.fields import NO_LABEL, field_of_item
from logd.query.positions import Placed
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import LogSource
from logd.query.terms import Term
from logd.records.entry import Entry
from logd.text.items import item_text

Scope = Literal["all", "request", "thread", "process"]
SCOPES: tuple[Scope, ...] = ("all", "request", "thread", "process")

REQUEST_ITEMS = ("request", "request_id", "trace_id", "traceId", "correlation_id")
"""Items that name a request; the first that an entry has counts."""

MAX_AWAY_S = 600.0
"""Entries of a request, thread or process are looked for so far before and behind."""

MAX_READ = 200_000
"""At most this many entries are looked at in each direction."""


class Around(NamedTuple):
    """One entry of an answer.

    Attributes:
        placed: the entry.
        is_match: whether it was found; else it is context.
        has_gap: whether entries were left out before it.
    """

    placed: Placed
    is_match: bool
    has_gap: bool


@dataclass(frozen=True)
class Surroundings:
    """How much is wanted around each entry.

    Attributes:
        before: entries before it.
        after: entries behind it.
        scope: what they have to have in common with it.
    """

    before: int
    after: int
    scope: Scope = "all"


def with_context(
    source: LogSource, found: Iterator[Placed], context: Surroundings
) -> Iterator[Around]:
    """Entries with what is around them, nothing twice, in the order of the log.

    Args:
        source: where they were found.
        found: what was found, in the order of the log.
        context: how much is wanted.
    """
    last: Placed | None = None
    waiting = next(found, None)
    while waiting is not None:
        match = waiting
        waiting = next(found, None)
        selection = selection_of(match.entry, context.scope)
        before = _before(source, selection, match, context, last)
        is_next = last is not None and (before or [match])[0].position == last.behind
        has_gap = last is not None and not is_next
        for one in before:
            yield Around(one, False, has_gap)
            has_gap = False
        yield Around(match, True, has_gap)
        last = match
        stop = None if waiting is None else waiting.position
        for one in _near(
            source.placed(selection, start=match.behind), match.entry, context.after, context.scope
        ):
            if one.position == stop:
                break
            yield Around(one, False, False)
            last = one


def _before(
    source: LogSource,
    selection: Selection,
    match: Placed,
    context: Surroundings,
    last: Placed | None,
) -> Sequence[Placed]:
    """The entries before a match that were not shown yet, oldest first."""
    if not context.before:
        return []
    start = None if last is None else last.behind
    older = source.placed(selection, start=start, end=match.position, newest_first=True)
    return _near(older, match.entry, context.before, context.scope)[::-1]


def _near(entries: Iterator[Placed], match: Entry, number: int, scope: Scope) -> list[Placed]:
    if not number:
        return []
    near: list[Placed] = []
    is_near = _is_near(match, scope)
    for one in islice(entries, MAX_READ):
        if not is_near(one.entry):
            break
        near.append(one)
        if len(near) == number:
            break
    return near


def _is_near(match: Entry, scope: Scope) -> Callable[[Entry], bool]:
    if scope == "all" or match.time is None:
        return lambda entry: True
    moment = match.time
    return lambda entry: entry.time is None or abs(entry.time - moment) <= MAX_AWAY_S


def selection_of(
    entry: Entry, scope: Scope, request_items: Sequence[str] = REQUEST_ITEMS
) -> Selection:
    """The entries that belong to an entry. Without an item of a request that is its thread."""
    if scope == "all":
        return EVERYTHING
    process = Term("pid", "=", f"{entry.pid}@{entry.peer or NO_LABEL}")
    near = EVERYTHING
    if entry.time is not None:
        near = Selection(since=entry.time - MAX_AWAY_S, until=entry.time + MAX_AWAY_S)
    if scope == "request":
        for key in request_items:
            if key in entry.special:
                value = item_text(entry.special[key])
                return near.also([Term(field_of_item(key), "=", value)])
    if scope == "process":
        return near.also([process])
    thread = Term("thread", "=", entry.threadname or NO_LABEL)
    return near.also([process, thread])
