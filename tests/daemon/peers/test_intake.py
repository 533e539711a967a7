"""The intake: bounded, fair, and it never loses a delivery."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from logd.daemon.peers.intake import Delivery, Intake
from logd.wire import Frames


class Sender:
    """A source that records what is asked of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pending: deque[Delivery] = deque()
        self.queued_bytes = 0
        self.is_waiting = False
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


def delivery(size: int, text: bytes = b"x") -> Delivery:
    """Something received, of a size that is only claimed."""
    return Delivery(Frames.of(text), size)


async def test_connections_take_turns() -> None:
    """A sender that queued much waits behind itself, not in front of the others."""
    intake: Intake[Sender] = Intake(1000, 1000)
    greedy, modest = Sender("greedy"), Sender("modest")
    for _ in range(3):
        intake.put(greedy, delivery(10))
    intake.put(modest, delivery(10))
    taken = await intake.take(1000)
    assert [source.name for source, _ in taken] == ["greedy", "modest", "greedy", "greedy"]


async def test_a_portion_is_bounded() -> None:
    """A portion ends with the delivery that reaches its size; the rest waits."""
    intake: Intake[Sender] = Intake(1000, 1000)
    sender = Sender("one")
    for _ in range(5):
        intake.put(sender, delivery(10))
    assert len(await intake.take(25)) == 3
    assert len(await intake.take(25)) == 2
    assert intake.is_empty


async def test_a_full_queue_pauses_who_fills_it() -> None:
    """At the limit of all bytes a sender is paused, and goes on when half of it is free."""
    intake: Intake[Sender] = Intake(100, 1000)
    sender = Sender("one")
    intake.put(sender, delivery(60))
    assert not sender.is_paused
    intake.put(sender, delivery(60))
    assert sender.is_paused
    assert intake.is_full
    intake.release(sender, 60)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 60)
    intake.resume()
    assert not sender.is_paused


async def test_one_connection_has_a_limit_of_its_own() -> None:
    """A sender over its own limit is paused while others go on."""
    intake: Intake[Sender] = Intake(1000, 100)
    greedy, modest = Sender("greedy"), Sender("modest")
    intake.put(greedy, delivery(150))
    intake.put(modest, delivery(50))
    assert (greedy.is_paused, modest.is_paused) == (True, False)


async def test_a_closed_connection_is_not_resumed() -> None:
    """What a closed connection queued is still handed out, but nobody resumes it."""
    intake: Intake[Sender] = Intake(10, 10)
    sender = Sender("gone")
    intake.put(sender, delivery(20))
    intake.forget(sender)
    ((source, taken),) = await intake.take(100)
    intake.release(source, taken.size)
    intake.resume()
    assert sender.is_paused
    assert intake.queued_bytes == 0


@given(
    sends=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 50)), max_size=60),
    portion=st.integers(1, 100),
)
def test_order_of_each_connection_is_kept(sends: list[tuple[int, int]], portion: int) -> None:
    """However deliveries interleave, each sender's come out whole and in their order."""

    async def run() -> None:
        intake: Intake[Sender] = Intake(200, 100)
        senders = [Sender(str(number)) for number in range(4)]
        for number, (which, size) in enumerate(sends):
            intake.put(senders[which], delivery(size, b"%d" % number))
        seen: dict[str, list[int]] = {sender.name: [] for sender in senders}
        while not intake.is_empty:
            for source, taken in await intake.take(portion):
                seen[source.name].append(int(taken.frames.data))
                intake.release(source, taken.size)
        for which, sender in enumerate(senders):
            assert seen[sender.name] == [n for n, (w, _) in enumerate(sends) if w == which]
        assert intake.queued_bytes == 0

    asyncio.run(run())


async def test_what_weighs_more_than_it_seemed_is_charged() -> None:
    """A sender whose few bytes became many objects waits for them like for bytes."""
    intake: Intake[Sender] = Intake(1000, 100)
    sender = Sender("hostile")
    intake.put(sender, delivery(10))
    await intake.take(1000)
    intake.charge(sender, 90)
    assert sender.is_paused
    intake.release(sender, 10)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 90)
    intake.resume()
    assert not sender.is_paused
    assert intake.queued_bytes == 0
