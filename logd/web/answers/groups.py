"""The tracebacks of a selection, those with the same cause together.

What is new among them is told by the ledger, see `Known.judge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from logd.query.grammar import parse
from logd.query.source import LogSource
from logd.query.terms import Term
from logd.query.tracebacks import HEADING, exceptions, fingerprint, has_traceback
from logd.records.entry import Entry
from logd.web.answers.limits import ScanLimits
from logd.web.answers.owncode import OwnCode
from logd.web.answers.shapes import parts
from logd.web.answers.wanted import Wanted

MAX_GROUPS = 200
SPARK_BARS = 40
USER_ITEM = "user"
MAX_USERS = 10_000
MAX_NAMES = 3
"""Users that a card names; the others are counted."""

LATE_BARS = SPARK_BARS // 4
MIN_RISING = 5
"""A cause rises if the last quarter of the time has this many records at least, and more than
twice what a quarter had before."""

Watch = Callable[[float], None]


@dataclass
class CauseGroup:
    """Records with one cause, so far."""

    example: Entry
    count: int = 0
    first: float | None = None
    last: float | None = None
    hosts: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count a record."""
        self.count += 1
        self.hosts[entry.peer] += 1
        user = entry.special.get(USER_ITEM)
        if user is not None and (str(user) in self.users or len(self.users) < MAX_USERS):
            self.users[str(user)] += 1
        if entry.time is not None:
            self.first = entry.time if self.first is None else min(self.first, entry.time)
            self.last = entry.time if self.last is None else max(self.last, entry.time)
            self.times.append(entry.time)


def tracebacks(
    source: LogSource,
    wanted: Wanted,
    since: float,
    until: float,
    *,
    own: OwnCode,
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any]:
    """The groups of a selection, those that rise first, then those with the most records.

    The newest records are looked at first; if time is up before all were, `searched_back_to` says
    how far it came.
    """
    groups: dict[str, CauseGroup] = {}
    selection = wanted.selection().also(parse("has:traceback"))
    budget = limits.budget()
    earliest = until
    for placed in source.placed(selection, newest_first=True, watch=watch, budget=budget):
        entry = placed.entry
        earliest = earliest if entry.time is None else min(earliest, entry.time)
        key = fingerprint(entry.msg, entry.site)
        group = groups.get(key)
        if group is None:
            if len(groups) >= MAX_GROUPS:
                continue
            group = groups[key] = CauseGroup(entry)
        group.add(entry)
    shown = [_shown(key, group, since, until, own) for key, group in groups.items()]
    return {
        "groups": sorted(shown, key=lambda group: (not group["is_rising"], -group["count"])),
        "searched_back_to": None if budget.next is None else earliest,
    }


def new_ones_first(groups: list[dict[str, Any]]) -> None:
    """Put groups that are new since a deploy before the others, those with the most records first.

    The others keep their order.
    """
    groups.sort(key=lambda g: (0, -g["count"]) if g["new_since"] is not None else (1, 0))


def group_of(
    source: LogSource,
    entry: Entry,
    only: tuple[Term, ...],
    since: float,
    until: float,
    *,
    own: OwnCode,
    limits: ScanLimits,
    watch: Watch,
) -> dict[str, Any] | None:
    """The group that an entry belongs to, in a stretch of time; None if it has no traceback.

    Records that do not fulfil `only` are none of it.
    """
    if not has_traceback(entry.msg):
        return None
    key = fingerprint(entry.msg, entry.site)
    group = CauseGroup(entry)
    # Without the heading each record of the time would be looked at.
    terms = (*only, *parse(f'"{HEADING}" traceback:"{key}"'))
    selection = Wanted(terms, since, until).selection()
    budget = limits.budget()
    for placed in source.placed(selection, newest_first=True, watch=watch, budget=budget):
        group.add(placed.entry)
    if not group.count:
        group.add(entry)
    return _shown(key, group, since, until, own)


def _shown(key: str, group: CauseGroup, since: float, until: float, own: OwnCode) -> dict[str, Any]:
    found = exceptions(group.example.msg)
    last = found[-1] if found else None
    width = max(until - since, 1.0) / SPARK_BARS
    spark = [0] * SPARK_BARS
    for moment in group.times:
        spark[min(SPARK_BARS - 1, max(0, int((moment - since) / width)))] += 1
    return {
        "fingerprint": key,
        "type": last.type.rpartition(".")[2] if last is not None else group.example.site,
        "text": (f"{last.type}: {last.text}" if last is not None else group.example.msg)[:400],
        "place": _place(group.example.msg, own),
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "hosts": [host for host, _ in group.hosts.most_common(6)],
        "users": len(group.users) if group.users else None,
        "user_names": [name for name, _ in group.users.most_common(MAX_NAMES)],
        "spark": spark,
        "is_rising": _is_rising(spark),
        "new_since": None,
        "why_unknown": "The log is still being read.",
        "log_begins": None,
        "is_site": last is None,
    }


def _place(msg: str, own: OwnCode) -> str:
    """Where it was raised: the last own line before the last exception; "" without a traceback."""
    frames: list[dict[str, Any]] = []
    for part in parts(msg, own):
        frames = part.get("frames") or frames
    found = [frame for frame in frames if frame["own"]] or frames
    if not found:
        return ""
    last = found[-1]
    return f"{last['file'].rpartition('/')[2]}:{last['line']} in {last['func']}"


def _is_rising(spark: list[int]) -> bool:
    late, before = sum(spark[-LATE_BARS:]), sum(spark[:-LATE_BARS])
    usual = before * LATE_BARS / (SPARK_BARS - LATE_BARS)
    return late >= MIN_RISING and late > 2 * usual
