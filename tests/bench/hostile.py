"""A good peer's lone records beside each kind of hostile peer: how long until each is durable."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.bench.encoders import session
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.processes import free_port
from tests.bench.results import Row, Settings, at_most
from tests.hostile.attack import Peer, batch, frame, opening

ATTACKER = "127.0.0.3"
"""Another account than the good peer's, which is 127.0.0.1."""

PAUSE_S = 0.02
"""Between a good record's ack and the next one."""

WARM_UP_S = 1.0

MAX_P99_MS = 250.0
MAX_TIMES_QUIET = 20.0


def hostile(settings: Settings) -> Iterator[Row]:
    """At most 250 ms at p99 and 20 times the quiet time, whatever one other peer does."""
    seconds = settings.pick(6, 3, 1)
    quiet = [0.0]
    for name, attack in ATTACKS.items():
        delays = _run(attack, seconds)
        median, worst = statistics.median(delays), _p99(delays)
        task = f"good peer, {name}"
        yield Row(task, "p50", [median], "ms", f"{len(delays)} records")
        yield Row(task, "p99", [worst], "ms", goal=at_most(MAX_P99_MS, "ms"))
        if name == "quiet":
            quiet = [median]
        else:
            times = [median / quiet[0]]
            yield Row(task, "p50 / quiet", times, "x", goal=at_most(MAX_TIMES_QUIET))


def _p99(delays: Sequence[float]) -> float:
    return sorted(delays)[min(len(delays) - 1, len(delays) * 99 // 100)]


def _run(attack: Callable[[int], None] | None, seconds: float) -> list[float]:
    port = free_port()
    with (
        scratch_folder() as folder,
        logd(session).start(folder, port) as server,
    ):
        server.connect(port).close()
        with _attacked(attack, port):
            time.sleep(WARM_UP_S)
            server.check()
            return _lone_records(port, seconds)


@contextmanager
def _attacked(attack: Callable[[int], None] | None, port: int) -> Iterator[None]:
    if attack is None:
        yield
        return
    process = multiprocessing.get_context("fork").Process(target=attack, args=(port,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _lone_records(port: int, seconds: float) -> list[float]:
    """Milliseconds from each record to its ack."""
    delays = []
    with Peer(port) as peer:
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(opening(os.urandom(16))).answer()
        end = time.monotonic() + seconds
        while time.monotonic() < end or not delays:
            started = time.monotonic()
            number = len(delays) + 1
            peer.send(batch("a lone record", number)).wait_acked(number)
            delays.append((time.monotonic() - started) * 1e3)
            time.sleep(PAUSE_S)
    return delays


# -- attacks: each runs in a process of its own until that is killed -------------------------


def _from_there(port: int) -> socket.socket:
    return Peer(port, source=ATTACKER).sock


def _on_connections(count: int, work: Callable[[socket.socket], None], port: int) -> None:
    """Do `work` on several connections, each again when it has ended."""

    def run() -> None:
        while True:
            with suppress(OSError), _from_there(port) as sock:
                work(sock)

    for _ in range(count):
        threading.Thread(target=run, daemon=True).start()
    threading.Event().wait()


def _swallow(sock: socket.socket) -> None:
    """Read acks and forget them."""

    def run() -> None:
        with suppress(OSError):
            while sock.recv(65_536):
                pass

    sock.settimeout(None)
    threading.Thread(target=run, daemon=True).start()


def _records(count: int, text: str) -> bytes:
    path = (("/app/views.py", 42),)
    record = (7, 4711, 1, "MainThread", 1.7e9, text, "E", path, 2, "charge", {})
    return frame(pickle.dumps(record, 4)) * count


def _plain_flood(port: int) -> None:
    data = _records(1000, "a flood of records " * 3)

    def work(sock: socket.socket) -> None:
        sock.settimeout(None)
        while True:
            sock.sendall(data)

    _on_connections(8, work, port)


def _session_flood(port: int, size: int = 1000) -> None:
    record = (7, 4711, 1, "MainThread", 1.7e9, "a flood " * 8, "E", (("a.py", 4),), 2, "f", {})
    rows = [record] * size

    def work(sock: socket.socket) -> None:
        sock.sendall(opening(os.urandom(16)))
        _swallow(sock)
        first = 1
        while True:
            sock.sendall(frame(pickle.dumps(("batch", first, rows), 4)))
            first += size

    _on_connections(8, work, port)


def _amplify(port: int, count: int = 8192) -> None:
    """What is short on the wire and as long as may be when it is written."""
    path = (("\u202e" * 380, 1),)
    context = (7, 9, "\u202e" * 100, "E", path, 0, "")
    rows = struct.pack(f">{count}H", *range(count))
    special = ((rows, "k", "\u202e" * 250),)

    def work(sock: socket.socket) -> None:
        sock.sendall(opening(os.urandom(16)))
        _swallow(sock)
        first = 1
        while True:
            columns = (b"", 1, bytes(8 * count), "\0" * (count - 1), special)
            payload = pickle.dumps(("batch", first, count, (context,), *columns), 4)
            sock.sendall(frame(payload))
            first += count

    _on_connections(4, work, port)


def _halves(port: int) -> None:
    """Large frames that never end."""
    half = struct.pack(">I", 1 << 20) + b"x" * ((1 << 20) - 8)
    kept = []
    while True:
        with suppress(OSError):
            sock = _from_there(port)
            kept.append(sock)
            sock.settimeout(5)
            sock.sendall(half)
        del kept[:-500]


def _silence(port: int) -> None:
    """Connections that say nothing."""
    kept = []
    while True:
        with suppress(OSError):
            kept.append(_from_there(port))
        del kept[:-3000]
        if len(kept) == 3000:
            time.sleep(0.01)


def _bad_frames(port: int) -> None:
    """Frames that are refused, on a connection each."""
    while True:
        with suppress(OSError), _from_there(port) as sock:
            sock.sendall(frame(pickle.dumps(object(), 4)))
            sock.recv(1)


ATTACKS: dict[str, Callable[[int], None] | None] = {
    "quiet": None,
    "beside a flood of sessions": _session_flood,
    "beside a flood of SocketHandlers": _plain_flood,
    "beside short frames that are long when written": _amplify,
    "beside frames that never end": _halves,
    "beside connections that say nothing": _silence,
    "beside bad frames": _bad_frames,
}
