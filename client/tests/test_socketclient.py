"""Delivery over real sockets: exactly once and in order, whatever the server does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ack_server import AckServer, Drop, Refuse

from logd_client import (
    Log,
    LogdHandler,
    LogServerProxy,
    NotDelivered,
    SessionProblem,
    createClientLog,
)

LOOPBACK = "127.0.0.1"


class Problems:
    """An error handler that keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.arrived = threading.Event()

    def handleException(self, e: BaseException) -> None:
        self.texts.append(str(e))
        self.arrived.set()


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Makes logs to a server, closes them at the end."""
    logs = []

    def make(to: AckServer | int, **kwargs: Any) -> Any:
        port = to if isinstance(to, int) else to.port
        kwargs.setdefault("exit_timeout_s", 0.0)
        log = createClientLog(LOOPBACK, (port,), **kwargs)
        logs.append(log)
        return log

    yield make
    for log in logs:
        log.close()


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    """Look until something is so that no event tells."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def numbers(count: int, start: int = 0) -> list[str]:
    """Texts to log."""
    return [str(n) for n in range(start, start + count)]


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


def test_a_wrong_token_is_reported_once(connect: Callable[..., Any]) -> None:
    """A refused session is told to the error handler, without the token, and retried slowly."""
    problems = Problems()
    with AckServer(token="right") as server:
        log = connect(server, errorHandler=problems, token="wr0ng")
        log("m")
        assert problems.arrived.wait(60)
        assert not log.flush(0.1)
        assert problems.texts == [
            f"{LOOPBACK}:{server.port}: refused: the token is missing or wrong"
        ]
        assert len(server.openings) == 1
        assert "wr0ng" not in repr(log.server) + log.server.last_error
        other = connect(server, token="right")
        assert other("m", sync=60)


@pytest.mark.parametrize(
    ("host", "options", "is_told"),
    [
        ("192.0.2.1", {"token": "a token"}, True),
        ("log.example.org", {"token": "a token"}, True),
        ("192.0.2.1", {"token": "a token", "tls": True}, False),
        ("192.0.2.1", {}, False),
        ("127.0.0.1", {"token": "a token"}, False),
        ("::1", {"token": "a token"}, False),
        ("localhost", {"token": "a token"}, False),
    ],
)
def test_a_token_in_plain_text_on_the_network_is_told(
    host: str, options: dict[str, Any], is_told: bool
) -> None:
    """Whoever can read the network could log with it: the error handler is told at once."""
    problems = Problems()
    log = createClientLog(host, (9,), errorHandler=problems, exit_timeout_s=0.0, **options)
    log.close()
    assert [("plain text" in text, "a token" in text) for text in problems.texts] == (
        [(True, False)] if is_told else []
    )


