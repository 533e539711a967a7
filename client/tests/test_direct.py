"""Records that the threads that log send themselves: past the buffer, or all that wait at once."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from ack_server import AckServer
from delivery import numbers, wait_until

from logd_client import Log
from logd_client.natives import wait_ready
from logd_client.places import Places


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


def test_a_connection_on_a_busy_machine_is_waited_for(
    connect: Callable[..., Any], server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server on this machine gets the first record within the call, though that takes a while."""

    def late(wanted: list[tuple[int, int]], limit_s: float) -> list[int]:
        return wait_ready(wanted, limit_s) if limit_s > 1.0 else []

    monkeypatch.setattr("logd_client.search.wait_ready", late)
    monkeypatch.setattr("logd_client.search.HERE_S", 60.0)
    log = connect(server.port)
    log("first")
    assert log.server.buffer.is_empty
    assert log.server._sender._courier.session.sent_sequence == 1


def test_a_lone_record_waits_for_a_step(
    connect: Callable[..., Any], server: AckServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread that moves records at the moment does not keep one from being sent."""
    monkeypatch.setattr("logd_client.direct._PATIENCE_IF_OPEN_S", 60.0)
    log = connect(server.port)
    log("first", sync=60)
    sender = log.server._sender
    assert sender._thread.stop(60)
    sender.buffer.tell_each()
    is_moving = threading.Event()

    def move() -> None:
        with sender._courier._moving:
            is_moving.set()
            time.sleep(0.05)  # a step of a thread that has to wait for its turn

    thread = threading.Thread(target=move)
    thread.start()
    assert is_moving.wait(60)
    log("second")
    assert log.server.buffer.is_empty
    thread.join()


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("loghost.example", False),
    ],
)
def test_what_is_on_this_machine(host: str, is_here: bool) -> None:
    """Known without looking anything up."""
    places = Places(host)
    assert places.is_here(places.in_order()[0]) == is_here


def test_a_socket_in_the_file_system_is_on_this_machine() -> None:
    """It has a path, no address."""
    places = Places(path="/run/logd.sock")
    assert places.is_here(places.in_order()[0])


def test_the_first_record_after_a_load_ends_it(gathering: Log, server: AckServer) -> None:
    """It is sent by its call, and so is what follows: the last words of a program."""
    sender = gathering.server._sender
    sender.buffer.tell_at = 0.0
    gathering("stopping")
    assert sender.buffer.sender_sleeps
    for text in numbers(5):
        gathering(text)
        assert sender.buffer.is_empty
    assert sender._courier.session.sent_sequence == 7
    assert gathering.flush(60)
    assert server.texts == ["first", "stopping", *numbers(5)]
