"""A daemon with nothing to do does nothing, and wakes up at once when something comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from logd.daemon import chores
from logd.daemon.chores import Chores
from logd.daemon.crowding import Crowding
from logd.daemon.notify import ServiceManager
from logd.daemon.rest import Rest
from tests.daemon.peers.test_connection import Connect, on_both_loops
from tests.daemon.test_pipeline import Bench
from tests.hostile.attack import plain


def test_a_rest_ends_when_something_comes_or_after_its_time() -> None:
    """Whoever waits for its end is told once; a new one begins anew."""

    async def check() -> None:
        rest = Rest()
        rest.stir()  # nobody rests
        resting = asyncio.create_task(rest.last(60))
        await asyncio.sleep(0)
        assert rest.is_on
        other = asyncio.create_task(rest.over(60))
        rest.stir()
        await asyncio.gather(resting, other)
        assert not rest.is_on
        await rest.last(0.01)
        assert not rest.is_on

    asyncio.run(check())


def test_chores_rest_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while they are done once in a long time, and at their pace when something comes."""
    monkeypatch.setattr(chores, "HOUSEKEEPING_S", 0.01)
    monkeypatch.setattr(chores, "QUIET_S", 0.1)
    done: list[None] = []

    async def until(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - the condition has no event
                await asyncio.sleep(0.001)

    async def check() -> None:
        bench = Bench()
        hub = bench.hub
        monkeypatch.setattr(hub, "close_late", lambda: done.append(None))
        usual = Chores(
            hub,
            bench.pipeline,
            None,
            ServiceManager(),
            bench.failures.append,
            Crowding("clients", 10, lambda cat, text: None),
            is_shared=False,
            give_up_s=0.0,
        )
        tasks = [asyncio.create_task(chore) for chore in usual.all()]
        await until(lambda: hub.rest.is_on)
        before = len(done)
        await asyncio.sleep(0.1)  # ten times the pace of before
        assert len(done) == before
        hub.counts.records += 1
        hub.rest.stir()
        await until(lambda: len(done) > before + 2)
        await until(lambda: hub.rest.is_on)
        for task in tasks:
            task.cancel()

    asyncio.run(check())


@on_both_loops
async def test_what_comes_ends_the_rest(connect: Connect) -> None:
    """A connection does, a read of the loop, and a round."""
    ends = await connect()
    rest = ends.hub.rest
    for _ in range(3):
        await ends.until(lambda: not ends.hub.rounds._is_watched)
        resting = asyncio.create_task(rest.last(60))
        await ends.until(lambda: rest.is_on)
        await ends.send(plain("wakes"))
        await resting
    assert ends.connection.reading.is_by_rounds
