"""One connection: what the event loop does with what arrives, without a process around it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import FULL_READ_BYTES, Hub
from logd.daemon.peers.intake import Intake, Pause
from logd.daemon.peers.limits import Limits
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.peerend import PeerKind
from logd.daemon.peers.reading import ReadSwitch
from logd.daemon.peers.sessions import Sessions
from logd.daemon.sessionkeys import SessionKeys
from tests.hostile.attack import batch, frame, opening, plain

CLIENT = b"c" * 16


class Ends:
    """A connection and the peer's end of its socket."""

    def __init__(self, hub: Hub, connection: Connection, peer: socket.socket) -> None:
        self.hub = hub
        self.connection = connection
        self.peer = peer
        self.loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        """Send and let the daemon's end read it."""
        before = self.connection.read_bytes
        await self.loop.sock_sendall(self.peer, data)
        await self.until(lambda: self.connection.read_bytes >= before + len(data))

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop go on until `condition` holds."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - the condition has no event
                await asyncio.sleep(0.001)

    async def numbers(self, count: int) -> list[int]:
        """The next answers."""
        data = b""
        while len(data) < 12 * count:
            data += await self.loop.sock_recv(self.peer, 12 * count - len(data))
        return [number for _, number in struct.iter_unpack(">IQ", data)]


Connect = Callable[..., Coroutine[Any, Any, Ends]]
Test = Callable[[Connect], Coroutine[Any, Any, None]]


async def run(test: Test) -> None:
    """Run a test with what makes connections, each with a hub of its own; they end with it."""
    made: list[Ends] = []

    async def connect(limits: Limits | None = None) -> Ends:
        loop = asyncio.get_running_loop()
        keys = SessionKeys()
        sessions = Sessions(keys.marks({CLIENT: 7}), keys=keys)
        hub = Hub(loop, Intake(1 << 20, 1 << 18), sessions, limits or Limits())
        ours, peer = socket.socketpair()
        for sock in (ours, peer):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        host = "10.0.0.7"
        connection = Connection(hub, Origin(host, host, "p", is_trusted=False))
        connection.sock = ours
        hub.came(connection)
        await loop.connect_accepted_socket(lambda: connection, ours)
        made.append(Ends(hub, connection, peer))
        return made[-1]

    try:
        await test(connect)
    finally:
        for ends in made:
            ends.hub.end_rounds()
            ends.connection.abort()
            ends.peer.close()
            await ends.until(lambda ends=ends: ends.connection.is_closed)


