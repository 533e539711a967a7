"""The lock of the ring that a daemon wrote to before its table pattern was changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from logd.outputs.tables.backend import Backend, RingLocked

logger = logging.getLogger(__name__)

_SHORT_WAIT_S = 0.1


@contextmanager
def lock_of(pattern: str | None, backend: Backend) -> Iterator[str | None]:
    """The same pattern, locked while the block lasts; None without one, or if others write to it.

    Args:
        pattern: of the earlier ring's tables.
        backend: the database that it is in.
    """
    if pattern is None:
        yield None
        return
    other = type(backend)(backend.url, is_durable=False)
    try:
        with other.engine().connect() as connection:
            try:
                other.acquire(connection, pattern, _SHORT_WAIT_S)
            except RingLocked as exc:
                logger.warning("the tables %s are not taken along: %s", pattern, exc)
                pattern = None
            yield pattern
    finally:
        other.release()
