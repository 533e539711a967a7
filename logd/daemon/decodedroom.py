"""How much may be decoded that no output has stored yet: in bytes, and in the time to write it.

Everything beyond that waits encoded, for two reasons: decoded records take several times the
memory, and a lone record waits behind all that is decoded. Used by the event loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from logd.daemon.peers.intake import Intake

DECODED_S = 0.1
"""How long it may take to write what is decoded: a lone record waits behind all of it."""

DECODED_SHARE = 8
"""One in this many bytes of the queue's limit may wait decoded. That keeps an output busy; the rest
waits as it came, for decoded records take several times the memory."""

RELIEF_S = 1.0
"""If outputs make no room for this long, what they have not got goes to disk: one that is slow or
stuck must not keep records from the others."""


class DecodedRoom:
    """Counts what was handed to the outputs and is not durable.

    Args:
        intake: a part of its limit is for decoded records.
        relieve: makes the outputs keep on disk what they have not got.
    """

    def __init__(self, intake: Intake[Any], relieve: Callable[[], None]) -> None:
        self._intake = intake
        self._relieve = relieve
        self._bytes = 0
        self._writing_s = 0.0
        self._made = asyncio.Event()
        self.is_unbounded = False

    @property
    def is_there(self) -> bool:
        """Whether more may be decoded."""
        return self._bytes < self._most and self._writing_s < DECODED_S

    @property
    def _most(self) -> int:
        return self._intake.limit_bytes // DECODED_SHARE

    def take(self, size: int, writing_s: float) -> None:
        """Bytes were decoded: how many, and how long it takes to write them, in seconds."""
        self._bytes += size
        self._writing_s += writing_s

    def give_back(self, size: int, writing_s: float) -> None:
        """They are stored."""
        self._bytes -= size
        self._writing_s -= writing_s
        self._made.set()

    async def wait(self) -> None:
        """Leave what waits encoded while too much is decoded that no output has taken yet."""
        while not (self.is_unbounded or self.is_there):
            self._made.clear()
            try:
                await asyncio.wait_for(self._made.wait(), RELIEF_S)
            except TimeoutError:
                self._relieve()

    def lift(self) -> None:
        """There is always room from now on: there is no more time."""
        self.is_unbounded = True
        self._made.set()

    def relieve(self) -> None:
        """Plain senders wait: make room, unless it is decoding that takes so long."""
        if self._bytes >= self._most // 4:
            self._relieve()
