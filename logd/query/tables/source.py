"""A log of database tables as a source: all tables of the ring, by the catalogue's order.

Nothing is locked and no transaction stays open between pages (`pages.py`), so that a
reader, however slow, is never in the daemon's way. Within a table rows come in the order of time
if times or categories are asked for, which the indexes give, else as they were written.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection

from logd.outputs.tables.ring import TableEntry
from logd.query.barsteps import Step
from logd.query.budget import Budget
from logd.query.inventory import StoredPiece
from logd.query.positions import Gone, Placed, Position, TablePosition
from logd.query.selection import EVERYTHING, Selection
from logd.query.source import Follower, LogSource, Note, Watch, unwatched
from logd.query.summaries import Key, Summary, Tally
from logd.query.tables.cells import can_answer, count_known
from logd.query.tables.conditions import Conditions, conditions_of
from logd.query.tables.counting import TableCounter
from logd.query.tables.database import LogDatabase, gone_text
from logd.query.tables.follow import TableFollower
from logd.query.tables.inventory import checks, pieces
from logd.query.tables.pages import LogTable, Order, Values, pages
from logd.query.tables.textsearch import rare_texts
from logd.query.tables.values import entry_of
from logd.query.verifying import Checked
from logd.records.entry import Entry

_MAX_ID = (1 << 63) - 2


class TableSource(LogSource):
    """The tables of one ring in one database.

    Args:
        address: database URL.
        on_note: see `LogSource`.
        pattern: of the tables' names; None: of the only ring that the database has.

    Raises:
        CannotRead: the address or pattern is wrong, or a driver is missing.
    """

    def __init__(self, address: str, on_note: Note, *, pattern: str | None = None) -> None:
        super().__init__(on_note)
        self._database = LogDatabase(address, pattern)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The same as the daemon calls the output."""
        return self._database.name

    def is_there(self) -> bool:
        with self._database.reading() as connection:
            return bool(self._database.entries(connection))

    def has(self, position: Position) -> bool:
        if not isinstance(position, TablePosition):
            return False
        with self._database.reading() as connection:
            return any(
                entry.table_name == position.table and entry.next_id > position.id
                for entry in self._database.entries(connection)
            )

    def end(self) -> Position | None:
        with self._database.reading() as connection:
            entries = self._database.entries(connection)
        if not entries:
            return None
        return TablePosition(entries[-1].table_name, entries[-1].next_id - 1)

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
        span = self._span(start, end)
        order = Order(by_time=False, newest_first=newest_first)
        for table, row_id, entry in self._rows(selection, order, span, watch):
            before, behind = TablePosition(table, row_id - 1), TablePosition(table, row_id)
            yield Placed(before, behind, entry)
            if budget is not None and budget.take(entry, before if newest_first else behind):
                return

    def entries(
        self,
        selection: Selection = EVERYTHING,
        *,
        newest_first: bool = False,
        limit: int | None = None,
        start: Position | None = None,
        end: Position | None = None,
        watch: Watch = unwatched,
    ) -> Iterator[Entry]:
        by_time = selection.cats is not None or selection.has_times
        rows = self._rows(selection, Order(by_time, newest_first), self._span(start, end), watch)
        return islice((entry for _, _, entry in rows), limit)

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
        if budget is not None and not self._is_quick(selection, step, budget):
            return super().summarise(
                selection, step=step, keys=keys, start=start, end=end, watch=watch, budget=budget
            )
        span = self._span(start, end)
        tally = Tally(step, keys)
        if step == "auto" and tally.cells is not None:
            tally.cells.go_by_minute()
        self._count(tally, step, selection, span, watch, budget)
        if step == "auto" and tally.cells is not None and not tally.cells.is_wide:
            # What took a few minutes only is shown by the second.
            tally = Tally(step, keys)
            self._count(tally, step, selection, span, watch, budget)
        return tally.summary()

    def inventory(self) -> Sequence[StoredPiece]:
        return list(pieces(self._database))

    def verify(self, watch: Watch = unwatched) -> Iterator[Checked]:
        return checks(self._database)

    def follow(
        self, selection: Selection, start: Position | None, on_note: Note | None = None
    ) -> Follower[Entry]:
        last_id = start.id if isinstance(start, TablePosition) else 0
        return TableFollower(self._database, on_note or self.on_note, selection, last_id)

    def close(self) -> None:
        self._database.close()

    # -- rows ----------------------------------------------------------------------------------

    def _span(self, start: Position | None, end: Position | None) -> range:
        """The ids between two positions.

        Raises:
            Gone: records behind the start were dropped.
        """
        lowest = start.id + 1 if isinstance(start, TablePosition) else 0
        highest = end.id if isinstance(end, TablePosition) else _MAX_ID
        if lowest:
            with self._database.reading() as connection:
                tables = self._database.entries(connection)
            if not tables or not tables[0].first_id <= lowest <= tables[-1].next_id:
                raise Gone(f"{self.name}: what was at the position was dropped since")
        return range(lowest, highest + 1)

    def _tables(self, connection: Connection, selection: Selection, span: range) -> list[LogTable]:
        """The tables with records of the time and the ids that are asked for, oldest first."""
        found = []
        for entry in self._within(self._database.entries(connection), selection):
            if entry.first_id >= span.stop or entry.next_id <= span.start:
                continue
            log = self._database.table(connection, entry)
            if log.is_ordered:
                found.append(log)
            else:
                self.on_note(f"table {entry.table_name} has no times and ids: left out")
        return found

    def _rows(
        self, selection: Selection, order: Order, span: range, watch: Watch
    ) -> Iterator[tuple[str, int, Entry]]:
        """Table, id and entry of the rows that pass and have an id of `span`."""
        with self._database.reading() as connection:
            tables = self._tables(connection, selection, span)
            total = sum(log.entry.records for log in tables) or 1
            done = 0
            for log in reversed(tables) if order.newest_first else tables:
                yield from self._table_rows(connection, log, selection, order, span)
                done += log.entry.records
                watch(done / total)

    def _table_rows(
        self,
        connection: Connection,
        log: LogTable,
        selection: Selection,
        order: Order,
        span: range,
    ) -> Iterator[tuple[str, int, Entry]]:
        conditions = conditions_of(selection, log)
        rare = rare_texts(connection, log, selection)
        common = [*conditions.common, *rare, *_within_ids(log, span)]
        parts = [
            chain.from_iterable(
                self._checked_pages(
                    connection, log, [*common, *condition], order, are_few=bool(rare)
                )
            )
            for condition in ([[cat] for cat in conditions.by_cat] or [[]])
        ]
        rows = (
            parts[0]
            if len(parts) == 1
            else heapq.merge(*parts, key=order.key, reverse=order.newest_first)
        )
        for row in rows:
            entry = entry_of(row, log.names)
            if conditions.is_exact or selection.matches(entry):
                yield log.entry.table_name, row.id, entry

    def _checked_pages(
        self,
        connection: Connection,
        log: LogTable,
        conditions: Sequence[Any],
        order: Order,
        *,
        are_few: bool,
    ) -> Iterator[list[Values]]:
        """Pages of rows, until the ring has taken the table's name for another one."""
        with self._database.translated():
            try:
                for page in pages(connection, log, conditions, order, are_few=are_few):
                    if not self._database.is_current(connection, log.entry):
                        break
                    yield page
                else:
                    return
            except self._database.errors:
                if self._database.is_current(connection, log.entry):
                    raise
            self._note_gone(log.entry)

    def _is_quick(self, selection: Selection, step: Step | None, budget: Budget) -> bool:
        """Whether whole tables may be counted with a budget of time: SQL alone can do it."""
        if budget.bytes is not None or step == "auto":
            return False
        with self._database.reading() as connection:
            tables = self._tables(connection, selection, self._span(None, None))
            return all(conditions_of(selection, log).is_exact for log in tables)

    def _count(
        self,
        tally: Tally,
        step: Step | None,
        selection: Selection,
        span: range,
        watch: Watch,
        budget: Budget | None = None,
    ) -> None:
        """Add what passes and has an id of `span`; with a budget the newest tables of it."""
        with self._database.reading() as connection:
            tables = self._tables(connection, selection, span)
            newest = tables[-1:]
            for done, log in enumerate(tables if budget is None else reversed(tables)):
                is_last = log in newest
                conditions = conditions_of(selection, log)
                if conditions.is_exact:
                    moment = partial(self._database.next_id, connection, log.entry)
                    counting = _Counting(selection, span, step, moment if is_last else None)
                    watched = _part(watch, done, len(tables))
                    self._count_table(connection, log, tally, conditions, counting, watched)
                else:
                    order = Order(by_time=False)
                    for _, _, entry in self._table_rows(connection, log, selection, order, span):
                        tally.add(entry)
                watch((done + 1) / len(tables))
                if budget is not None and budget.is_spent and done + 1 < len(tables):
                    budget.next = TablePosition(log.entry.table_name, log.entry.first_id - 1)
                    return

    def _count_table(
        self,
        connection: Connection,
        log: LogTable,
        tally: Tally,
        conditions: Conditions,
        asked: _Counting,
        watch: Watch,
    ) -> None:
        """Add all of a table or, if the ring has taken its name meanwhile, nothing."""
        counted = tally.like()
        with self._database.translated():
            try:
                self._count_ids(connection, log, counted, conditions, asked, watch)
                is_there = self._database.is_current(connection, log.entry)
            except self._database.errors:
                is_there = self._database.is_current(connection, log.entry)
                if is_there:
                    raise
        if is_there:
            tally.take(counted)
        else:
            self._note_gone(log.entry)

    def _count_ids(
        self,
        connection: Connection,
        log: LogTable,
        tally: Tally,
        conditions: Conditions,
        asked: _Counting,
        watch: Watch,
    ) -> None:
        """Count what is known already, and the rest by SQL."""
        selection, entry = asked.selection, log.entry
        ids: Sequence[range] = [asked.span]
        if can_answer(tally, selection, asked.step):
            within = range(max(asked.span.start, entry.first_id), asked.span.stop)
            ids = count_known(connection, self._database.ring, entry, tally, selection, within)
        rare = rare_texts(connection, log, selection)
        for some in ids:
            others = [*conditions.others, *rare, *_within_ids(log, some)]
            counter = TableCounter(
                connection, log, replace(conditions, others=others), next_id=asked.next_id
            )
            counter.add(tally, asked.step, watch)

    @staticmethod
    def _within(entries: Sequence[TableEntry], selection: Selection) -> list[TableEntry]:
        """The tables with records of the time that is asked for."""
        since, until = selection.since, selection.until
        return [
            entry
            for entry in entries
            if entry.records
            and (since is None or entry.last_time is None or entry.last_time >= since)
            and (until is None or entry.first_time is None or entry.first_time < until)
        ]

    def _note_gone(self, entry: TableEntry) -> None:
        self.on_note(gone_text(entry))


@dataclass(frozen=True)
class _Counting:
    """What is counted in each table.

    Attributes:
        selection: which records count.
        span: the ids that count.
        step: of the histogram.
        next_id: of a table that grows: see `TableCounter`.
    """

    selection: Selection
    span: range
    step: Step | None
    next_id: Callable[[], int] | None


def _within_ids(log: LogTable, span: range) -> list[ColumnElement[bool]]:
    """The condition that ids are of `span`; none if all are."""
    column = log.clause.c.id
    found = []
    if log.entry.next_id > span.stop:
        found.append(column < span.stop)
    if log.entry.first_id < span.start:
        found.append(column >= span.start)
    return found


def _part(watch: Watch, done: int, total: int) -> Watch:
    """The watch of one table of several."""
    return lambda part: watch((done + part) / total)
