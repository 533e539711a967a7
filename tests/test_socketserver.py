"""`logd.socketserver`: the documented way to serve a LogServer, over the asyncio daemon."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from logd import LogServer, MsgJob, socketserver
from logd.errors import StartupError
from logd.filewriter import createRotatingServer
from logd_client import createClientLog

TIMEOUT_S = 60.0


class Collector:
    """A writer that keeps jobs."""

    def __init__(self) -> None:
        self.jobs: list[MsgJob] = []
        self.changed = threading.Condition()

    def writeNow(self, job: MsgJob) -> None:
        with self.changed:
            self.jobs.append(job)
            self.changed.notify_all()

    def wait(self, count: int) -> list[str]:
        """The texts, once there are `count`."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.jobs) >= count, TIMEOUT_S)
            return [job.msg for job in self.jobs]


def record(msg: str) -> bytes:
    """A frame as the reference's clients send it."""
    payload = pickle.dumps((1, 2, 3, "t", 1.5, msg, "E", (("a.py", 1),), 1, "f", {"k": "v"}))
    return struct.pack(">L", len(payload)) + payload


def send(port: int, *messages: str) -> None:
    """Send records on a connection of their own."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"".join(map(record, messages)))


class Served:
    """A receiver that serves in a thread."""

    def __init__(self, collector: Collector, **options: Any) -> None:
        self.receiver = socketserver.LogRecordSocketReceiver("127.0.0.1", (0,), **options)
        self.receiver.logServer = LogServer(collector)
        self.port = self.receiver.server_address[1]
        self.thread = threading.Thread(target=self.receiver.serve_until_stopped)
        self.thread.start()

    def stop(self) -> None:
        self.receiver.stop()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def collector() -> Collector:
    """What the server of a test writes to."""
    return Collector()


@pytest.fixture
def serve(collector: Collector) -> Iterator[Callable[..., Served]]:
    """Starts receivers that are gone after the test."""
    started: list[Served] = []

    def start(**options: Any) -> Served:
        started.append(Served(collector, **options))
        return started[-1]

    yield start
    for served in started:
        served.stop()
    socketserver.processq_stop = False


def test_it_serves_till_it_is_stopped_from_another_thread(
    collector: Collector, serve: Callable[..., Served]
) -> None:
    """What arrived before `stop` is written when `serve_until_stopped` returns."""
    served = serve()
    send(served.port, *(f"message {number}" for number in range(500)))
    served.stop()
    assert [job.msg for job in collector.jobs] == [f"message {number}" for number in range(500)]


def test_a_server_of_the_app_acknowledges(
    collector: Collector, serve: Callable[..., Served]
) -> None:
    """The client's session works with a LogServer of the app's own, too."""
    served = serve()
    log = createClientLog("127.0.0.1", (served.port,))
    log("hello", "I", special={"n": 1})
    assert log.close(TIMEOUT_S)
    assert collector.wait(1) == ["hello"]
    assert collector.jobs[0].special == {"n": 1}


def test_the_module_variable_ends_start_server(
    collector: Collector, free_port: Callable[[], int]
) -> None:
    """`processq_stop = True` ends the loop, but not before the queue is found empty."""
    port = free_port()
    thread = threading.Thread(
        target=socketserver.startServer, args=(LogServer(collector), "127.0.0.1", (port,))
    )
    thread.start()
    log = createClientLog("127.0.0.1", (port,))
    for number in range(100):
        log(f"message {number}")
    assert log.close(TIMEOUT_S)
    socketserver.processq_stop = True
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert len(collector.jobs) == 100
    socketserver.processq_stop = False


def test_the_first_free_port_is_used(collector: Collector) -> None:
    """`ports`: the first port available is used; none free is an error that names them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        receiver = socketserver.LogRecordSocketReceiver("127.0.0.1", (port, 0))
        assert receiver.server_address[1] not in (0, port)
        receiver.server_close()
        with pytest.raises(StartupError, match=str(port)):
            socketserver.LogRecordSocketReceiver("127.0.0.1", (port,))


def test_a_handler_of_ones_own_is_called_for_each_connection(
    collector: Collector, serve: Callable[..., Served]
) -> None:
    """A subclass gets (request, client_address, server); what it queues reaches the log server."""
    seen: list[Any] = []

    class Handler(socketserver.LogRecordStreamHandler):
        def setup(self) -> None:
            seen.append((self.client_address[0], self.server))

    served = serve(handler=Handler)
    send(served.port, "one", "two")
    assert collector.wait(2) == ["one", "two"]
    served.stop()
    assert seen == [("127.0.0.1", served.receiver)]


def test_a_handler_of_ones_own_survives_hostile_bytes(
    collector: Collector, serve: Callable[..., Served]
) -> None:
    """A bad frame ends its own connection only."""

    class Handler(socketserver.LogRecordStreamHandler):
        pass

    served = serve(handler=Handler)
    with socket.create_connection(("127.0.0.1", served.port)) as sock:
        sock.sendall(struct.pack(">L", 20) + b"cos\nsystem\n(S'true'\ntR.")
        assert sock.recv(1) == b""
    send(served.port, "fine")
    assert collector.wait(1) == ["fine"]


def test_processq_feeds_from_the_left_till_told_to_stop(
    collector: Collector, serve: Callable[..., Served]
) -> None:
    """It pops the oldest element, and ends only when it finds the queue empty."""
    serve()
    for number in range(10):
        socketserver.jobdataq.append((number, 1, 1, "t", 1.0, f"m{number}", "", (), 0, "", None))
    socketserver.processq_stop = True
    socketserver.processq()
    assert [job.msg for job in collector.jobs] == [f"m{number}" for number in range(10)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_a_server_in_the_main_thread(number: signal.Signals, tmp_path: Path) -> None:
    """An app that runs startServer in its main thread ends gracefully by a signal."""
    program = textwrap.dedent(
        """
        import sys
        from logd import socketserver
        from logd.filewriter import createRotatingServer
        server = createRotatingServer("log_%d.txt", 2, 1000)
        receiver = socketserver.LogRecordSocketReceiver("127.0.0.1", (0,))
        receiver.logServer = server
        print(receiver.server_address[1], flush=True)
        receiver.serve_until_stopped()
        print("stopped", flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        log = createClientLog("127.0.0.1", (port,))
        log("it serves")
        assert log.close(TIMEOUT_S)
        send(port, *(f"message {number}" for number in range(99)))
        process.send_signal(number)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(TIMEOUT_S) == 0
    assert len((tmp_path / "log_0.txt").read_text().splitlines()) == 100


def test_rotating_files_behind_a_socket(tmp_path: Path, free_port: Callable[[], int]) -> None:
    """A rotating server of the document, served: exactly `rotateLineMin` entries a file."""
    port = free_port()
    server = createRotatingServer(str(tmp_path / "log_%d.txt"), 5, 100)
    thread = threading.Thread(target=socketserver.startServer, args=(server, "127.0.0.1", (port,)))
    thread.start()
    log = createClientLog("127.0.0.1", (port,))
    for number in range(250):
        log(f"message {number}")
    assert log.close(TIMEOUT_S)
    socketserver.stop_server()
    thread.join(TIMEOUT_S)
    counts = [len((tmp_path / f"log_{n}.txt").read_text().splitlines()) for n in range(3)]
    assert counts == [100, 100, 50]


def test_i_am_orphan_tells_whether_the_parent_is_gone() -> None:
    """A process whose parent lives is no orphan."""
    assert os.getppid() > 0
    assert socketserver._i_am_orphan() is False
