"""What a worker remembers of the whole log: how much there is, deploys, losses, first tracebacks.

Read once and then only what was added, from position to position. A ring that came round since is
noticed by the position: then all of it is read anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from logd.query.grammar import parse
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Gone, LogSource, Position
from logd.query.terms import Term
from logd.query.tracebacks import fingerprint
from logd.records.entry import Entry

MAX_MARKS = 1000
FIRST_RECORDS = 100
MAX_LOSSES = 1000
MAX_FINGERPRINTS = 20_000
SAME_MARK_S = 600.0
"""A deploy that goes to one host after the other is one: what says the same within this time."""

LOOKS_BACK_S = 3600.0
"""What the log does not hold for an hour before a mark can't be told from what is new."""

_ROLLBACK = "rollback"
_VERSION_ITEM = "version"
_LOST_ITEM = "lost"

Watch = Callable[[float], None]


@dataclass
class Seen:
    """When a traceback was seen.

    Attributes:
        first: the earliest time in the kept log, None if none has a time.
        count: how often in all of the kept log.
    """

    first: float | None
    count: int


@dataclass
class Ledger:
    """See the module.

    Attributes:
        source: the log.
        mark_terms: finds the records that are marks.
        total: records in the log; None until they were counted.
        begins: the earliest time seen among the first records.
        marks: deploys and rollbacks, oldest first.
        losses: (time, records lost) that clients told of.
        seen: fingerprint -> when.
    """

    source: LogSource
    mark_terms: tuple[tuple[Term, ...], ...]
    total: int | None = None
    begins: float | None = None
    marks: list[dict[str, Any]] = field(default_factory=list)
    losses: list[tuple[float, int]] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    _upto: Position | None = None

    def update(self, watch: Watch) -> None:
        """Read what came since the last time."""
        end = self.source.end()
        if end is None or end == self._upto:
            return
        try:
            self._read(self._upto, end, watch)
        except Gone:
            self._forget()
            self._read(None, end, watch)
        self._upto = end

    def _forget(self) -> None:
        self.total = self.begins = self._upto = None
        self.marks, self.losses, self.seen = [], [], {}

    def _read(self, start: Position | None, end: Position, watch: Watch) -> None:
        source = self.source
        if self.begins is None:
            self.begins = first_time(source)
        marks: dict[str, dict[str, Any]] = {}
        for terms in self.mark_terms:
            for placed in source.placed(Selection(terms=terms), start=start, end=end, watch=watch):
                mark = _mark(placed.entry, source.cursor(placed.position))
                if mark is not None:
                    marks[mark["at"]] = mark
        self.marks = _each_once([*self.marks, *marks.values()])
        del self.marks[:-MAX_MARKS]
        lost = Selection(terms=parse(f"has:{_LOST_ITEM}"))
        for placed in source.placed(lost, start=start, end=end, watch=watch):
            number = placed.entry.special.get(_LOST_ITEM)
            if isinstance(number, int) and placed.entry.time is not None:
                self.losses.append((placed.entry.time, number))
        del self.losses[:-MAX_LOSSES]
        tracebacks = Selection(terms=parse("has:traceback"))
        for placed in source.placed(tracebacks, start=start, end=end, watch=watch):
            self._see(placed.entry)
        counted = source.summarise(EVERYTHING, start=start, end=end, watch=watch).total
        self.total = (self.total or 0) + counted

    def _see(self, entry: Entry) -> None:
        key = fingerprint(entry.msg, entry.site)
        seen = self.seen.get(key)
        if seen is None:
            if len(self.seen) < MAX_FINGERPRINTS:
                self.seen[key] = Seen(entry.time, 1)
            return
        seen.count += 1
        if entry.time is not None:
            seen.first = entry.time if seen.first is None else min(seen.first, entry.time)

    def known(self) -> Known:
        """What was found so far, for the server to keep."""
        firsts = {key: seen.first for key, seen in self.seen.items() if seen.first is not None}
        return Known(self.total, self.begins, list(self.marks), list(self.losses), firsts)


