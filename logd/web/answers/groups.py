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
from logd.query.tracebacks import exceptions, fingerprint, has_traceback
from logd.records.entry import Entry
from logd.web.answers.wanted import Wanted

MAX_GROUPS = 200
SPARK_BARS = 40
USER_ITEM = "user"

Watch = Callable[[float], None]


@dataclass
class CauseGroup:
    """Records with one cause, so far."""

    example: Entry
    count: int = 0
    first: float | None = None
    last: float | None = None
    hosts: Counter[str] = field(default_factory=Counter)
    users: set[str] | None = None
    times: list[float] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        """Count a record."""
        self.count += 1
        self.hosts[entry.peer] += 1
        user = entry.special.get(USER_ITEM)
        if user is not None:
            self.users = self.users or set()
            if len(self.users) < 10_000:
                self.users.add(str(user))
        if entry.time is not None:
            self.first = entry.time if self.first is None else min(self.first, entry.time)
            self.last = entry.time if self.last is None else max(self.last, entry.time)
            self.times.append(entry.time)


def tracebacks(
    source: LogSource, wanted: Wanted, since: float, until: float, watch: Watch
) -> dict[str, Any]:
    """The groups of a selection, those with the most records first."""
    groups: dict[str, CauseGroup] = {}
    selection = wanted.selection().also(parse("has:traceback"))
    for placed in source.placed(selection, watch=watch):
        entry = placed.entry
        key = fingerprint(entry.msg, entry.site)
        group = groups.get(key)
        if group is None:
            if len(groups) >= MAX_GROUPS:
                continue
            group = groups[key] = CauseGroup(entry)
        group.add(entry)
    shown = [_shown(key, group, since, until) for key, group in groups.items()]
    return {"groups": sorted(shown, key=lambda group: -group["count"])}


def new_ones_first(groups: list[dict[str, Any]]) -> None:
    """Put groups that are new since a deploy before the others, keeping the order else."""
    groups.sort(key=lambda group: group["new_since"] is None)


def group_of(
    source: LogSource, entry: Entry, since: float, until: float, watch: Watch
) -> dict[str, Any] | None:
    """The group that an entry belongs to, in a stretch of time; None if it has no traceback."""
    if not has_traceback(entry.msg):
        return None
    key = fingerprint(entry.msg, entry.site)
    group = CauseGroup(entry)
    wanted = Wanted(parse(f'traceback:"{key}"'), since, until)
    for placed in source.placed(wanted.selection(), watch=watch):
        group.add(placed.entry)
    if not group.count:
        group.add(entry)
    return _shown(key, group, since, until)


def _shown(key: str, group: CauseGroup, since: float, until: float) -> dict[str, Any]:
    found = exceptions(group.example.msg)
    last = found[-1] if found else None
    own = last.own_frames[-1] if last is not None and last.own_frames else None
    width = max(until - since, 1.0) / SPARK_BARS
    spark = [0] * SPARK_BARS
    for moment in group.times:
        spark[min(SPARK_BARS - 1, max(0, int((moment - since) / width)))] += 1
    return {
        "fingerprint": key,
        "type": last.type.rpartition(".")[2] if last is not None else group.example.site,
        "text": (f"{last.type}: {last.text}" if last is not None else group.example.msg)[:400],
        "place": f"{own.file.rpartition('/')[2]} in {own.function}" if own is not None else "",
        "count": group.count,
        "first": group.first,
        "last": group.last,
        "hosts": [host for host, _ in group.hosts.most_common(6)],
        "users": None if group.users is None else len(group.users),
        "spark": spark,
        "new_since": None,
        "why_unknown": "The log is still being read.",
        "is_site": last is None,
    }
