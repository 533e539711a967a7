"""Decides about tables that are there, or no longer there, when an output opens its database."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from sqlalchemy import Connection, DateTime, MetaData, Table, func, inspect, select

from logd.outputs.base import OutputUnusable
from logd.outputs.tables.catalogue import TABLES, TABLES_NAME
from logd.outputs.tables.ring import Ring, TableEntry

# A table without these is none that any log writer made.
_LOG_COLUMNS = frozenset({"msg", "cat", "ts", "pid"})


def adopted(connection: Connection, ring: Ring, existing: Set[str], now: float) -> Ring:
    """The ring without tables that someone dropped; or made of tables found without one.

    The current table stays even if it was dropped: serials and ids go on from it.

    Args:
        connection: to the database.
        ring: as the catalogue has it; without entries if it has none.
        existing: names of all tables that there are.
        now: seconds since the epoch.

    Raises:
        OutputUnusable: a table of the ring's names is no log table.
    """
    if ring.entries:
        entries = tuple(
            entry for entry in ring.entries if entry.table_name in existing or entry is ring.current
        )
        return replace(ring, entries=entries)
    numbers = {name: ring.names.number(name) for name in existing}
    names = sorted((number, name) for name, number in numbers.items() if number is not None)
    found = [_found_entry(connection, name, now) for _, name in names]
    if all(entry.last_time is not None for entry in found if entry.records):
        # A ring that had wrapped has its numbers in any order. Empty tables may go first.
        found.sort(key=lambda entry: entry.last_time or 0.0)
    numbered = [replace(entry, serial=serial) for serial, entry in enumerate(found)]
    return replace(ring, entries=tuple(numbered))


def check_is_log_table(connection: Connection, name: str) -> None:
    """Make sure that a table which the ring will drop one day holds nothing but log records.

    Raises:
        OutputUnusable: it has not the columns of a log table.
    """
    columns = {column["name"] for column in inspect(connection).get_columns(name)}
    missing = _LOG_COLUMNS - columns
    if missing:
        url = connection.engine.url.set(query={}).render_as_string(hide_password=True)
        raise OutputUnusable(
            f"{url}: table {name} is no log table (it has no column {min(missing)}) and would be "
            "dropped: choose another table pattern"
        )


def why_not_dropped(connection: Connection, name: str, columns: Set[str]) -> str | None:
    """Why a table must not be dropped to make room for a log of these columns; None if it may be.

    It may be if an earlier log left it: it has the columns that logs have, or some of those of
    this log, or more than them. The tables of a daemon are its own.
    """
    inspected = inspect(connection)
    if not inspected.has_table(name):
        return None
    if inspected.has_table(TABLES_NAME):
        is_a_daemons = TABLES.c.table_name == name
        if connection.execute(select(TABLES.c.ring).where(is_a_daemons)).first() is not None:
            return "it belongs to the log of a daemon"
    existing = {column["name"] for column in inspected.get_columns(name)}
    if existing >= _LOG_COLUMNS or existing <= columns or columns <= existing:
        return None
    return f"it is no log table: it has the columns {', '.join(sorted(existing)[:5])}"


def _found_entry(connection: Connection, name: str, now: float) -> TableEntry:
    check_is_log_table(connection, name)
    table = Table(name, MetaData(), autoload_with=connection)
    times = []
    if "time" in table.c:
        time = table.c.time
        seconds = func.date_part("epoch", time) if isinstance(time.type, DateTime) else time
        times = [func.min(seconds), func.max(seconds)]
    records, *span = connection.execute(select(func.count(), *times).select_from(table)).one()
    return TableEntry(
        serial=0,
        table_name=name,
        first_id=1,
        records=records,
        opened=now,
        written=now,
        first_time=span[0] if span else None,
        last_time=span[1] if span else None,
    )
