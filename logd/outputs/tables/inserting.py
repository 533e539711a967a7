"""Puts records into the tables of a ring, within the transactions of `TableStore`.

What is committed is counted for readers (see `counts.py`); the counts go to the database with
records that come later. A fault in counting never makes stored records look unstored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection

from logd.outputs.tables.backend import Backend, InsertTarget
from logd.outputs.tables.catalogue import Catalogue
from logd.outputs.tables.columns import ColumnSpec
from logd.outputs.tables.probing import RefusedRecord, refused_of
from logd.outputs.tables.ring import Ring, TablePlace
from logd.outputs.tables.rowmakers import RowMakers
from logd.outputs.tables.rows import RowMaker

logger = logging.getLogger(__name__)


class Inserter:
    """Inserts on one connection; made anew with each, for another database may answer then.

    Args:
        backend: the kind of database, connected.
        columns: what new tables have.
    """

    def __init__(self, backend: Backend, columns: Sequence[ColumnSpec]) -> None:
        self._backend = backend
        self._rows = RowMakers(backend, columns)
        self._counts = self._rows.counts()
        # Only the table that is written to now: one of before does not come back.
        self._text_index: tuple[int, bool] | None = None

    def insert(self, connection: Connection, ring: Ring, places: Sequence[TablePlace]) -> None:
        """Insert records, and their texts if the table has an index of those."""
        for serial, group in groupby(places, key=attrgetter("serial")):
            target, maker = self._target(connection, ring, serial)
            some = list(group)
            rows = (maker.rows(place.batch, place.first_id) for place in some)
            self._backend.insert(connection, target, rows)
            if self._has_text_index(connection, ring, serial):
                next_id = some[-1].first_id + len(some[-1].batch)
                name = _name_of(ring, serial)
                self._backend.note_texts(connection, name, some[0].first_id, next_id)

    def refused(
        self, connection: Connection, ring: Ring, places: Sequence[TablePlace]
    ) -> list[RefusedRecord]:
        """Try to insert records; those that the database refuses."""
        found: list[RefusedRecord] = []
        for place in places:
            target, maker = self._target(connection, ring, place.serial)
            found += refused_of(self._backend, connection, target, maker, place)
        return found

    def _target(
        self, connection: Connection, ring: Ring, serial: int
    ) -> tuple[InsertTarget, RowMaker]:
        return self._rows.of(connection, serial, _name_of(ring, serial))

    def _has_text_index(self, connection: Connection, ring: Ring, serial: int) -> bool:
        """Whether a table has an index of texts, whatever the settings say of new ones."""
        if self._text_index is None or self._text_index[0] != serial:
            found = self._backend.has_text_index(connection, _name_of(ring, serial))
            self._text_index = (serial, found)
        return self._text_index[1]

    # -- counts for readers --------------------------------------------------------------------

    @property
    def has_counts(self) -> bool:
        """Whether records are counted."""
        return self._counts is not None

    def note_counts(self, connection: Connection, catalogue: Catalogue, ring: Ring) -> int:
        """Write the finished counts of earlier transactions; returns how many rows they are."""
        if self._counts is None or not self._counts.finished:
            return 0
        rows = list(self._counts.finished)
        kept = {entry.serial for entry in ring.entries}
        catalogue.note_counts(connection, [row for row in rows if row.serial in kept])
        return len(rows)

    def committed(self, ring: Ring, places: Sequence[TablePlace], counts_noted: int) -> None:
        """Count the records of a committed transaction.

        Args:
            ring: as the transaction left it.
            places: the records, and where they are.
            counts_noted: what `note_counts` returned in this transaction.
        """
        if self._counts is None:
            return
        del self._counts.finished[:counts_noted]
        try:
            for place in places:
                contexts = self._rows.contexts(place.batch)
                self._counts.add(place, _name_of(ring, place.serial), contexts)
        except Exception:
            # The records are stored: a help for readers must not make that look otherwise.
            logger.exception(
                "%s: counting records in advance failed, so they are counted no more",
                self._backend.display,
            )
            self._counts = None

    def finish_counts(self) -> None:
        """End the count that is under way, so that `note_counts` writes it."""
        if self._counts is not None:
            self._counts.finish()


def _name_of(ring: Ring, serial: int) -> str:
    return next(entry.table_name for entry in ring.entries if entry.serial == serial)
