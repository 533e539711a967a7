"""What the tables of a log are, and whether they are what the catalogue says."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, inspect, select

from logd.outputs.tables.ring import TableEntry
from logd.query.inventory import StoredPiece
from logd.query.tables.database import LogDatabase
from logd.query.verifying import Checked


def pieces(database: LogDatabase) -> Iterator[StoredPiece]:
    """The tables, oldest first.

    Raises:
        CannotRead: the database can't be read.
    """
    with database.reading() as connection:
        for entry in database.entries(connection):
            yield StoredPiece(
                entry.table_name,
                entry.size,
                "table",
                entry.first_time,
                entry.written or entry.last_time,
                entry.records,
            )


def checks(database: LogDatabase) -> Iterator[Checked]:
    """Count the rows of each table.

    Raises:
        CannotRead: the database can't be read.
    """
    with database.reading() as connection:
        entries = database.entries(connection)
        with connection.begin():
            there = set(inspect(connection).get_table_names())
        for entry in entries:
            if entry.table_name not in there:
                fault = "missing: the catalogue has it, the database has not"
                yield Checked(entry.table_name, faults=(fault,))
            else:
                yield _checked(database, connection, entry)


def _checked(database: LogDatabase, connection: Connection, entry: TableEntry) -> Checked:
    log = database.table(connection, entry)
    if not log.is_ordered:
        return Checked(entry.table_name, faults=("foreign: it has no times and ids",))
    column = log.clause.c.id
    # What comes while it is counted has higher ids than what the catalogue knew.
    known = select(func.count(), func.min(column), func.max(column)).where(column < entry.next_id)
    with connection.begin():
        count, lowest, highest = connection.execute(known.select_from(log.clause)).one()
    if not database.is_current(connection, entry):
        return Checked(entry.table_name, notes=("gone: the log went on meanwhile",))
    faults = []
    if count != entry.records:
        faults.append(f"missing: the catalogue counted {entry.records} records, it has {count}")
    if count and (lowest < entry.first_id or highest >= entry.next_id):
        faults.append(f"foreign: ids from {lowest} on, expected {entry.first_id}")
    return Checked(entry.table_name, count, tuple(faults))
