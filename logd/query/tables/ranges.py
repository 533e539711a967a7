"""Counts rows by time and category as ranges of SQLite's index, for SQLite groups by sorting.

A statement hops from one stretch of time that has rows to the next, and counts the entries of the
index in each: a third of the time that GROUP BY takes for as many rows.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from logd.query.tables.conditions import Conditions
from logd.query.tables.dialects import MAX_TIME
from logd.query.tables.pages import LogTable
from logd.query.tables.values import text_of
from logd.records.entry import category

MIN_ROWS = 16
"""Ranges must have this many rows on average, else grouping is quicker."""

_MAX_CATS = 64

_CATS = """
    WITH RECURSIVE cats (cat) AS (
        SELECT min(cat) FROM {table}
        UNION ALL
        SELECT (SELECT min(cat) FROM {table} WHERE cat > cats.cat) FROM cats WHERE cat IS NOT NULL
        LIMIT 1000
    )
    SELECT cat FROM cats WHERE cat IS NOT NULL
    UNION ALL
    SELECT * FROM (SELECT cat FROM {table} WHERE cat IS NULL LIMIT 1)
"""
_BARS = """
    WITH RECURSIVE bars (start) AS (
        SELECT {first}
        UNION ALL
        SELECT {next} FROM bars WHERE start IS NOT NULL
    )
    SELECT start, (
        SELECT count(*) FROM {table}
        WHERE cat IS :cat AND time >= max(start, :since) AND time < min(start + :width, :until)
    ) FROM bars WHERE start IS NOT NULL
"""
_EARLIEST = """
    (SELECT min(time) AS t FROM {table} WHERE cat IS :cat AND time >= {low} AND time < :until)
"""
# The stretch of the earliest time; casts cut off, and the rest of a negative number is negative.
_STRETCH = """(
    SELECT s - ((s % :width) + :width) % :width
    FROM (SELECT CAST(t AS INTEGER) - (t < CAST(t AS INTEGER)) AS s FROM {earliest})
)"""
_ODD = """
    SELECT count(*) FROM {table}
    WHERE cat IS :cat AND (time IS NULL OR time < :since OR time >= :until)
"""


def counted_ranges(
    connection: Connection, log: LogTable, conditions: Conditions, width_s: int
) -> list[tuple[int | None, Any, int]] | None:
    """How many rows there are of each stretch of time and category.

    Args:
        connection: in a transaction, to SQLite.
        log: the table.
        conditions: of time and category alone.
        width_s: of a stretch.

    Returns:
        Second at which a stretch begins (None: no time at all), category, number of rows. None if
        that is not the way.
    """
    selection = conditions.selection
    if selection.terms and not conditions.by_cat:
        return None
    first, last = log.entry.first_time, log.entry.last_time
    if first is None or last is None:
        return None
    since = -MAX_TIME if selection.since is None else selection.since
    until = MAX_TIME if selection.until is None else selection.until
    driver: Any = connection.connection.driver_connection
    table = connection.dialect.identifier_preparer.quote(log.entry.table_name)
    if not _has_index(driver, log.entry.table_name):
        return None
    cats = [row[0] for row in driver.execute(_CATS.format(table=table))]
    wanted = selection.cats
    if wanted is not None:
        cats = [cat for cat in cats if category(text_of(cat)) in wanted]
    bars = max(1.0, (min(last, until) - max(first, since)) / width_s)
    if len(cats) > _MAX_CATS or log.entry.records < MIN_ROWS * bars * len(cats):
        return None
    found: list[tuple[int | None, Any, int]] = []
    sql = _bars(table)
    for cat in cats:
        values = {"cat": cat, "since": since, "until": until, "width": width_s}
        found += [(start, cat, number) for start, number in driver.execute(sql, values)]
        if not selection.has_times:
            ((number,),) = driver.execute(_ODD.format(table=table), values)
            found += [(None, cat, number)] if number else []
    return found


def _bars(table: str) -> str:
    first, following = (
        _STRETCH.format(earliest=_EARLIEST.format(table=table, low=low))
        for low in (":since", "max(bars.start + :width, :since)")
    )
    return _BARS.format(table=table, first=first, next=following)


def _has_index(driver: Any, name: str) -> bool:
    """Whether there is an index of categories and times; tables of other makers may have none."""
    rows = driver.execute(
        "SELECT group_concat(i.name) FROM pragma_index_list(?) AS l, pragma_index_info(l.name) AS i"
        " GROUP BY l.name",
        (name,),
    )
    return any(f"{names},".startswith("cat,time,") for (names,) in rows if names)
