"""The connection of one output to its database: made, lost, given up, and what its errors mean.

The lock of the ring goes with the connection: only its holder may write to the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

from logd.outputs.base import OutputLocked, OutputUnavailable, OutputUnusable
from logd.outputs.tables.backend import Backend, ErrorMeaning, RingLocked, driver_error, one_line

LOCK_WAIT_S = 5.0
"""How long the lock of a ring may take at the start: a killed daemon's may need a moment to go."""


class RecordsRefused(Exception):
    """The database refuses some of the records for their content; none was written."""


class TransactionDropped(Exception):
    """A transaction is not wanted any more: it is rolled back, and the connection stays."""


class RingConnection:
    """At most one connection, with the lock of one ring. Used by one thread at a time.

    Args:
        backend: the kind of database.
        pattern: of the tables' names; also the lock's.
        is_shared: whether other daemons write to the same database with the same marks.
    """

    def __init__(self, backend: Backend, pattern: str, *, is_shared: bool) -> None:
        self._backend = backend
        self._pattern = pattern
        self._is_shared = is_shared
        self._connection: Connection | None = None
        self.engine = backend.engine()

    @property
    def is_there(self) -> bool:
        """Whether there is a connection that worked the last time."""
        return self._connection is not None

    def get(self) -> Connection:
        """The connection; there must be one."""
        if self._connection is None:
            raise AssertionError("not connected")
        return self._connection

    def make(self, take_up: Callable[[Connection], None]) -> None:
        """Connect and lock the ring; there must be no connection.

        Args:
            take_up: called before anyone else may use the connection.

        Raises:
            OutputUnusable: refused for good: no permission, no such database, locked by another.
            OutputUnavailable: might work later.
        """
        backend = self._backend
        try:
            with self.translated():
                self._connection = self.engine.connect()
                backend.prepare(self._connection)
                if self._is_shared:
                    backend.prepare_to_share(self._connection)
                backend.acquire(self._connection, self._pattern, LOCK_WAIT_S)
                take_up(self._connection)
        except RecordsRefused as exc:
            # No record was given yet: two daemons made the catalogue at the same moment.
            self.drop()
            raise OutputUnavailable(str(exc)) from exc
        except RingLocked as exc:
            self.drop()
            raise OutputLocked(
                f"another daemon writes to the tables {self._pattern} of {backend.display} "
                f"({exc}): stop it, or choose another table pattern"
            ) from exc
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Let go of the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        self._backend.give_up(connection)

    def close(self) -> None:
        """End the connection in order and give up the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._backend.errors):
                connection.close()
        self._backend.release()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of the database as those of an output.

        A refused record leaves the connection usable, with its transaction rolled back; with any
        other error the connection is given up.
        """
        backend = self._backend
        try:
            yield
        except backend.errors as exc:
            verdict = backend.judge(driver_error(exc))
            text = f"{backend.display}: {one_line(exc)}"
            if verdict is ErrorMeaning.REFUSED and self._roll_back():
                raise RecordsRefused(text) from exc
            self.drop()
            if verdict is ErrorMeaning.UNUSABLE:
                raise OutputUnusable(text) from exc
            raise OutputUnavailable(text) from exc
        except UnicodeDecodeError as exc:
            # SQLite tells of a damaged schema by the text that is damaged.
            self.drop()
            raise OutputUnavailable(f"{backend.display}: it is damaged: {exc}") from exc
        except (RecordsRefused, OutputUnusable):
            raise
        except TransactionDropped:
            if not self._roll_back():
                self.drop()
            raise
        except BaseException:
            self.drop()
            raise

    def _roll_back(self) -> bool:
        """Undo what the open transaction did; False if the connection no longer works."""
        transaction = self._connection and self._connection.get_transaction()
        try:
            if transaction is not None:
                transaction.rollback()
        except self._backend.errors:
            return False
        return True
