"""What comes to a log of tables: asks for higher ids again and again.

The catalogue says how many there are, in the transactions that write them, and ids have no gaps:
so it is known what must be found, and asked only if there is something.
"""

from __future__ import annotations

from collections.abc import Sequence

from logd.query.positions import TablePosition
from logd.query.selection import Selection
from logd.query.source import Follower, Note
from logd.query.tables.database import LogDatabase, gone_text
from logd.query.tables.pages import disk_pages, disk_place, read_page
from logd.query.tables.values import entry_of
from logd.records.entry import Entry

# How many records are asked for at once.
_READ_AT_ONCE = 16_384


class TableFollower(Follower[Entry]):
    """Follows the tables of a ring; see `Follower`.

    Args:
        database: where they are.
        on_note: see `LogSource`.
        selection: which entries are wanted.
        last_id: of the last record that is not wanted.
    """

    def __init__(
        self,
        database: LogDatabase,
        on_note: Note,
        selection: Selection,
        last_id: int,
    ) -> None:
        self._database = database
        self._on_note = on_note
        self._selection = selection
        self._last_id = last_id
        # On PostgreSQL, where ids have no index: the disk page where the next record may be.
        self._page = 0
        self._serial = -1
        self._table = ""

    def _more(self) -> Sequence[Entry] | None:
        before = self._last_id
        wanted = [entry for entry in self._next() if self._selection.matches(entry)]
        return wanted if self._last_id != before else None

    def _entry(self, item: Entry) -> Entry:
        return item

    def position(self) -> TablePosition | None:
        return TablePosition(self._table, self._last_id) if self._last_id else None

    def close(self) -> None:
        self._database.close()

    def _next(self) -> list[Entry]:
        """Some of the records after the last one."""
        database = self._database
        with database.reading() as connection:
            entries = database.entries(connection)
            if entries and self._last_id >= entries[-1].next_id:
                self._on_note(f"{database.name}: was begun anew")
                self._last_id = self._page = 0
            table = next((entry for entry in entries if entry.next_id > self._last_id + 1), None)
            if table is None:
                return []
            if table.serial != self._serial:
                self._serial, self._page = table.serial, 0
            if self._last_id + 1 < table.first_id:
                if self._last_id:
                    self._on_note(f"{database.name}: some entries were dropped before their turn")
                self._last_id = table.first_id - 1
            self._table = table.table_name
            log = database.table(connection, table)
            highest = min(self._last_id + _READ_AT_ONCE, table.next_id - 1)
            column = log.clause.c.id
            statement = log.rows().where(column > self._last_id, column <= highest).order_by(column)
            near, pages_now = statement, 0
            if database.dialect_name == "postgresql":
                with connection.begin():
                    pages_now = disk_pages(connection, log)
                near = statement.where(disk_place(self._page))
            rows, is_cut = read_page(connection, near)
            if not is_cut and self._page and len(rows) < highest - self._last_id:
                # Space that an aborted write had left was used again: they are somewhere before.
                rows, is_cut = read_page(connection, statement)
            if not database.is_current(connection, table):
                self._on_note(gone_text(table))
                return []
        self._last_id = rows[-1].id if is_cut else highest
        if self._last_id == table.next_id - 1:
            self._page = max(0, pages_now - 1)
        return [entry_of(row, log.names) for row in rows]
