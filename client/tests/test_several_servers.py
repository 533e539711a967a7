"""Several servers that stand for each other: which one a session goes to, and with what."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from ack_server import AckServer, Drop

from logd_client import Log, createClientLog
from logd_client.clientsession import Session
from logd_client.connection import ServerAddress
from logd_client.encoding import encode_frame
from logd_client.link import Link
from logd_client.natives import wait_ready
from logd_client.places import Moving, Place, Places, split_host
from logd_client.records import EncodedBatch
from logd_client.session import encode_answer
from logd_client.store import MemoryStore

LOOPBACK = "127.0.0.1"
KEEP_ALIVE = bytes(4)


@pytest.fixture
def pair() -> Iterator[tuple[AckServer, AckServer]]:
    """Two servers."""
    with AckServer() as one, AckServer() as other:
        yield one, other


@pytest.fixture
def connect() -> Iterator[Callable[..., Log]]:
    """Makes a log for several servers, without the environment's settings."""
    with ExitStack() as stack:

        def make(*servers: AckServer, **settings: Any) -> Log:
            hosts = [f"{LOOPBACK}:{server.port}" for server in servers]
            log = createClientLog(hosts=hosts, environ={}, **settings)
            stack.callback(log.close)
            return log

        yield make


def in_turn(log: Log, pair: tuple[AckServer, AckServer]) -> tuple[AckServer, AckServer]:
    """The two servers, the one that the log is connected to first."""
    one, other = pair
    assert log("begin", sync=60)
    return (one, other) if one.texts else (other, one)


