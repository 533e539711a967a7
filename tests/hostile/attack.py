"""What attackers and their victims' doctors need: raw connections, and a look at the process.

Every test here works against a real daemon in a process of its own; what it costs that process is
read from /proc.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from logd_client.session import encode_opening
from tests.daemon_process import DaemonProcess

WAIT_S = 60.0
MIB = 1 << 20
REFUSED = 1 << 63
NOW = 1.7e9


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return struct.pack(">I", len(payload)) + payload


def plain(text: str) -> bytes:
    """A frame of a sender without a session."""
    path = (("/app/views.py", 42),)
    record = (7, 4711, 1, "MainThread", NOW, text, "E", path, 2, "charge", {})
    return frame(pickle.dumps(record, 4))


def opening(client: bytes = b"c" * 16, first: int = 1, token: str | None = None) -> bytes:
    """A session's first frame."""
    return encode_opening(client, first, token)


def batch(text: str, sequence: int = 1) -> bytes:
    """A session's batch of one record."""
    record = (7, 4711, 1, "MainThread", NOW, text, "E", (("/app/views.py", 42),), 2, "charge", {})
    return frame(pickle.dumps(("batch", sequence, [record]), 4))


class Peer:
    """One connection to a daemon, whatever is to be said on it."""

    def __init__(
        self, address: int | str, *, host: str = "127.0.0.1", source: str | None = None
    ) -> None:
        if isinstance(address, int):
            from_there = None if source is None else (source, 0)
            self.sock = socket.create_connection((host, address), WAIT_S, from_there)
        else:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(WAIT_S)
            self.sock.connect(address)

    def send(self, *data: bytes) -> Peer:
        """Send; that the other end hangs up meanwhile is no surprise here."""
        try:
            self.sock.sendall(b"".join(data))
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def answer(self) -> int | None:
        """The next number that the daemon says; None where it hung up."""
        data = b""
        while len(data) < 12:
            try:
                more = self.sock.recv(12 - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
            if data.startswith(bytes(4)):
                data = data[4:]  # a keep-alive
        length, number = struct.unpack(">IQ", data)
        assert length == 8
        return int(number)

    def wait_acked(self, number: int) -> None:
        """Return when the daemon has made all up to `number` durable."""
        while (answer := self.answer()) is not None:
            assert answer < REFUSED, f"refused with {answer - REFUSED}"
            if answer >= number:
                return
        raise AssertionError(f"hung up before {number} was acknowledged")

    def wait_refused(self) -> int | None:
        """The code of the refusal that comes; None where the daemon hangs up without."""
        while (answer := self.answer()) is not None:
            if answer >= REFUSED:
                return answer - REFUSED
        return None

    def wait_closed(self) -> None:
        """Return when the daemon has hung up."""
        while self.answer() is not None:
            pass

    def is_open(self) -> bool:
        """Whether the daemon has not hung up so far."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | select.POLLHUP)
        return not poll.poll(0)

    def end(self) -> None:
        """Say nothing more, and return when the daemon has read all of it and hung up."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.wait_closed()

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class GoodSender:
    """A session that behaves; shows that the daemon lives."""

    def __init__(
        self, address: int | str, *, client: bytes = b"good" * 4, token: str | None = None
    ) -> None:
        self.peer = Peer(address)
        self.peer.send(opening(client, token=token))
        answer = self.peer.answer()
        assert answer == 0, f"opening answered with {answer}"
        self.sequence = 0

    def send(self, text: str) -> None:
        """Send one record and wait until it is durable."""
        self.sequence += 1
        self.peer.send(batch(text, self.sequence))
        self.peer.wait_acked(self.sequence)

    def __enter__(self) -> GoodSender:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.peer.close()


class Doctor:
    """Reads what a process needs: memory, processor time, descriptors."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc", str(pid))

    def _status(self, name: str) -> int:
        for line in self._proc.joinpath("status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in /proc/PID/status")

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return self._status("VmRSS")

    @property
    def peak(self) -> int:
        """Most bytes in memory since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak start again from here."""
        self._proc.joinpath("clear_refs").write_text("5")

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time of all its threads that live."""
        total = 0
        for task in self._proc.joinpath("task").iterdir():
            total += int(task.joinpath("schedstat").read_text().split()[0])
        return total / 1e9

    @property
    def descriptors(self) -> int:
        """Open descriptors."""
        return len(list(self._proc.joinpath("fd").iterdir()))


def until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Return once `condition` holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.005)


@contextmanager
def crowd(count: int, make: Callable[[], Peer]) -> Iterator[list[Peer]]:
    """Many connections at once, all closed at the end."""
    peers: list[Peer] = []
    try:
        for _ in range(count):
            peers.append(make())  # noqa: PERF401 - those made are closed if one fails
        yield peers
    finally:
        for peer in peers:
            peer.close()


def unit_of_work_s() -> float:
    """Seconds for a fixed piece of work; tells how slow this machine is just now."""
    started = time.process_time()
    total = 0
    for number in range(500_000):
        total += number
    return time.process_time() - started


def log_of(daemon: DaemonProcess) -> str:
    """What the daemon's files hold by now."""
    return daemon.log_text()


@contextmanager
def dribbling(peers: list[Peer], data: bytes, every_s: float = 0.05) -> Iterator[list[int]]:
    """Let each peer send a byte of `data` now and then, for as long as the block lasts.

    Gives a list that gets the number of peers each time that all have sent a byte.
    """
    stop = threading.Event()
    sent: list[int] = []

    def run() -> None:
        for place in range(len(data)):
            for peer in peers:
                peer.send(data[place : place + 1])
            sent.append(len(peers))
            if stop.wait(every_s):
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()
