"""The output to an engine: batches become messages, stored once a quorum of servers has them.

The engine is shared: clients go to any of the daemons that write to it, and what one of them keeps
on disk the others do not know. So nothing that came by a client's session waits on disk: while the
engine is away, clients hold what they have. What came without a session is this daemon's alone, and
does wait on disk.

`write` hands messages over and returns; `sync` waits for the acknowledgements, so that both go on
at the same time. Records are in the engine more often than once if anything goes wrong; stores
write each of them once (`rules.py`).

A piece also says how far the engine had acknowledged its session: those numbers never come again.
So a store that has forgotten a session, after a day in which it said nothing, knows that nothing is
missing before the next piece.
"""

from __future__ import annotations

import hashlib
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence

from logd.engine.address import EngineAddress, WrongAddress, parse
from logd.engine.link import EngineLink
from logd.engine.pieces import MAX_PIECE_BYTES, pack_message, pack_piece
from logd.engine.publisher import Publisher
from logd.engine.streams import ensure_streams
from logd.outputs.base import (
    Output,
    OutputSettings,
    OutputStatus,
    OutputUnavailable,
    OutputUnusable,
)
from logd.records.batch import Batch
from logd.records.stretches import in_stretches

MESSAGE_BYTES = 256 << 10
"""A message is closed at this size, before compression: larger ones are no cheaper."""

MARGIN_BYTES = 1024
"""What a message has besides its pieces, at most."""

WINDOW_BYTES = 16 << 20
"""If more is not acknowledged, no more is taken: a wide network's round trip at full speed."""

ROOM_S = 1.0
ACKNOWLEDGED_S = 10.0
"""How long one call waits; what is not acknowledged by then is waited for by the next one."""

OPEN_S = 20.0


