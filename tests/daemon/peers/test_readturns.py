"""Turns of reading: a limited time each, accounts one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from logd.daemon.peers.readturns import (
    CROWD,
    CROWD_READ_BYTES,
    MIN_READS,
    READ_BYTES,
    TURN_S,
    ReadTurns,
)


class Clock:
    """A time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Floods:
    """Connections that have more to say whenever they are read; notes who was read in each turn.

    Args:
        read_s: what one read takes.
    """

    def __init__(self, read_s: float) -> None:
        self.clock = Clock()
        self.turns = ReadTurns(asyncio.get_running_loop(), self.clock)
        self.read_s = read_s
        self.read: list[str] = []

    def reader(self, account: str) -> Callable[[], None]:
        """What a connection of `account` does in each of its turns."""

        def read_on() -> None:
            self.turns.begin_read()
            self.clock.now += self.read_s
            self.read.append(account)
            self.turns.wait(account, read_on)

        return read_on

    async def next_turn(self) -> list[str]:
        """Who was read in the loop's next turn."""
        self.read = []
        await asyncio.sleep(0)
        return self.read


async def test_a_turn_ends_when_its_time_is_over() -> None:
    """The time counts from the first read of a turn, and anew in the next."""
    floods = Floods(0.0)
    turns = floods.turns
    assert not turns.is_over
    turns.begin_read()
    floods.clock.now += TURN_S / 2
    turns.begin_read()
    assert not turns.is_over
    assert turns.read_bytes == READ_BYTES
    floods.clock.now += TURN_S / 2
    assert turns.is_over
    assert turns.read_bytes == CROWD_READ_BYTES
    await floods.next_turn()
    assert not turns.is_over
    assert turns.read_bytes == READ_BYTES


async def test_a_crowd_does_not_keep_the_one_of_another_account_waiting() -> None:
    """Of hundreds that wait few are read in a turn; one of another account is among the next."""
    floods = Floods(TURN_S)
    for _ in range(500):
        floods.turns.wait("crowd", floods.reader("crowd"))
    for _ in range(3):
        assert await floods.next_turn() == ["crowd"] * MIN_READS
    floods.turns.wait("one", floods.reader("one"))
    assert (await floods.next_turn())[:2] == ["crowd", "one"]


async def test_all_of_an_account_are_read_in_turn() -> None:
    """Nobody is left out, nobody is read twice before the others were read once."""
    floods = Floods(TURN_S)
    order = []
    for number in range(MIN_READS * 3):
        floods.turns.wait("crowd", lambda number=number: order.append(number))
    while len(order) < MIN_READS * 3:
        await floods.next_turn()
    assert order == sorted(order)


async def test_as_many_are_read_in_a_turn_as_its_time_allows() -> None:
    """Cheap reads make a turn longer, dear ones shorter again."""
    floods = Floods(TURN_S / 1000)
    for _ in range(200):
        floods.turns.wait("crowd", floods.reader("crowd"))
    for _ in range(8):
        most = len(await floods.next_turn())
    assert most == 200
    floods.read_s = TURN_S / 10
    for _ in range(8):
        most = len(await floods.next_turn())
    assert most < 20


async def test_each_of_a_crowd_is_read_a_little() -> None:
    """With many that wait no read is long, so that the last need not wait for all of the first."""
    floods = Floods(0.0)
    for _ in range(CROWD):
        floods.turns.wait("crowd", floods.reader("crowd"))
    assert floods.turns.read_bytes == READ_BYTES
    floods.turns.wait("crowd", floods.reader("crowd"))
    assert floods.turns.read_bytes == CROWD_READ_BYTES
