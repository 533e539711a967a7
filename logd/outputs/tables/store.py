"""The connection to the database of one ring, and the transactions on it.

Everything that must happen together is one transaction here: records, the marks of the sessions
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
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from logd.outputs.base import OutputLocked, OutputTaken, OutputUnavailable, OutputUnusable
from logd.outputs.failpoints import failpoint
from logd.outputs.tables.adoption import adopted
from logd.outputs.tables.backend import (
    Backend,
    InsertTarget,
    RingLocked,
    Verdict,
    driver_error,
    one_line,
)
from logd.outputs.tables.catalogue import Catalogue
from logd.outputs.tables.changes import TableChanges
from logd.outputs.tables.columns import ColumnSpec, for_encoding
from logd.outputs.tables.predecessor import lock_of
from logd.outputs.tables.probing import RefusedRecord, refused_of
from logd.outputs.tables.ring import Ring, TablePlace
from logd.outputs.tables.rowmakers import RowMakers
from logd.outputs.tables.rows import RowMaker

if TYPE_CHECKING:
    from logd.records.batch import Batch

logger = logging.getLogger(__name__)

_STEP = 1 << 40

LOCK_WAIT_S = 5.0
"""How long the lock of a ring may take at the start: a killed daemon's may need a moment to go."""


class RecordsRefused(Exception):
    """The database refuses some of the records for their content; none was written."""