class EngineOutput(Output):
    """Publishes to an engine.

    Args:
        address: URL of the engine, see `address.py`.
        settings: what of it matters here: durability and dead letters.

    Raises:
        OutputUnusable: the URL can't be used.
    """

    def __init__(self, address: str, settings: OutputSettings) -> None:
        self._address = _parsed(address)
        self._settings = settings
        self.name = f"nats {self._address.shown}"
        # No secret: what it is mixed with are 128 random bits, which nobody can find out by trying.
        self.shared_key = hashlib.blake2b(self._address.stream.encode(), digest_size=32).digest()
        self._link = EngineLink(self._address, settings.engine_durable)
        self._publisher = Publisher(self._link, self._address)
        self._link.follow(self._publisher)
        self._max_message = 1 << 20
        self._written = 0
        self._last_error: tuple[str, float] | None = None
        self._lock = threading.Lock()
        # Session -> last number: what the engine has acknowledged, and what is under way.
        self._acknowledged: dict[bytes, int] = {}
        self._under_way: dict[bytes, int] = {}

    def open(self) -> Mapping[bytes, int]:
        """Connect and make the streams; an engine has no marks for its writers."""

        async def prepare() -> int:
            client = self._link.connected()
            await ensure_streams(client, self._address)
            return client.max_payload

        self._link.open()
        self._max_message = self._link.call(prepare, OPEN_S)
        return {}

    def write(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Publish batches; they are in the engine once `sync` has returned."""
        try:
            if self._link.problem:
                raise OutputUnavailable(f"engine {self._address.shown}: {self._link.problem}")
            messages = self._messages(batches)
            if not self._publisher.wait_room(WINDOW_BYTES, ROOM_S):
                raise self._not_acknowledged()
            self._publisher.add(messages)
            with self._lock:
                for batch in batches:
                    if batch.client is not None:
                        last = max(batch.last, self._under_way.get(batch.client, 0))
                        self._under_way[batch.client] = last
            if not self._settings.durable:
                # Nobody else waits, and an acknowledgement means the quorum's in any case.
                self.sync()
        except OutputUnavailable as exc:
            self._last_error = (str(exc), time.time())
            raise
        records = [batch for batch in batches if len(batch)]
        self._written += sum(map(len, records))
        return records

    def sync(self) -> None:
        """Return once the engine has acknowledged all that was written."""
        with self._lock:
            waited_for, self._under_way = self._under_way, {}
        if not self._publisher.wait_done(ACKNOWLEDGED_S):
            with self._lock:
                self._under_way = {**waited_for, **self._under_way}
            error = self._not_acknowledged()
            self._last_error = (str(error), time.time())
            raise error
        with self._lock:
            for session, last in waited_for.items():
                self._acknowledged[session] = max(last, self._acknowledged.get(session, 0))

    def forget(self, clients: Sequence[bytes]) -> None:
        """An engine has no marks; what was acknowledged of these need not be said any more."""
        with self._lock:
            for session in clients:
                self._acknowledged.pop(session, None)

    def status(self) -> OutputStatus:
        """See `Output.status`."""
        latency = self._publisher.latencies_s()
        return OutputStatus(
            name=self.name,
            current=self._link.server or "not connected",
            written=self._written,
            last_error=self._last_error,
            details={"engine": "may lose records if it loses power"} if self._is_lazy else {},
            measures={
                "unacknowledged_bytes": float(self._publisher.waiting_bytes),
                "published_again": float(self._publisher.retries),
                **{f"ack_{name}_seconds": value for name, value in latency.items()},
            },
        )

    @property
    def _is_lazy(self) -> bool:
        return self._settings.engine_durable == "lazy"

    def close(self) -> None:
        """End the connection; what is not acknowledged was kept by others."""
        self._link.close()

    def _not_acknowledged(self) -> OutputUnavailable:
        reason = self._link.problem or self._publisher.problem or "slow"
        return OutputUnavailable(f"engine {self._address.shown} does not acknowledge: {reason}")

    # -- messages ----------------------------------------------------------------------------------

    def _messages(self, batches: Sequence[Batch]) -> Mapping[int, Sequence[bytes]]:
        partitions = len(self._address.partitions)
        pieces: dict[int, list[bytes]] = {}
        for batch in batches:
            if batch.client is None:
                raise AssertionError("a batch without a session can't be told from its copies")
            found = pieces.setdefault(partition_of(batch.client, partitions), [])
            batch.floor = self._floor(batch.client, batch)
            found += self._pieces(batch)
        limit = min(MESSAGE_BYTES, self._max_message - MARGIN_BYTES)
        return {
            partition: [pack_message(group) for group in in_stretches(some, limit)]
            for partition, some in pieces.items()
        }

    def _floor(self, session: bytes, batch: Batch) -> int:
        """Numbers up to this one never come again: the client, or the engine, said so."""
        with self._lock:
            acknowledged = self._acknowledged.get(session, 0)
        # A batch that comes again, from disk, may begin before what is acknowledged by now.
        return min(max(batch.floor, acknowledged), batch.prev)

    def _pieces(self, batch: Batch) -> Iterator[bytes]:
        """A piece, or as many as it takes for each to fit into a message of its own."""
        piece = pack_piece(batch)
        if len(piece) <= MESSAGE_BYTES // 4 or self._fits(piece):
            yield piece
        elif len(batch) > 1:
            middle = len(batch) // 2
            yield from self._pieces(batch.part(0, middle))
            yield from self._pieces(batch.part(middle, len(batch)))
        else:
            yield self._buried(batch)

    def _fits(self, piece: bytes) -> bool:
        is_short = len(piece) <= MAX_PIECE_BYTES
        return is_short and len(pack_message([piece])) <= self._max_message

    def _buried(self, batch: Batch) -> bytes:
        """A record that is too long for the engine goes to the dead letters, its number goes on."""
        reason = f"the engine takes messages of {self._max_message} bytes"
        try:
            self._settings.dead_letters.put(batch, 0, reason, self.name)
        except OSError as exc:
            raise OutputUnavailable(f"can't store a refused record: {exc}") from exc
        session = batch.client or b""
        return pack_piece(Batch.of_none(session, batch.first, batch.last, batch.floor))


def partition_of(session: bytes, partitions: int) -> int:
    """Where the records of a session go, for as long as the streams are there."""
    return zlib.crc32(session) % partitions


def _parsed(address: str) -> EngineAddress:
    try:
        return parse(address, reads=False)
    except WrongAddress as exc:
        raise OutputUnusable(f"nats: {exc}") from exc
