"""Makes the rows of each table as its columns are.

Tables of a ring may differ: one that somebody's view needs can't be made anew, and keeps the types
that an earlier version gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Connection, DateTime, Double, inspect
from sqlalchemy.types import TypeEngine

from logd.outputs.tables.backend import Backend, InsertTarget
from logd.outputs.tables.columns import DAEMON_COLUMNS, ColumnSpec, LongText
from logd.outputs.tables.counts import COUNTED, RecordCounts
from logd.outputs.tables.rows import RowMaker

if TYPE_CHECKING:
    from logd.records.batch import Batch


class RowMakers:
    """A `RowMaker` for each table that is written to.

    Args:
        backend: connected.
        columns: what new tables have.
    """

    def __init__(self, backend: Backend, columns: Sequence[ColumnSpec]) -> None:
        self._backend = backend
        self._columns = columns
        self._usual = self._maker(columns)
        self._known: tuple[int, RowMaker] = (-1, self._usual)

    def counts(self) -> RecordCounts | None:
        """What counts records; None if what is counted by may be stored as something else."""
        if self._backend.text_codec is not None:
            return None
        own = {spec.name: spec for spec in DAEMON_COLUMNS}
        wanted = {spec.name: spec for spec in self._columns if spec.name in COUNTED}
        if any(wanted.get(name) != own[name] for name in COUNTED):
            return None
        names = self._usual.context_columns
        return RecordCounts(names, rounds=self._backend.dialect_name == "postgresql")

    def of(self, connection: Connection, serial: int, name: str) -> tuple[InsertTarget, RowMaker]:
        """A table to insert into, and what makes its rows.

        Args:
            connection: in a transaction.
            serial: of the table in the ring.
            name: of the table.
        """
        maker = self._usual
        if self._backend.dialect_name == "postgresql":
            if self._known[0] != serial:
                columns = as_they_are(connection, name, self._columns)
                self._known = (serial, maker if columns == self._columns else self._maker(columns))
            maker = self._known[1]
        return InsertTarget(connection, name, maker.context_columns, maker.record_columns), maker

    def contexts(self, batch: Batch) -> list[tuple[Any, ...]]:
        """The values of a batch's contexts as new tables have them."""
        return self._usual.contexts(batch)

    def _maker(self, columns: Sequence[ColumnSpec]) -> RowMaker:
        backend = self._backend
        return RowMaker(columns, backend.dialect_name, backend.max_text_bytes, backend.text_codec)


def as_they_are(
    connection: Connection, name: str, columns: Sequence[ColumnSpec]
) -> Sequence[ColumnSpec]:
    """The columns with the types that times and items have in a table of PostgreSQL's."""
    there = {column["name"]: column["type"] for column in inspect(connection).get_columns(name)}
    old: list[tuple[str, TypeEngine[Any]]] = []
    if not isinstance(there.get("time"), DateTime):
        old.append(("time", Double()))
    if not isinstance(there.get("special"), JSON):
        old.append(("special", LongText))
    kinds = dict(old)
    return [
        replace(spec, kind=kinds[spec.name])
        if spec.name in kinds and spec.is_postgresqls_own
        else spec
        for spec in columns
    ]
