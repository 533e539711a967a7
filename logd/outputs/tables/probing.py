"""Finds the records that a database refuses, by trying to insert them, halves at a time."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection

from logd.outputs.tables.backend import Backend, ErrorMeaning, InsertTarget, driver_error, one_line
from logd.outputs.tables.ring import TablePlace
from logd.outputs.tables.rows import RowMaker


class RefusedRecord(NamedTuple):
    """One refused record: the position of its batch, its row there, and the database's word."""

    position: int
    row: int
    reason: str


def refused_of(
    backend: Backend,
    connection: Connection,
    target: InsertTarget,
    rows: RowMaker,
    place: TablePlace,
) -> list[RefusedRecord]:
    """The records of a batch that the database refuses, in an open transaction; writes the others.

    Raises:
        what the database's driver raises: something else is wrong.
    """

    def probe(start: int, stop: int) -> list[RefusedRecord]:
        savepoint = connection.begin_nested()
        part = rows.rows(place.batch.part(start, stop), place.first_id + start)
        try:
            backend.insert(connection, target, [part])
        except backend.errors as exc:
            if backend.judge(driver_error(exc)) is not ErrorMeaning.REFUSED:
                raise
            savepoint.rollback()
            if stop - start == 1:
                return [RefusedRecord(place.position, place.start + start, one_line(exc))]
            middle = (start + stop) // 2
            return probe(start, middle) + probe(middle, stop)
        savepoint.commit()
        return []

    return probe(0, len(place.batch))
