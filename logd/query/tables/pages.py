"""Rows of one log table, in order, a page at a time.

A page is one short statement. A cursor over the whole table would hold a transaction for as long
as someone reads: the daemon could not drop the table at a rotation, and SQLite's write-ahead log
could not be cut. All pages together cost no
more than one scan of the table. Pages by time are found by an index: each goes on behind the last
row of the one before. Other pages are stretches of the table: of ids if rows are stored by them, of
disk pages on PostgreSQL, where ids have no index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from typing import cast as typed

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Row,
    Select,
    TableClause,
    Text,
    and_,
    cast,
    inspect,
    literal_column,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.sql import column, table

from logd.outputs.tables.ring import TableEntry
from logd.query.tables.dialects import moment, seconds_of, stretch
from logd.records.shape import NAMES

PAGE_CHARS = 8 << 20
"""A page ends when its rows have about this many characters; that is held in memory."""

_FIRST_PAGE_ROWS = 256
_MAX_PAGE_ROWS = 8192
_ROW_CHARS = 300
_FETCHED_AT_ONCE = 256
_STREAMED = {"stream_results": True, "max_row_buffer": _FETCHED_AT_ONCE}

COLUMNS = ("id", *NAMES)
"""What is read of a row."""

Values = Row[Any]


@dataclass(frozen=True)
class LogTable:
    """One table of the ring as it can be read.

    Attributes:
        entry: what the catalogue knows of it.
        clause: for statements.
        names: its columns among `COLUMNS`: that tuple itself if all of them are there.
        dialect: SQLAlchemy's name for the kind of database.
        has_timestamps: whether its times are timestamps, not seconds since the epoch.
        has_objects: whether its special items are objects of PostgreSQL's, not JSON texts.
        can_bin: whether PostgreSQL is of version 14 or later.
    """

    entry: TableEntry
    clause: TableClause
    names: tuple[str, ...]
    dialect: str
    has_timestamps: bool = False
    has_objects: bool = False
    can_bin: bool = False

    @property
    def is_ordered(self) -> bool:
        """Whether it has what tells the order of records; tables of other makers may not."""
        return {"id", "time", "msg"} <= set(self.names)

    def rows(self) -> Select[Any]:
        """A statement for what is read of its rows."""
        return select(*map(self._read, self.names))

    def _read(self, name: str) -> ColumnElement[Any]:
        found = self.clause.c[name]
        if name == "time":
            return seconds_of(found, is_timestamp=self.has_timestamps).label("time")
        if name == "special" and self.has_objects:
            # Of texts that are the same one is parsed.
            return cast(found, Text).label("special")
        return found

    def stretch(self, width_s: int) -> ColumnElement[Any]:
        """When the stretch of time begins that the time of a row is in."""
        return stretch(
            self.clause.c.time,
            width_s,
            self.dialect,
            is_timestamp=self.has_timestamps,
            can_bin=self.can_bin,
        )

    def moment(self, seconds: float) -> ColumnElement[Any]:
        """A time to compare the column with."""
        return moment(seconds, is_timestamp=self.has_timestamps)


def log_table(connection: Connection, entry: TableEntry) -> LogTable:
    """Look at the columns of a table."""
    there = {
        item["name"]: item["type"] for item in inspect(connection).get_columns(entry.table_name)
    }
    names = tuple(name for name in COLUMNS if name in there)
    if names == COLUMNS:
        names = COLUMNS
    return LogTable(
        entry,
        table(entry.table_name, *map(column, names)),
        names,
        connection.dialect.name,
        isinstance(there.get("time"), DateTime),
        isinstance(there.get("special"), JSON),
        (connection.dialect.server_version_info or ()) >= (14,),
    )


@dataclass(frozen=True)
class Order:
    """How rows are sorted: by time and id, or by id alone; ascending or descending."""

    by_time: bool
    newest_first: bool = False

    def key(self, row: Values) -> tuple[float, int]:
        """What rows of several statements are merged by."""
        return (row.time if self.by_time else 0.0, row.id)


def pages(
    connection: Connection,
    log: LogTable,
    conditions: Sequence[ColumnElement[bool]],
    order: Order,
    *,
    are_few: bool = False,
) -> Iterator[list[Values]]:
    """The rows that fulfil all conditions, in lists.

    Args:
        connection: not in a transaction while the caller has a page.
        log: the table.
        conditions: the columns are those of `log.clause`.
        order: see there.
        are_few: whether an index leads to the rows, and they are few enough to be sorted.
    """
    columns = log.clause.c
    keys = [columns.time, columns.id] if order.by_time else [columns.id]
    statement = log.rows().order_by(*(key.desc() if order.newest_first else key for key in keys))
    statement = statement.where(*conditions)
    if order.by_time:
        yield from _pages_by_time(connection, log, statement, order)
        return
    whole: list[list[ColumnElement[bool]]] = [[]]
    parts = whole if are_few else _stretches(connection, log, newest_first=order.newest_first)
    for part in parts:
        last: Values | None = None
        is_cut = True
        while is_cut:
            behind = [] if last is None else [_behind(last, log, order)]
            page, is_cut = read_page(connection, statement.where(*part, *behind))
            if page:
                yield page
                last = page[-1]


def _pages_by_time(
    connection: Connection, log: LogTable, statement: Select[Any], order: Order
) -> Iterator[list[Values]]:
    last: Values | None = None
    size = _FIRST_PAGE_ROWS
    while True:
        following = statement if last is None else statement.where(_behind(last, log, order))
        page, is_cut = read_page(connection, following.limit(size))
        if page:
            yield page
            last = page[-1]
        if not is_cut and len(page) < size:
            return
        size = min(size * 4, _MAX_PAGE_ROWS)


def _stretches(
    connection: Connection, log: LogTable, *, newest_first: bool
) -> Iterator[list[ColumnElement[bool]]]:
    """Conditions that divide the table into pieces in the order of ids; the first are small."""
    if connection.dialect.name == "postgresql":
        with connection.begin():
            low, high, size, most = 0, disk_pages(connection, log), 8, 2048
        bound: Callable[[int], ColumnElement[bool]] = disk_place
    else:
        low, high, size, most = log.entry.first_id, log.entry.next_id, 256, 65_536
        bound = log.clause.c.id.__ge__
    place = high if newest_first else low
    while True:
        start, stop = (place - size, place) if newest_first else (place, place + size)
        # The outermost pieces have no bound: tables of other makers number as they like.
        stretch = [bound(start)] if start > low else []
        if stop < high:
            stretch.append(not_(bound(stop)))
        yield stretch
        place = start if newest_first else stop
        if place <= low if newest_first else place >= high:
            return
        size = min(size * 4, most)


def disk_pages(connection: Connection, log: LogTable) -> int:
    """How many disk pages a table of PostgreSQL has; in a transaction."""
    name = connection.dialect.identifier_preparer.quote(log.entry.table_name)
    size = "pg_relation_size(CAST(:name AS regclass)) / current_setting('block_size')::bigint"
    return int(connection.execute(text(f"SELECT {size}"), {"name": name}).scalar_one())


def disk_place(page: int) -> ColumnElement[bool]:
    """The rows of a PostgreSQL table from a disk page on. Rows are only appended, never removed."""
    return literal_column(f"(ctid >= '({int(page)},0)'::tid)", Boolean())


def read_page(connection: Connection, statement: Select[Any]) -> tuple[list[Values], bool]:
    """The rows, and whether they were too many for one page, so that more may follow."""
    page: list[Values] = []
    chars = 0
    with (
        connection.begin(),
        connection.execute(statement, execution_options=_STREAMED) as result,
    ):
        for part in result.partitions(_FETCHED_AT_ONCE):
            page.extend(part)
            chars += sum(len(row.msg or "") + _ROW_CHARS for row in part)
            if chars >= PAGE_CHARS:
                return page, True
    return page, False


def _behind(row: Values, log: LogTable, order: Order) -> ColumnElement[bool]:
    """What comes after `row`. Not as a comparison of pairs: MariaDB finds no index for those."""
    column_id: ColumnElement[int] = log.clause.c.id
    column_time = log.clause.c.time
    if not order.by_time:
        is_behind = column_id < row.id if order.newest_first else column_id > row.id
        return typed(ColumnElement[bool], is_behind)
    time = log.moment(row.time) if log.has_timestamps else row.time
    if order.newest_first:
        return and_(column_time <= time, or_(column_time < time, column_id < row.id))
    return and_(column_time >= time, or_(column_time > time, column_id > row.id))
