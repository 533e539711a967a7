"""Several logs that are read as one, in the order of time: those of other daemons, other folders.

Each log keeps its own order; of two entries that are next in their logs the earlier one comes
first. So late records stay where they are in their log.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

from logd.query.barsteps import Step
from logd.query.budget import Budget
from logd.query.positions import (
    Gone,
    MergedPosition,
    Placed,
    Position,
    is_same_place,
    own_place,
)
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Follower, LogSource, Note, Watch, unwatched
from logd.query.summaries import Key, Summary, Tally
from logd.records.entry import Entry


class MergedSource(LogSource):
    """Logs that are read together.

    Args:
        sources: the logs.
        on_note: see `LogSource`.
    """

    def __init__(self, sources: Sequence[LogSource], on_note: Note) -> None:
        super().__init__(on_note)
        self._sources = sources
        self.name = ", ".join(source.name for source in sources)

    @property
    def is_damaged(self) -> bool:  # type: ignore[override]
        """Whether that is true of one of them."""
        return any(source.is_damaged for source in self._sources)

    def is_there(self) -> bool:
        there = [source.is_there() for source in self._sources]
        if any(there):
            for source, is_there in zip(self._sources, there, strict=True):
                if not is_there:
                    self.on_note(f"there is no {source.name}")
        return any(there)

    def aside(self) -> Sequence[LogSource]:
        return [aside for source in self._sources for aside in source.aside()]

    def placed(
        self,
        selection: Selection = EVERYTHING,
        *,
        start: Position | None = None,
        end: Position | None = None,
        newest_first: bool = False,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Iterator[Placed]:
        starts, ends = self._each(start), self._each(end)
        # What was passed in each log by now.
        at: list[Any] = [
            source.end() if newest_first and stop is None else stop if newest_first else begin
            for source, begin, stop in zip(self._sources, starts, ends, strict=True)
        ]
        done = [0.0] * len(self._sources)

        def watch_one(number: int) -> Watch:
            def told(part: float) -> None:
                done[number] = part
                watch(sum(done) / len(done))

            return told

        streams = [
            _numbered(
                number,
                source.placed(
                    selection,
                    start=starts[number],
                    end=ends[number],
                    newest_first=newest_first,
                    watch=watch_one(number),
                ),
            )
            for number, source in enumerate(self._sources)
            # Nothing is before the beginning.
            if not (isinstance(end, MergedPosition) and ends[number] is None)
        ]
        for _, number, one in heapq.merge(*streams, key=lambda item: item[0], reverse=newest_first):
            # Where it is in its own log, whatever was passed over there, and how far others are.
            edges = [_merged(_replaced(at, number, place), number) for place in one[:2]]
            at[number] = one.position if newest_first else one.behind
            after = _merged(at)
            yield Placed(edges[0], edges[1], one.entry)
            if budget is not None and budget.take(one.entry, after):
                return

    def summarise(
        self,
        selection: Selection = EVERYTHING,
        *,
        step: Step | None = None,
        keys: Sequence[Key] = (),
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
        budget: Budget | None = None,
    ) -> Summary:
        if step != "auto" or (budget is None and start is None and end is None):
            # Each log knows the quickest way to its own counts; of "auto" the minutes.
            tally = Tally(step, keys)
            budgets = [_share(budget, len(self._sources)) for _ in self._sources]
            starts, ends = self._each(start), self._each(end)
            for number, source in enumerate(self._sources):
                # Nothing is before the beginning.
                if isinstance(end, MergedPosition) and ends[number] is None:
                    continue
                part = source.summarise(
                    selection,
                    step="minute" if step == "auto" else step,
                    keys=keys,
                    start=starts[number],
                    end=ends[number],
                    watch=_part_of(watch, number, len(self._sources)),
                    budget=budgets[number],
                )
                tally.take_summary(part)
            _put_together(budget, budgets)
            if tally.cells is None or step != "auto" or tally.cells.is_wide:
                return tally.summary()
        return super().summarise(
            selection, step=step, keys=keys, start=start, end=end, watch=watch, budget=budget
        )

    def at(self, position: Position, watch: Watch = unwatched) -> Placed | None:
        each = self._each(position)
        own = position.own if isinstance(position, MergedPosition) else None
        if own is None:
            return super().at(position, watch)
        found = None if each[own] is None else self._sources[own].at(each[own], watch)
        if found is None:
            return None
        return Placed(position, _merged(_replaced(each, own, found.behind), own), found.entry)

    def places(self, found: Placed) -> tuple[Position, Position]:
        number, before = own_place(found)
        behind = self._each(found.behind)[number]
        if found.entry.time is None:
            return found.position, found.behind
        moment, others = found.entry.time, self._each(found.position)
        passed = [
            before if other == number else _reached(source, others[other], moment)
            for other, source in enumerate(self._sources)
        ]
        return _merged(passed, number), _merged(_replaced(passed, number, behind), number)

    def _each(self, position: Position | None) -> Sequence[Any]:
        if position is None:
            return [None] * len(self._sources)
        if not isinstance(position, MergedPosition) or len(position.positions) != len(
            self._sources
        ):
            raise Gone(f"{self.name}: the position belongs to other logs")
        return position.positions

    def end(self) -> Position | None:
        ends = [source.end() for source in self._sources]
        return None if not any(ends) else _merged(ends)

    def has(self, position: Position) -> bool:
        # No daemon tells positions of several logs.
        return False

    def _for_cursor(self, position: Position) -> Position:
        return self._mapped(position, lambda source, one: source._for_cursor(one))

    def _from_cursor(self, position: Position) -> Position:
        return self._mapped(position, lambda source, one: source._from_cursor(one))

    def _mapped(self, position: Position, change: Any) -> Position:
        each = zip(self._sources, self._each(position), strict=True)
        own = position.own if isinstance(position, MergedPosition) else None
        return _merged([None if one is None else change(source, one) for source, one in each], own)

    def close(self) -> None:
        for source in self._sources:
            source.close()

    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[Entry]:
        starts = self._each(start)
        followers = [
            source.follow(selection, one, on_note or self.on_note)
            for source, one in zip(self._sources, starts, strict=True)
        ]
        return MergedFollower(followers)


def _share(budget: Budget | None, number: int) -> Budget | None:
    """What one of several logs may cost."""
    if budget is None:
        return None
    return Budget(
        bytes=None if budget.bytes is None else budget.bytes // number,
        seconds=None if budget.seconds is None else budget.seconds / number,
        cancelled=budget.cancelled,
    )


def _put_together(budget: Budget | None, shares: Sequence[Budget | None]) -> None:
    """Say what all of them cost, and where the rest begins in each log."""
    if budget is None:
        return
    known = [share for share in shares if share is not None]
    budget.looked_at += sum(share.looked_at for share in known)
    rest = [share.next for share in known]
    budget.next = _merged(rest) if any(one is not None for one in rest) else None


class MergedFollower(Follower[Entry]):
    """Follows several logs: what came to them between two looks, in the order of time.

    Args:
        followers: of the logs.
    """

    def __init__(self, followers: Sequence[Follower[Any]]) -> None:
        self._followers = followers

    def _more(self) -> Sequence[Entry] | None:
        found = [follower.read() for follower in self._followers]
        if all(entries is None for entries in found):
            return None
        streams = [_timed(entries or ()) for entries in found]
        return [entry for _, entry in heapq.merge(*streams, key=lambda item: item[0])]

    def _entry(self, item: Entry) -> Entry:
        return item

    def position(self) -> Position | None:
        return _merged([follower.position() for follower in self._followers])

    def close(self) -> None:
        for follower in self._followers:
            follower.close()


def _part_of(watch: Watch, number: int, total: int) -> Watch:
    """The watch of one of several logs."""
    return lambda part: watch((number + part) / total)


def _timed(entries: Sequence[Entry]) -> Iterator[tuple[float, Entry]]:
    last = 0.0
    for entry in entries:
        last = last if entry.time is None else entry.time
        yield last, entry


def _numbered(number: int, placed: Iterator[Placed]) -> Iterator[tuple[float, int, Placed]]:
    """Entries with their times; what has none comes with the one before it."""
    last = 0.0
    for one in placed:
        last = last if one.entry.time is None else one.entry.time
        yield last, number, one


def _reached(source: LogSource, near: Position | None, moment: float) -> Position | None:
    """The place before the first entry of a log that is not earlier than a moment.

    Args:
        source: the log.
        near: a place in it, before that one or behind it; None: its beginning.
        moment: the time, in seconds since the epoch.
    """
    later = next(source.placed(Selection(since=moment), start=near), None)
    if later is not None and (near is None or not is_same_place(later.position, near)):
        return later.position
    end = None if later is None else near
    older = source.placed(Selection(until=moment), end=end, newest_first=True)
    last = next(older, None)
    return None if last is None else last.behind


def _replaced(places: Sequence[Any], number: int, place: Any) -> Sequence[Any]:
    return [*places[:number], place, *places[number + 1 :]]


def _merged(positions: Sequence[Any], own: int | None = None) -> MergedPosition:
    return MergedPosition(tuple(positions), own)
