"""Rounds: quiet senders are read together, and lose nothing by the way they are read."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Callable, Sequence

import pytest

from logd.daemon.peers import connection as connections
from logd.daemon.peers.connection import Connection
from logd.daemon.peers.intake import Pause
from logd.daemon.peers.rounds import GATHER_S, READ_BYTES, Lone, Takes
from tests.daemon.peers.test_connection import (
    CLIENT,
    Connect,
    Ends,
    on_both_loops,
)
from tests.hostile.attack import batch, opening, plain


@pytest.fixture(autouse=True)
def _looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read is looked at; otherwise a sender has to be quiet for a while."""
    monkeypatch.setattr(connections, "LOOK_S", 0.0)
    monkeypatch.setattr(connections, "ALONE_S", 0.0)


async def quiet(connect: Connect) -> Ends:
    """A plain sender that is read by rounds."""
    ends = await connect()
    while not ends.connection.reading.is_by_rounds:
        await ends.send(plain("first"))
    return ends


def waiting(connection: Connection) -> list[bytes]:
    """What was read and nobody has taken."""
    return [part.payload(number) for part in connection.pending for number in range(part.count)]


@on_both_loops
async def test_all_that_is_sent_arrives_in_order(connect: Connect) -> None:
    """One after the other, several at once, in pieces: the frames are the same."""
    ends = await quiet(connect)
    before = ends.connection.frames
    frames = [plain(f"record {number}") for number in range(40)]
    for data in frames[:5]:
        await ends.send(data)
    await ends.send(b"".join(frames[5:20]))
    stream = b"".join(frames[20:])
    for at in range(0, len(stream), 100):
        await ends.send(stream[at : at + 100])
    assert waiting(ends.connection)[before:] == [data[4:] for data in frames]
    assert ends.connection.frames == before + 40
    assert ends.connection.reading.is_by_rounds


@on_both_loops
async def test_nobody_is_woken_while_nothing_comes(connect: Connect) -> None:
    """The rounds' thread sleeps, and the loop no longer looks after it; then all goes on."""
    ends = await quiet(connect)
    rounds = ends.hub.rounds
    await ends.send(plain("begins rounds"))
    assert rounds._is_watched
    await ends.until(lambda: not rounds._is_watched)
    before = rounds._count
    await asyncio.sleep(5 * GATHER_S)  # several rounds, if there were any
    assert rounds._count == before
    await ends.send(plain("after a while"))
    assert rounds._count > before
    assert rounds._is_watched


@on_both_loops
async def test_an_end_is_noticed(connect: Connect) -> None:
    """A sender that hangs up is gone; if that is within a frame, it is told."""
    for rest, faults in ((b"", 0), (b"\x00\x00\x01\x00half", 1)):
        ends = await quiet(connect)
        if rest:
            await ends.send(rest)
        ends.peer.shutdown(socket.SHUT_WR)
        await ends.until(lambda ends=ends: ends.connection.is_closed)
        assert ends.hub.counts.faults == faults
        assert not ends.hub.connections


@on_both_loops
async def test_a_closed_connection_is_read_no_more(connect: Connect) -> None:
    """Closed by us in any way, it leaves the rounds before its descriptor is another's."""
    ways: list[Callable[[Connection], None]] = [
        Connection.close,
        Connection.abort,
        lambda one: one.give_up("for a test"),
    ]
    for close in ways:
        ends = await quiet(connect)
        close(ends.connection)
        assert not ends.hub.rounds._members
        await ends.until(lambda ends=ends: ends.connection.is_closed)


