"""What a process sent just before its end, when answers to it lie unread in its socket."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from logd_client.encoding import encode_batch, encode_opening
from logd_client.values import make_context
from tests.daemon_process import running

CLIENTS = 100
RECORDS = 4


def test_a_reset_connection_is_read_to_its_end(tmp_path: Path) -> None:
    """A process that ends with acks unread resets its connection; its last record is kept.

    If an ack to it fails before that record is read, the rest of the connection counts all the
    same. That happens to some of a hundred.
    """
    context = make_context(1, 1, "t", "I", (("f.py", 1),), 0, "f")
    with running("--file", "logs/logd_%d.log", folder=tmp_path) as daemon:
        for client in range(CLIENTS):
            with socket.create_connection(("127.0.0.1", daemon.port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(encode_opening(os.urandom(16), 1))
                assert connection.recv(100)
                for number in range(1, RECORDS + 1):
                    row = (context, number, time.time(), f"client {client} says {number}.", ())
                    connection.sendall(encode_batch(number, [row]))
                    if number < RECORDS:
                        time.sleep((12 + client % 14) / 1000)  # about when one is acknowledged
        deadline = time.monotonic() + 60
        while daemon.log_text().count(" says ") < RECORDS * CLIENTS:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        daemon.stop()
        text = daemon.log_text()
    assert [n for n in range(CLIENTS) if f"client {n} says {RECORDS}." not in text] == []
