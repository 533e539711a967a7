"""The transactions on the database of one ring.

Whatever must happen together is one transaction here: records, the marks of the sessions
they came by, new tables, and the ring's entry in the catalogue with its running number. After a
commit whose answer got lost, that number tells whether it took place.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from logd.outputs.base import OutputTaken, OutputUnavailable, OutputUnusable
from logd.outputs.failpoints import failpoint
from logd.outputs.marks import MAX_MARKS
from logd.outputs.tables.adoption import adopted
from logd.outputs.tables.backend import Backend
from logd.outputs.tables.catalogue import Catalogue
from logd.outputs.tables.changes import TableChanges
from logd.outputs.tables.columns import ColumnSpec, for_encoding
from logd.outputs.tables.connection import RecordsRefused, RingConnection, TransactionDropped
from logd.outputs.tables.inserting import Inserter
from logd.outputs.tables.predecessor import lock_of
from logd.outputs.tables.probing import RefusedRecord
from logd.outputs.tables.ring import Ring

if TYPE_CHECKING:
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

_STEP = 1 << 40


class _KnownElsewhere(TransactionDropped):
    """Another daemon has stored some of the records; `rest` are the others."""

    def __init__(self, rest: Sequence[Batch]) -> None:
        super().__init__()
        self.rest = rest


class TableStore:
    """One ring of tables in one database. Used by one thread at a time.

    Args:
        backend: the kind of database.
        columns: what the tables' columns are.
        ring: an empty ring with names and limits.
        pattern: of the tables' names; also the ring's name in the catalogue.
        is_shared: whether other daemons' marks are looked at, and moved on, with each write.
        has_standby: whether others may write to the ring while this process has lost the lock.
        has_text_index: whether new tables get an index of the texts in their messages.
        max_sessions: how many marks are taken up at most.
        clock: seconds since the epoch.

    Attributes:
        ring: the tables as of the last commit.
        pattern: of the tables' names.
        predecessor: what this daemon called its tables before, if that was something else: they
            are taken along by the next `connect`.
        unknown: the number of a transaction of which only the next `connect` can tell whether it
            was committed; None if all is known.
        number: that of the last transaction in the database, as far as this process knows; None
            before the first connection.
    """

    def __init__(
        self,
        backend: Backend,
        columns: Sequence[ColumnSpec],
        ring: Ring,
        pattern: str,
        clock: Callable[[], float],
        *,
        is_shared: bool = False,
        has_standby: bool = False,
        has_text_index: bool = False,
        max_sessions: int = MAX_MARKS,
    ) -> None:
        self.backend = backend
        self.unknown: int | None = None
        self._has_standby = has_standby
        self._has_text_index = has_text_index
        self.number: int | None = None
        self._columns = columns
        self.pattern = pattern
        self.predecessor: str | None = None
        self._clock = clock
        self._link = RingConnection(backend, pattern, is_shared=is_shared)
        self.ring = replace(ring, layout=self._layout())
        self._is_shared = is_shared
        self._catalogue = Catalogue(
            backend, pattern, is_shared=is_shared, max_sessions=max_sessions
        )
        self._changes = self._new_changes()
        self._inserter = Inserter(backend, columns)

    def _layout(self) -> str:
        dialect = self._link.engine.dialect
        types = (
            f"{spec.name} {spec.kind.compile(dialect)} {spec.options}" for spec in self._columns
        )
        texts = ["text index"] if self._has_text_index else []
        return hashlib.sha256("\n".join([*types, *texts]).encode()).hexdigest()[:32]

    def _new_changes(self) -> TableChanges:
        return TableChanges(
            self.backend, self.pattern, self._columns, has_text_index=self._has_text_index
        )

    # -- the connection ------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that worked the last time."""
        return self._link.is_there

    def connect(self) -> None:
        """Connect, lock the ring, and take up where it stands. Does nothing when connected.

        Raises:
            OutputUnusable: refused for good: no permission, no such database, locked by another.
            OutputUnavailable: might work later.
        """
        if not self._link.is_there:
            self._link.make(self._take_up)

    def disconnect(self) -> None:
        """Let go of the connection, whatever state it is in."""
        self._link.drop()

    def close(self) -> None:
        """End the connection in order and give up the lock."""
        with suppress(OutputUnavailable, OutputUnusable, RecordsRefused):
            self.finish_counts()
        self._link.close()

    # -- where the ring stands -----------------------------------------------------------------

    def _take_up(self, connection: Connection) -> None:
        self._columns = for_encoding(self._columns, self.backend.text_codec)
        self.ring = replace(self.ring, layout=self._layout())
        self._changes = self._new_changes()
        self._inserter = Inserter(self.backend, self._columns)
        now = self._clock()
        with lock_of(self.predecessor, self.backend) as predecessor, connection.begin():
            self._catalogue.create(connection)
            if predecessor is not None:
                self._take_along(connection, predecessor)
            if self._is_shared:
                self._catalogue.share_marks(connection)
            known = self._catalogue.load(connection, self.ring)
            self._check_not_taken(known.transactions)
            existing = set(inspect(connection).get_table_names())
            base = adopted(connection, known, existing, now)
            ring = base
            if (
                not base.entries
                or base.current.layout != base.layout
                or base.current.table_name not in existing
            ):
                ring = base.rotated(now)
            # All but the new one are there, unless someone dropped them.
            gone = {entry.serial for entry in base.entries if entry.table_name not in existing}
            entries = tuple(entry for entry in ring.entries if entry.serial not in gone)
            ring = replace(ring, entries=entries)
            trimmed = ring.trimmed(now)
            self._changes.tell_surplus(ring, trimmed)
            ring = trimmed
            self._changes.apply(connection, base, ring)
            self._changes.refresh_view(connection, ring)
            self._catalogue.store(connection, known, ring)
        if self._has_standby:
            # Numbers that nobody else can come to: else one that is unknown may be another's.
            ring = replace(ring, transactions=ring.transactions + secrets.randbelow(_STEP) + _STEP)
        self.number = known.transactions
        self.ring = ring
        self.predecessor = None

    def _check_not_taken(self, number: int) -> None:
        """See that nobody has written to the ring since this process did.

        Raises:
            OutputTaken: somebody has.
        """
        if self._has_standby and self.number not in (None, number) and number != self.unknown:
            self.number = self.unknown = None
            raise OutputTaken(
                f"{self.backend.display}: another daemon has written to {self.pattern}"
            )

    def _take_along(self, connection: Connection, old: str) -> None:
        """Make tables of an earlier pattern part of this ring."""
        count, records = self._catalogue.take_along(connection, old)
        if count:
            self._changes.drop_view(connection, old)
            logger.warning(
                "%s: %d tables %s (%d records) belong to the log %s now: retention counts them",
                self.backend.display,
                count,
                old,
                records,
                self.pattern,
            )

    # -- transactions ----------------------------------------------------------------------------

    def write(self, batches: Sequence[Batch], marks: Mapping[bytes, int]) -> Sequence[Batch]:
        """Write records and marks in one transaction; connected.

        With shared marks only what no other daemon has stored: a session's mark is held from the
        look at it to the commit. An output writes each session's batches in order and leaves none
        out, so there is never a hole before a batch.

        Returns:
            What was written.

        Raises:
            RecordsRefused: some record can't be stored; nothing was written.
            OutputUnavailable: nothing was written, or, if `unknown` says so, perhaps all.
        """
        while True:
            try:
                self._write(batches, marks)
            except _KnownElsewhere as exc:
                batches = exc.rest
                marks = {b.client: marks[b.client] for b in batches if b.client is not None}
            else:
                return batches

    def _write(self, batches: Sequence[Batch], marks: Mapping[bytes, int]) -> None:
        if not batches:
            return
        now = self._clock()
        after, places = self.ring.placed(batches, now)
        after = after.counted()
        if self._is_shared:
            with self._link.translated(), self._link.get().begin():
                self._catalogue.make_marks(self._link.get(), marks, now)
        with self._transaction(after, counts=True) as connection:
            if self._is_shared:
                self._hold_marks(connection, batches, marks)
            failpoint("tables.before_insert")
            self._inserter.insert(connection, after, places)
            failpoint("tables.after_insert")
            self._catalogue.note_marks(connection, marks, now)
            noted = self._inserter.note_counts(connection, self._catalogue, after)
        self._inserter.committed(after, places, noted)

    def finish_counts(self) -> None:
        """Write what was counted by now; connected."""
        if self._inserter.has_counts and self._link.is_there:
            self._inserter.finish_counts()
            with self._transaction(self.ring) as connection:
                noted = self._inserter.note_counts(connection, self._catalogue, self.ring)
            self._inserter.committed(self.ring, (), noted)

    def _hold_marks(
        self, connection: Connection, batches: Sequence[Batch], marks: Mapping[bytes, int]
    ) -> None:
        failpoint("tables.before_lock")
        known = self._catalogue.lock_marks(connection, marks)
        failpoint("tables.after_lock")
        rest = [_after(batch, known) for batch in batches]
        if any(new is not old for new, old in zip(rest, batches, strict=True)):
            raise _KnownElsewhere([batch for batch in rest if batch is not None])

    def update(
        self, ring: Ring, act: Callable[[Catalogue, Connection], None] | None = None
    ) -> None:
        """Make `ring`, derived from the present one, the one in force; and do `act`; connected."""
        with self._transaction(ring) as connection:
            if act is not None:
                act(self._catalogue, connection)

    def refresh_view(self) -> None:
        """Bring the view of all tables up to date, if somebody was reading it; connected."""
        if self._changes.is_view_stale:
            with self._link.translated(), self._link.get().begin():
                self._changes.refresh_view(self._link.get(), self.ring)

    def marks(self) -> dict[bytes, int]:
        """The marks; connected."""
        with self._link.translated(), self._link.get().begin():
            return self._catalogue.marks(self._link.get())

    def refused(self, batches: Sequence[Batch]) -> list[RefusedRecord]:
        """Find the records of `batches` that the database refuses; nothing is written; connected.

        Raises:
            OutputUnavailable: see `write`.
        """
        after, places = self.ring.placed(batches, self._clock())
        connection = self._link.get()
        with self._link.translated():
            self._change_ahead(connection, after)
            transaction = connection.begin()
            if self.backend.has_transactional_ddl:
                self._changes.apply(connection, self.ring, after)
            found = self._inserter.refused(connection, after, places)
            transaction.rollback()
        return found

    @contextmanager
    def _transaction(self, after: Ring, *, counts: bool = False) -> Iterator[Connection]:
        """A transaction that leaves the ring as `after`.

        Args:
            after: derived from the present ring.
            counts: whether `after` has a number of its own, that tells if it was committed.
        """
        connection = self._link.get()
        try:
            with self._link.translated():
                self._change_ahead(connection, after)
                transaction = connection.begin()
                if self.backend.has_transactional_ddl:
                    self._changes.apply(connection, self.ring, after)
                yield connection
                self._catalogue.store(connection, self.ring, after)
                failpoint("tables.before_commit")
                if counts:
                    self.unknown = after.transactions
                transaction.commit()
                failpoint("tables.after_commit")
                if counts:
                    self.unknown = None
                    self.number = after.transactions
        except RecordsRefused:
            # It was rolled back, so it was not committed.
            self.unknown = None
            raise
        self.ring = after

    def _change_ahead(self, connection: Connection, after: Ring) -> None:
        """Change tables before the transaction if the database can't do it within.

        If the transaction fails, the next try does it over again: the catalogue learns of the new
        tables, which are empty, in the transaction only.
        """
        if not self.backend.has_transactional_ddl:
            with connection.begin():
                self._changes.apply(connection, self.ring, after)


def _after(batch: Batch, known: Mapping[bytes, int]) -> Batch | None:
    return batch if batch.client is None else batch.after(known[batch.client])
