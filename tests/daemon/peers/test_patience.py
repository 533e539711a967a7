"""Patience: plain senders that wait get room, or a sip."""

from __future__ import annotations

import asyncio

from logd.daemon.peers.intake import Intake
from logd.daemon.peers.overflow import Overflow
from logd.daemon.peers.patience import SIP_BYTES, WaitingSenders


class Waiting:
    """A sender whose socket is not read; notes when it may sip."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()

    def sip(self) -> None:
        self.may_read.set()


def patience(limit_bytes: int) -> tuple[WaitingSenders[Waiting], Intake[Waiting]]:  # type: ignore[type-var]
    """One with an intake of this size."""
    intake: Intake[Waiting] = Intake(limit_bytes, limit_bytes)  # type: ignore[type-var]
    return WaitingSenders(asyncio.get_running_loop(), intake), intake


async def test_a_sender_that_waits_is_relieved_and_read_in_sips() -> None:
    """The outputs are asked for room first, then a read is let in, after each pause again."""
    waits, _ = patience(1 << 24)
    asked: list[bool] = []
    sender = Waiting()
    waits.relieve = lambda: asked.append(sender.may_read.is_set())
    for _ in range(2):
        sender.may_read.clear()
        waits.paused(sender)
        await asyncio.wait_for(sender.may_read.wait(), 10)
        assert waits.is_sipping(sender)
        assert waits.sipped(sender, SIP_BYTES - 1)
        assert not waits.sipped(sender, 1)
        assert not waits.is_sipping(sender)
    assert asked[0] is False


async def test_sips_end_with_the_reserve() -> None:
    """With room for one sip, of two that wait the one that waits longer may read."""
    waits, intake = patience(SIP_BYTES * 16)
    intake.queued_bytes = intake.limit_bytes - intake.limit_bytes // 8 - SIP_BYTES
    first, second = Waiting(), Waiting()
    waits.paused(first)
    waits.paused(second)
    await asyncio.wait_for(first.may_read.wait(), 10)
    assert not second.may_read.is_set()
    for sender in (first, second):
        waits.waits_no_more(sender)


async def test_sips_go_on_with_room_on_disk() -> None:
    """Memory is full, but the disk takes the sips of both."""
    waits, intake = patience(SIP_BYTES * 16)
    intake.queued_bytes = intake.limit_bytes
    intake.overflow = Overflow(limit_bytes=2 * SIP_BYTES)
    first, second, third = Waiting(), Waiting(), Waiting()
    for sender in (first, second, third):
        waits.paused(sender)
    await asyncio.wait_for(first.may_read.wait(), 10)
    await asyncio.wait_for(second.may_read.wait(), 10)
    assert not third.may_read.is_set()
    for sender in (first, second, third):
        waits.waits_no_more(sender)


async def test_a_sender_that_is_gone_is_forgotten() -> None:
    """Nobody is relieved or read for it."""
    waits, _ = patience(1 << 24)
    asked: list[None] = []
    waits.relieve = lambda: asked.append(None)
    sender = Waiting()
    waits.paused(sender)
    waits.waits_no_more(sender)
    await asyncio.sleep(0.3)
    assert not asked
    assert not sender.may_read.is_set()
