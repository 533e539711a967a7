"""What is around an entry that was found: the entries next to it, or those of its request.

Entries that belong together have something in common: the item that names the request, the thread,
or the process they come from. They are looked for near the entry, in both directions, and stand
together in the answer: what others logged meanwhile is left out, or stands with its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from logd.query.budget import Budget
from logd.query.fields import NO_LABEL, field_of_item
from logd.query.positions import Placed, Position, own_place
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

MAX_READ_BYTES = 64 << 20
"""At most about this much of the log is looked at in each direction."""

MAX_REMEMBERED = 100_000
"""How many of the entries that were shown are known. Of more, one may be shown again as context."""


class Around(NamedTuple):
    """One entry of an answer.

    Attributes:
        placed: the entry: one that was found, or context.
        has_gap: whether entries were left out before it.
    """

    placed: Placed
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
    """Entries with what is around them, nothing twice.

    They come in the order of the log if everything around them is wanted; else what belongs to an
    entry comes with it.

    Args:
        source: where they were found.
        found: what was found, in the order of the log.
        context: how much is wanted.
    """
    return (_next_to if context.scope == "all" else _together_with)(source, found, context)


def _next_to(source: LogSource, found: Iterator[Placed], context: Surroundings) -> Iterator[Around]:
    looks = _Looks(source)
    last: Placed | None = None
    waiting = next(found, None)
    while waiting is not None:
        match = waiting
        waiting = next(found, None)
        start = None if last is None else source.places(last)[1]
        # One more tells whether something is left out.
        before = looks.before(EVERYTHING, match, replace(context, before=context.before + 1), start)
        has_gap = last is not None and len(before) > context.before
        for one in before[-context.before :] if context.before else ():
            yield Around(one, has_gap)
            has_gap = False
        yield Around(match, has_gap)
        last = match
        stop = None if waiting is None else own_place(waiting)
        for one in looks.behind(EVERYTHING, match, context):
            if own_place(one) == stop:
                break
            yield Around(one, False)
            last = one


def _together_with(
    source: LogSource, found: Iterator[Placed], context: Surroundings
) -> Iterator[Around]:
    looks, shown = _Looks(source), _Shown()
    last_terms: Sequence[Term] | None = None
    for match in found:
        selection = selection_of(match.entry, context.scope)
        around = [
            *looks.before(selection, match, context),
            match,
            *looks.behind(selection, match, context),
        ]
        news = [one for one in around if shown.is_new(one)]
        # What goes on with what was shown before is not parted from it.
        goes_on = len(news) < len(around) and selection.terms == last_terms
        has_gap = last_terms is not None and not goes_on
        for one in news:
            yield Around(one, has_gap)
            has_gap = False
            last_terms = selection.terms


class _Shown:
    """Remembers which entries were shown, the latest of them."""

    def __init__(self) -> None:
        self._places: set[tuple[int, Position | None]] = set()
        self._order: deque[tuple[int, Position | None]] = deque()

    def is_new(self, one: Placed) -> bool:
        """Whether an entry was not shown before; it will be now."""
        place = own_place(one)
        if place in self._places:
            return False
        self._places.add(place)
        self._order.append(place)
        if len(self._order) > MAX_REMEMBERED:
            self._places.remove(self._order.popleft())
        return True


class _Looks:
    """Looks around entries, not too far; says once if that was not far enough to know all.

    Args:
        source: where they were found.
    """

    def __init__(self, source: LogSource) -> None:
        self._source = source
        self._has_said = False

    def before(
        self,
        selection: Selection,
        match: Placed,
        context: Surroundings,
        start: Position | None = None,
    ) -> Sequence[Placed]:
        """The entries before a match and behind a place, oldest first."""
        if not context.before:
            return []
        end, budget = self._source.places(match)[0], Budget(bytes=MAX_READ_BYTES)
        older = self._source.placed(
            selection, start=start, end=end, newest_first=True, budget=budget
        )
        near = _near(older, match.entry, context.before, context.scope)[::-1]
        self._say_if_spent(budget)
        return near

    def behind(
        self, selection: Selection, match: Placed, context: Surroundings
    ) -> Sequence[Placed]:
        """The entries behind a match, oldest first."""
        if not context.after:
            return []
        start, budget = self._source.places(match)[1], Budget(bytes=MAX_READ_BYTES)
        newer = self._source.placed(selection, start=start, budget=budget)
        near = _near(newer, match.entry, context.after, context.scope)
        self._say_if_spent(budget)
        return near

    def _say_if_spent(self, budget: Budget) -> None:
        if budget.next is not None and not self._has_said:
            self._has_said = True
            size = f"{MAX_READ_BYTES >> 20} MiB"
            self._source.on_note(f"around some entries only {size} were searched for their context")


def _near(entries: Iterator[Placed], match: Entry, number: int, scope: Scope) -> list[Placed]:
    near: list[Placed] = []
    is_near = _is_near(match, scope)
    for one in entries:
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
