"""What is different between a stretch of time and the four times longer one before it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from logd.query.budget import Budget
from logd.query.selection import Selection
from logd.query.source import LogSource
from logd.query.summaries import Label, Summary
from logd.web.answers.view import NAMES
from logd.web.answers.wanted import Wanted

BASE_TIMES = 4
MAX_ROWS = 40
MIN_SHARE = 0.002
MIN_SCORE = 3.0
"""How surprising a share has to be, in standard deviations of counting."""

Watch = Callable[[float], None]


def compare(
    source: LogSource,
    wanted: Wanted,
    since: float,
    until: float,
    fields: Sequence[str],
    budget_s: float,
    watch: Watch,
) -> dict[str, Any]:
    """Shares here and before; what was never seen before first, then what differs most.

    If there is no time to count all, the newest records of both stretches stand for the others:
    the answer is `partial`.
    """
    base_since = since - BASE_TIMES * (until - since)
    budgets = [Budget(seconds=budget_s), Budget(seconds=budget_s)]
    here = _counted(source, wanted, since, until, fields, budgets[0], watch)
    before = _counted(source, wanted, base_since, since, fields, budgets[1], watch)
    rows = []
    if before.total and here.total:
        for field in fields:
            rows += _rows(field, here, before)
    rows.sort(key=lambda row: (row["before"] > 0, -row["score"]))
    return {
        "from": since,
        "to": until,
        "base_from": base_since,
        "records": here.total,
        "base_records": before.total,
        "rows": _without_echoes(rows)[:MAX_ROWS],
        "partial": any(budget.next is not None for budget in budgets),
    }


def _counted(
    source: LogSource,
    wanted: Wanted,
    since: float,
    until: float,
    fields: Sequence[str],
    budget: Budget,
    watch: Watch,
) -> Summary:
    selection = Selection(since=since, until=until, terms=wanted.terms)
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
