"""A companion of the daemon that does one thing again and again while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod


class Repeating(ABC):
    """Runs `_run` as a task from `start` to `stop`."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; what is under way is cancelled."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @abstractmethod
    async def _run(self) -> None:
        """What is done, until it is cancelled."""
