"""The pipeline: what it accepts, acknowledges and hands on, whatever order connections bring."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from logd.daemon.peers.connection import Connection
from logd.daemon.peers.hub import Hub
from logd.daemon.peers.intake import Intake
from logd.daemon.peers.limits import Limits
from logd.daemon.peers.origin import Origin
from logd.daemon.peers.peerend import PeerKind
from logd.daemon.peers.sessions import Sessions
from logd.daemon.pipeline import Pipeline
from logd.outputs.work import Work
from logd.server import LogServer
from logd.wire.frames import Frames
from tests.hostile.attack import batch, plain

CLIENT = b"c" * 16


class HoldingSink:
    """Keeps works and calls them durable at once, as an output does that is never slow."""

    is_quick = False

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.acks: list[Mapping[bytes, int]] = []

    def submit(self, work: Work) -> None:
        work.expect(1)
        self.acks.append(dict(work.acks))
        for one in work.batches:
            self.texts += one.msg
        work.finish_one()

    def wait_written(self, work: Work) -> None:
        pass

    def relieve(self) -> None:
        pass


class Bench:
    """A pipeline between an intake that is filled by hand and a sink that keeps everything."""

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.sink = HoldingSink()
        self.hub = Hub(asyncio.get_running_loop(), Intake(1 << 20, 1 << 20), Sessions({}), Limits())
        server = LogServer(self.sink)
        self.pipeline = Pipeline(self.hub, server, self.sink, {}, self.failures.append)

    def connection(self, first: int = 1) -> Connection:
        """A connection of the session, opened but without a socket."""
        origin = Origin("127.0.0.1", "127.0.0.1", "test", is_trusted=False)
        connection = Connection(self.hub, origin)
        connection.kind, connection.client, connection.first = PeerKind.SESSION, CLIENT, first
        return connection

    def put(self, connection: Connection, numbers: Sequence[int]) -> None:
        """One delivery of records that are called by their sequence numbers."""
        payloads = [batch(str(number), number)[4:] for number in numbers]
        self.hub.intake.put(connection, Frames.of(*payloads))

    async def finish(self) -> None:
        """Take everything; returns when it is with the sink and the budget is free again."""
        consumer = asyncio.create_task(self.pipeline.run())
        await self.pipeline.wait_decoded()
        await asyncio.to_thread(self.pipeline.thread.stop)
        await asyncio.sleep(0)
        consumer.cancel()
        assert self.hub.intake.queued_bytes == 0
        assert not self.failures


async def test_an_old_connections_rest_takes_no_ack_back() -> None:
    """Acknowledged numbers never go back, whichever connection comes last."""
    bench = Bench()
    old, new = bench.connection(), bench.connection()
    bench.put(old, [1])
    bench.put(new, [1, 2, 3])
    bench.put(old, [2])
    await bench.finish()
    assert bench.sink.texts == ["1", "2", "3"]
    acked = [acks[CLIENT] for acks in bench.sink.acks]
    assert acked == sorted(acked)
    assert acked[-1] == 3


async def test_what_sessions_sent_may_be_left_at_the_end() -> None:
    """Nothing of it is acknowledged, and what others sent is written."""
    bench = Bench()
    session, other = bench.connection(), bench.connection()
    other.kind, other.client = PeerKind.PLAIN, None
    bench.put(session, [1, 2])
    bench.hub.intake.put(other, Frames.of(plain("plain")[4:]))
    bench.pipeline.drop_sessions()
    await bench.finish()
    assert bench.sink.texts == ["plain"]
    assert bench.sink.acks == [{}]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_interleaving_of_two_connections_writes_each_record_once(data: st.DataObject) -> None:
    """A client that came back sends again what waits from before: once each, in order."""
    count = data.draw(st.integers(1, 8), "records")
    sent_before = data.draw(st.integers(0, count), "sent on the old connection")
    first = data.draw(st.integers(1, sent_before + 1), "first that is sent again")
    old_numbers, new_numbers = range(1, sent_before + 1), range(first, count + 1)

    async def check() -> None:
        bench = Bench()
        # All below `first` were acknowledged on the old connection before the client came back.
        old, new = bench.connection(), bench.connection(first)
        if first > 1:
            bench.put(old, old_numbers[: first - 1])
        waiting = [
            (old, data.draw(_deliveries(old_numbers[first - 1 :]))),
            (new, data.draw(_deliveries(new_numbers))),
        ]
        while waiting := [(one, rest) for one, rest in waiting if rest]:
            connection, rest = data.draw(st.sampled_from(waiting))
            bench.put(connection, rest.pop(0))
        await bench.finish()
        assert bench.sink.texts == [str(number) for number in range(1, count + 1)]
        highest = max((acks[CLIENT] for acks in bench.sink.acks if acks), default=0)
        assert highest == count
        assert not old.is_failed
        assert not new.is_failed

    asyncio.run(check())


@st.composite
def _deliveries(draw: st.DrawFn, numbers: Sequence[int]) -> list[Sequence[int]]:
    """`numbers` in stretches, as reads of a socket cut them."""
    cuts = sorted(draw(st.sets(st.integers(1, len(numbers) - 1)))) if len(numbers) > 1 else []
    edges = [0, *cuts, len(numbers)]
    return [numbers[a:b] for a, b in itertools.pairwise(edges) if b > a]


async def test_filters_may_leave_anything_in_a_record() -> None:
    """What a filter breaks is made to fit: neither the record nor the daemon is lost for it."""
    bench = Bench()

    class Rude:
        """No text can be made of it."""

        def __str__(self) -> str:
            raise RuntimeError("no text")

    def spoil(jobhist: list[object], writer: object) -> None:
        job = jobhist[-1]
        match job.msg:  # type: ignore[attr-defined]
            case "1":
                job.special = ["x"]  # type: ignore[attr-defined]
            case "2":
                job.path = "views.py"  # type: ignore[attr-defined]
            case "3":
                job.msg = Rude()  # type: ignore[attr-defined]
            case "4":
                job.special = {"key": [Rude()], Rude(): 1}  # type: ignore[attr-defined]
            case "5":
                job.pid, job.threadname = float("nan"), Rude()  # type: ignore[attr-defined]

    bench.pipeline.server.filters.append(spoil)
    connection = bench.connection()
    bench.put(connection, range(1, 7))
    await asyncio.wait_for(bench.finish(), 60)
    assert len(bench.sink.texts) == 6
    assert bench.sink.texts[::5] == ["1", "6"]
    assert bench.sink.acks == [{CLIENT: 6}]
