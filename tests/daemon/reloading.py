"""What the tests of reloads share: settings that change, and senders that go on meanwhile."""

from __future__ import annotations

import itertools
import json
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from logd.query.controlclient import ControlClient
from logd_client.log import Log
from tests.daemon.test_stop import frames
from tests.daemon_process import DaemonProcess, running

PATIENCE_S = 60.0

BUFFER_BYTES = 1 << 18
"""Of a sender at full speed: enough to be never idle, too little to run far ahead of the daemon."""


class Settings:
    """A settings file that is changed while the daemon runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "logd.toml"
        self.write()

    def write(self, **values: object) -> None:
        """Put these settings in the file's place."""
        values = {"file": "logs/a_%d.log", "state_dir": "state", **values}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        self.path.write_text("\n".join(lines) + "\n")

    @contextmanager
    def running(self, port: int = 0) -> Iterator[DaemonProcess]:
        """A daemon with these settings."""
        with running("--config", "logd.toml", folder=self.folder, port=port) as daemon:
            yield daemon

    def ask(self, request: str) -> dict[str, Any]:
        """Ask the daemon by its control socket."""
        with ControlClient([self.folder / "state/control.sock"], PATIENCE_S) as client:
            return client.ask({"do": request})

    def log_text(self, name: str) -> str:
        """What the files of one log hold, the first first."""
        paths = (self.folder / "logs").glob(f"{name}_*.log")
        in_order = sorted(paths, key=lambda path: int(path.stem.partition("_")[2]))
        return "".join(path.read_text("utf-8") for path in in_order)

    def reload(self, **values: object) -> dict[str, Any]:
        """Change the settings and reload."""
        self.write(**values)
        return self.ask("reload")


def numbers(text: str) -> list[tuple[str, int]]:
    """(sender, number) of every record in a log."""
    return [(match[1], int(match[2])) for match in re.finditer(r"from (\w+) number (\d+)\b", text)]


def table_texts(path: Path) -> str:
    """All messages in the log tables of an SQLite database, a line each."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'log\\_%' ESCAPE '\\'"
        )
        tables = [name for (name,) in names if re.fullmatch(r"log_\d+", name)]
        return "\n".join(
            message
            for table in tables
            for (message,) in connection.execute(f'SELECT msg FROM "{table}" ORDER BY id')
        )


class Sender(threading.Thread):
    """Logs as fast as it can till it is told to stop."""

    def __init__(self, name: str, log: Log) -> None:
        super().__init__(daemon=True)
        self.sender = name
        self.count = 0
        self.log = log
        self.must_stop = threading.Event()
        self.is_delivered = False

    def run(self) -> None:
        """Log, then wait until all of it is acknowledged."""
        for number in itertools.count():
            if self.must_stop.is_set():
                break
            self.log(f"from {self.sender} number {number}")
            self.count += 1
        self.is_delivered = bool(self.log.flush(PATIENCE_S))


class PlainSender(threading.Thread):
    """The same without acknowledgements."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(daemon=True)
        self.sender = name
        self.count = 0
        self.port = port
        self.must_stop = threading.Event()

    def run(self) -> None:
        """Send on one connection, which is never cut."""
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            while not self.must_stop.is_set():
                data = frames(1, 1)
                text = f"from {self.sender} number {self.count:09}"
                old = b"sender 1 record 0 "
                payload = data[4:].replace(
                    len(old).to_bytes(4, "little") + old,
                    len(text).to_bytes(4, "little") + text.encode(),
                )
                sock.sendall(len(payload).to_bytes(4, "big") + payload)
                self.count += 1
                if self.count % 50 == 0:
                    # Without acknowledgements it would outrun the others by far.
                    self.must_stop.wait(0.01)
            # Till the daemon has read the last of it: a stop does not wait for what is on its way.
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