@on_both_loops
async def test_who_sends_much_is_read_alone(connect: Connect) -> None:
    """The transport takes over from a full read on, and loses nothing."""
    ends = await quiet(connect)
    ends.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * READ_BYTES)
    data = plain("x" * 1000) * (4 * READ_BYTES // 1000)
    before = ends.connection.read_bytes
    sending = asyncio.create_task(ends.loop.sock_sendall(ends.peer, data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "LOOK_S", 60.0)
        await ends.until(lambda: ends.connection.read_bytes == before + len(data))
        assert not ends.connection.reading.is_by_rounds
    await sending


@on_both_loops
async def test_a_pause_holds_in_rounds(connect: Connect) -> None:
    """While reading is paused nothing is read, whoever reads; afterwards it goes on."""
    ends = await quiet(connect)
    connection = ends.connection
    connection.pause(Pause.INTAKE)
    before = connection.read_bytes
    await ends.loop.sock_sendall(ends.peer, plain("kept back"))
    await asyncio.sleep(3 * GATHER_S)  # several rounds
    assert connection.read_bytes == before
    connection.resume(Pause.INTAKE)
    await ends.until(lambda: connection.read_bytes > before)


@on_both_loops
async def test_who_has_filled_the_queue_is_read_alone(connect: Connect) -> None:
    """A sender that was paused for want of room gets whole reads when it goes on."""
    ends = await quiet(connect)
    hub, connection = ends.hub, ends.connection
    hub.intake.charge(connection, hub.intake.connection_limit_bytes)
    assert connection.is_paused
    await ends.loop.sock_sendall(ends.peer, plain("waits"))
    hub.intake.release(connection, hub.intake.connection_limit_bytes // 2)
    hub.intake.resume()
    for text in ("one", "another"):
        await ends.send(plain(text))
        assert not connection.reading.is_by_rounds
    while not connection.reading.is_by_rounds:
        hub.intake.release(connection, connection.queued_bytes)
        await ends.send(plain("keeps up"))


@on_both_loops
async def test_a_stop_reads_each_alone(connect: Connect) -> None:
    """After the end of the rounds transports read, paused ones once they go on."""
    for is_paused in (False, True):
        ends = await quiet(connect)
        if is_paused:
            ends.connection.pause(Pause.RATE)
        ends.hub.end_rounds()
        ends.connection.resume(Pause.RATE)
        await ends.send(plain("after the end"))
        assert not ends.connection.reading.is_by_rounds


@on_both_loops
async def test_who_waits_for_each_ack_is_read_alone(connect: Connect) -> None:
    """A session that sends only when all before is acked must not wait for a round each time."""
    ends = await connect()
    await ends.send(opening(CLIENT, 8))
    await ends.numbers(1)
    await ends.send(batch("text", 8))
    assert ends.connection.reading.is_by_rounds
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "LOOK_S", 60.0)
        for number in itertools.count(9):
            ends.hub.intake.release(ends.connection, ends.connection.queued_bytes)
            ends.connection.send_ack(number - 1)
            await ends.numbers(1)
            if not ends.connection.reading.is_by_rounds:
                break
            await ends.send(batch("text", number))


class HangingTaker:
    """Takes all reads of a round and hangs when it is to write them.

    Attributes:
        may_write: a write returns once this is set.
    """

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_writing = threading.Event()
        self.may_write = threading.Event()

    def begin_lone(self) -> Takes:
        return Takes.ALL

    def take_lone(self, lone: Sequence[Lone[Connection]]) -> Sequence[Lone[Connection]]:
        self.taken += [data for _, data, _ in lone]
        return ()

    def write_lone(self) -> None:
        if self.taken:
            self.is_writing.set()
            assert self.may_write.wait(60)

    def take_queued(self) -> None:
        pass


@on_both_loops
async def test_a_disk_that_hangs_stops_no_reading(connect: Connect) -> None:
    """The loop takes the sockets of a round that is stuck, and gives them back afterwards."""
    ends = await quiet(connect)
    taker = ends.hub.rounds.taker = HangingTaker()
    await ends.send(plain("hangs"))
    await ends.until(taker.is_writing.is_set)
    before = len(waiting(ends.connection))
    await ends.send(plain("meanwhile"))
    assert waiting(ends.connection)[before:] == [plain("meanwhile")[4:]]
    assert not ends.connection.reading.is_by_rounds
    taker.may_write.set()
    await ends.until(lambda: ends.hub.rounds.takes_members)
    while not ends.connection.reading.is_by_rounds:
        await ends.send(plain("again"))
    await ends.send(plain("by a round"))
    assert taker.taken == [plain("hangs"), plain("by a round")]
