"""The intake: bounded, fair, and it never loses a delivery."""

from __future__ import annotations

import asyncio
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from logd.daemon.peers.intake import Intake
from logd.daemon.peers.overflow import Overflow, Overflowed
from logd.wire import Frames
from logd.wire.frames import FRAME_COST_BYTES, FrameSplitter


class Sender:
    """A source that records what is asked of it."""

    def __init__(self, account: str, name: str | None = None) -> None:
        self.account = account
        self.name = name or account
        self.pending: deque[Frames | Overflowed] = deque()
        self.queued_bytes = 0
        self.is_waiting = False
        self.is_awaiting = False
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
    taken = await intake.take(100000, 1.0)
    assert [source.name for source, _ in taken] == ["greedy", "modest", "greedy", "greedy"]


async def test_a_portion_is_bounded() -> None:
    """A portion ends with the delivery that reaches its size; the rest waits."""
    intake: Intake[Sender] = Intake(100000, 100000)
    sender = Sender("one")
    for _ in range(5):
        intake.put(sender, read(1000))
    assert len(await intake.take(2500, 1.0)) == 3
    assert len(await intake.take(2500, 1.0)) == 2
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
    intake.release(sender, 3000)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 3000)
    intake.resume()
    assert not sender.is_paused


async def test_there_is_always_room_for_one_more() -> None:
    """Whoever fills the queue, the next peer can still send; the crowd goes on behind it."""
    intake: Intake[Sender] = Intake(100_000, 100_000)
    crowd = [Sender("crowd") for _ in range(100)]
    for sender in crowd:
        if intake.has_room(sender):
            intake.put(sender, read(1000))
    assert 70_000 <= intake.queued_bytes <= 80_000
    assert intake.is_full
    modest = Sender("modest")
    assert intake.has_room(modest)
    intake.put(modest, read(1000))
    assert not modest.is_paused


async def test_a_peer_has_one_turn_with_many_connections() -> None:
    """Turns go by account: a hundred connections of one peer are no hundred peers."""
    intake: Intake[Sender] = Intake(1_000_000, 1_000_000)
    for number in range(100):
        intake.put(Sender("crowd", str(number)), read(1000))
    modest = Sender("modest")
    intake.put(modest, read(1000))
    taken = [source for source, _ in await intake.take(3000, 1.0)]
    assert modest in taken
    assert [source.name for source in taken if source is not modest] == ["0", "1"]


async def test_turns_are_taken_by_cost() -> None:
    """A peer whose bytes cost ten times as much gets a tenth of them through."""
    intake: Intake[Sender] = Intake(10_000_000, 10_000_000)
    dear, cheap = Sender("dear"), Sender("cheap")
    intake.put(dear, read(1000))
    intake.put(cheap, read(1000))
    for source, _ in await intake.take(2000, 1.0):
        intake.spent(source, 1000, 1.0 if source is dear else 0.1)
    for _ in range(200):
        intake.put(dear, read(1000))
        intake.put(cheap, read(1000))
    taken = [source.name for source, _ in await intake.take(110_000, 1e9)]
    assert 8 <= taken.count("dear") <= 12


async def test_a_portion_of_dear_bytes_is_small() -> None:
    """How much is taken at once follows from what it is expected to cost."""
    intake: Intake[Sender] = Intake(1_000_000, 1_000_000)
    sender = Sender("dear")
    for _ in range(10):
        intake.put(sender, read(1000))
    intake.spent(sender, 1000, 0.01)
    assert len(await intake.take(1_000_000, 0.02)) == 2


async def test_accounts_may_have_to_wait() -> None:
    """Nothing is taken of those that are named, and it is still there afterwards."""
    intake: Intake[Sender] = Intake(1_000_000, 1_000_000)
    crowded, modest = Sender("crowded"), Sender("modest")
    for sender in (crowded, modest, crowded):
        intake.put(sender, read(1000))
    taken = intake.take_waiting(1_000_000, 1.0, {"crowded"})
    assert [source for source, _ in taken] == [modest]
    assert [source for source, _ in await intake.take(1_000_000, 1.0)] == [crowded, crowded]


