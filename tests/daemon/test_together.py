"""Lone records of several plain connections, decoded together: as if each had come alone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import pickle

import pytest

from logd.daemon.peers.connection import Connection
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.peerend import PeerKind
from logd.wire import Decoder, WireError
from logd.wire.frames import Frames
from tests.daemon.test_pipeline import Bench

PING = pickle.dumps("ping")


@pytest.fixture(autouse=True)
def _is_warm() -> None:
    """Patterns are compiled at their first use, which takes longer than a slice of time."""
    for odd in (b"nothing", PING, frame("text")):
        with contextlib.suppress(WireError):
            Decoder().decode(Frames.of(odd, odd), now=1.0)


def frame(text: str) -> bytes:
    """The payload of one record of `SocketHandler`."""
    record = logging.LogRecord("shop", 20, "/srv/shop.py", 1, text, None, None, "sell")
    return logging.handlers.SocketHandler("", 0).makePickle(record)[4:]


def plain(bench: Bench, account: str = "127.0.0.1") -> Connection:
    """A connection of a sender without a session."""
    connection = Connection(bench.hub, Origin(account, account, f"{account}:1", is_trusted=False))
    connection.kind = PeerKind.PLAIN
    return connection


async def written(bench: Bench) -> list[str]:
    """What the sink gets."""
    await bench.finish()
    return bench.sink.texts


async def test_lone_records_become_one_batch() -> None:
    """Records that come alone from one host are one batch, in their order, and are all counted."""
    bench = Bench()
    batches: list[int] = []
    submit = bench.sink.submit
    bench.sink.submit = lambda work: (  # type: ignore[method-assign]
        batches.extend(map(len, work.batches)),
        submit(work),
    )[1]
    connections = [plain(bench) for _ in range(20)]
    for number, connection in enumerate(connections):
        bench.hub.intake.put(connection, Frames.of(frame(str(number))))
    assert await written(bench) == [str(number) for number in range(20)]
    assert batches == [20]
    assert [connection.records for connection in connections] == [1] * 20
    assert bench.hub.counts.records == 20


async def test_records_of_several_hosts_stay_apart() -> None:
    """Each record keeps where it came from."""
    bench = Bench()
    peers: list[str] = []
    submit = bench.sink.submit
    bench.sink.submit = lambda work: (  # type: ignore[method-assign]
        peers.extend(batch.peer for batch in work.batches),
        submit(work),
    )[1]
    for number in range(6):
        connection = plain(bench, f"10.0.0.{number % 2}")
        bench.hub.intake.put(connection, Frames.of(frame(str(number))))
    assert sorted(await written(bench)) == ["0", "1", "2", "3", "4", "5"]
    assert {*peers} == {"10.0.0.0", "10.0.0.1"}


@pytest.mark.parametrize(
    "odd", [b"nothing of the kind", PING, pickle.dumps({"msg": 1})], ids=["bad", "ping", "dict"]
)
async def test_an_odd_frame_costs_the_others_nothing(odd: bytes) -> None:
    """What is no record of its own is found by itself, and the records around it are written."""
    bench = Bench()
    connections = [plain(bench) for _ in range(9)]
    for number, connection in enumerate(connections):
        payload = odd if number == 4 else frame(str(number))
        bench.hub.intake.put(connection, Frames.of(payload))
    texts = await written(bench)
    assert texts == [*"01235678"]
    assert [connection.records for connection in connections[:4]] == [1] * 4
    await asyncio.sleep(0)
    assert bench.hub.counts.bad_frames == (odd != PING)


async def test_order_within_a_connection_is_kept() -> None:
    """Several deliveries of one connection stay in their order among those of others."""
    bench = Bench()
    one, other = plain(bench), plain(bench)
    for number in range(10):
        bench.hub.intake.put(one, Frames.of(frame(f"one {number}")))
        bench.hub.intake.put(other, Frames.of(frame(f"other {number}")))
    texts = await written(bench)
    for name in ("one", "other"):
        mine = [text for text in texts if text.startswith(f"{name} ")]
        assert mine == [f"{name} {number}" for number in range(10)]
