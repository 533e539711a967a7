"""Reads one partition of an engine of NATS servers, in its order, from a number on.

By a consumer without acknowledgements that is made anew whenever anything is odd: a number of its
own is missing, nothing was heard, the connection is another one. So it keeps nothing that could be
wrong. Messages are asked for in small numbers, so that no more wait here than are soon stored.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from logd.engine.address import EngineAddress
from logd.engine.base import Message, PartitionReader
from logd.engine.link import ANSWER_S, EngineLink
from logd.engine.streams import find_stream
from logd.engine.trimming import Trimmer
from logd.outputs.base import OutputUnavailable
from logd.outputs.marks import PLACE_PREFIX

logger = logging.getLogger(__name__)

ASK_MESSAGES = 64
"""How many messages are asked for at a time; at most twice as many are in memory."""

ASK_S = 30.0
HEARTBEAT_S = 5.0
"""The engine says so often that there is nothing; if it says nothing, something is wrong."""

FORGET_S = 60.0
"""A consumer that nobody asks goes by itself."""

FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0

_NOTHING_NOW = ("404", "408")


class _Odd(Exception):
    """The consumer is no good any more."""


class StreamReading(PartitionReader):
    """See the module and `PartitionReader`."""

    def __init__(
        self, link: EngineLink, address: EngineAddress, partition: int, keep_s: float
    ) -> None:
        self._link = link
        self._address = address
        self._partition = partition
        self._stream = address.stream_of(partition)
        self.place = b""
        self._trimmer = Trimmer(address, partition, keep_s)
        self._client: Client | None = None
        self._is_connected = asyncio.Event()
        self._next_number = 1
        self._task: asyncio.Task[None] | None = None
        self._has_news = threading.Condition()
        self._messages: deque[Message] = deque()
        self._has_room = asyncio.Event()

    # -- the store's thread ------------------------------------------------------------------------

    def find(self) -> None:
        """See `PartitionReader.find`."""
        info = self._link.call(
            lambda: find_stream(self._connected(), self._address, self._partition)
        )
        name = f"{self._stream} {info.created}".encode()
        self.place = PLACE_PREFIX + b":" + hashlib.blake2b(name, digest_size=10).digest()

    def start(self, after: int | None) -> int:
        """See `PartitionReader.start`."""
        info = self._link.call(
            lambda: find_stream(self._connected(), self._address, self._partition)
        )
        first = max(info.state.first_seq, 1)
        lost = 0 if after is None else max(0, first - after - 1)
        self._next_number = first if after is None else max(first, after + 1)
        self._messages.clear()
        self._trimmer.reached(after or 0)

        async def start() -> None:
            loop = asyncio.get_running_loop()
            self._has_room.set()
            self._task = loop.create_task(self._read())

        self._link.call(start)
        return lost

    def start_at_end(self) -> None:
        """Read what comes from now on.

        Raises:
            OutputUnavailable: the engine is away.
        """
        info = self._link.call(
            lambda: find_stream(self._connected(), self._address, self._partition)
        )
        self.start(info.state.last_seq)

    def next(self, timeout_s: float) -> Sequence[Message]:
        """See `PartitionReader.next`."""
        with self._has_news:
            self._has_news.wait_for(lambda: self._messages, timeout_s)
            messages = list(self._messages)
            self._messages.clear()
        if messages:
            self._link.post(self._has_room.set)
        return messages

    def stored(self, number: int) -> None:
        """See `PartitionReader.stored`."""
        self._trimmer.reached(number)

    def stop(self) -> None:
        """See `PartitionReader.stop`."""

        async def stop() -> None:
            if self._task is not None:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)
                self._task = None

        self._trimmer.reached(None)
        with suppress(OutputUnavailable):
            self._link.call(stop)

    # -- the loop ----------------------------------------------------------------------------------

    async def connected(self, client: Client) -> None:
        """Read on by this connection."""
        self._client = client
        self._is_connected.set()

    def disconnected(self) -> None:
        """Wait for the next connection."""
        self._client = None
        self._is_connected.clear()

    def _connected(self) -> Client:
        return self._link.connected()

    async def trim(self) -> None:
        """Tell the engine how far the ring is, and let it forget what all rings have had long."""
        if self._client is not None:
            await self._trimmer.trim(self._client)

    async def _read(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            await self._is_connected.wait()
            before = self._next_number
            try:
                if self._client is not None:
                    await self._consume(self._client)
            except (_Odd, NatsError, OSError, TimeoutError) as exc:
                logger.debug("%s is read anew: %s", self._stream, exc)
            except Exception:
                # A fault of ours or of the client library: it is told, and tried again.
                logger.exception("reading %s failed", self._stream)
            pause_s = FIRST_PAUSE_S if self._next_number > before else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def _consume(self, client: Client) -> None:
        """Read by one consumer, until something is odd."""
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=arrived.put)
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._next_number,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=FORGET_S,
            num_replicas=1,
            mem_storage=True,
        )
        name = ""
        try:
            info = await client.jetstream().add_consumer(self._stream, config)
            name = info.name
            delivered = 0
            while True:
                await self._has_room.wait()
                await self._ask(client, name, inbox)
                delivered = await self._take(arrived, delivered)
        finally:
            with suppress(NatsError, OSError, TimeoutError):
                await subscription.unsubscribe()
                if name and not client.is_closed:
                    await client.jetstream().delete_consumer(self._stream, name)

    async def _ask(self, client: Client, consumer: str, inbox: str) -> None:
        request: dict[str, Any] = {
            "batch": ASK_MESSAGES,
            "expires": int(ASK_S * 1e9),
            "idle_heartbeat": int(HEARTBEAT_S * 1e9),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{consumer}"
        await client.publish(subject, json.dumps(request).encode(), reply=inbox)

    async def _take(self, arrived: asyncio.Queue[Msg], delivered: int) -> int:
        """Take what one request brings; returns the number of the last delivery.

        Raises:
            _Odd: another consumer is needed.
        """
        taken = 0
        while taken < ASK_MESSAGES:
            msg = await asyncio.wait_for(arrived.get(), HEARTBEAT_S * 2 + ANSWER_S)
            status = (msg.headers or {}).get("Status", "")
            if status == "100":
                continue
            if status in _NOTHING_NOW:
                break
            if status:
                raise _Odd(f"status {status}")
            delivered += 1
            taken += 1
            self._arrived(msg, delivered)
        return delivered

    def _arrived(self, msg: Msg, delivered: int) -> None:
        metadata = msg.metadata
        number = metadata.sequence.stream
        if metadata.sequence.consumer != delivered or number < self._next_number:
            raise _Odd(f"delivery {metadata.sequence.consumer}, expected {delivered}")
        self._next_number = number + 1
        stored_at = metadata.timestamp.timestamp()
        self._trimmer.seen(number, stored_at)
        with self._has_news:
            self._messages.append(Message(number, stored_at, metadata.num_pending, msg.data))
            if len(self._messages) >= ASK_MESSAGES:
                self._has_room.clear()
            self._has_news.notify()
