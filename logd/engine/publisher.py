"""Publishes messages to partitions and waits for the engine's acknowledgements.

Everything is under way at once, in order; `window.py` knows what is acknowledged and what has to go
out again. Lives in the link's loop; `add`, `wait_done` and the counts may be used in any thread.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from logd.engine.address import EngineAddress
from logd.engine.link import EngineLink
from logd.engine.window import Window

logger = logging.getLogger(__name__)

ACK_TIMEOUT_S = 5.0
"""A message whose acknowledgement takes longer is published again, with all behind it. A quorum
that has to elect a leader needs less."""

LOOK_EVERY_S = 0.5
FIRST_PAUSE_S, MAX_PAUSE_S = 0.1, 2.0

LATENCIES = 4096
"""How many acknowledgements make up the figures about latency."""


class _Lane:
    """One partition."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.window = Window()
        self.sent_at: dict[int, float] = {}
        self.not_before = 0.0
        self.pause_s = FIRST_PAUSE_S


class Publisher:
    """See the module.

    Attributes:
        problem: why messages are not acknowledged now; "" if they are.
        retries: how often messages were published again.
    """

    def __init__(self, link: EngineLink, address: EngineAddress) -> None:
        self._link = link
        self._lanes = {n: _Lane(address.subject_of(n)) for n in address.partitions}
        self._client: Client | None = None
        self._inbox = ""
        self._changed = threading.Condition()
        self._wake = asyncio.Event()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._tasks: list[asyncio.Task[None]] = []
        self._added = dict.fromkeys(self._lanes, 0)
        self._waiting_bytes = 0
        self.problem = ""
        self.retries = 0

    # -- any thread --------------------------------------------------------------------------------

    def add(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        """Publish messages, those of a partition in this order behind those before; at once."""
        with self._changed:
            for partition, some in messages.items():
                self._added[partition] += len(some)
                self._waiting_bytes += sum(map(len, some))
        self._link.post(lambda: self._add(messages))

    def wait_room(self, limit_bytes: int, timeout_s: float) -> bool:
        """Wait until fewer bytes than this are not acknowledged; False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._waiting_bytes < limit_bytes, timeout_s)

    def wait_done(self, timeout_s: float) -> bool:
        """Wait until all that was added before is acknowledged; False if that takes longer."""
        with self._changed:
            wanted = dict(self._added)
            return self._changed.wait_for(
                lambda: all(self._lanes[n].window.done >= wanted[n] for n in wanted), timeout_s
            )

    @property
    def waiting_bytes(self) -> int:
        """What is not acknowledged yet."""
        return self._waiting_bytes

    def latencies_s(self) -> Mapping[str, float]:
        """How long the last acknowledgements took: p50 and p99, in seconds; empty without any."""
        found = sorted(self._latencies)
        if not found:
            return {}
        return {"p50": found[len(found) // 2], "p99": found[len(found) * 99 // 100]}

    # -- the loop ----------------------------------------------------------------------------------

    async def connected(self, client: Client) -> None:
        """Publish all that is not acknowledged on a new connection."""
        self._inbox = client.new_inbox()
        await client.subscribe(f"{self._inbox}.*", cb=self._answered)
        self._client = client
        for lane in self._lanes.values():
            self._go_back(lane)
            lane.not_before, lane.pause_s = 0.0, FIRST_PAUSE_S
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._publish()), loop.create_task(self._look())]
        self._wake.set()

    def disconnected(self) -> None:
        """Nothing that is under way will be answered."""
        self._client = None

    def _add(self, messages: Mapping[int, Sequence[bytes]]) -> None:
        for partition, some in messages.items():
            for message in some:
                self._lanes[partition].window.add(message)
        self._wake.set()

    async def _publish(self) -> None:
        """One task publishes everything: so messages go out in order."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            now = time.monotonic()
            for partition, lane in self._lanes.items():
                client = self._client
                if client is None or lane.not_before > now:
                    continue
                try:
                    await self._publish_lane(client, partition, lane)
                except (NatsError, OSError, TimeoutError) as exc:
                    self._failed(lane, str(exc) or type(exc).__name__)
                except Exception as exc:
                    # A fault of ours or of the client library: it is told, and tried again.
                    logger.exception("publishing to %s failed", lane.subject)
                    self._failed(lane, str(exc) or type(exc).__name__)

    async def _publish_lane(self, client: Client, partition: int, lane: _Lane) -> None:
        rounds = lane.window.rounds
        for ticket, message in lane.window.take():
            if lane.window.rounds != rounds:
                return  # one of the first has failed already: all go out again
            lane.sent_at[ticket] = time.monotonic()
            reply = f"{self._inbox}.{partition}-{ticket}"
            await client.publish(lane.subject, message, reply=reply)

    async def _look(self) -> None:
        """Find out what is overdue, and publish what had to wait."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            for lane in self._lanes.values():
                ticket = lane.window.oldest_ticket
                if ticket is not None and now - lane.sent_at.get(ticket, now) > ACK_TIMEOUT_S:
                    self._failed(lane, f"no acknowledgement in {ACK_TIMEOUT_S:g} s")
            self._wake.set()

    async def _answered(self, msg: Msg) -> None:
        partition, _, ticket = msg.subject.rpartition(".")[2].partition("-")
        lane = self._lanes[int(partition)]
        self._take_answer(lane, int(ticket), msg)

    def _take_answer(self, lane: _Lane, ticket: int, msg: Msg) -> None:
        sent_at = lane.sent_at.get(ticket)
        if sent_at is None:
            return  # of a round before
        sequence, problem = _read_answer(msg)
        if sequence is None:
            self._failed(lane, problem)
            return
        rounds = lane.window.rounds
        size = lane.window.size
        lane.sent_at.pop(ticket)
        with self._changed:
            done = lane.window.acknowledged(ticket, sequence)
            self._waiting_bytes -= size - lane.window.size
            self._changed.notify_all()
        if done:
            self._latencies.append(time.monotonic() - sent_at)
            lane.pause_s = FIRST_PAUSE_S
            self.problem = ""
        if lane.window.rounds != rounds:
            self._went_back(lane)
            self._wake.set()

    def _failed(self, lane: _Lane, problem: str) -> None:
        self.problem = problem
        self._go_back(lane)
        lane.not_before = time.monotonic() + lane.pause_s
        asyncio.get_running_loop().call_later(lane.pause_s, self._wake.set)
        lane.pause_s = min(lane.pause_s * 2, MAX_PAUSE_S)

    def _go_back(self, lane: _Lane) -> None:
        if lane.window.oldest_ticket is not None:
            lane.window.go_back()
            self._went_back(lane)

    def _went_back(self, lane: _Lane) -> None:
        lane.sent_at.clear()
        self.retries += 1


def _read_answer(msg: Msg) -> tuple[int | None, str]:
    """Where the engine stored a message; or None, and why it did not."""
    if (msg.headers or {}).get("Status") == "503":
        return None, "no server takes messages for the stream now"
    try:
        answer: dict[str, Any] = json.loads(msg.data)
        if "error" in answer:
            return None, str(answer["error"].get("description", "refused"))
        return int(answer["seq"]), ""
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, "an acknowledgement that can't be read"
