"""Records arrive over XML-RPC, one call at a time, and no peer can do harm."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import xmlrpc.client

import pytest

from logd import xmlrpc as server_module
from logd.server import LogServer
from logd.xmlrpc import LogAdapter, createSimpleXMLRPCServer, startServer
from logd_client.xmlrpc import (
    XMLRPCConnectionException,
    XMLRPCServerException,
    createClientLog,
)

TIMEOUT_S = 60.0
RECORD = (
    17, 4711, 1, "MainThread", 1_795_000_000.5, "hello", "E",
    (("/app/views.py", 42), (None, None)), 12, "charge", {"user": "ann", "n": 3},
)  # fmt: skip


class Writer:
    """Keeps the jobs; fails when told to."""

    def __init__(self):
        self.jobs = []
        self.failure = None

    def writeNow(self, job):
        if self.failure is not None:
            raise self.failure
        self.jobs.append(job)


class Running:
    """A real server in a thread."""

    def __init__(self, log_server):
        self.ready = threading.Event()
        self.server = None
        self.thread = threading.Thread(
            target=startServer,
            args=(log_server, "127.0.0.1", (0,), False),
            kwargs={"on_ready": self._on_ready},
        )
        self.thread.start()
        assert self.ready.wait(TIMEOUT_S)
        self.port = self.server.server_address[1]
        self.proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/")

    def _on_ready(self, server):
        self.server = server
        self.ready.set()

    def stop(self):
        self.proxy("close")()
        self.server.shutdown()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def writer():
    """What the server writes to."""
    return Writer()


@pytest.fixture
def running(writer):
    """A server that is running, and stopped at the end."""
    server = Running(LogServer(writer))
    yield server
    server.stop()


def exchange(port, *pieces):
    """Send bytes as they are and read the whole answer."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps(RECORD),
        *(xmlrpc.client.Binary(pickle.dumps(RECORD, protocol)) for protocol in range(5)),
        xmlrpc.client.Binary(json.dumps(RECORD).encode()),
    ],
    ids=["json", *(f"pickle{n}" for n in range(5)), "json in binary"],
)
def test_record(running, writer, payload):
    """A record arrives with all its fields, as JSON text or pickled, and is answered by ""."""
    assert running.proxy.log(payload) == ""
    (job,) = writer.jobs
    assert (job.msgid, job.pid, job.tid, job.threadname, job.time) == RECORD[:5]
    assert (job.msg, job.cat, job.path, job.tblen, job.cfunc, job.special) == RECORD[5:]


def test_add_client(running):
    """Each client gets an id of its own."""
    assert len({running.proxy.addClient() for _ in range(3)}) == 3


@pytest.mark.parametrize("ping", ['"ping"', xmlrpc.client.Binary(pickle.dumps("ping", 2))])
def test_ping(running, writer, ping):
    """A ping is answered and logged nowhere."""
    assert running.proxy.log(ping) == ""
    assert writer.jobs == []


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_pickles_run_nothing(running, writer, tmp_path):
    """A pickle that would run a command is refused and runs nothing."""
    mark = tmp_path / "mark"
    answer = running.proxy.log(xmlrpc.client.Binary(pickle.dumps(Evil(mark))))
    assert answer.startswith("refused: ")
    assert not mark.exists()
    assert running.proxy.log(json.dumps(RECORD)) == ""


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[1, 2]",
        "{",
        "[" * 100_000,
        xmlrpc.client.Binary(b""),
        xmlrpc.client.Binary(b"r\x00\x00\x00\x10."),
        xmlrpc.client.Binary(b"x" * (1024 * 1024 + 1)),
        17,
        None,
        ["list"],
    ],
    ids=lambda payload: repr(payload)[:20],
)
def test_nonsense(running, writer, payload, caplog):
    """What is no record is answered with what is wrong with it, and written nowhere."""
    proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{running.port}/", allow_none=True)
    with proxy:
        assert proxy.log(payload).startswith("refused: ")
    assert writer.jobs == []


def test_writer_fails(running, writer, caplog):
    """A client hears that its record could not be written, and why."""
    writer.failure = OSError(28, "No space left\x1b[0m")
    assert running.proxy.log(json.dumps(RECORD)) == (
        "not written: OSError: [Errno 28] No space left\\x1b[0m"
    )
    writer.failure = None
    assert running.proxy.log(json.dumps(RECORD)) == ""


def test_unknown_method(running):
    """Only the adapter's public methods can be called."""
    for method in ("quit", "_decode", "log.__init__", "system.listMethods", ""):
        with pytest.raises(xmlrpc.client.Fault):
            getattr(running.proxy, method)()


