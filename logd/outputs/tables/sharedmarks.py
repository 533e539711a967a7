"""The marks that several daemons have in one database, for callers that ask and don't write.

The output's own connection may be busy for seconds; a client that opens a session waits for its
mark. So this connection is a separate one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from logd.outputs.base import OutputUnavailable
from logd.outputs.tables.backend import one_line
from logd.outputs.tables.catalogue import Catalogue
from logd.outputs.tables.databases import backend_for

T = TypeVar("T")


class TableMarks:
    """See `SharedMarks`. The output has been opened before, so that the tables are there.

    Args:
        address: database URL.

    Raises:
        OutputUnusable: the address is none, or a driver is missing.
    """

    def __init__(self, address: str) -> None:
        self._backend = backend_for(address, is_durable=True)
        self._engine = self._backend.engine()
        self._catalogue = Catalogue(self._backend, "", is_shared=True)
        self._connection: Connection | None = None

    def key(self, proposed: bytes) -> bytes:
        """The key that all daemons use."""
        return self._asked(
            lambda connection: self._catalogue.session_key(connection, proposed), is_retried=True
        )

    def read(self, clients: Sequence[bytes]) -> Mapping[bytes, int]:
        """How far sessions have come."""
        return self._asked(
            lambda connection: self._catalogue.read_marks(connection, clients), is_retried=True
        )

    def _asked(self, ask: Callable[[Connection], T], *, is_retried: bool) -> T:
        try:
            if self._connection is None:
                is_retried = False
                self._connection = self._engine.connect()
                self._backend.prepare(self._connection)
                self._backend.prepare_to_share(self._connection)
            with self._connection.begin():
                return ask(self._connection)
        except self._backend.errors as exc:
            self.close()
            if is_retried:
                # The server may have been started anew since the last question.
                return self._asked(ask, is_retried=False)
            raise OutputUnavailable(f"{self._backend.display}: {one_line(exc)}") from exc

    def close(self) -> None:
        """End the connection."""
        connection, self._connection = self._connection, None
        self._backend.give_up(connection)
