"""The source `nats:URL`: the partitions of an engine of NATS servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from nats.aio.client import Client
from nats.errors import Error as NatsError

from logd.engine.address import WrongAddress, parse
from logd.engine.base import Source, SourceSettings
from logd.engine.link import EngineLink
from logd.engine.reader import StreamReading
from logd.engine.trimming import TRIM_EVERY_S
from logd.outputs.base import OutputUnusable

logger = logging.getLogger(__name__)


class EngineSource(Source):
    """See the module and `Source`.

    Args:
        address: URL of the engine, see `address.py`.
        settings: durability, and how long messages stay.
        follows: only looks on: the engine is not told how far this is.

    Raises:
        OutputUnusable: the URL can't be used.
    """

    def __init__(self, address: str, settings: SourceSettings, *, follows: bool = False) -> None:
        try:
            self._address = parse(address, reads=True)
        except WrongAddress as exc:
            raise OutputUnusable(f"nats: {exc}") from exc
        self._settings = settings
        self._follows = follows
        self.name = f"nats {self._address.shown}"
        self.partitions: Sequence[int] = self._address.partitions
        self._link = EngineLink(self._address, settings.durable)
        self._link.follow(self)
        self._readings: dict[int, StreamReading] = {}
        self._trimming: asyncio.Task[None] | None = None

    def open(self) -> None:
        """See `Source.open`."""
        self._link.open()

    def reading(self, partition: int) -> StreamReading:
        """See `Source.reading`; to be asked for before `open`."""
        found = StreamReading(self._link, self._address, partition, self._settings.keep_s)
        self._link.follow(found)
        self._readings[partition] = found
        return found

    @property
    def problem(self) -> str:
        """See `Source.problem`."""
        return self._link.problem

    def close(self) -> None:
        """See `Source.close`."""
        self._link.close()

    # -- the loop ----------------------------------------------------------------------------------

    async def connected(self, client: Client) -> None:
        """There is a connection."""
        if self._trimming is None and not self._follows:
            self._trimming = asyncio.get_running_loop().create_task(self._trim())

    def disconnected(self) -> None:
        """There is none."""

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            for partition, reading in self._readings.items():
                try:
                    await reading.trim()
                except (NatsError, OSError, TimeoutError) as exc:
                    logger.info("partition %d is not trimmed now: %s", partition, exc)
                except Exception:
                    logger.exception("trimming partition %d failed", partition)