def on_both_loops(test: Test) -> Callable[..., None]:
    """A test that is run on each event loop in turn."""

    @pytest.mark.parametrize("factory", [uvloop.new_event_loop, asyncio.new_event_loop])
    def run_on(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(run(test))

    run_on.__doc__ = test.__doc__
    return run_on


@on_both_loops
async def test_a_session_is_told_what_is_durable(connect: Connect) -> None:
    """The opening is answered; batches in the same read are queued behind it."""
    ends = await connect()
    await ends.send(opening(CLIENT, 8) + batch("a", 8) + batch("b", 9))
    assert await ends.numbers(1) == [7]
    assert ends.connection.kind is PeerKind.SESSION
    ((_, frames),) = await ends.hub.intake.take(1, 1.0)
    assert frames.count == 2


@on_both_loops
async def test_unread_acks_end_a_connection(connect: Connect) -> None:
    """A client that lets its acks lie is cut off before they take more than a little memory."""
    ends = await connect()
    await ends.send(opening(CLIENT, 8))
    for number in range(20_000):
        ends.connection.send_ack(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
    await ends.until(lambda: ends.connection.is_closed)
    assert ends.hub.connections == set()
    # Whoever still has something to tell it does no harm.
    ends.connection.send_ack(1)


@on_both_loops
async def test_a_refused_peer_that_reads_nothing_is_not_waited_for(connect: Connect) -> None:
    """What it is told last may lie in its buffer; the connection ends all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("logd.daemon.peers.peerend.LINGER_S", 0.05)
        ends = await connect()
        await ends.send(opening(CLIENT, 8))
        for number in range(2000):
            ends.connection.send_ack(number)
        await ends.send(b"\xff" * 8)
        await ends.until(lambda: ends.connection.is_closed)


@on_both_loops
async def test_the_end_of_a_frame_counts_for_the_next_ones_time(connect: Connect) -> None:
    """A frame's clock starts with its first byte and stops when it is whole or given up."""
    ends = await connect(Limits(frame_timeout_s=0.6))
    hub = ends.hub
    data = plain("text")
    await ends.send(data + data[:10])
    assert ends.connection.partial_bytes == 10
    await ends.send(data[10:])
    await asyncio.sleep(0.7)  # time passes: nothing is under way
    hub.close_late()
    assert not ends.connection.is_failed
    await ends.send(data[:10])
    ends.connection.pause(Pause.INTAKE)
    await asyncio.sleep(0.7)  # time passes that is not the peer's
    hub.close_late()
    ends.connection.resume(Pause.INTAKE)
    hub.close_late()
    assert not ends.connection.is_failed
    await asyncio.sleep(0.7)  # time passes
    hub.close_late()
    await ends.until(lambda: ends.connection.is_closed)
    assert hub.partials.bytes == 0


@on_both_loops
async def test_reasons_to_pause_add_up(connect: Connect) -> None:
    """Reading goes on when the last reason is gone; a longer wait replaces a shorter one."""
    ends = await connect()
    connection = ends.connection
    connection.pause(Pause.INTAKE)
    connection.reading.pause_for(0.001)
    connection.reading.pause_for(1.5)
    await asyncio.sleep(0.02)  # the shorter wait would be over by now
    connection.resume(Pause.INTAKE)
    assert connection.is_paused
    await ends.until(lambda: not connection.is_paused)
    await ends.send(plain("text"))


@on_both_loops
async def test_the_rest_is_for_the_next_turn(connect: Connect) -> None:
    """A sender with much to read has one read a turn; others come in between, nothing is lost."""
    ends = await connect()
    data = b"".join(plain(str(number) * 100) for number in range(20))
    turns: list[None] = []
    end_turn = ReadSwitch.end_turn

    def counted(reading: ReadSwitch, account: str) -> None:
        turns.append(None)
        end_turn(reading, account)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hub, "read_view", lambda hub, one: hub._small_view)
        patch.setattr(ReadSwitch, "end_turn", counted)
        # Rounds would read the rest at once.
        patch.setattr(Connection, "_look_at_pace", lambda connection: None)
        sending = asyncio.create_task(ends.loop.sock_sendall(ends.peer, data))
        await ends.until(lambda: ends.connection.frames == 20)
        await sending
    assert ends.connection.read_bytes == len(data)
    assert len(turns) >= len(data) // FULL_READ_BYTES // 2
    assert not ends.connection.is_paused


@on_both_loops
async def test_half_frames_count_while_they_last(connect: Connect) -> None:
    """The bytes kept of incomplete frames are counted to the byte, however a connection ends."""
    data = plain("x" * 5000)
    for size in (0, 1, 4096):
        ends = await connect()
        await ends.send(data[:size])
        assert ends.hub.partials.bytes == size
        ends.peer.shutdown(socket.SHUT_WR)
        await ends.until(lambda ends=ends: ends.connection.is_closed)
        assert ends.hub.partials.bytes == 0
        assert ends.hub.places.total == 0


@on_both_loops
async def test_a_flood_of_tiny_frames_fills_the_queue_by_its_weight(connect: Connect) -> None:
    """A frame counts with what it takes in memory, not only with its bytes."""
    ends = await connect()
    await ends.loop.sock_sendall(ends.peer, frame(b'""') * 600)
    await ends.until(lambda: ends.connection.frames == 600)
    assert ends.connection.queued_bytes > 600 * 70
    assert not ends.connection.is_paused
    await ends.loop.sock_sendall(ends.peer, frame(b'""') * 3000)
    await ends.until(lambda: ends.connection.is_paused)
    assert ends.connection.frames < 3600 + 600


@on_both_loops
async def test_a_refusal_of_a_closed_connection_is_no_error(connect: Connect) -> None:
    """The pipeline may find a bad frame after its sender is gone."""
    ends = await connect()
    await ends.send(opening(CLIENT, 8))
    ends.connection.close()
    ends.connection.fail(4, "bad frame")
    ends.connection.send_ack(9)
    await ends.until(lambda: ends.connection.is_closed)
    ends.connection.give_up("late")
    ends.connection.close()
    ends.connection.abort()
