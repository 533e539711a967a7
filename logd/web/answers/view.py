"""The picture: how many records there are in a stretch of time, of what kinds, and when.

Read from the newest backwards, one window of time after the other, until time or bytes are up:
then the answer says how far it came, and the page asks for the rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from logd.query.selection import Selection
from logd.query.source import LogSource
from logd.query.summaries import Label
from logd.web.answers.wanted import Wanted

STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
    7 * 86_400, 28 * 86_400,
)  # fmt: skip
"""Widths of bars that people can read."""

FIRST_WINDOW_BYTES = 4 << 20
"""The newest part of the stretch is read first: about so much, which takes less than a tenth of a
second without an index. Each further part is twice as long."""

FIRST_ANSWER_PARTS = 8
"""The first answer of a picture takes this many times shorter than those that go on with it."""

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
    before: float | None,
    budget_s: float,
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
        before: where an earlier answer stopped; None for the first.
        budget_s: it stops before the window that would last longer than this; the first answer,
            which is to be seen at once, stops earlier.
        watch: told of progress; what it raises ends the work.
    """
    started = time.monotonic()
    if before is None:
        budget_s /= FIRST_ANSWER_PARTS
    since = wanted.since if wanted.since is not None else float(frame.since)
    until = wanted.until if wanted.until is not None else float(frame.until)
    # What senders with a clock ahead say is later than now counts, too.
    is_open = wanted.until is None
    stop = until if before is None else before
    # Where there is no log nothing is read.
    earliest = since if begins is None else min(max(since, begins), until)
    width = max((until - earliest) / max(size / FIRST_WINDOW_BYTES, 1.0), 1.0)
    bars: dict[str, list[int]] = {}
    counts: dict[str, Counter[Label]] = {field: Counter() for field in facets}
    total = 0
    low = stop
    while True:
        begun = time.monotonic()
        low = max(since, stop - width)
        if low <= earliest or (wanted.since is None and low <= frame.since):
            low = since
        last = low <= since
        selection = Selection(
            since=None if last and wanted.since is None else low,
            until=None if is_open and stop == until else stop,
            terms=wanted.terms,
        )
        total += _window(source, selection, frame, facets, bars, counts, watch)
        # The next window takes about twice as long as this one took.
        now = time.monotonic()
        if last or now - started + 2 * (now - begun) > budget_s:
            break
        stop, width = low, width * 2
    return {
        "total": total,
        "from": frame.since,
        "to": frame.until,
        "step": frame.step,
        "bars": _few(bars),
        # Parts are put together by the page: what is rare in one may be frequent in another.
        "facets": [
            facet_of(field, counts[field], top if last and before is None else MAX_FACET_VALUES)
            for field in facets
        ],
        "partial": not last,
        "bytes": size,
        "done": 1.0 if last else (until - low) / max(until - earliest, 1e-6),
        "searched_back_to": None if last else low,
        "next": None if last else repr(low),
        "took_ms": round((time.monotonic() - started) * 1000, 1),
    }


def _window(
    source: LogSource,
    selection: Selection,
    frame: Extent,
    facets: Sequence[str],
    bars: dict[str, list[int]],
    counts: dict[str, Counter[Label]],
    watch: Watch,
) -> int:
    """Count one window into `bars` and `counts`; how many records passed."""
    summary = source.picture(selection, step=frame.step, keys=facets, watch=watch)
    number = (frame.until - frame.since) // frame.step
    for start, by_cat in summary.bars.items():
        place = (start - frame.since) // frame.step
        if 0 <= place < number:
            for cat, count in by_cat.items():
                bars.setdefault(cat or "-", [0] * number)[place] += count
    for field in facets:
        counts[field].update(summary.facets[field])
    return summary.total


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
