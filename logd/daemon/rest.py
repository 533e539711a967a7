"""Whether the daemon has had nothing to do for long, so that nothing needs to be looked after."""

from __future__ import annotations

import asyncio
import contextlib


class Rest:
    """A time in which nothing happens. Event loop's thread only.

    Attributes:
        is_on: whether it lasts; a caller that has something to do calls `stir` then.
    """

    def __init__(self) -> None:
        self.is_on = False
        self._over = asyncio.Event()

    def stir(self) -> None:
        """Something happens."""
        self.is_on = False
        self._over.set()

    async def last(self, at_most_s: float) -> None:
        """Begin, and return when it is over, or after `at_most_s` seconds."""
        self.is_on = True
        self._over.clear()
        try:
            await self.over(at_most_s)
        finally:
            self.is_on = False

    async def over(self, at_most_s: float) -> None:
        """Return when it is over, or after `at_most_s` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), at_most_s)
