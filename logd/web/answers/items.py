"""Processes and items of the records that were found, as facets: for which users, ...

Which items an application adds nobody knows before: the newest records tell. Their counts stand in
no index, so they are counted for a while only, in the newest records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any

from logd.query.fields import field_of_item
from logd.query.selection import Selection
from logd.query.source import LogSource, chosen_fields
from logd.query.summaries import Summary
from logd.records.entry import Entry
from logd.text.items import item_text
from logd.web.answers.limits import ScanLimits
from logd.web.answers.view import facet_of

SAMPLE = 300
"""Records that are asked which items they have."""

ALSO = ("pid",)
"""Fields that stand in no index either."""

MAX_KEYS = 5
MAX_NUMBERS = 12
"""An item with more different numbers is a measure, not a kind."""

MAX_VALUE_CHARS = 200

_APART = frozenset({"logger", "lost"})
"""Items that are shown in another place."""

_NAME = re.compile(r"[A-Za-z_][\w.-]{0,60}")
# Of what is different in nearly each record, as ids are, counts say nothing.
_KINDS, _OF = 4, 5

Watch = Callable[[float], None]


def items(
    source: LogSource,
    selection: Selection,
    ids: Collection[str],
    *,
    top: int,
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """Facets of items; each counts without the conditions of its own field.

    Args:
        source: the log.
        selection: the records.
        ids: items that name single things, as requests: no facets.
        top: how many values each shows.
        limits: what counting them may cost.
        watch: told of progress.
    """
    fields = [*ALSO, *item_fields(source, selection, ids, limits.part(4), watch)]
    chosen = chosen_fields(selection, fields)
    rest = [field for field in fields if field not in chosen]
    budget = limits.counting()

    def counted(of: Selection, keys: Sequence[str]) -> Summary:
        return source.summarise(of, keys=list(keys), watch=watch, budget=budget)

    summary = counted(selection, rest)
    total, is_partial = summary.total, budget.next is not None
    facets = summary.facets
    for field in chosen:
        budget = limits.part(2).counting()
        facets[field] = counted(selection.without(field), [field]).facets[field]
        is_partial = is_partial or budget.next is not None
    return {
        "facets": [facet_of(field, facets[field], top) for field in fields],
        "records": total,
        "partial": is_partial,
    }


def item_fields(
    source: LogSource,
    selection: Selection,
    ids: Collection[str],
    limits: ScanLimits,
    watch: Watch,
) -> list[str]:
    """Fields of items that tell kinds of records, the most frequent first."""
    budget = limits.budget()
    found = source.placed(selection, newest_first=True, watch=watch, budget=budget)
    values: dict[str, Counter[str]] = {}
    for placed in islice(found, SAMPLE):
        for key, text in _texts(placed.entry, ids):
            values.setdefault(key, Counter())[text] += 1
    keys = [key for key, texts in values.items() if _tells_kinds(texts)]
    # What the selection asks for stays among them, though it has one value now.
    asked = {group.field for group in selection.groups if not group.is_not}
    keys.sort(key=lambda key: (field_of_item(key) not in asked, -values[key].total(), key))
    return [field_of_item(key) for key in keys[:MAX_KEYS]]


def _texts(entry: Entry, ids: Collection[str]) -> list[tuple[str, str]]:
    return [
        (key, item_text(value)[:MAX_VALUE_CHARS])
        for key, value in entry.special.items()
        if key not in _APART and key not in ids and _NAME.fullmatch(key)
    ]


def _tells_kinds(texts: Counter[str]) -> bool:
    if len(texts) > 3 and len(texts) * _OF > texts.total() * _KINDS:
        return False
    return len(texts) <= MAX_NUMBERS or not all(map(_is_number, texts))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
