"""A buffer whose records are on disk when the log call returns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from logd_client.buffer import ITEM_BYTES, ROW_BYTES, Buffer
from logd_client.records import AnyRow, Context, Items
from logd_client.rowjournal import RowJournal
from logd_client.rows import NumberedRows

__all__ = ["JournaledBuffer"]


class JournaledBuffer(Buffer):
    """A `Buffer` that writes each record into a journal, too; 1.5 us more a record.

    If the files of the session have reached their bound, it is full.

    Attributes:
        journal: of the present session; to be given before the first record.
    """

    rows: NumberedRows
    journal: RowJournal

    def _empty_rows(self) -> NumberedRows:
        return NumberedRows()

    def put(self, context: Context, ids: Iterator[int], when: float, msg: str, items: Items) -> int:
        # As `Buffer.put`, which stays without a branch for this.
        cost = ROW_BYTES + len(msg)
        if items:
            cost += ITEM_BYTES * len(items)
        with self.lock:
            room = self.room - cost
            if room < 0 or self.gap_count or self.journal.is_full:
                if not self._admit(cost, context.fields[0]):
                    self._drop(when)
                    return next(ids)
                room = self.room - cost
            self.room = room
            msgid = next(ids)
            self.rows.append((context, msgid, when, msg, items))
            self.journal.write(self.rows)
        if self.sender_sleeps:
            self._on_record()
        return msgid

    def _has_room_for(self, cost: int) -> bool:
        return super()._has_room_for(cost) and not self.journal.is_full

    def _append_gap(self, pid: int) -> None:
        super()._append_gap(pid)
        self.journal.write(self.rows)

    def take(self) -> tuple[list[AnyRow], int]:
        with self.lock:
            self._append_gap(os.getpid())
            rows = self.rows
            self.rows = NumberedRows(rows)
            self.numbered = self.rows.first - 1
            return rows, self._max_bytes - self.room - self.held

    def stored(self, sequence: int) -> None:
        with self.lock:
            was_full = self.journal.is_full
            self.journal.release(sequence)
            self.journal.write(self.rows)
            if was_full and not self.journal.is_full:
                self._has_room_again()
        self.journal.prepare()

    def shrink_journal(self) -> None:
        """Give disk space back if nothing waits."""
        with self.lock:
            self.journal.shrink()
            self.journal.write(self.rows)

    def end_journal(self) -> bool:
        """Write nothing into the journal any more; False if records wait that only it has."""
        with self.lock:
            if not self.is_empty:
                return False
            self.journal.close()
            return True

    def restart(self, ended: int, begin: Callable[[], None]) -> None:
        with self.lock:
            # What waits is in the journal of the session that ended, whose heir will send it.
            self.journal.close()
            super().restart(self.numbered + len(self.rows), begin)
