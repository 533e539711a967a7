"""What tells an app that its records are stored: receipts, futures, `sync`, the end of a block."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ack_server import AckServer
from delivery import LOOPBACK, numbers

from logd_client import (
    Log,
    LogdHandler,
    NotDelivered,
    createClientLog,
)


def test_flush_tells_that_all_is_stored(server: AckServer, connect: Callable[..., Any]) -> None:
    """A receipt is true once everything logged before is acknowledged, with its number."""
    log = connect(server)
    assert log.flush(0) == (True, 0)
    for text in numbers(10_000):
        log(text)
    receipt = log.flush(60)
    assert receipt
    assert receipt == (True, 10_000)
    assert server.texts == numbers(10_000)
    assert log.server.acked == 10_000
    assert log.server.unacknowledged == 0
    assert log.server.connected_to == f"{LOOPBACK}:{server.port}"
    assert log.server.last_error == ""
    assert LOOPBACK in repr(log.server)


def test_flush_in_vain_is_false(server: AckServer, connect: Callable[..., Any]) -> None:
    """Without acknowledgements the receipt is false and says how far it went."""
    log = connect(server)
    log("first")
    assert log.flush(60)
    server.acknowledges.clear()
    log("second")
    receipt = log.flush(0.05)
    assert not receipt
    assert receipt.sequence == 1
    assert log.server.unacknowledged == 1


def test_sync_calls_wait_for_their_own_record(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """`sync=True` returns when the record is stored, and raises when the time is over."""
    log = connect(server)
    assert log("audit", sync=True) == 1
    assert server.texts == ["audit"]
    server.acknowledges.clear()
    with pytest.raises(NotDelivered, match=r"message 2 .* after 0.05 s") as caught:
        log("audit", sync=0.05)
    assert (caught.value.msgid, caught.value.is_lost) == (2, False)


def test_futures_of_single_records(server: AckServer, connect: Callable[..., Any]) -> None:
    """`submit` gives a future with the record's sequence number; asyncio can await it."""
    log = connect(server)
    assert [log.submit(n).result(60) for n in "abc"] == [1, 2, 3]

    async def main() -> int:
        return await asyncio.wait_for(asyncio.wrap_future(log.submit("d")), 60)

    assert asyncio.run(main()) == 4
    assert server.texts == list("abcd")


def test_closing_fails_open_futures(server: AckServer, connect: Callable[..., Any]) -> None:
    """A future whose record can't be stored any more gets an exception."""
    server.acknowledges.clear()
    log = connect(server, errorHandler="silent")
    future = log.submit("m")
    assert not log.close(0.05)
    with pytest.raises(NotDelivered, match="before the log was closed"):
        future.result(1)
    assert log.server.lost == 1


def test_a_log_is_closed_at_the_end_of_its_block(server: AckServer) -> None:
    """`with createClientLog(...)` delivers and disconnects, also after an exception."""
    with createClientLog(LOOPBACK, server.port) as log:
        log("m")
    assert server.texts == ["m"]
    with contextlib.suppress(KeyError), createClientLog(LOOPBACK, server.port) as log:
        log("failed")
        raise KeyError
    assert server.texts == ["m", "failed"]
    assert log.server.connected_to is None


async def test_a_log_is_closed_at_the_end_of_its_async_block(server: AckServer) -> None:
    """`async with createClientLog(...)` does so while other tasks go on."""
    async with createClientLog(LOOPBACK, server.port) as log:
        log("m")
    assert server.texts == ["m"]


async def test_aflush_lets_other_tasks_go_on(server: AckServer) -> None:
    """`await log.aflush()` is done when all is stored; with a time it gives up."""
    server.acknowledges.clear()
    async with createClientLog(LOOPBACK, server.port) as log:
        assert await log.aflush(60)
        log("m")
        assert not await log.aflush(0.05)
        flushing = asyncio.create_task(log.aflush())
        await asyncio.sleep(0)
        assert not flushing.done()
        server.acknowledges.set()
        server.cut()
        assert await asyncio.wait_for(flushing, 60)
        handler = LogdHandler(server=log.server)
        handler.handle(logging.makeLogRecord({"msg": "by logging"}))
        assert await handler.aflush(60)
        cancelled = asyncio.create_task(log.aflush())
        await asyncio.sleep(0)
        cancelled.cancel()
    assert server.texts == ["m", "by logging"]


async def test_aflush_of_a_server_in_the_same_process_is_done_at_once() -> None:
    """A log without a proxy has nothing to wait for."""
    log = Log(SimpleNamespace(addClient=lambda: 1, log=lambda job: None))
    assert await log.aflush()
    assert await log.aclose()
