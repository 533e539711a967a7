"""A full buffer: what waits, what is dropped, and where it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ack_server import AckServer
from delivery import numbers

from logd_client import (
    NotDelivered,
)


def test_a_full_buffer_drops_and_says_so_in_the_gap(
    connect: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    """With `when_full="drop"` losses are counted, and a record stands exactly where they were."""
    port = free_port()
    log = connect(port, when_full="drop", buffer_bytes=20_000, errorHandler="silent")
    for text in numbers(5000):
        assert log(text + " " * 100) is not None
    lost = log.server.lost
    assert 0 < lost < 5000
    with AckServer(port) as server:
        assert log.flush(60)
        log("after")
        assert log.flush(60)
        texts = [text.strip() for text in server.texts]
        lost_here = 0
        expected = 0
        for text, record in zip(texts[:-1], server.records):
            if "lost by pid" in text:
                assert record[3][3] == "I"
                assert record[4]["lost"] == int(text.split()[0])
                assert " between " in text
                lost_here += record[4]["lost"]
                expected += record[4]["lost"]
            else:
                assert text == str(expected)
                expected += 1
        assert texts[-1] == "after"
        assert (lost_here, expected) == (lost, 5000)


def test_a_full_buffer_holds_up_an_app_once(
    connect: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    """With "block" a call waits its time; after a wait in vain, no other call waits."""
    log = connect(free_port(), buffer_bytes=2000, block_timeout_s=0.2, errorHandler="silent")
    began = time.monotonic()
    while not log.server.lost:
        log("m" * 100)
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    for _ in range(100):
        log("m" * 100)
    # Each of the hundred would have waited as long as the first.
    assert time.monotonic() - began < 10


def test_a_slow_server_holds_up_the_app_and_loses_nothing(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """With "block" an app faster than its server is slowed down to it."""
    log = connect(server, buffer_bytes=50_000, block_timeout_s=60)
    for n in range(3000):
        log(f"{n}" + " " * 500)
    assert log.flush(60)
    assert log.server.lost == 0
    assert [int(text) for text in server.texts] == list(range(3000))


def test_dropped_records_are_known_to_those_who_wait(
    connect: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    """A dropped record raises with `sync`, and fails its future."""
    log = connect(free_port(), when_full="drop", buffer_bytes=1024, errorHandler=None)
    for _ in range(3):
        log("m" * 1000)
    with pytest.raises(NotDelivered, match="was dropped: the buffer is full") as caught:
        log("m" * 1000, sync=True)
    assert caught.value.is_lost
    assert isinstance(log.submit("m" * 1000).exception(), NotDelivered)
