"""Quiet senders of a real daemon, read by rounds: exactly what they sent, in their order."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import re
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.daemon.peers.rounds import LOOK_S
from tests.daemon_process import DaemonProcess, running

SENDERS = 6
PING = struct.pack(">L", len(pickle.dumps("ping", 1))) + pickle.dumps("ping", 1)
BAD = struct.pack(">L", 6) + b"}q\x00(!."


@pytest.fixture(params=["uvloop", "asyncio"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that writes to files, on each event loop in turn."""
    with running("--loop", request.param, folder=tmp_path) as process:
        yield process


def frame(text: str) -> bytes:
    """One record of `SocketHandler`, with an item of its own."""
    record = logging.LogRecord("shop", 20, "/srv/shop.py", 1, text, None, None, "sell")
    record.request_id = f"r{text}"
    return logging.handlers.SocketHandler("", 0).makePickle(record)


class Senders:
    """Connections of one program that each send record after record."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        address = ("127.0.0.1", daemon.port)
        self.socks = [socket.create_connection(address) for _ in range(SENDERS)]
        self.sent = [0] * SENDERS

    def next(self, sender: int) -> bytes:
        """A sender's next record."""
        self.sent[sender] += 1
        return frame(f"{sender}:{self.sent[sender]}")

    def written(self) -> list[list[int]]:
        """For each sender the numbers of its records in the log."""
        numbers: list[list[int]] = [[] for _ in range(SENDERS)]
        for sender, number in re.findall(r" (\d):(\d+)\t", self._daemon.log_text()):
            numbers[int(sender)].append(int(number))
        return numbers

    def wait_written(self) -> None:
        """Return once all is in the log that was sent."""
        deadline = time.monotonic() + 60
        while any(map(int.__ne__, map(len, self.written()), self.sent)):
            assert time.monotonic() < deadline, self.written()
            time.sleep(0.002)

    def get_quiet(self) -> None:
        """Go on until all are read by rounds."""
        until = time.monotonic() + 4 * LOOK_S
        while time.monotonic() < until:
            for sender, sock in enumerate(self.socks):
                sock.sendall(self.next(sender))
            self.wait_written()


def test_records_between_odd_frames_are_written_once(daemon: DaemonProcess) -> None:
    """Whatever comes in a round beside a record (a ping, a bad frame, half of one) harms none."""
    senders = Senders(daemon)
    senders.get_quiet()
    for turn in range(12):
        halves: list[tuple[socket.socket, bytes]] = []
        for sender, sock in enumerate(senders.socks):
            match (turn + sender) % 6:
                case 0:
                    sock.sendall(senders.next(sender))
                case 1:
                    sock.sendall(senders.next(sender) + senders.next(sender))
                case 2:
                    sock.sendall(PING + senders.next(sender))
                case 3:
                    sock.sendall(BAD + senders.next(sender))
                case 4:
                    whole = senders.next(sender)
                    sock.sendall(whole[:-20])
                    halves.append((sock, whole[-20:]))
                case _:
                    sock.sendall(b"".join(senders.next(sender) for _ in range(30)))
        for sock, rest in halves:
            sock.sendall(rest)
        if turn % 3:
            senders.wait_written()
    for sock in senders.socks:
        sock.close()
    senders.wait_written()
    assert daemon.stop() == 0, daemon.output
    assert senders.written() == [list(range(1, sent + 1)) for sent in senders.sent]
    text = daemon.log_text()
    assert text.count(" request_id=r") == sum(senders.sent)
    assert "was dropped" in text


def test_what_was_sent_before_a_stop_is_written(daemon: DaemonProcess) -> None:
    """A stop between two rounds reads what waits in the kernel."""
    senders = Senders(daemon)
    senders.get_quiet()
    for sender, sock in enumerate(senders.socks):
        sock.sendall(b"".join(senders.next(sender) for _ in range(1 + 20 * (sender % 2))))
    assert daemon.stop() == 0, daemon.output
    assert senders.written() == [list(range(1, sent + 1)) for sent in senders.sent]
    for sock in senders.socks:
        sock.close()