class _KnownElsewhere(Exception):
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
    ) -> None:
        self.backend = backend
        self.unknown: int | None = None
        self._has_standby = has_standby
        self.number: int | None = None
        self._columns = columns
        self.pattern = pattern
        self.predecessor: str | None = None
        self._clock = clock
        self._engine = backend.engine()
        self.ring = replace(ring, layout=self._layout())
        self._is_shared = is_shared
        self._catalogue = Catalogue(backend, pattern, is_shared=is_shared)
        self._changes = TableChanges(backend, pattern, columns)
        self._rows = RowMakers(backend, columns)
        self._connection: Connection | None = None

    def _layout(self) -> str:
        dialect = self._engine.dialect
        types = (
            f"{spec.name} {spec.kind.compile(dialect)} {spec.options}" for spec in self._columns
        )
        return hashlib.sha256("\n".join(types).encode()).hexdigest()[:32]

    # -- the connection ------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that worked the last time."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect, lock the ring, and take up where it stands. Does nothing when connected.

        Raises:
            OutputUnusable: refused for good: no permission, no such database, locked by another.
            OutputUnavailable: might work later.
        """
        if self._connection is not None:
            return
        try:
            with self._translated():
                self._connection = self._engine.connect()
                self.backend.prepare(self._connection)
                if self._is_shared:
                    self.backend.prepare_to_share(self._connection)
                self.backend.acquire(self._connection, self.pattern, LOCK_WAIT_S)
                self._columns = for_encoding(self._columns, self.backend.text_codec)
                self.ring = replace(self.ring, layout=self._layout())
                self._changes = TableChanges(self.backend, self.pattern, self._columns)
                self._rows = RowMakers(self.backend, self._columns)
                self._take_up(self._connection)
        except RecordsRefused as exc:
            # No record was given yet: two daemons made the catalogue at the same moment.
            self.disconnect()
            raise OutputUnavailable(str(exc)) from exc
        except RingLocked as exc:
            self.disconnect()
            raise OutputLocked(
                f"another daemon writes to the tables {self.pattern} of {self.backend.display} "
                f"({exc}): stop it, or choose another table pattern"
            ) from exc
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        """Let go of the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # It may be broken: what is left of it goes without a message to the server.
            with suppress(*self.backend.errors):
                connection.invalidate()
            with suppress(*self.backend.errors):
                connection.close()

    def close(self) -> None:
        """End the connection in order and give up the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self.backend.errors):
                connection.close()
        self.backend.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors of the database as those of an output.

        A refused record leaves the connection usable, with its transaction rolled back; with any
        other error the connection is given up.
        """
        try:
            yield
        except self.backend.errors as exc:
            verdict = self.backend.judge(driver_error(exc))
            text = f"{self.backend.display}: {one_line(exc)}"
            if verdict is Verdict.REFUSED and self._roll_back():
                self.unknown = None
                raise RecordsRefused(text) from exc
            self.disconnect()
            if verdict is Verdict.UNUSABLE:
                raise OutputUnusable(text) from exc
            raise OutputUnavailable(text) from exc
        except UnicodeDecodeError as exc:
            # SQLite tells of a damaged schema by the text that is damaged.
            self.disconnect()
            raise OutputUnavailable(f"{self.backend.display}: it is damaged: {exc}") from exc
        except (RecordsRefused, OutputUnusable):
            raise
        except _KnownElsewhere:
            if not self._roll_back():
                self.disconnect()
            raise
        except BaseException:
            self.disconnect()
            raise

    def _roll_back(self) -> bool:
        """Undo what the open transaction did; False if the connection no longer works."""
        transaction = self._connection and self._connection.get_transaction()
        try:
            if transaction is not None:
                transaction.rollback()
        except self.backend.errors:
            return False
        return True

    # -- where the ring stands -----------------------------------------------------------------

    def _take_up(self, connection: Connection) -> None:
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
            with self._translated(), self._connected().begin():
                self._catalogue.make_marks(self._connected(), marks, now)
        with self._transaction(after, counts=True) as connection:
            if self._is_shared:
                self._hold_marks(connection, batches, marks)
            failpoint("tables.before_insert")
            self._insert(connection, after, places)
            failpoint("tables.after_insert")
            self._catalogue.note_marks(connection, marks, now)

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
            with self._translated(), self._connected().begin():
                self._changes.refresh_view(self._connected(), self.ring)

    def marks(self) -> dict[bytes, int]:
        """The marks; connected."""
        with self._translated(), self._connected().begin():
            return self._catalogue.marks(self._connected())

    def refused(self, batches: Sequence[Batch]) -> list[RefusedRecord]:
        """Find the records of `batches` that the database refuses; nothing is written; connected.

        Raises:
            OutputUnavailable: see `write`.
        """
        after, places = self.ring.placed(batches, self._clock())
        connection = self._connected()
        found: list[RefusedRecord] = []
        with self._translated():
            self._change_ahead(connection, after)
            transaction = connection.begin()
            if self.backend.has_transactional_ddl:
                self._changes.apply(connection, self.ring, after)
            for place in places:
                target, maker = self._target(connection, after, place.serial)
                found += refused_of(self.backend, connection, target, maker, place)
            transaction.rollback()
        return found

    @contextmanager
    def _transaction(self, after: Ring, *, counts: bool = False) -> Iterator[Connection]:
        """A transaction that leaves the ring as `after`.

        Args:
            after: derived from the present ring.
            counts: whether `after` has a number of its own, that tells if it was committed.
        """
        connection = self._connected()
        with self._translated():
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
        self.ring = after

    def _change_ahead(self, connection: Connection, after: Ring) -> None:
        """Change tables before the transaction if the database can't do it within.

        If the transaction fails, the next try does it over again: the catalogue learns of the new
        tables, which are empty, in the transaction only.
        """
        if not self.backend.has_transactional_ddl:
            with connection.begin():
                self._changes.apply(connection, self.ring, after)

    def _insert(self, connection: Connection, ring: Ring, places: Sequence[TablePlace]) -> None:
        for serial, group in groupby(places, key=attrgetter("serial")):
            target, maker = self._target(connection, ring, serial)
            rows = (maker.rows(place.batch, place.first_id) for place in group)
            self.backend.insert(connection, target, rows)

    def _target(
        self, connection: Connection, ring: Ring, serial: int
    ) -> tuple[InsertTarget, RowMaker]:
        name = next(entry.table_name for entry in ring.entries if entry.serial == serial)
        return self._rows.of(connection, serial, name)

    def _connected(self) -> Connection:
        if self._connection is None:
            raise AssertionError("not connected")
        return self._connection


def _after(batch: Batch, known: Mapping[bytes, int]) -> Batch | None:
    return batch if batch.client is None else batch.after(known[batch.client])
