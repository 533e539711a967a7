"""Counts the rows of one table by SQL, so that only counts travel.

A statement for the histogram, and one for each facet: each of them runs over no more than the
index or the columns that it needs. What SQL can't count by (the exceptions in a message) is taken
from rows that have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from logd.query.barsteps import Step
from logd.query.fields import NO_LABEL
from logd.query.summaries import MAX_LABELS, Key, Tally, entry_label
from logd.query.tables.conditions import Conditions
from logd.query.tables.dialects import contains, second_of
from logd.query.tables.grouping import MINUTE_S, QUARTER_S, Grouping, grouping_of
from logd.query.tables.pages import LogTable, Order, pages
from logd.query.tables.ranges import counted_ranges
from logd.query.tables.values import entry_of, text_of
from logd.query.tracebacks import HEADING
from logd.records.entry import category

_EXC_COLUMNS = ("id", "time", "msg")


class TableCounter:
    """Adds the rows of a table to a tally.

    Args:
        connection: not in a transaction.
        log: the table.
        conditions: exact ones.
        next_id: if rows may come meanwhile, so that all counts must be of one moment: tells, in
            the transaction that counts, the id of the row that comes next.
    """

    def __init__(
        self,
        connection: Connection,
        log: LogTable,
        conditions: Conditions,
        *,
        next_id: Callable[[], int] | None,
    ) -> None:
        self._connection = connection
        self._log = log
        self._conditions = conditions
        self._next_id = next_id

    def add(self, tally: Tally, step: Step | None, watch: Callable[[float], None]) -> None:
        """Count all rows.

        Args:
            tally: takes them.
            step: of its histogram.
            watch: told how much is done, 0 to 1.
        """
        keys = list(tally.facets)
        by_sql = {key: grouping for key in keys if (grouping := grouping_of(key, self._log))}
        with self._snapshot():
            total = self._add_cells(tally, step)
            for number, (key, grouping) in enumerate(by_sql.items()):
                if key == "cat" and total is not None:
                    continue  # the histogram has them
                total = self._add_facet(tally, key, grouping)
                watch((number + 1) / (len(keys) + 1))
            if total is None:
                total = self._count()
            if self._next_id is not None and len(by_sql) < len(keys):
                is_known = self._log.clause.c.id < self._next_id()
                others = [*self._conditions.others, is_known]
                self._conditions = replace(self._conditions, others=others)
        tally.total += total
        for key in keys:
            if key == "exc":
                self._add_exceptions(tally, total)
            elif key not in by_sql:
                self._add_entries(tally, key, self._log, [])

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """One moment for all statements if the table grows.

        A closed table is the same at every moment; a long transaction would keep the daemon from
        using it again.
        """
        if self._next_id is None:
            yield
            return
        with self._connection.begin():
            if self._log.dialect == "postgresql":
                self._connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            elif self._log.dialect == "sqlite":
                self._connection.exec_driver_sql("BEGIN")
            yield

    @contextmanager
    def _moment(self) -> Iterator[None]:
        if self._connection.in_transaction():
            yield
        else:
            with self._connection.begin():
                yield

    def _rows(
        self, columns: Sequence[ColumnElement[Any]], most: int | None = None
    ) -> Sequence[Any]:
        """Values of the columns, and how many rows have them; at most the `most` frequent ones."""
        statement = (
            select(*columns, func.count())
            .select_from(self._log.clause)
            .where(*self._conditions.together)
        )
        if columns:
            # By their places: expressions with parameters would not be seen to be the same.
            statement = statement.group_by(
                *(literal_column(str(place + 1)) for place in range(len(columns)))
            )
        if most is not None:
            statement = statement.order_by(func.count().desc()).limit(most)
        with self._moment():
            return self._connection.execute(statement).all()

    def _count(self) -> int:
        return int(self._rows([])[0][-1])

    def _add_facet(self, tally: Tally, key: Key, grouping: Grouping) -> int:
        """Count by a key; how many rows there were."""
        counted, most = 0, None if grouping.are_many else MAX_LABELS
        found = self._rows(grouping.columns, most)
        for *values, number in found:
            if number:
                tally.add_label(key, grouping.label(values), number)
            counted += number
        if most is None or len(found) < most:
            return counted
        # More would fill the memory, and no one looks at them.
        total = self._count()
        if total > counted:
            tally.others[key] = tally.others.get(key, 0) + total - counted
        return total

    def _add_exceptions(self, tally: Tally, total: int) -> None:
        narrow = replace(self._log, names=_EXC_COLUMNS)
        is_there = contains(self._log.clause.c.msg, HEADING, self._log.dialect)
        found = self._add_entries(tally, "exc", narrow, [is_there])
        if total > found:
            tally.add_label("exc", NO_LABEL, total - found)

    def _add_entries(
        self, tally: Tally, key: Key, log: LogTable, more: Sequence[ColumnElement[bool]]
    ) -> int:
        number = 0
        conditions = [*self._conditions.together, *more]
        for page in pages(self._connection, log, conditions, Order(by_time=False)):
            number += len(page)
            for row in page:
                tally.add_label(key, entry_label(entry_of(row, log.names), key), 1)
        return number

    # -- the histogram -----------------------------------------------------------------------

    def _add_cells(self, tally: Tally, step: Step | None) -> int | None:
        """Count by time and category; how many rows there were, None without a histogram."""
        if step is None or tally.cells is None:
            return None
        width = 1 if tally.cells.is_by_second else MINUTE_S
        if isinstance(step, int):
            width = step
        elif step in ("hour", "day"):
            width = QUARTER_S
        if self._log.dialect == "sqlite" and not self._conditions.others:
            with self._moment():
                found = counted_ranges(self._connection, self._log, self._conditions, width)
            if found is not None:
                for start, cat, number in found:
                    _add_cell(tally, start, cat, number)
                tally.cells.coarsen()
                return sum(number for _, _, number in found)
        column = self._log.stretch(width)
        total = 0
        for start, cat, number in self._rows([column, self._log.clause.c.cat]):
            _add_cell(tally, second_of(start), cat, number)
            total += number
        tally.cells.coarsen()
        return total


def _add_cell(tally: Tally, start: int | None, cat: object, number: int) -> None:
    name = category(text_of(cat))
    if start is not None and tally.cells is not None:
        tally.cells.put(start, name, number)
    if "cat" in tally.facets:
        tally.add_label("cat", name or NO_LABEL, number)
