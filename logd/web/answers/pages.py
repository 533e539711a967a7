"""Pages of the list, one record, and what is around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from logd.query.contexts import REQUEST_ITEMS, Scope, selection_of
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Gone, LogSource, Placed, Position
from logd.query.terms import Term
from logd.web.answers.shapes import row

Watch = Callable[[float], None]


def entries(
    source: LogSource,
    selection: Selection,
    *,
    before: str = "",
    after: str = "",
    around: str = "",
    is_first: bool = False,
    limit: int,
    watch: Watch,
) -> dict[str, Any]:
    """Records of the list, oldest first: the newest ones, or those by a cursor.

    Raises:
        Gone: the record of the cursor was overwritten.
        WrongCursor: it is none, or of another log.
    """
    if around:
        place = source.position(around)
        older = _older(source, selection, place, limit // 2, watch)
        newer = _newer(source, selection, place, limit - limit // 2, watch)
        found = [*older[1], *newer[1]]
        more_before, more_after = older[0], newer[0]
    elif after or is_first:
        start = _behind(source, after, watch) if after else None
        more_after, found = _newer(source, selection, start, limit, watch)
        more_before = bool(after)
    else:
        place_or_none = source.position(before) if before else None
        more_before, found = _older(source, selection, place_or_none, limit, watch)
        more_after = bool(before)
    return {
        "entries": [row(source, placed.position, placed.entry) for placed in found],
        "more_before": more_before,
        "more_after": more_after,
    }


def _older(
    source: LogSource, selection: Selection, end: Position | None, limit: int, watch: Watch
) -> tuple[bool, list[Placed]]:
    """Up to `limit` records before a place, oldest first; whether there are more."""
    found = _some(source.placed(selection, end=end, newest_first=True, watch=watch), limit)
    return len(found) > limit, found[:limit][::-1]


def _newer(
    source: LogSource, selection: Selection, start: Position | None, limit: int, watch: Watch
) -> tuple[bool, list[Placed]]:
    found = _some(source.placed(selection, start=start, watch=watch), limit)
    return len(found) > limit, found[:limit]


def _some(found: Iterator[Placed], limit: int) -> list[Placed]:
    return list(islice(found, limit + 1))


def one(source: LogSource, cursor: str, watch: Watch) -> Placed:
    """The record that a cursor is of.

    Raises:
        Gone: it was overwritten.
        WrongCursor: the cursor is none, or of another log.
    """
    place = source.position(cursor)
    found = next(iter(source.placed(EVERYTHING, start=place, watch=watch)), None)
    if found is None or source.cursor(found.position) != cursor:
        raise Gone("the record was overwritten, or removed, as the log went on")
    return found


def _behind(source: LogSource, cursor: str, watch: Watch) -> Position:
    """The place behind the record of a cursor."""
    return one(source, cursor, watch).behind


def context(
    source: LogSource,
    cursor: str,
    scope: Scope,
    number: int,
    only: tuple[Term, ...],
    watch: Watch,
) -> dict[str, Any]:
    """Records around one: its request's, its thread's, its process', or all.

    Args:
        source: the log.
        cursor: of the record in the middle.
        scope: what the records have in common with it.
        number: how many there are before it, and as many behind.
        only: further conditions, of the user's role.
        watch: told of progress.
    """
    middle = one(source, cursor, watch)
    note = ""
    if scope == "request" and not any(key in middle.entry.special for key in REQUEST_ITEMS):
        note = "The record has no item that names its request: this is its thread."
    near = selection_of(middle.entry, scope).also(only)
    _, older = _older(source, near, middle.position, number, watch)
    _, newer = _newer(source, near, middle.behind, number, watch)
    found = [*older, middle, *newer]
    return {"entries": [row(source, p.position, p.entry) for p in found], "note": note}