def close_noticed(server: AckServer, log: Log) -> None:
    """End a server, and wait until the client is elsewhere: what it sends meanwhile waits."""
    place = log.server.connected_to
    server.close()
    deadline = time.monotonic() + 60
    while log.server.connected_to in (place, None):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_what_a_server_may_have_stored_waits_for_it(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """Records sent and not acknowledged go to no other server, unless marks are shared."""
    log = connect(*pair)
    first, other = in_turn(log, pair)
    first.acknowledges.clear()
    log("m")
    first.wait_for_records(2)
    first.close()
    assert not log.flush(0.3)
    assert "waits for it" in log.server.last_error
    with AckServer(first.port) as again:
        again.marks = first.marks
        assert log.flush(60)
        assert log("end", sync=60)
    assert (first.texts, other.texts) == (["begin", "m"], [])
    assert again.texts == ["end"]


def test_what_is_acknowledged_holds_no_session(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """If the server has acknowledged everything, the next one gets what follows."""
    log = connect(*pair)
    first, other = in_turn(log, pair)
    close_noticed(first, log)
    assert log("m", sync=60)
    assert other.texts == ["m"]
    assert [opening[1] for opening in other.openings] == [2]


@pytest.mark.parametrize("by_setting", [True, False])
def test_shared_marks_let_records_go_to_another_server(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log], by_setting: bool
) -> None:
    """With failover, or if the server says that its marks are shared, nothing waits for it."""
    for server in pair:
        server.marks = pair[0].marks
        server.greeting = b"" if by_setting else KEEP_ALIVE
    log = connect(*pair, **({"failover": True} if by_setting else {}))
    first, other = in_turn(log, pair)
    first.acknowledges.clear()
    log("m")
    first.wait_for_records(2)
    first.close()
    assert log("end", sync=60)
    assert (first.texts, other.texts) == (["begin", "m"], ["end"])


def test_a_silent_server_is_left_for_another(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """A server that is there and says nothing is left after `silence_s`, for the other one."""
    for server in pair:
        server.marks = pair[0].marks
        server.greeting = KEEP_ALIVE
    log = connect(*pair, silence_s=0.2)
    first, other = in_turn(log, pair)
    release = threading.Event()

    def stand_still(_: Any) -> None:
        release.wait(60)
        raise Drop

    first.before_batch = stand_still
    try:
        assert log("m", sync=60)
        assert other.texts == ["m"]
    finally:
        release.set()


def test_a_server_that_says_it_lives_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep-alives tell slow from dead: the client waits as long as they come, and no longer."""
    now = time.monotonic()
    monkeypatch.setattr("logd_client.link.monotonic", lambda: now)
    with socket.create_server((LOOPBACK, 0)) as listener:
        hosts = [f"{LOOPBACK}:{listener.getsockname()[1]}"] * 2
        address = ServerAddress(hosts=hosts, moving=Moving(silence_s=10.0))
        session = Session(bytes(16))
        link = Link(session, MemoryStore(), address, pytest.fail, lambda _: None)

        def step_on() -> None:
            wait_ready([link.wanted], 60)
            link.step()

        session.add(EncodedBatch(1, 1, 10, encode_frame(b"record")))
        link.step()
        connection, _ = listener.accept()
        with connection:
            connection.sendall(encode_answer(0))
            while not session.has_unacknowledged:
                step_on()
            for _ in range(60):
                now += 9.0
                connection.sendall(KEEP_ALIVE)
                step_on()
                assert link.is_open
            now += 9.0
            link.step()
            assert link.is_open
            now += 2.0
            link.step()
            assert not link.is_open
            assert "no acknowledgement" in link.last_error
        link.close()


def test_the_first_server_is_gone_back_to(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """After `failback_s` the session goes on at the first of the hosts, under load too."""
    log = connect(*pair, failback_s=0.05)
    first, other = in_turn(log, pair)
    close_noticed(first, log)
    assert log("m", sync=60)
    assert other.texts == ["m"]
    with AckServer(first.port) as again:
        while not again.openings:
            log("load")
        log("last", sync=60)
        assert log.server.lost == 0
        loads = [record[0] for record in other.records + again.records]
        assert loads == list(range(2, 2 + len(loads)))


def test_lone_records_do_not_keep_a_session_from_going_back(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """The same if records come one by one, and one of them is always on its way."""
    log = connect(*pair, failback_s=0.05)
    first, other = in_turn(log, pair)
    close_noticed(first, log)
    assert log("m", sync=60)
    other.before_batch = lambda _: time.sleep(0.02)
    courier = log.server._sender._courier
    with AckServer(first.port) as again:
        while not again.openings:
            # As if some seconds had passed since the last one.
            courier.link.hear_at = courier._due = 0.0
            log("lone")
            time.sleep(0.002)
        log("last", sync=60)
        numbers = [record[0] for record in other.records + again.records]
        assert numbers == list(range(2, 2 + len(numbers)))


def test_a_server_that_refuses_is_passed_over(
    pair: tuple[AckServer, AckServer], connect: Callable[..., Log]
) -> None:
    """Of two servers, one of which does not take the token, the other one is used."""
    pair[0].token = "right"
    for _ in range(4):
        assert connect(*pair)("m", sync=60)
    assert pair[1].texts == ["m"] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", ("a", None)),
        ("a:1", ("a", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
    ],
)
def test_hosts_may_have_a_port(text: str, expected: tuple[str, int | None]) -> None:
    """A host is a name or an address, with a port or without."""
    assert split_host(text) == expected


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:x", "a:0", "a:65536", "[::1", "[::1]x", "a/b"])
def test_what_is_no_host(text: str) -> None:
    """What is none is refused with a word about it."""
    with pytest.raises(ValueError, match="expected"):
        split_host(text)


def test_each_process_shuffles_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of hosts is another one in a child process, and stays as it is in each."""
    places = Places(hosts=[f"h{n}" for n in range(50)])
    order = list(places.in_order())
    assert order != sorted(order)
    assert order == places.in_order()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert order != places.in_order()
    assert sorted(order) == sorted(places.in_order())


def test_a_name_is_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name among the hosts stands for a server at each of its addresses, in a lasting order."""
    import logd_client.places as module

    found = [(socket.AF_INET, 1, 6, "", (f"127.0.0.{n}", 9801)) for n in range(1, 30)]
    monkeypatch.setattr(module, "getaddrinfo", lambda *_: [*found, found[0]])
    places = Places(hosts=["name"])
    (place,) = places.in_order()
    addresses = places.look_up(place)
    assert sorted(addresses) == sorted((socket.AF_INET, one[4]) for one in found)
    assert places.look_up(place) == addresses
    assert places.has_several
    assert places.is_first(Place(place.address, addresses[0]))
    assert not places.is_first(Place(place.address, addresses[1]))
