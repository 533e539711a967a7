"""Delivery over real sockets: exactly once and in order, whatever the server does."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ack_server import AckServer, Drop
from delivery import LOOPBACK, numbers, wait_until

from logd_client import (
    LogServerProxy,
    SessionProblem,
    createClientLog,
)


def test_a_record_arrives_whole(server: AckServer, connect: Callable[..., Any]) -> None:
    """All that a call knows is in the record: id, time, text, place, items."""
    log = connect(server)
    before = time.time()
    assert log("h\u00e9llo\0\udc80", "E", special={"user": "ann", "n": 3}) == 1
    line = sys._getframe().f_lineno - 1
    ((msgid, when, msg, context, special),) = server.wait_for_records(1)
    assert (msgid, msg, special) == (1, "h\u00e9llo\0\udc80", {"user": "ann", "n": 3})
    assert before <= when <= time.time()
    pid, tid, threadname, cat, path, tblen, cfunc = context
    assert tid == threading.get_ident()
    assert (threadname, cat) == (threading.current_thread().name, "E")
    assert path[0] == (__file__, line)
    assert len(path) == 5
    assert tblen > 5
    assert cfunc == "test_a_record_arrives_whole"
    assert pid > 0


def test_a_record_after_the_close_opens_again(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """What is logged after `close` goes out in a session of its own, its numbers from 1."""
    log = connect(server)
    log("a", sync=60)
    assert log.close(60).sequence == 1
    assert log.server.connected_to is None
    log("b", sync=60)
    assert log.flush(60).sequence == 1
    assert log.close(60)
    assert log.close(60)
    assert server.texts == ["a", "b"]
    assert len({client_id for client_id, _, _ in server.openings}) == 2


def test_threads_share_a_log(server: AckServer, connect: Callable[..., Any]) -> None:
    """Records of each thread stay in order, ids are unique and rise in the log."""
    log = connect(server)

    def work(name: str) -> None:
        for n in range(2000):
            log(f"{name} {n}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush(60)
    assert [record[0] for record in server.records] == list(range(1, 8001))
    for name in "abcd":
        assert [t for t in server.texts if t[0] == name] == [f"{name} {n}" for n in range(2000)]


def test_cut_connections_lose_and_repeat_nothing(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """Connections that break at any batch, before or after it was stored, change nothing."""
    state = {"n": 0}

    def sometimes(batch: Any) -> None:
        state["n"] += 1
        if state["n"] % 3 == 0:
            server.acknowledges.clear()
        elif state["n"] % 3 == 1:
            server.acknowledges.set()
            if state["n"] > 1:
                raise Drop

    server.before_batch = sometimes
    log = connect(server)
    for start in range(0, 3000, 100):
        for text in numbers(100, start):
            log(text)
        server.wait(lambda: bool(server.batches))
    server.before_batch = None
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    assert server.texts == numbers(3000)
    assert log.server.reconnects >= 1
    assert log.server.lost == 0
    assert len({opening[0] for opening in server.openings}) == 1


def test_a_server_that_comes_later_gets_everything(
    connect: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    """Records logged before there is a server are delivered once it is there."""
    port = free_port()
    log = connect(port)
    for text in numbers(1000):
        assert log(text)
    wait_until(lambda: "Connection refused" in log.server.last_error)
    with AckServer(port) as server:
        assert log.flush(60)
        assert server.texts == numbers(1000)
        assert log.server.last_error == ""


def test_a_restarted_server_gets_the_rest(
    connect: Callable[..., Any], free_port: Callable[[], int]
) -> None:
    """What a dead server had stored is not repeated by its successor, the rest arrives."""
    first = AckServer(free_port())
    log = connect(first)
    log("1")
    assert log.flush(60)
    first.acknowledges.clear()
    log("2")
    first.wait_for_records(2)
    first.close()
    log("3")
    second = AckServer(first.port)
    with second:
        second.marks = dict(first.marks)
        assert log.flush(60)
        assert second.texts == ["3"]
        assert second.openings[-1][0] == first.openings[0][0]
        log.close()


def test_the_first_port_with_a_server_is_used(
    server: AckServer, free_port: Callable[[], int]
) -> None:
    """Ports without a listener, or with something else listening, are passed over."""

    def hang_up() -> None:
        while True:
            try:
                connection, _ = other.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    other = socket.create_server((LOOPBACK, 0))
    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        ports = (free_port(), other.getsockname()[1], server.port)
        proxy = LogServerProxy(LOOPBACK, ports)
        log_through(proxy, "found")
        assert proxy.flush(60)
        assert proxy.connected_to == f"{LOOPBACK}:{server.port}"
        proxy.close()
    finally:
        other.shutdown(socket.SHUT_RDWR)
        other.close()
        thread.join()


def log_through(proxy: LogServerProxy, text: str, msgid: int = 7) -> None:
    """Give a proxy the 11-tuple, as servers get it."""
    proxy.log((msgid, 1, 2, "t", 3.0, text, "W", (("f", 4), (None, None)), 5, "func", {"a": 1}))


def test_a_proxy_takes_jobs_as_every_server(server: AckServer) -> None:
    """`LogServerProxy` has `addClient` and `log(jobdata)`, with the job's own values."""
    proxy = LogServerProxy(LOOPBACK, (server.port,))
    assert (proxy.addClient(), proxy.addClient()) == (1, 2)
    log_through(proxy, "job")
    context = (1, 2, "t", "W", (("f", 4), (None, None)), 5, "func")
    assert server.wait_for_records(1) == [(7, 3.0, "job", context, {"a": 1})]
    proxy.close()


