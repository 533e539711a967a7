"""Why nothing was found: the conditions that no entry fulfils, and the values that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from logd.query.fields import TEXT, label
from logd.query.grammar import format_terms
from logd.query.selection import Alternatives, Selection
from logd.query.source import LogSource

MAX_READ = 20_000
"""How many of the newest entries are looked at."""

MAX_SHOWN = 8
"""How many values are named."""

MAX_CHARS = 60
"""How much of each is shown."""


_LOOKED_AT = 20


def unreadable(source: LogSource, selection: Selection) -> list[str]:
    """What to say if nothing can be found, as the lines are in a format that only has texts.

    The settings of the daemon tell that beforehand, but a file may be read without them.
    """
    if not (selection.has_times or any(term.field != TEXT for term in selection.terms)):
        return []
    newest = list(islice(source.entries(newest_first=True), _LOOKED_AT))
    if not newest or not all(entry.is_mere_text for entry in newest):
        return []
    return ["lines are in a format of their own (line_format): only texts can be asked for"]


def advice(source: LogSource, selection: Selection) -> list[str]:
    """Texts for someone whose selection has found nothing; none if there is nothing to say.

    Args:
        source: where nothing was found.
        selection: what was asked for.
    """
    if texts := unreadable(source, selection):
        return texts
    groups = [group for group in selection.groups if not group.is_not and group.field != TEXT]
    texts = _unmet(source, groups) if groups else []
    return texts or (_times(source) if selection.has_times else [])


def _unmet(source: LogSource, groups: Sequence[Alternatives]) -> list[str]:
    """Which of the conditions none of the newest entries fulfils."""
    values: list[Counter[str]] = [Counter() for _ in groups]
    are_met = [False] * len(groups)
    read = 0
    for entry in islice(source.entries(newest_first=True), MAX_READ):
        read += 1
        for number, group in enumerate(groups):
            values[number][label(entry, group.field)[:MAX_CHARS]] += 1
            are_met[number] = are_met[number] or group.matches(entry)
    texts = []
    for number, group in enumerate(groups):
        if read and not are_met[number]:
            found = [value for value, _ in values[number].most_common() if value != "-"]
            there = ", ".join(found[:MAX_SHOWN]) + (", ..." if len(found) > MAX_SHOWN else "")
            texts.append(
                f"nothing is {format_terms(group.terms)} in the newest {read:,} entries; "
                + (f"{group.field} is {there}" if there else f"none of them has {group.field}")
            )
    return texts


def _times(source: LogSource) -> list[str]:
    """From when to when the log goes."""
    oldest = next(source.entries(limit=1), None)
    newest = next(source.entries(newest_first=True, limit=1), None)
    if oldest is None or newest is None or not (oldest.ts and newest.ts):
        return []
    return [f"the log goes from {oldest.ts} to {newest.ts}"]
