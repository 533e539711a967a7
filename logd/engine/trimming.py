"""What an engine may forget: what every group of stores has had for a while.

Each group writes how far it is into a small stream of its own, `STREAM_offsets`; a stream is cut
off behind the group that is last. A group that is gone for good has to be removed from there, else
nothing is forgotten any more.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from logd.engine.address import EngineAddress

TRIM_EVERY_S = 10.0

SAMPLES = 1000
"""How finely `keep_s` is kept."""


class Trimmer:
    """Trims one partition.

    Args:
        address: the engine; its group is the one whose ring this is.
        partition: which one.
        keep_s: for how long messages stay that all rings have.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        address: EngineAddress,
        partition: int,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = address
        self._partition = partition
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._reached: int | None = None
        self._told: int | None = None
        # Some messages with their times, oldest first, to find one that is old enough.
        self._samples: deque[tuple[float, int]] = deque()

    def seen(self, number: int, stored_at: float) -> None:
        """A message was read."""
        with self._lock:
            newest = self._samples[-1][0] if self._samples else 0.0
            if stored_at - newest >= self._keep_s / SAMPLES:
                self._samples.append((stored_at, number))

    def reached(self, number: int | None) -> None:
        """The ring holds all up to this message; None if it is not this daemon's."""
        with self._lock:
            self._reached = number

    def may_go(self) -> int:
        """The last message that the ring has, and that is old enough to go; 0 for none."""
        with self._lock:
            if self._reached is None or not self._keep_s:
                return self._reached or 0
            oldest = self._clock() - self._keep_s
            number = 0
            while self._samples and self._samples[0][0] <= oldest:
                if self._samples[0][1] > self._reached:
                    break
                number = self._samples.popleft()[1]
            if number:
                # It is what the next call finds if there is nothing older.
                self._samples.appendleft((oldest, number))
            return number

    async def trim(self, client: Client) -> None:
        """Say how far the ring is, and cut the stream.

        Raises:
            nats.errors.Error: the engine is away.
        """
        js = client.jetstream()
        with self._lock:
            reached = self._reached
        if reached is None:
            return
        if reached != self._told:
            await self._tell(client, reached)
            self._told = reached
        number = min(self.may_go(), await self._lowest(client))
        if number > 0:
            await js.purge_stream(self._address.stream_of(self._partition), seq=number + 1)

    def _subject(self, group: str) -> str:
        return f"{self._address.stream}_offsets.{self._partition}.{group}"

    async def _tell(self, client: Client, reached: int) -> None:
        js = client.jetstream()
        stream = f"{self._address.stream}_offsets"
        try:
            await js.stream_info(stream)
        except NotFoundError:
            info = await js.stream_info(self._address.stream_of(self._partition))
            config = StreamConfig(
                name=stream,
                subjects=[f"{stream}.>"],
                description="how far the stores of logd are",
                storage=StorageType.FILE,
                discard=DiscardPolicy.OLD,
                max_msgs_per_subject=1,
                max_bytes=16 << 20,
                num_replicas=info.config.num_replicas,
            )
            await js.add_stream(config)
        await js.publish(self._subject(self._address.group), str(reached).encode())

    async def _lowest(self, client: Client) -> int:
        """How far the group is that is last; 0 if that can't be said."""
        js = client.jetstream()
        stream = f"{self._address.stream}_offsets"
        info = await js.stream_info(stream, subjects_filter=self._subject("*"))
        lowest: int | None = None
        for subject in info.state.subjects or {}:
            try:
                message = await js.get_last_msg(stream, subject)
                number = int(message.data or b"0")
            except (APIError, ValueError):
                return 0
            lowest = number if lowest is None else min(lowest, number)
        return lowest or 0