def test_unix_sockets(tmp_path: Path) -> None:
    """A path in place of host and ports connects to a Unix socket."""
    path = tmp_path / "logd.socket"
    with AckServer(path=path) as server:
        log = createClientLog(socket=path)
        assert log("local", sync=60)
        assert server.texts == ["local"]
        assert log.server.connected_to == str(path)
        log.close()


def test_overlong_messages_are_cut_visibly(server: AckServer, connect: Callable[..., Any]) -> None:
    """A message over a frame's size keeps its beginning and says how much is missing."""
    log = connect(server)
    log("before")
    log("\u20ac" * 3_000_000)
    log("x" * 400_000)
    log("after")
    assert log.flush(60)
    before, cut, whole, after = server.texts
    assert (before, whole, after) == ("before", "x" * 400_000, "after")
    assert cut.startswith("\u20ac" * 100_000)
    assert cut.endswith("... [cut: 2800000 of 3000000 characters]")


def test_odd_values_reach_the_server_plain(server: AckServer, connect: Callable[..., Any]) -> None:
    """Special items of any type become what the wire carries; huge ones are cut."""

    class Number(int):
        pass

    log = connect(server)
    log("m", special={"n": Number(5), "big": 10**30, "o": [1], "f": 0.5, "b": True, "z": None})
    log("m", special={f"k{n}": "v" * 20_000 for n in range(500)})
    assert log.flush(60)
    assert server.records[0][4] == {
        "n": 5,
        "big": str(10**30),
        "o": "[1]",
        "f": 0.5,
        "b": True,
        "z": None,
    }
    assert server.records[1][4]["cut_items"] == 400
    assert server.records[1][4]["k0"].endswith("... [cut: 18000 of 20000 characters]")


def test_a_silent_server_is_connected_to_anew(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """Without acknowledgements for long the client tries another connection, and resends."""
    server.acknowledges.clear()
    log = connect(server, silence_s=0.05)
    log("m")
    server.wait(lambda: len(server.openings) >= 2)
    server.acknowledges.set()
    assert log.flush(60)
    assert server.texts == ["m"]


def test_error_handlers_may_log(connect: Callable[..., Any]) -> None:
    """A handler that logs through the same log, from the sender's thread, harms nothing."""
    logs: list[Any] = []

    class Handler:
        def handleException(self, e: BaseException) -> None:
            logs[0](f"problem: {e}")
            logs[0].flush(5)
            raise RuntimeError("and fails")

    with AckServer(token="right") as server:
        logs.append(connect(server, errorHandler=Handler(), token="wrong"))
        logs[0]("m")
        wait_until(lambda: logs[0].server.unacknowledged == 2)
        assert isinstance(SessionProblem("x"), Exception)


def test_idle_clients_use_no_cpu(server: AckServer, connect: Callable[..., Any]) -> None:
    """A connected client with nothing to do sleeps until it has."""
    log = connect(server)
    log("m", sync=60)
    wait_until(lambda: log.server._sender.unacknowledged == 0)
    (thread,) = (one for one in threading.enumerate() if one.name == "logd_client")
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    before = time.clock_gettime(clock)
    threading.Event().wait(0.5)
    assert time.clock_gettime(clock) - before < 0.05
    log("again", sync=60)


def test_clients_come_and_go_without_a_trace(server: AckServer) -> None:
    """Fifty clients leave no thread and no descriptor behind."""
    fds = Path("/dev/fd")

    def once() -> None:
        log = createClientLog(LOOPBACK, (server.port,))
        log("m")
        assert log.close(60)

    once()
    wait_until(lambda: not server._connections)
    threads_before = set(threading.enumerate())
    before = len(list(fds.iterdir()))
    for _ in range(50):
        once()
    wait_until(lambda: not server._connections)
    assert not [
        thread
        for thread in set(threading.enumerate()) - threads_before
        if thread.name == "logd_client"
    ]
    wait_until(lambda: len(list(fds.iterdir())) <= before)
    assert len(server.records) == 51


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"ports": ()}, ValueError, "at least one"),
        ({"ports": (0,)}, ValueError, "from 1 to 65535"),
        ({"ports": "9801"}, TypeError, "sequence of numbers"),
        ({"when_full": "wait"}, ValueError, '"block" or "drop"'),
        ({"buffer_bytes": 10}, ValueError, "at least 1024"),
        ({"tls_ca": "/nonexistent"}, ValueError, "tls_ca '/nonexistent': No such file"),
        ({"tls_key": "k"}, ValueError, "without tls_cert"),
        ({"errorHandler": "stdlog"}, TypeError, "errorHandler 'stdlog'"),
    ],
)
def test_wrong_settings_are_errors_at_once(
    kwargs: dict[str, Any], error: type[Exception], text: str
) -> None:
    """Settings are checked when a client is made, not in its thread."""
    with pytest.raises(error, match=text):
        createClientLog(**kwargs)
