"""The daemon's output to database tables: SQLite, PostgreSQL, MariaDB or MySQL.

Each write is one transaction, or a few if very much waits. It has the records, the marks of their
sessions, new tables and the catalogue. So after any failure either all of it is there or nothing.
Each of the other modules has a part of that:

- `columns.py` what columns a table has; `fit.py` makes values fit them;
- `rows.py` batches -> columns of values (the hot path);
- `backend.py` what differs between databases; `sqlite.py`, `postgresql.py`, `mariadb.py`;
- `ring.py` which table is next, as a plan; `catalogue.py` the tables that keep it;
- `store.py` the connection and its transactions; `inserting.py` what they insert.

Log tables have two indexes: (cat, time) answers "yesterday's errors" (250,000 of 3 million rows
counted in 18 ms on SQLite, by an index on time alone in 340 ms), (time) "the last ten minutes".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from logd.outputs.base import (
    Output,
    OutputSettings,
    OutputStatus,
    OutputUnavailable,
    OutputUnusable,
)
from logd.outputs.tables import patterns
from logd.outputs.tables.columns import daemon_columns, parse_columns, split_pattern
from logd.outputs.tables.connection import RecordsRefused
from logd.outputs.tables.databases import backend_for
from logd.outputs.tables.probing import RefusedRecord
from logd.outputs.tables.ring import Ring, TableNames
from logd.outputs.tables.store import TableStore
from logd.records.stretches import in_stretches

if TYPE_CHECKING:
    from logd.records.batch import Batch

ROWS_A_TRANSACTION = 16_384
"""About this many records go into one transaction; more make it no faster."""

PRUNE_EVERY_S = 3600.0
VIEW_EVERY_S = 60.0


class TableOutput(Output):
    """Rotating tables in one database.

    Batches that were given to a `write` that failed are to be given again as the same objects:
    if the answer to a commit got lost, this is how it knows which of them are in already.

    Args:
        address: database URL, such as "sqlite:///logs/logd.db".
        settings: limits, columns, and the pattern of the tables' names; its %d is the number or
            date. Rings of different patterns may share a database.
        columns: further columns as for `DBConfig(cols=...)`, in the place of `settings.columns`,
            which can say less of them.
        clock: seconds since the epoch.

    Raises:
        OutputUnusable: the address, the pattern or a column is none, or a driver is missing.
    """

    def __init__(
        self,
        address: str,
        settings: OutputSettings,
        *,
        columns: Sequence[Sequence[Any]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        backend = backend_for(address, is_durable=settings.durable)
        self.name = f"db {backend.display} {settings.table_pattern}"
        schedule = settings.rotation.schedule
        try:
            before, after = split_pattern(settings.table_pattern)
            if columns is None:
                columns = parse_columns(settings.columns)
            specs = daemon_columns(columns, backend.dialect_name)
        except ValueError as exc:
            raise OutputUnusable(f"{backend.display}: {exc}") from exc
        names = TableNames(
            before,
            after,
            settings.retention.count if settings.naming == "ring" else None,
            settings.naming,
            schedule is not None and schedule.utc,
        )
        ring = Ring(names, settings.rotation, settings.retention)
        # "log_%s" of the reference and "log_%d" are one ring.
        pattern = f"{before}%d{after}"
        self._store = TableStore(
            backend,
            specs,
            ring,
            pattern,
            clock,
            is_shared=settings.shared_marks,
            has_standby=settings.has_standby,
            has_text_index=settings.text_index,
            max_sessions=settings.max_sessions,
        )
        self._dead_letters = settings.dead_letters
        self._state_dir = settings.state_dir
        self._clock = clock
        self._unknown: Sequence[Batch] = ()
        self._pruned_at = 0.0
        self._viewed_at = 0.0
        self._first_serial = 0
        self._status = OutputStatus(self.name)

    # -- the life of an output ------------------------------------------------------------------

    def open(self) -> Mapping[bytes, int]:
        """Connect, make what is missing, take up the ring; see `Output.open`."""
        last = patterns.last_used(self._state_dir, self._store.backend.display)
        self._store.predecessor = last if last != self._store.pattern else None
        self._store.connect()
        patterns.note_used(self._state_dir, self._store.backend.display, self._store.pattern)
        self._pruned_at = self._clock()
        self._first_serial = self._store.ring.current.serial
        self._note_current()
        return self._store.marks()

    def write(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Write batches with their marks, a transaction for some thousand records."""
        done = 0
        written: list[Batch] = []
        try:
            with self._available():
                done = self._settle_unknown(batches)
                written += batches[:done]
                for group in in_stretches(batches[done:], ROWS_A_TRANSACTION):
                    written += self._write_group(group)
                    done += len(group)
        except OutputUnavailable as exc:
            raise OutputUnavailable(str(exc), batches_done=done) from exc
        return written

    def forget(self, clients: Sequence[bytes]) -> None:
        """Drop the marks of sessions that are known to be gone."""
        with self._available():
            self._store.update(
                self._store.ring,
                lambda catalogue, connection: catalogue.forget_marks(connection, clients),
            )

    def rotate(self) -> None:
        """Go on to the next table, unless the current one is empty."""
        with self._available():
            self._rotate(self._clock())

    def reopen(self) -> None:
        """Connect anew (to where the name now leads, or with the file as it now is)."""
        self._store.disconnect()
        with self._available():
            pass

    def tick(self, now: float) -> None:
        """Rotate by time, drop tables that are too old, and marks of sessions long gone.

        While the database is away nothing is done: the next call comes soon.
        """
        if not self._store.is_connected:
            return
        with self._available():
            ring = self._store.ring
            if ring.is_due(now):
                self._rotate(now)
            elif (trimmed := ring.trimmed(now)) is not ring:
                self._store.update(trimmed)
            if now - self._viewed_at >= VIEW_EVERY_S:
                self._viewed_at = now
                self._store.refresh_view()
            if now - self._pruned_at >= PRUNE_EVERY_S:
                self._pruned_at = now
                self._store.update(
                    self._store.ring,
                    lambda catalogue, connection: catalogue.prune_marks(connection, now),
                )
        self._note_current()

    def status(self) -> OutputStatus:
        """A snapshot; `size` is an estimate."""
        ring = self._store.ring
        position: dict[str, str | int] = {}
        if ring.entries:
            position = {"table": ring.current.table_name, "id": ring.current.next_id - 1}
        firsts = [entry.first_time for entry in ring.entries if entry.first_time is not None]
        return replace(
            self._status,
            details=dict(self._status.details),
            position=position,
            kept_size=sum(entry.size for entry in ring.entries),
            kept_since=min(firsts, default=None),
        )

    def close(self) -> None:
        """End the connection, give up the lock."""
        self._store.close()

    # -- writing ---------------------------------------------------------------------------------

    @contextmanager
    def _available(self) -> Iterator[None]:
        """Connected for what is done within; whatever goes wrong may be tried again later."""
        try:
            self._store.connect()
            yield
        except OutputUnusable as exc:
            # It did work before: permissions, passwords and other daemons come and go.
            self._note_error(exc)
            raise OutputUnavailable(str(exc)) from exc
        except OutputUnavailable as exc:
            self._note_error(exc)
            raise

    def _settle_unknown(self, batches: Sequence[Batch]) -> int:
        """How many of `batches` a transaction has written whose answer got lost."""
        unknown, self._unknown = self._unknown, ()
        number, self._store.unknown = self._store.unknown, None
        if number is None or (self._store.number or 0) < number:
            return 0
        pairs = zip(batches, unknown, strict=False)
        done = list(takewhile(lambda pair: pair[0] is pair[1], pairs))
        self._note_written(unknown)
        return len(done)

    def _write_group(self, group: Sequence[Batch]) -> Sequence[Batch]:
        marks: dict[bytes, int] = {}
        for batch in group:
            if batch.client is not None:
                marks[batch.client] = max(batch.last, marks.get(batch.client, 0))
        pieces: Sequence[Batch] = group
        written: Sequence[Batch] | None = None
        try:
            while (written := self._written(pieces, marks)) is None:
                pieces = self._without_refused(pieces)
        except OutputUnavailable:
            if self._store.unknown is not None:
                self._unknown = group
            raise
        self._note_written(written)
        return group if written is pieces else written

    def _written(
        self, pieces: Sequence[Batch], marks: Mapping[bytes, int]
    ) -> Sequence[Batch] | None:
        """Write; None if the database refused some of the records."""
        try:
            return self._store.write(pieces, marks)
        except RecordsRefused as exc:
            self._note_error(exc)
            return None

    def _without_refused(self, pieces: Sequence[Batch]) -> list[Batch]:
        """Give the refused records to the dead letters; returns the others.

        They are stored before the others are committed: a crash in between may store them twice,
        but nothing loses them.
        """
        refused = self._store.refused(pieces)
        if not refused:
            raise OutputUnavailable("records were refused together, but none of them alone")
        by_batch: dict[int, list[int]] = {}
        for record in refused:
            self._bury(pieces[record.position], record)
            by_batch.setdefault(record.position, []).append(record.row)
        rest: list[Batch] = []
        for position, batch in enumerate(pieces):
            rest.extend(_without_rows(batch, by_batch.get(position, ())))
        return rest

    def _bury(self, batch: Batch, record: RefusedRecord) -> None:
        try:
            self._dead_letters.put(batch, record.row, record.reason, self.name)
        except OSError as exc:
            raise OutputUnavailable(f"can't store a refused record: {exc}") from exc

    def _rotate(self, now: float) -> None:
        ring = self._store.ring
        if ring.current.records:
            self._store.update(ring.rotated(now))
            self._note_current()

    # -- what operators see ------------------------------------------------------------------------

    def _note_current(self) -> None:
        ring, status = self._store.ring, self._status
        status.current = ring.current.table_name
        status.lines = ring.current.records
        status.size = ring.current.size
        status.rotations = ring.current.serial - self._first_serial
        status.details["tables"] = str(len(ring.entries))

    def _note_written(self, batches: Sequence[Batch]) -> None:
        self._status.written += sum(map(len, batches))
        self._note_current()

    def _note_error(self, error: Exception) -> None:
        self._status.last_error = (str(error), self._clock())


def _without_rows(batch: Batch, rows: Sequence[int]) -> Iterator[Batch]:
    """What is left of `batch` without `rows` (ascending), in as many pieces as it takes."""
    start = 0
    for row in rows:
        if row > start:
            yield batch.part(start, row)
        start = row + 1
    if start == 0:
        yield batch
    elif start < len(batch):
        yield batch.part(start, len(batch))
