"""The picture: how many records there are in a stretch of time, of what kinds, and when.

Read from the newest backwards until time is up: then the answer says how far it came, and the page
asks for the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from logd.query.budget import Budget
from logd.query.grammar import parse
from logd.query.selection import Selection
from logd.query.source import LogSource, Position, chosen_fields
from logd.query.summaries import Label, Summary
from logd.web.answers.limits import ScanLimits
from logd.web.answers.wanted import Wanted

STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    7 * 86_400, 28 * 86_400,
)  # fmt: skip
"""Widths of bars that people can read."""

FIRST_ANSWER_PARTS = 8
"""The first answer of a picture takes this many times shorter than those that go on with it."""

INDEXED = frozenset({"cat", "host", "site", "logger"})
"""Fields that indexes of files have counted. Others take a pass over the records."""

MAX_SHARE = 0.99

_HAS_TRACEBACK = parse("has:traceback")

MAX_FACET_VALUES = 200

MAX_CATEGORIES = 20
OTHERS = "*"
"""A sender may name categories as it likes: the rare ones are shown as one."""

NAMES = {
    "cat": "Category", "exc": "Exception", "logger": "Logger", "site": "Call site",
    "host": "Host", "pid": "Process", "thread": "Thread", "func": "Function",
}  # fmt: skip
"""Fields as headings; any other field is headed by its own name."""

Watch = Callable[[float], None]


@dataclass(frozen=True)
class Extent:
    """What the picture covers.

    Attributes:
        since: where it begins, a multiple of the step.
        until: where it ends.
        step: seconds of one bar.
    """

    since: int
    until: int
    step: int


def frame_of(wanted: Wanted, begins: float | None, bars: int, now: float) -> Extent:
    """The stretch of time of a picture with about that many bars.

    Args:
        wanted: what was asked for; without a beginning it is that of the log.
        begins: where the log begins; None if it is empty.
        bars: how many there is room for.
        now: where it ends if the request does not say.
    """
    until = wanted.until if wanted.until is not None else now
    since = wanted.since if wanted.since is not None else begins
    if since is None or since >= until:
        since = until - 3600
    step = next((s for s in STEPS_S if (until - since) / s <= bars), STEPS_S[-1])
    low = int(since // step) * step
    return Extent(low, max(low + step, int(-(-until // step)) * step), step)


def view(
    source: LogSource,
    wanted: Wanted,
    frame: Extent,
    *,
    begins: float | None,
    size: int,
    facets: Sequence[str],
    top: int,
    end: Position | None,
    is_first: bool,
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """The answer.

    Args:
        source: the log.
        wanted: which records count.
        frame: what the picture covers.
        begins: where the log begins; None: not known.
        size: bytes of all of the log, on disk.
        facets: fields whose values are counted; a facet counts without its own conditions.
        top: how many values each shows.
        end: what is behind it was counted by earlier answers; None: the end of the log.
        is_first: whether there was none. The first answer, which is to be seen at once, takes
            less time.
        limits: what the answer may cost.
        watch: told of progress; what it raises ends the work.
    """
    started = time.monotonic()
    if is_first:
        limits = limits.part(FIRST_ANSWER_PARTS)
    # What senders with a clock ahead say is later than now counts, too.
    selection = wanted.selection()
    found = _counted(source, selection, frame.step, facets, end, is_first, limits, watch)
    counted, rest = found.summary, found.rest
    until = wanted.until if wanted.until is not None else float(frame.until)
    earliest = max(float(frame.since), begins if begins is not None else 0.0)
    back_to = None if rest is None else _time_before(source, rest, earliest)
    return {
        "total": counted.total,
        "from": frame.since,
        "to": frame.until,
        "step": frame.step,
        "bars": _few(_bars(counted, frame)),
        # Parts are put together by the page: what is rare in one may be frequent in another.
        "facets": [
            facet_of(
                field, counted.facets[field], top if is_first and rest is None else MAX_FACET_VALUES
            )
            | {"partial": field in found.partial}
            for field in facets
        ],
        "partial": rest is not None,
        "bytes": size,
        "done": 1.0 if back_to is None else _share(until - back_to, until - earliest),
        "searched_back_to": back_to,
        "next": None if rest is None else source.cursor(rest),
        "took_ms": round((time.monotonic() - started) * 1000, 1),
    }


class _TooLong(Exception):
    """An answer takes longer than the first one may."""


@dataclass
class _Counted:
    """What was counted before an end, newest first.

    Attributes:
        summary: the histogram and the facets.
        rest: where the rest begins; None: it is whole.
        partial: facets that were counted in the newest part of it only.
    """

    summary: Summary
    rest: Position | None = None
    partial: frozenset[str] = frozenset()


def _counted(
    source: LogSource,
    selection: Selection,
    step: int,
    facets: Sequence[str],
    end: Position | None,
    is_first: bool,
    limits: ScanLimits,
    watch: Watch,
) -> _Counted:
    quick = [field for field in facets if field in INDEXED]
    slow = [field for field in facets if field not in INDEXED]
    questions = max(1, len(slow) + 1)
    each = limits.part(questions)
    whole = None
    if is_first and chosen_fields(selection, quick):
        # With indexes all facets come out of one pass. That has no place to stop at.
        stop = time.monotonic() + each.seconds

        def watch_time(done: float) -> None:
            watch(done)
            if time.monotonic() > stop:
                raise _TooLong

        with suppress(_TooLong):
            whole = _Counted(source.picture(selection, step=step, keys=quick, watch=watch_time))
    if whole is None:
        whole = _back(source, selection, step, quick, end, each, watch)
    partial = set()
    for field in slow:
        # Nobody waits for these: they tell of the newest part.
        budget = each.counting()
        chosen = selection.without(field)
        if field == "exc":
            chosen = chosen.also(_HAS_TRACEBACK)
        found = source.summarise(
            chosen, keys=[field], start=whole.rest, end=end, watch=watch, budget=budget
        )
        whole.summary.facets[field] = found.facets[field]
        if budget.next is not None:
            partial.add(field)
    return replace(whole, partial=frozenset(partial))


def _back(
    source: LogSource,
    selection: Selection,
    step: int,
    fields: Sequence[str],
    end: Position | None,
    limits: ScanLimits,
    watch: Watch,
) -> _Counted:
    """Histogram and facets of as much before `end` as the limits allow."""
    apart = chosen_fields(selection, fields)
    main = [field for field in fields if field not in apart]
    asked: list[tuple[Selection, int | None, Sequence[str]]] = [
        (selection, step, main),
        *((selection.without(field), None, [field]) for field in apart),
    ]
    found: list[Summary] = []
    rest: Position | None = None

    def count(number: int, budget: Budget | None) -> Summary:
        chosen, width, keys = asked[number]
        return source.summarise(
            chosen, step=width, keys=keys, start=rest, end=end, watch=watch, budget=budget
        )

    for number in range(len(asked)):
        budget = limits.part(len(asked)).counting()
        found.append(count(number, budget))
        if budget.next is not None:
            # This one came less far than those before it: they count anew as far as it came.
            rest = budget.next
            found = [*(count(earlier, None) for earlier in range(number)), found[-1]]
    whole = found[0]
    for field, other in zip(apart, found[1:], strict=True):
        whole.facets[field] = other.facets[field]
    return _Counted(whole, rest)


def _share(part: float, whole: float) -> float:
    """How much is done of what is not done."""
    return min(part / max(whole, 1e-6), MAX_SHARE)


def _time_before(source: LogSource, place: Position, otherwise: float) -> float:
    """The time of the record before a place."""
    placed = next(source.placed(end=place, newest_first=True), None)
    found = placed.entry.time if placed is not None else None
    return otherwise if found is None else max(found, otherwise)


def _bars(summary: Summary, frame: Extent) -> dict[str, list[int]]:
    """Category -> counts, one for each bar of the frame."""
    number = (frame.until - frame.since) // frame.step
    bars: dict[str, list[int]] = {}
    for start, by_cat in summary.bars.items():
        place = (start - frame.since) // frame.step
        if 0 <= place < number:
            for cat, count in by_cat.items():
                bars.setdefault(cat or "-", [0] * number)[place] += count
    return bars


def _few(bars: dict[str, list[int]]) -> dict[str, list[int]]:
    """The categories that most records have, and the others together."""
    names = sorted(bars, key=lambda name: (name == OTHERS, -sum(bars[name])))
    kept = {name: bars[name] for name in names[:MAX_CATEGORIES]}
    if rest := [bars[name] for name in names[MAX_CATEGORIES:]]:
        kept[OTHERS] = [sum(counts) for counts in zip(*rest, strict=True)]
    return kept


def facet_of(field: str, counts: Counter[Label], top: int) -> dict[str, Any]:
    """The most frequent values of a field, and how many different ones there are."""
    # What most records do not have (no exception, no logger) says nothing.
    values = [(str(label), n) for label, n in counts.items() if label != "-" or field == "cat"]
    values.sort(key=lambda item: (-item[1], item[0]))
    return {
        "field": field,
        "name": NAMES.get(field, field),
        "values": values[: min(top, MAX_FACET_VALUES)],
        "distinct": len(values),
    }
