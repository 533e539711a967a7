"""How much of the log each output keeps, and since when: for `logd status`.

Tables know that themselves. Files are looked at, in a thread, and only if somebody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from logd.settings.table import Config

logger = logging.getLogger(__name__)

KNOWN_S = 10.0
"""How long an answer is good enough: a screen that is drawn each second costs nothing."""


class Holding(NamedTuple):
    """What an output keeps.

    Attributes:
        size: bytes of all files or tables.
        since: when the oldest record was logged, in seconds since the epoch; None: not known.
    """

    size: int
    since: float | None


class Holdings:
    """Looks at the files of all outputs.

    Args:
        config: the settings as they are now.
    """

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._found: Mapping[str, Holding] = {}
        self._until = 0.0
        self._looking = asyncio.Lock()

    async def look(self) -> Mapping[str, Holding]:
        """What each output that writes files keeps, by the output's name."""
        async with self._looking:
            if time.monotonic() >= self._until:
                self._found = await asyncio.to_thread(_look, self._config())
                self._until = time.monotonic() + KNOWN_S
            return self._found


def _look(config: Config) -> dict[str, Holding]:
    # Late: many daemons are never asked.
    from logd.query.places import source_of
    from logd.query.positions import CannotRead

    found = {}
    for section, own in config.each_output():
        if section.place != "file":
            continue
        with contextlib.suppress(CannotRead, OSError):
            source = source_of(section, own, logger.debug)
            if source is None:
                continue
            pieces = [piece for piece in source.inventory() if piece.is_log]
            times = [piece.first for piece in pieces if piece.first is not None]
            size = sum(piece.size for piece in pieces)
            found[source.name] = Holding(size, min(times, default=None))
    return found
