"""How fast an output takes records from memory: what catching up is compared with."""

from __future__ import annotations

import logging
import logging.handlers
import socket
import time
from pathlib import Path

from logd.query.controlclient import ControlClient
from tests.chaos.sender import text_of
from tests.chaos.targets import Target
from tests.daemon_process import running

RECORDS = 300_000


def own_rate(folder: Path, target: Target) -> float:
    """Records a second from a SocketHandler that is never the slowest, all made beforehand."""
    handler = logging.handlers.SocketHandler("127.0.0.1", 0)
    frames = bytearray()
    for number in range(RECORDS):
        record = logging.LogRecord(
            *("app", logging.WARNING, __file__, 1, "%s", (text_of(0, number),), None, "run")
        )
        record.__dict__.update(request_id=f"r-{number}", ms=number % 97)
        frames += handler.makePickle(record)
    try:
        with running(*target.options, folder=folder) as daemon:
            started = time.monotonic()
            with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
                sock.sendall(frames)
            wait_written(folder, RECORDS)
            return RECORDS / (time.monotonic() - started)
    finally:
        target.clean()


def written(folder: Path) -> int:
    """How many records the daemon's last output has written since the start."""
    with ControlClient([folder / ".logd-state" / "control.sock"]) as client:
        return int(client.ask({"do": "status"})["outputs"][-1]["written"])


def wait_written(folder: Path, records: int, at_most_s: float = 600.0) -> None:
    """Return once it has written so many."""
    deadline = time.monotonic() + at_most_s
    while written(folder) < records:
        assert time.monotonic() < deadline, f"{written(folder)} of {records} are written"
        time.sleep(0.05)