@dataclass(frozen=True)
class Known:
    """What is known of the whole log.

    Attributes:
        total: records in it.
        begins: the earliest time among the first records.
        marks: deploys and rollbacks, oldest first.
        losses: (time, records lost).
        firsts: fingerprint -> when it was first seen.
    """

    total: int | None
    begins: float | None
    marks: list[dict[str, Any]]
    losses: list[tuple[float, int]]
    firsts: dict[str, float]

    def new_since(self, first: float | None) -> tuple[dict[str, Any] | None, str]:
        """The mark since which something is new that was first seen then; or why none is known.

        A thing is new since the last mark before its first time, if the log reaches back far
        enough before the mark.
        """
        before = [mark for mark in self.marks if first is not None and mark["time"] <= first]
        if not before or before[-1]["kind"] == _ROLLBACK:
            return None, ""
        mark = before[-1]
        if self.begins is None or self.begins > mark["time"] - LOOKS_BACK_S:
            return None, "The log that is kept begins less than an hour before the deploy."
        return mark, ""

    def version_at(self, moment: float) -> str:
        """The version that was running then; "" if no mark tells."""
        before = [mark for mark in self.marks if mark["time"] <= moment]
        return str(before[-1]["version"]) if before else ""

    def about(self, since: float, until: float) -> dict[str, Any]:
        """What a picture of this stretch of time shows of it."""
        return {
            "all": self.total,
            "marks": [mark for mark in self.marks if since <= mark["time"] <= until],
            "losses": losses_between(self.losses, since, until),
            "pending": False,
        }

    def judge(self, group: dict[str, Any]) -> None:
        """Put into a group when it was first seen, and since which mark it is new."""
        group["first"] = self.firsts.get(group["fingerprint"], group["first"])
        group["new_since"], group["why_unknown"] = self.new_since(group["first"])
        group["log_begins"] = self.begins


PENDING: dict[str, Any] = {
    "all": None,
    "marks": [],
    "losses": {"records": 0, "at": []},
    "pending": True,
}
"""What a picture shows while the log is read for the first time."""


def first_time(source: LogSource) -> float | None:
    """The earliest time among the first records, which may stand a little out of order."""
    times = [entry.time for entry in source.entries(limit=FIRST_RECORDS) if entry.time is not None]
    return min(times, default=None)


def mark_terms(texts: tuple[str, ...]) -> tuple[tuple[Term, ...], ...]:
    """What finds marks: any of some selections, lines of the grammar."""
    return tuple(parse(text) for text in texts)


def _mark(entry: Entry, at: str) -> dict[str, Any] | None:
    text = entry.msg.partition("\n")[0][:200]
    kind = _ROLLBACK if text.lower().startswith(_ROLLBACK) else "deploy"
    if entry.time is None or not (
        entry.special.get(_VERSION_ITEM) is not None or text.lower().startswith(("deploy", kind))
    ):
        return None
    version = str(entry.special.get(_VERSION_ITEM, "")) or text.rpartition(" ")[2]
    return {"time": entry.time, "text": text, "version": version[:60], "kind": kind, "at": at}


def _each_once(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Marks in the order of time, what several hosts say of one deploy once."""
    kept: list[dict[str, Any]] = []
    for mark in sorted(marks, key=lambda mark: float(mark["time"])):
        last = kept[-1] if kept else None
        is_same = last is not None and all(last[key] == mark[key] for key in ("kind", "version"))
        if last is None or not is_same or mark["time"] - last["time"] >= SAME_MARK_S:
            kept.append(mark)
    return kept


def losses_between(
    losses: list[tuple[float, int]], since: float, until: float, bars: int = 60
) -> dict[str, Any]:
    """How many records clients lost in a stretch of time, and when."""
    width = max((until - since) / bars, 1e-6)
    counts: Counter[int] = Counter()
    for time, number in losses:
        if since <= time < until:
            counts[int((time - since) / width)] += number
    at = [[since + (bar + 0.5) * width, number] for bar, number in sorted(counts.items())]
    return {"records": sum(counts.values()), "at": at}