def test_refusals_are_printed_where_no_handler_is(
    connect: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an error handler, a refusal stands on stderr."""
    with AckServer(token="right") as server:
        log = connect(server)
        log("m")
        wait_until(lambda: "refused" in log.server.last_error)
        log.close()
    err = capsys.readouterr().err
    assert "logd: SessionProblem: " in err
    assert "the token is missing or wrong" in err
    assert "1 record(s) lost" in err


@pytest.mark.parametrize("code", [5, 6])
def test_passing_refusals_are_tried_again(
    code: int, server: AckServer, connect: Callable[..., Any]
) -> None:
    """A server that is stopping, or that missed a batch, gets everything at the next try."""
    codes = [code, code]

    def refuse(batch: Any) -> None:
        if codes:
            raise Refuse(codes.pop())

    server.before_batch = refuse
    log = connect(server, errorHandler="silent")
    for text in numbers(100):
        log(text)
    assert log.flush(60)
    assert server.texts == numbers(100)


def test_a_batch_that_is_always_refused_does_not_hold_up_the_others(
    server: AckServer, connect: Callable[..., Any]
) -> None:
    """A malformed batch is given up, said so in its place, counted; the rest arrives."""

    def refuse(batch: Any) -> None:
        if "poison" in batch[7]:
            raise Refuse(4)

    problems = Problems()
    server.before_batch = refuse
    log = connect(server, errorHandler=problems)
    log("before", sync=60)
    log("poison")
    wait_until(lambda: log.server.lost == 1)
    log("after")
    assert log.flush(60)
    assert server.texts[0] == "before"
    assert "1 record(s) lost by pid" in server.texts[1]
    assert "refused" in server.texts[1]
    assert server.texts[2:] == ["after"]
    assert server.records[1][3][3] == "I"
    assert server.records[1][4] == {"lost": 1}
    assert any("refused" in text for text in problems.texts)


@pytest.mark.parametrize("has_spool", [False, True])
def test_batches_that_a_server_finds_too_large_are_cut(
    server: AckServer, connect: Callable[..., Any], tmp_path: Path, has_spool: bool
) -> None:
    """After the server's limit was lowered all records arrive, in smaller batches."""
    refused: list[int] = []

    def refuse(batch: Any) -> None:
        if batch[2] > 50:
            refused.append(batch[2])
            raise Refuse(4)

    server.before_batch = refuse
    server.acknowledges.clear()
    spool = tmp_path if has_spool else None
    log = connect(server, errorHandler="silent", spool=spool, buffer_bytes=1 << 20)
    log("first")
    server.wait_for_records(1)
    for text in numbers(2000):
        log(text)
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    for text in numbers(500):
        log(text)
    assert log.flush(60)
    assert server.texts == ["first", *numbers(2000), *numbers(500)]
    assert log.server.lost == 0
    # It learns: each batch is not refused anew.
    assert len(refused) < 20
    buffer = log.server._sender.buffer
    assert buffer.held == 0
    assert buffer.room == 1 << 20


def test_a_malformed_record_costs_no_other(server: AckServer, connect: Callable[..., Any]) -> None:
    """Of a batch that is refused for one record, all others arrive; later ones are not cut."""

    def refuse(batch: Any) -> None:
        if "poison" in batch[7]:
            raise Refuse(4)

    server.before_batch = refuse
    server.acknowledges.clear()
    log = connect(server, errorHandler="silent")
    log("first")
    server.wait_for_records(1)
    for text in [*numbers(100), "poison", *numbers(100)]:
        log(text)
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    texts = server.texts
    assert [*texts[:101], *texts[102:]] == ["first", *numbers(100), *numbers(100)]
    assert "1 record(s) lost" in texts[101]
    assert log.server.lost == 1
    assert log.server._sender._courier.link._outgoing.is_plain


def test_a_damaged_record_in_the_spool_costs_no_other(
    server: AckServer, connect: Callable[..., Any], tmp_path: Path
) -> None:
    """A record that its own process can't read back is told of; all others arrive."""
    problems = Problems()
    log = connect(server.port, errorHandler=problems, spool=tmp_path)
    server.acknowledges.clear()
    for n in range(1, 21):
        log(f"number {n}")
    server.wait_for_records(20)
    (path,) = (path for path in tmp_path.rglob("*.rows") if b"number 10" in path.read_bytes())
    with path.open("r+b") as file:
        file.seek(file.read().index(b"number 10"))
        file.write(b"x")
    # Sent once, it is read from the file if it has to be sent again.
    server.marks.clear()
    server.records.clear()
    server.acknowledges.set()
    server.cut()
    assert log.flush(60)
    texts = server.texts
    assert [*texts[:9], *texts[10:]] == [f"number {n}" for n in range(1, 21) if n != 10]
    assert texts[9] == f"1 record(s) lost by pid {os.getpid()}: the spool was damaged"
    assert server.records[9][4] == {"lost": 1}
    assert problems.texts == [texts[9]]
    assert log.server.lost == 1
    log.close(60)


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