async def test_what_comes_again_is_dropped() -> None:
    """It makes room, and others lose nothing."""
    intake: Intake[Sender] = Intake(1_000_000, 1_000_000)
    session, same_host, other = Sender("a", "session"), Sender("a"), Sender("b")
    for sender in (session, same_host, session, other):
        intake.put(sender, read(1000))
    intake.drop(lambda sender: sender is session)
    assert (session.queued_bytes, intake.queued_bytes, intake.waiting_bytes) == (0, 2000, 2000)
    assert {source for source, _ in await intake.take(1_000_000, 1.0)} == {same_host, other}
    assert intake.is_empty
    intake.put(session, read(1000))
    assert len(await intake.take(1_000_000, 1.0)) == 1


async def test_peers_that_come_and_go_are_forgotten() -> None:
    """What is known of accounts does not pile up."""
    intake: Intake[Sender] = Intake(1_000_000, 1_000_000)
    for number in range(5000):
        sender = Sender(f"peer {number}")
        intake.put(sender, read(1000))
        await intake.take(1000, 1.0)
        intake.release(sender, 1000)
        intake.resume()
    assert len(intake._accounts) <= 1025


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
    ((source, taken),) = await intake.take(10000, 1.0)
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
            for source, taken in await intake.take(portion, 1.0):
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
    await intake.take(100000, 1.0)
    intake.charge(sender, 9000)
    assert sender.is_paused
    intake.release(sender, 1000)
    intake.resume()
    assert sender.is_paused
    intake.release(sender, 9000)
    intake.resume()
    assert not sender.is_paused
    assert intake.queued_bytes == 0


LONG_S = 60.0
"""Longer than any test takes: who returns was not kept waiting."""


async def test_gathering_ends_once_there_is_enough() -> None:
    """The delivery that makes it much ends the wait for more."""
    intake: Intake[Sender] = Intake(100000, 100000)
    sender = Sender("one")
    intake.put(sender, read(1000))
    gathering = asyncio.create_task(intake.gather(LONG_S, 2500))
    await asyncio.sleep(0)
    intake.put(sender, read(1000))
    assert not gathering.done()
    intake.put(sender, read(1000))
    await gathering
    await intake.gather(LONG_S, 2500)
    assert len(await intake.take(100000, 1.0)) == 3


async def test_gathering_ends_for_a_sender_that_waits() -> None:
    """Records whose sender waits for them go at once, whether they come first or later."""
    intake: Intake[Sender] = Intake(100000, 100000)
    patient, waiting = Sender("patient"), Sender("waiting")
    waiting.is_awaiting = True
    intake.put(patient, read(1000))
    gathering = asyncio.create_task(intake.gather(LONG_S, 100000))
    await asyncio.sleep(0)
    intake.put(waiting, read(1000))
    await gathering
    assert len(await intake.take(100000, 1.0)) == 2
    intake.put(waiting, read(1000))
    await intake.gather(LONG_S, 100000)


async def test_gathering_takes_no_longer_than_it_may() -> None:
    """A record that stays alone is handed out when the time is over."""
    intake: Intake[Sender] = Intake(100000, 100000)
    intake.put(Sender("one"), read(1000))
    async with asyncio.timeout(LONG_S):
        await intake.gather(0.001, 100000)


async def test_a_sip_waits_on_disk_and_comes_in_its_turn() -> None:
    """It takes no memory and pauses nobody before it is taken; the order of a sender stays."""
    intake: Intake[Sender] = Intake(1000, 1000, Overflow(limit_bytes=10_000))
    sender = Sender("one")
    texts = [b"first".ljust(900), b"second", b"third"]
    reads = [FrameSplitter().feed(len(text).to_bytes(4, "big") + text) for text in texts]
    for read, is_sip in zip(reads, (False, True, False), strict=True):
        assert read is not None
        intake.put(sender, read, is_sip=is_sip)
    in_memory = sum(read.size for read in (reads[0], reads[2]) if read)
    assert intake.queued_bytes == sender.queued_bytes == in_memory
    assert 0 < intake.overflow.waiting_bytes < 50  # nothing so short gets shorter
    taken = await intake.take(10_000, 1.0)
    assert [frames.payload(0) for _, frames in taken] == texts
    assert intake.queued_bytes == in_memory + taken[1][1].size
    for source, frames in taken:
        intake.release(source, frames.size)
    assert intake.queued_bytes == sender.queued_bytes == 0
    intake.overflow.close()
