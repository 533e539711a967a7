"""Changes the tables of a ring: makes new ones, drops or empties those that it no longer has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Connection, inspect

from logd.outputs.base import OutputUnavailable
from logd.outputs.failpoints import failpoint
from logd.outputs.tables.adoption import check_is_log_table
from logd.outputs.tables.backend import Backend
from logd.outputs.tables.columns import ColumnSpec, build_table
from logd.outputs.tables.ring import Ring
from logd.outputs.tables.ringview import RingView

logger = logging.getLogger(__name__)


class TableChanges:
    """Makes the tables of a database those of a ring.

    Args:
        backend: the kind of database.
        pattern: of the tables' names.
        columns: what the columns of new tables are.
        has_text_index: whether new tables get an index of the texts in their messages.
    """

    def __init__(
        self,
        backend: Backend,
        pattern: str,
        columns: Sequence[ColumnSpec],
        *,
        has_text_index: bool = False,
    ) -> None:
        self._backend = backend
        self._has_text_index = has_text_index
        self._is_told = False
        self._columns = columns
        self._view = RingView(backend, pattern, columns)

    def apply(self, connection: Connection, before: Ring, after: Ring) -> None:
        """Drop the tables that `after` no longer has, and make its new ones."""
        old = {entry.serial: entry.table_name for entry in before.entries}
        new = {entry.serial: entry.table_name for entry in after.entries}
        dropped = {name for serial, name in old.items() if serial not in new}
        created = [entry for entry in after.entries if entry.serial not in old]
        if not created and not dropped:
            return
        existing = set(inspect(connection).get_table_names())
        names = {entry.table_name for entry in created}
        for name in (existing & names) - set(old.values()):
            check_is_log_table(connection, name)
        layouts = {entry.table_name: entry.layout for entry in before.entries}
        changed = {e.table_name for e in created if layouts.get(e.table_name) != e.layout}
        failpoint("tables.before_rotate")
        if doomed := existing & (dropped - names | changed):
            kept = [e for e in after.entries if e not in created and e.table_name not in doomed]
            self._view.let_go(connection, kept, after.layout)
        for name in sorted((existing & dropped) - names):
            self._backend.drop(connection, name)
        model = before.current.table_name if before.entries else ""
        for entry in created:
            name = entry.table_name
            is_like_new = layouts.get(name) == entry.layout
            if name not in existing or self._is_cleared(connection, name, is_like_new=is_like_new):
                build_table(name, self._columns, is_indexed=True).create(connection)
                if model in existing - {name}:
                    self._backend.inherit(connection, model, name)
                if self._has_text_index:
                    self._index_texts(connection, name)
        if set(new.values()) != set(old.values()) or changed or self._view.is_stale:
            self._view.refresh(connection, after.entries, after.layout)
        failpoint("tables.after_rotate")

    def _index_texts(self, connection: Connection, name: str) -> None:
        reason = self._backend.index_texts(connection, name)
        if reason is not None and not self._is_told:
            self._is_told = True
            logger.warning(
                "%s: tables get no text_index: %s. Texts are found all the same, but all rows are "
                "read for that",
                self._backend.display,
                reason,
            )

    @property
    def is_view_stale(self) -> bool:
        """Whether the view lacks tables, because somebody was reading it."""
        return self._view.is_stale

    def refresh_view(self, connection: Connection, ring: Ring) -> None:
        """Make the view one of all tables of the ring."""
        self._view.refresh(connection, ring.entries, ring.layout)

    def drop_view(self, connection: Connection, pattern: str) -> None:
        """Drop the view of an earlier pattern: its tables belong to this ring now."""
        RingView(self._backend, pattern, self._columns).drop(connection)

    def _is_cleared(self, connection: Connection, name: str, *, is_like_new: bool) -> bool:
        """Make way for a new table of this name; False if the old one can be used, now empty.

        Not dropped and made again: so all that people gave to the table stays.

        Raises:
            OutputUnavailable: it can neither be used nor be dropped.
        """
        has_columns = self._has_columns(connection, name)
        if is_like_new and has_columns:
            self._backend.empty(connection, name)
            return False
        is_dropped = self._backend.drop(connection, name)
        if not (is_dropped or has_columns):
            raise OutputUnavailable(
                f"{self._backend.display}: table {name} has not the columns of new ones, and can't "
                "be dropped, because something depends on it"
            )
        return is_dropped

    def _has_columns(self, connection: Connection, name: str) -> bool:
        columns = {column["name"] for column in inspect(connection).get_columns(name)}
        return columns >= {spec.name for spec in self._columns}

    def tell_surplus(self, before: Ring, after: Ring) -> None:
        """Say which tables the settings no longer keep, before they are dropped."""
        gone = before.entries[: len(before.entries) - len(after.entries)]
        if gone:
            logger.warning(
                "%s: dropping %d tables that the settings no longer keep (%d records): %s",
                self._backend.display,
                len(gone),
                sum(entry.records for entry in gone),
                ", ".join(entry.table_name for entry in gone),
            )
