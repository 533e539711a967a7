"""What a worker can be asked: a name and parameters in, a JSON object out.

A task runs to its end, to its budget, or until `watch` raises: then nobody waits for it any more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Protocol

from logd.query.contexts import REQUEST_ITEMS, SCOPES
from logd.query.positions import Gone, Placed, Position, WrongCursor
from logd.query.selection import Selection
from logd.query.source import CannotRead, LogSource
from logd.query.terms import WrongSelection
from logd.records.entry import Entry
from logd.text.escaping import safe_json
from logd.text.reading import entry_text
from logd.web.answers import compare, groups, items, pages, shapes, view
from logd.web.answers.ledger import Ledger, first_time
from logd.web.answers.limits import ScanLimits
from logd.web.answers.owncode import OwnCode
from logd.web.answers.view import Extent
from logd.web.answers.wanted import BadParameter, Parameters, Wanted, number, one, wanted

FACETS = ("cat", "exc", "logger", "site", "host")
COMPARED = ("exc", "site", "logger", "host", "pid", "func", "thread")

MAX_ENTRIES = 1000
MAX_FACETS = 30
MAX_CONTEXT = 200
LIVE_ENTRIES = 500
"""Records of one message of the live stream."""

EXPORT_ENTRIES = 2000
"""Records of one piece of a download."""

QUICK_PARTS = 8
"""Lists and streams are read for this many times shorter than scans: others wait for their turn."""

MAX_BEHIND = 5000
"""A reader that is further behind gets the newest records, and is told how much it missed."""

SIZE_AGAIN_S = 10.0
"""How long the size of the log is good for: it is shown, and divides the work."""

BEGINNING = "0"
SPARK_S = 3600.0

_PATH = re.compile(r"(?<![\w/:])/(?:[^/\s]+/)*([^/\s]+/[^/\s]+)")


class Failed(Exception):
    """A task can't be done; becomes an answer of HTTP.

    Attributes:
        status: of HTTP.
        code: one word for programs.
        hint: what to do, or "".
    """

    def __init__(self, status: int, code: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.hint = hint


class Watch(Protocol):
    """Told of progress, 0 to 1; raises if nobody waits any more."""

    def __call__(self, done: float) -> None: ...


@dataclass
class Reader:
    """A log as a worker reads it.

    Args:
        source: the log.
        ledger: what is remembered of all of it.
        limits: what a scan may cost before it answers with a part.
        request_items: items that name the request a record belongs to.
        own: which code in tracebacks is shown open.
    """

    source: LogSource
    ledger: Ledger
    limits: ScanLimits
    request_items: Sequence[str] = REQUEST_ITEMS
    own: OwnCode = field(default_factory=OwnCode)
    tasks: Mapping[str, Callable[..., dict[str, Any]]] = field(init=False)
    _known_size: int = field(default=0, init=False)
    _sized_at: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.tasks = {
            "about": self.about,
            "view": self.view,
            "entries": self.entries,
            "entry": self.entry,
            "group": self.group,
            "ledger": self.whole_log,
            "context": self.context,
            "tracebacks": self.tracebacks,
            "compare": self.compare,
            "items": self.items,
            "export": self.export,
            "follow": self.follow,
        }

    def run(
        self, name: str, parameters: Parameters, only: Sequence[str], watch: Watch
    ) -> dict[str, Any]:
        """Do a task.

        Args:
            name: of the task.
            parameters: of the request.
            only: conditions of the user's role.
            watch: see `Watch`.

        Raises:
            Failed: it can't be done.
        """
        try:
            return self.tasks[name](parameters, only, watch)
        except BadParameter as exc:
            raise Failed(400, "bad_parameter", str(exc)) from exc
        except WrongSelection as exc:
            raise Failed(400, "bad_selection", str(exc)) from exc
        except WrongCursor as exc:
            raise Failed(404, "no_record", str(exc), "The link belongs to another log.") from exc
        except Gone as exc:
            begins = self._begins()
            hint = f"The log that is kept begins {_local(begins)}." if begins is not None else ""
            # Where the files lie is not told to browsers.
            text = "The log went on, and what was there was overwritten or removed."
            raise Failed(410, "gone", text, hint) from exc
        except CannotRead as exc:
            raise Failed(503, "cannot_read", short_paths(str(exc))) from exc

    # -- tasks -----------------------------------------------------------------------------

    def about(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """What log this is, and since when it is kept."""
        return {"source": short_paths(self.source.name), "first": self._begins()}

    def view(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """The picture, see `answers.view`."""
        want = wanted(parameters, only)
        frame = self._frame(parameters, want)
        names = one(parameters, "facets")
        facets = names.split(",") if names else list(FACETS)
        if len(facets) > MAX_FACETS:
            raise BadParameter(f"facets: {len(facets)}, at most {MAX_FACETS}")
        end, before = self.source.end(), one(parameters, "before")
        answer = view.view(
            self.source,
            want,
            frame,
            begins=self._begins(),
            size=self._size(),
            facets=facets,
            top=number(parameters, "top", 8, 1, view.MAX_FACET_VALUES),
            end=self.source.position(before) if before else end,
            is_first=not before,
            limits=self.limits,
            watch=watch,
        )
        answer["upto"] = None if end is None else self.source.cursor(end)
        return answer

    def entries(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """A page of the list, see `answers.pages`."""
        return pages.entries(
            self.source,
            wanted(parameters, only).selection(),
            before=one(parameters, "before"),
            after=one(parameters, "after"),
            place=one(parameters, "place"),
            around=one(parameters, "around"),
            is_first=one(parameters, "first") == "1",
            limit=number(parameters, "limit", 200, 1, MAX_ENTRIES),
            limits=self.limits.part(QUICK_PARTS),
            watch=watch,
        )

    def entry(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """One record, its traceback in parts, and the group it belongs to."""
        placed = self._record(parameters, only, watch)
        return {
            "entry": shapes.whole(self.source, placed.position, placed.entry),
            "parts": shapes.parts(placed.entry.msg, self.own),
            "text": entry_text(placed.entry),
        }

    def group(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """The group that a record belongs to, an hour around it; null without a traceback."""
        placed = self._record(parameters, only, watch)
        moment = placed.entry.time if placed.entry.time is not None else time.time()
        since, until = moment - SPARK_S, moment + SPARK_S
        terms = wanted({}, only).terms
        group = groups.group_of(
            self.source,
            placed.entry,
            terms,
            since,
            until,
            own=self.own,
            limits=self.limits,
            watch=watch,
        )
        return {"group": group, "time": moment}

    def whole_log(
        self, parameters: Parameters, only: Sequence[str], watch: Watch
    ) -> dict[str, Any]:
        """What is known of all of the log, after reading what came since the last time."""
        self.ledger.update(watch)
        return asdict(self.ledger.known())

    def context(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """What is around a record."""
        scope = one(parameters, "scope", "request")
        if scope not in SCOPES:
            raise BadParameter(
                f"scope: expected request, thread, process or all, got {scope[:40]!r}"
            )
        count = number(parameters, "n", 20, 1, MAX_CONTEXT)
        middle = self._record(parameters, only, watch)
        terms = wanted({}, only).terms
        return pages.context(
            self.source,
            middle,
            scope,
            count,
            terms,
            self.request_items,
            self.limits.part(2),
            watch,
        )

    def tracebacks(
        self, parameters: Parameters, only: Sequence[str], watch: Watch
    ) -> dict[str, Any]:
        """Tracebacks with the same cause together."""
        want = wanted(parameters, only)
        frame = self._frame(parameters, want)
        return groups.tracebacks(
            self.source,
            want,
            frame.since,
            frame.until,
            own=self.own,
            limits=self.limits,
            watch=watch,
        )

    def compare(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """What is different from the time before, or from the stretch `base_from` to `base_to`."""
        want = wanted(parameters, only)
        frame = self._frame(parameters, want)
        since = want.since if want.since is not None else float(frame.since)
        until = want.until if want.until is not None else float(frame.until)
        base = compare.base_of(parameters, since, until, time.time())
        here = Selection(since=since, until=until, terms=want.terms)
        few = self.limits.part(4)
        fields = items.item_fields(self.source, here, self.request_items, few, watch)
        return compare.compare(
            self.source, want, (since, until), base, [*COMPARED, *fields], self.limits, watch
        )

    def items(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """Items of the records as facets, see `answers.items`."""
        return items.items(
            self.source,
            wanted(parameters, only).selection(),
            self.request_items,
            top=number(parameters, "top", 8, 1, view.MAX_FACET_VALUES),
            limits=self.limits.part(2),
            watch=watch,
        )

    def export(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """A piece of a download, oldest first: lines, and the `place` where the next one begins.

        `place` of the request is one of an earlier piece; without it the first one is meant.
        """
        place = one(parameters, "place")
        shown = entry_text if one(parameters, "as") == "text" else _json_line
        budget = self.limits.part(QUICK_PARTS).budget()
        found = self.source.placed(
            wanted(parameters, only).selection(),
            start=self.source.position(place) if place else None,
            watch=watch,
            budget=budget,
        )
        most = number(parameters, "limit", EXPORT_ENTRIES, 1, EXPORT_ENTRIES)
        some = list(islice(found, most))
        behind = some[-1].behind if some and budget.next is None else budget.next
        return {
            "lines": [shown(placed.entry) for placed in some],
            "place": None if behind is None else self.source.cursor(behind),
        }

    def follow(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> dict[str, Any]:
        """Records behind a cursor that stand there now, and where to go on.

        `place` is where to go on, from an earlier answer, or "0", the beginning; `after` is the
        cursor of a record. Without both it begins at the end of the log.
        """
        place = one(parameters, "place")
        end = self.source.end()
        if end is None:
            return {"entries": [], "place": place or BEGINNING, "skipped": 0}
        after = one(parameters, "after")
        if not place and after:
            place = self.source.cursor(pages.one(self.source, after, watch).behind)
        if not place:
            return {"entries": [], "place": self.source.cursor(end), "skipped": 0}
        selection = wanted(parameters, only).selection()
        rows: list[dict[str, Any]] = []
        start = None if place == BEGINNING else self.source.position(place)
        behind = start or end
        few = self.limits.part(QUICK_PARTS)
        budget = few.budget()
        found = self.source.placed(selection, start=start, end=end, watch=watch, budget=budget)
        for placed in islice(found, LIVE_ENTRIES):
            rows.append(shapes.row(self.source, placed.position, placed.entry))
            behind = placed.behind
        if len(rows) < LIVE_ENTRIES:
            behind = budget.next or end
            is_more = budget.next is not None
            return self._followed(rows, behind, is_more=is_more)
        # Counted only: records that nobody can read as fast as they come cost little.
        budget = few.counting()
        left = self.source.summarise(selection, start=behind, end=end, watch=watch, budget=budget)
        if left.total > MAX_BEHIND or budget.next is not None:
            # The newest are shown: what is seen of a flood is seen as soon as the rest is.
            found = self.source.placed(
                selection,
                start=behind,
                end=end,
                newest_first=True,
                watch=watch,
                budget=few.budget(),
            )
            newest = [
                shapes.row(self.source, placed.position, placed.entry)
                for placed in islice(found, LIVE_ENTRIES)
            ]
            skipped = len(rows) + max(0, left.total - len(newest))
            return self._followed(newest[::-1], end, skipped=skipped)
        return self._followed(rows, behind)

    def _followed(
        self,
        rows: list[dict[str, Any]],
        place: Position,
        *,
        skipped: int = 0,
        is_more: bool = False,
    ) -> dict[str, Any]:
        cursor = self.source.cursor(place)
        return {"entries": rows, "place": cursor, "skipped": skipped, "more": is_more}

    # -- shared ----------------------------------------------------------------------------

    def _record(self, parameters: Parameters, only: Sequence[str], watch: Watch) -> Placed:
        """The record that is asked for; what a user may not see is not there."""
        placed = pages.one(self.source, one(parameters, "cursor"), watch)
        if only and not wanted({}, only).selection().matches(placed.entry):
            raise Failed(404, "no_record", "there is no such record")
        return placed

    def _frame(self, parameters: Parameters, want: Wanted) -> Extent:
        step = number(parameters, "step", 0, 0, 10**9)
        if step and want.since is not None and want.until is not None:
            # The page goes on with a picture that it has a part of.
            return Extent(int(want.since), int(want.until), step)
        bars = number(parameters, "buckets", 120, 1, 1000)
        return view.frame_of(want, self._begins(), bars, time.time())

    def _size(self) -> int:
        now = time.monotonic()
        if self._sized_at is None or now - self._sized_at > SIZE_AGAIN_S:
            self._sized_at = now
            self._known_size = sum(p.size for p in self.source.inventory() if p.is_log)
        return self._known_size

    def _begins(self) -> float | None:
        if self.ledger.begins is None:
            self.ledger.begins = first_time(self.source)
        return self.ledger.begins


def short_paths(text: str) -> str:
    """A text with the ends of its paths: where a log's folder lies is not told to browsers."""
    return _PATH.sub(r"\1", text)


def _json_line(entry: Entry) -> str:
    return safe_json(entry.as_json())


def _local(moment: float) -> str:
    return time.strftime("%a %d %b %H:%M", time.localtime(moment))
