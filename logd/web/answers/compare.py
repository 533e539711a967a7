"""What is different between a stretch of time and another, else the four times longer before it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from logd.query.budget import Budget
from logd.query.selection import Selection
from logd.query.source import LogSource
from logd.query.summaries import Label, Summary
from logd.web.answers.limits import ScanLimits
from logd.web.answers.view import NAMES
from logd.web.answers.wanted import BadParameter, Parameters, Wanted, moment

BASE_TIMES = 4
MAX_ROWS = 40
MIN_SHARE = 0.002
MIN_SCORE = 3.0
"""How surprising a share has to be, in standard deviations of counting."""

Stretch = tuple[float, float]
"""From when until when."""

Watch = Callable[[float], None]


def base_of(parameters: Parameters, since: float, until: float, now: float) -> Stretch:
    """What a stretch is compared with: `base_from` to `base_to`, else what was before it.

    Raises:
        BadParameter: these are no times, or in the wrong order.
    """
    low, high = moment(parameters, "base_from", now), moment(parameters, "base_to", now)
    if low is None and high is None:
        return since - BASE_TIMES * (until - since), since
    if low is None or high is None or low >= high:
        raise BadParameter("base_from: expected both, with a time before `base_to`")
    return low, high


def compare(
    source: LogSource,
    wanted: Wanted,
    stretch: Stretch,
    base: Stretch,
    fields: Sequence[str],
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """Shares in one stretch and in another; what was never seen before first, then what differs.

    If there is no time to count all, the newest records of both stretches stand for the others:
    the answer is `partial`.
    """
    budgets = [limits.counting(), limits.counting()]
    here = _counted(source, wanted, stretch, fields, budgets[0], watch)
    before = _counted(source, wanted, base, fields, budgets[1], watch)
    rows = []
    if before.total and here.total:
        for field in fields:
            rows += _rows(field, here, before)
    rows.sort(key=lambda row: (row["before"] > 0, -row["score"]))
    return {
        "from": stretch[0],
        "to": stretch[1],
        "base_from": base[0],
        "base_to": base[1],
        "records": here.total,
        "base_records": before.total,
        "rows": _without_echoes(rows)[:MAX_ROWS],
        "partial": any(budget.next is not None for budget in budgets),
    }


def _counted(
    source: LogSource,
    wanted: Wanted,
    stretch: Stretch,
    fields: Sequence[str],
    budget: Budget,
    watch: Watch,
) -> Summary:
    selection = Selection(since=stretch[0], until=stretch[1], terms=wanted.terms)
    return source.summarise(selection, keys=list(fields), watch=watch, budget=budget)


def _rows(field: str, here: Summary, before: Summary) -> list[dict[str, Any]]:
    now: Counter[Label] = here.facets[field]
    then: Counter[Label] = before.facets[field]
    found = []
    for label in now.keys() | then.keys():
        if label == "-":
            continue
        share, base = now[label] / here.total, then[label] / before.total
        if max(share, base) < MIN_SHARE:
            continue
        pooled = (now[label] + then[label]) / (here.total + before.total)
        spread = math.sqrt(pooled * (1 - pooled) * (1 / here.total + 1 / before.total))
        score = abs(share - base) / spread if spread else 0.0
        if score >= MIN_SCORE:
            found.append(
                {
                    "field": field,
                    "name": NAMES.get(field, field),
                    "value": str(label),
                    "here": share,
                    "before": base,
                    "count": now[label],
                    "score": round(score, 2),
                }
            )
    return found


def _without_echoes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without those that say the same: equal shares, as a site and its function have."""
    seen: set[tuple[float, float]] = set()
    kept = []
    for row in rows:
        shares = (row["here"], row["before"])
        if shares not in seen:
            seen.add(shares)
            kept.append(row)
    return kept
