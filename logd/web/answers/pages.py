"""Pages of the list, one record, and what is around it.

A search for what is rare takes long: a page is read for a while, and says where to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from logd.query.budget import Budget
from logd.query.contexts import REQUEST_ITEMS, Scope, selection_of
from logd.query.selection import Selection
from logd.query.source import Gone, LogSource, Placed, Position
from logd.query.terms import Term
from logd.web.answers.limits import ScanLimits
from logd.web.answers.shapes import row

CONTEXT_BYTES = 64 << 20
"""How much of the log is looked at before a record, and how much behind it."""

Watch = Callable[[float], None]


class _Some(NamedTuple):
    """Records one after the other, oldest first.

    Attributes:
        placed: the records.
        has_more: whether there are, or may be, more of them.
        next: where to go on if time was up; None if all was looked at, or enough was found.
    """

    placed: list[Placed]
    has_more: bool
    next: Position | None


def entries(
    source: LogSource,
    selection: Selection,
    *,
    before: str = "",
    after: str = "",
    place: str = "",
    around: str = "",
    is_first: bool = False,
    limit: int,
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """Records of the list, oldest first: the newest ones, or those by a cursor.

    A page without all that it could have is `partial`: more is found before, or behind, `next`,
    which goes on as `before`, or as `place`. `upto` is the end of the log that the page knows.

    Raises:
        Gone: the record of the cursor was overwritten.
        WrongCursor: it is not a cursor, or of another log.
    """
    end = source.end()

    def older(stop: Position | None, number: int) -> _Some:
        return _older(source, selection, stop, number, watch, limits.budget())

    def newer(start: Position | None, number: int) -> _Some:
        return _newer(source, selection, start, end, number, watch, limits.budget())

    rest: Position | None = None
    if around:
        middle = source.position(around)
        record = source.at(middle, watch)
        if record is not None:
            middle = source.places(record)[0]
        old, new = older(middle, limit // 2), newer(middle, limit - limit // 2)
        found = [*old.placed, *new.placed]
        more_before, more_after = old.has_more, new.has_more
    elif after or place or is_first:
        start = source.position(place) if place else None
        if after:
            start = one(source, after, watch).behind
        found, more_after, rest = newer(start, limit)
        more_before = start is not None
    else:
        found, more_before, rest = older(source.position(before) if before else end, limit)
        more_after = bool(before)
    return {
        "entries": [row(source, placed.position, placed.entry) for placed in found],
        "more_before": more_before,
        "more_after": more_after,
        "partial": rest is not None,
        "next": None if rest is None else source.cursor(rest),
        "upto": None if end is None else source.cursor(end),
    }


def _older(
    source: LogSource,
    selection: Selection,
    end: Position | None,
    limit: int,
    watch: Watch,
    budget: Budget,
) -> _Some:
    """Up to `limit` records before a place."""
    found = source.placed(selection, end=end, newest_first=True, watch=watch, budget=budget)
    newest_first = _taken(found, limit, budget)
    return newest_first._replace(placed=newest_first.placed[::-1])


def _newer(
    source: LogSource,
    selection: Selection,
    start: Position | None,
    end: Position | None,
    limit: int,
    watch: Watch,
    budget: Budget,
) -> _Some:
    """Up to `limit` records from a place on."""
    found = source.placed(selection, start=start, end=end, watch=watch, budget=budget)
    return _taken(found, limit, budget)


def _taken(found: Iterator[Placed], limit: int, budget: Budget) -> _Some:
    """The first `limit` of what is found, in its order."""
    some = list(islice(found, limit + 1))
    rest = budget.next if len(some) <= limit else None
    return _Some(some[:limit], len(some) > limit or rest is not None, rest)


def one(source: LogSource, cursor: str, watch: Watch) -> Placed:
    """The record that a cursor is of.

    Raises:
        Gone: it was overwritten.
        WrongCursor: the text is not a cursor, or of another log.
    """
    found = source.at(source.position(cursor), watch)
    if found is None:
        raise Gone("the record was overwritten, or removed, as the log went on")
    return found


def context(
    source: LogSource,
    middle: Placed,
    scope: Scope,
    number: int,
    only: tuple[Term, ...],
    request_items: Sequence[str],
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """Records around one: its request's, its thread's, its process', or all.

    Args:
        source: the log.
        middle: the record.
        scope: what the records have in common with it.
        number: how many there are before it, and as many behind.
        only: further conditions, of the user's role.
        request_items: items that name a request.
        limits: what looking in each direction may cost.
        watch: told of progress.
    """
    note = ""
    if scope == "request" and not any(key in middle.entry.special for key in request_items):
        note = "The record has no item that names its request: this is its thread."
    near = selection_of(middle.entry, scope, request_items).also(only)
    before, behind = source.places(middle)
    near_by = limits._replace(bytes=CONTEXT_BYTES)
    older = _older(source, near, before, number, watch, near_by.budget())
    newer = _newer(source, near, behind, None, number, watch, near_by.budget())
    found = [*older.placed, middle, *newer.placed]
    return {"entries": [row(source, p.position, p.entry) for p in found], "note": note}


def request_items(key: str) -> Sequence[str]:
    """The items that name a request: the one of the settings first."""
    return list(dict.fromkeys((key, *REQUEST_ITEMS)))
