"""The intake: bounded, fair, and it never loses a delivery."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from logd.daemon.peers.intake import Intake
from logd.wire import Frames
from logd.wire.frames import FRAME_COST_BYTES


class Sender:
    """A source that records what is asked of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: deque[Frames] = deque()
        self.queued_bytes = 0
        self.is_waiting = False
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


def read(size: int, text: bytes = b"1") -> Frames:
    """A frame that counts for so much."""
    frames = Frames.of(text.ljust(size - FRAME_COST_BYTES))
    assert frames.size == size
    return frames


async def test_connections_take_turns() -> None:
    """A sender that queued much waits behind itself, not in front of the others."""
    intake: Intake[Sender] = Intake(100000, 100000)
    greedy, modest = Sender("greedy"), Sender("modest")
    for _ in range(3):
        intake.put(greedy, read(1000))
    intake.put(modest, read(1000))
    taken = await intake.take(100000)
    assert [source.name for source, _ in taken] == ["greedy", "modest", "greedy", "greedy"]


async def test_a_portion_is_bounded() -> None:
    """A portion ends with the delivery that reaches its size; the rest waits."""
    intake: Intake[Sender] = Intake(100000, 100000)
    sender = Sender("one")
    for _ in range(5):
        intake.put(sender, read(1000))
    assert len(await intake.take(2500)) == 3
    assert len(await intake.take(2500)) == 2
    assert intake.is_empty


async def test_a_full_queue_pauses_who_fills_it() -> None:
    """At the limit of all bytes a sender is paused, and goes on when half of it is free."""
    intake: Intake[Sender] = Intake(10000, 100000)
    sender = Sender("one")
    intake.put(sender, read(6000))
    assert not sender.is_paused
    intake.put(sender, read(6000))
    assert sender.is_paused
    assert intake.is_full
    intake.release(sender, 6000)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 6000)
    intake.resume()
    assert not sender.is_paused


async def test_one_connection_has_a_limit_of_its_own() -> None:
    """A sender over its own limit is paused while others go on."""
    intake: Intake[Sender] = Intake(100000, 10000)
    greedy, modest = Sender("greedy"), Sender("modest")
    intake.put(greedy, read(15000))
    intake.put(modest, read(5000))
    assert (greedy.is_paused, modest.is_paused) == (True, False)


async def test_a_closed_connection_is_not_resumed() -> None:
    """What a closed connection queued is still handed out, but nobody resumes it."""
    intake: Intake[Sender] = Intake(1000, 1000)
    sender = Sender("gone")
    intake.put(sender, read(2000))
    intake.forget(sender)
    ((source, taken),) = await intake.take(10000)
    intake.release(source, taken.size)
    intake.resume()
    assert sender.is_paused
    assert intake.queued_bytes == 0


@given(
    sends=st.lists(st.tuples(st.integers(0, 3), st.integers(100, 5000)), max_size=60),
    portion=st.integers(1, 10_000),
)
def test_order_of_each_connection_is_kept(sends: list[tuple[int, int]], portion: int) -> None:
    """However deliveries interleave, each sender's come out whole and in their order."""

    async def run() -> None:
        intake: Intake[Sender] = Intake(20000, 10000)
        senders = [Sender(str(number)) for number in range(4)]
        for number, (which, size) in enumerate(sends):
            intake.put(senders[which], read(size, b"%d" % number))
        seen: dict[str, list[int]] = {sender.name: [] for sender in senders}
        while not intake.is_empty:
            for source, taken in await intake.take(portion):
                seen[source.name].append(int(taken.data))
                intake.release(source, taken.size)
        for which, sender in enumerate(senders):
            assert seen[sender.name] == [n for n, (w, _) in enumerate(sends) if w == which]
        assert intake.queued_bytes == 0

    asyncio.run(run())


async def test_what_weighs_more_than_it_seemed_is_charged() -> None:
    """A sender whose few bytes became many objects waits for them like for bytes."""
    intake: Intake[Sender] = Intake(100000, 10000)
    sender = Sender("hostile")
    intake.put(sender, read(1000))
    await intake.take(100000)
    intake.charge(sender, 9000)
    assert sender.is_paused
    intake.release(sender, 1000)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 9000)
    intake.resume()
    assert not sender.is_paused
    assert intake.queued_bytes == 0