def post(body, *headers):
    """An HTTP request."""
    lines = ("POST / HTTP/1.1", "Host: x", *headers, "", "")
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(b"", "Content-Length: 2097153"), b"413"),
        (post(b"", "Content-Length: 99999999999999999999999"), b"411"),
        (post(b"", "Content-Length: -1"), b"411"),
        (post(b"", "Content-Length: \xb2"), b"411"),
        (post(b"0\r\n\r\n", "Transfer-Encoding: chunked"), b"411"),
        (post(b"", "Content-Length: 5", "Content-Encoding: gzip"), b"415"),
        (b"POST /elsewhere HTTP/1.0\r\nContent-Length: 0\r\n\r\n", b"404"),
        (b"GET / HTTP/1.0\r\n\r\n", b"501"),
        (b"x" * 70_000 + b"\r\n", b"414"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_requests(running, request_bytes, status):
    """Requests over the limits or of another kind are refused before their body is read."""
    assert status in exchange(running.port, request_bytes).split(b"\r\n")[0]
    assert running.proxy.log(json.dumps(RECORD)) == ""


def test_entity_bomb(running):
    """Entities are refused with a fault."""
    body = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><methodCall><methodName>log</methodName></methodCall>'
    answer = exchange(running.port, post(body, f"Content-Length: {len(body)}"))
    assert b"document types and entities are not taken" in answer


def test_largest_record(running, writer):
    """A record that just fits a frame arrives."""
    room = 1024 * 1024 - len(json.dumps(RECORD)) + len("hello")
    record = [*RECORD[:5], "x" * room, *RECORD[6:]]
    payload = json.dumps(record).encode()
    assert len(payload) == 1024 * 1024
    assert running.proxy.log(xmlrpc.client.Binary(payload)) == ""
    assert len(writer.jobs[0].msg) == room
    assert len(base64.encodebytes(payload)) < server_module.MAX_REQUEST_BYTES


def test_hung_up_and_slow_peers(running, writer, monkeypatch):
    """A peer that hangs up within its call costs nothing; a slow one is cut off in time."""
    exchange_start = post(b"<methodCall>", "Content-Length: 100")
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(exchange_start)
    assert running.proxy.log(json.dumps(RECORD)) == ""
    monkeypatch.setattr(server_module._RequestHandler, "timeout", 0.5)
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as slow:
        slow.sendall(exchange_start)
        assert running.proxy.log(json.dumps(RECORD)) == ""
        assert slow.recv(1) == b""
    assert len(writer.jobs) == 2


def test_client(running, writer):
    """The client's log and the server work with each other, errors included."""
    log = createClientLog("127.0.0.1", ports=(1, running.port), stackMax=2)
    assert log("hällo\n\udc80", "E", special={"n": 3}) == 1
    (job,) = writer.jobs
    assert (job.msgid, job.pid, job.msg, job.cat) == (1, os.getpid(), "hällo\n\\udc80", "E")
    assert (job.special, job.cfunc) == ({"n": 3}, "test_client")
    assert len(job.path) == 2
    writer.failure = OSError("disk full")
    with pytest.raises(XMLRPCServerException, match=r"message 2: .*disk full"):
        log("two")


def test_client_without_server():
    """Without a server a call tells its message id and that nobody answered."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = createClientLog("127.0.0.1", ports=(port,))
    with pytest.raises(XMLRPCConnectionException, match="message 1"):
        log("nobody there")


def test_first_free_port():
    """The first free port is used; if none is, all are named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with createSimpleXMLRPCServer("127.0.0.1", iter([port, 0])) as server:
            other = server.server_address[1]
            assert other not in (0, port)
            with pytest.raises(OSError, match=f"in use: {port}, {other}"):
                createSimpleXMLRPCServer("127.0.0.1", [port, other])
    with pytest.raises(ValueError, match="at least one port"):
        createSimpleXMLRPCServer("127.0.0.1", [])
    with pytest.raises(OSError, match=r"can't listen on 192\.0\.2\.1:0"):
        createSimpleXMLRPCServer("192.0.2.1", [0])


def test_own_methods():
    """The server takes any adapter and functions besides, as the standard library's does."""
    writer = Writer()
    with createSimpleXMLRPCServer("127.0.0.1", [0]) as server:
        server.register_instance(LogAdapter(LogServer(writer)))
        server.register_function(lambda a, b: a + b, "add")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with xmlrpc.client.ServerProxy(
            f"http://127.0.0.1:{server.server_address[1]}/RPC2"
        ) as proxy:
            assert proxy.add(2, 3) == 5
            assert proxy.log(json.dumps(RECORD)) == ""
        server.shutdown()
        thread.join(TIMEOUT_S)
    assert len(writer.jobs) == 1


def test_ipv6():
    """An IPv6 address can be listened on."""
    try:
        server = createSimpleXMLRPCServer("::1", [0])
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with server:
        assert server.server_address[0] == "::1"


def test_open_to_all(caplog):
    """Listening on anything but loopback is worth a warning."""
    createSimpleXMLRPCServer("127.0.0.1", [0]).server_close()
    assert not caplog.records
    createSimpleXMLRPCServer("0.0.0.0", [0]).server_close()
    assert "no authentication" in caplog.text


def test_shutdown_before_and_after():
    """Shutting down a server that does not serve yet makes it return at once."""
    with createSimpleXMLRPCServer("127.0.0.1", [0]) as server:
        server.shutdown()
        server.serve_forever()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.shutdown()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process(tmp_path, number):
    """A process that serves says so in one line, and ends well on SIGTERM and SIGINT."""
    program = f"""
from logd.filewriter import createRotatingServer
from logd.xmlrpc import startServer
startServer(createRotatingServer({str(tmp_path / "log%d")!r}, 2, 10), "127.0.0.1", [0])
print("stopped")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        ready = process.stdout.readline()
        port = ready.split(":")[1].split(",")[0]
        assert ready == f"logd ready for XML-RPC on 127.0.0.1:{port}, pid {process.pid}\n"
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{port}/") as proxy:
            assert proxy.log(json.dumps(RECORD)) == ""
        process.send_signal(number)
        assert process.communicate(timeout=TIMEOUT_S) == ("stopped\n", "")
    assert process.returncode == 0
    assert "hello" in (tmp_path / "log0").read_text()
