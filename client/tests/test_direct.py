"""Records that the threads that log send themselves: past the buffer, or all that wait at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from ack_server import AckServer
from delivery import numbers, wait_until

from logd_client import Log


@pytest.fixture
def gathering(connect: Callable[..., Any], server: AckServer) -> Log:
    """A log under moderate load; its thread has ended, the next flush starts another."""
    log: Log = connect(server.port)
    log("first", sync=60)
    sender = log.server._sender
    assert sender._thread.stop(60)
    sender.buffer.stay_awake()
    sender._courier._step_at = math.inf
    return log


def test_a_call_in_time_sends_what_waits(gathering: Log, server: AckServer) -> None:
    """Records wait for a batch; the first one after its time takes all of them with it."""
    buffer, batches = gathering.server.buffer, server.batches
    for text in numbers(5):
        gathering(text)
    assert buffer.count == 5
    buffer.tell_at = 0.0
    gathering("5")
    assert buffer.is_empty
    assert 0.0 < buffer.tell_at < math.inf
    server.wait_for_records(7)
    assert server.texts == ["first", *numbers(6)]
    assert server.batches == batches + 1
    gathering("6")
    assert gathering.flush(60)
    assert server.texts == ["first", *numbers(7)]


def test_much_is_left_to_the_thread(gathering: Log, server: AckServer) -> None:
    """A call sends no more than costs it little time."""
    buffer = gathering.server.buffer
    for text in numbers(500):
        gathering(text)
    buffer.tell_at = 0.0
    gathering("500")
    assert (buffer.count, buffer.tell_at) == (501, math.inf)
    assert gathering.flush(60)
    assert server.texts == ["first", *numbers(501)]


def test_a_batch_survives_its_connection(gathering: Log, server: AckServer) -> None:
    """What a call has sent into a connection that just ended arrives by the next one, once."""
    server.cut()
    for text in numbers(3):
        gathering.server.buffer.tell_at = 0.0
        gathering(text)
    assert gathering.flush(60)
    assert server.texts == ["first", *numbers(3)]


def test_a_small_buffer_hears_of_acknowledgements(
    connect: Callable[..., Any], server: AckServer
) -> None:
    """Lone records, whose acknowledgements are read at leisure, fill no buffer."""
    log = connect(server.port, buffer_bytes=20_000, when_full="drop", errorHandler="silent")
    log("first", sync=60)
    for n, text in enumerate(numbers(200)):
        wait_until(lambda: log.server.buffer.sender_sleeps)
        log.server._sender._courier._due = 0.0
        log(text + " " * 300)
        server.wait_for_records(n + 2)
    assert log.server.lost == 0
