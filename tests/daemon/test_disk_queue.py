"""The queue on disk of a real daemon: the database goes away, the disk fills, the daemon dies."""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logd.outputs.queuefolder import queue_folders
from logd.query.controlclient import ControlClient
from tests.chaos.proxy import Gate
from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import until

PATIENCE_S = 60.0


def status(folder: Path) -> dict[str, Any]:
    """What `logd status --json` shows."""
    with ControlClient([folder / ".logd-state" / "control.sock"]) as client:
        return client.ask({"do": "status"})


def on_disk(folder: Path, output: int = -1) -> dict[str, Any]:
    """What waits on disk for an output."""
    disk: dict[str, Any] = status(folder)["outputs"][output]["disk"]
    return disk


class Plain:
    """An app with an unmodified SocketHandler; remembers the slowest call."""

    def __init__(self, port: int, name: str = "plain") -> None:
        self.handler = logging.handlers.SocketHandler("127.0.0.1", port)
        self.log = logging.Logger(name)
        self.log.addHandler(self.handler)
        self.sent = 0
        self.slowest_s = 0.0

    def send(self, count: int, text: str = "") -> None:
        """Log numbered records."""
        for _ in range(count):
            self.sent += 1
            started = time.perf_counter()
            self.log.warning("plain record %d %s", self.sent, text, extra={"number": self.sent})
            self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
            assert self.handler.sock is not None, f"record {self.sent} was lost"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """What stands between the daemon and PostgreSQL."""
    gate = Gate(5432)
    yield gate
    gate.close()


@pytest.fixture
def options(postgresql: Any, gate: Gate) -> list[str]:
    """Of a daemon that writes to a file and to PostgreSQL."""
    return [
        *("--file", "logs/a_%d.log", "--db", postgresql.url.replace(":5432", f":{gate.port}")),
        *("--table-pattern", postgresql.pattern, "--state-dir", ".logd-state"),
    ]


def numbers(postgresql: Any) -> list[int]:
    """The numbers of the plain records in the table, in its order."""
    rows = postgresql.rows(f"{postgresql.prefix}_0", "id")
    found = (re.search(r"plain record (\d+)", row["msg"]) for row in rows)
    return [int(match[1]) for match in found if match is not None]


def test_records_wait_on_disk_while_the_database_is_away(
    options: list[str], gate: Gate, postgresql: Any, tmp_path: Path, connect: Connect
) -> None:
    """Acks go out, the file goes on, and all of it is in the table later, in order, once."""
    with running(*options, folder=tmp_path) as daemon:
        app, log = Plain(daemon.port), connect(daemon.port)
        app.send(10)
        until(lambda: len(numbers(postgresql)) == 10, "written")
        gate.shut()
        app.send(2000)
        log("with acks")
        assert log.flush(PATIENCE_S)
        until(lambda: on_disk(tmp_path)["records"] >= 2001, "on disk")
        assert daemon.log_text("logs/a_*.log").count("plain record") == 2010
        disk = on_disk(tmp_path)
        assert disk["bytes"] > 0
        assert disk["oldest_at"] <= time.time()
        until(lambda: status(tmp_path)["queue"]["bytes"] == 0, "memory is free")
        gate.open()
        until(lambda: on_disk(tmp_path)["records"] == 0, "caught up")
        app.send(10)
        app.handler.close()
        assert daemon.stop() == 0
        assert numbers(postgresql) == list(range(1, 2021))
        assert app.slowest_s < 1.0
        text = daemon.log_text("logs/a_*.log")
        assert re.search(r" W \S+ output db .* is unavailable, retrying: ", text)
        assert re.search(r" I \S+ output db .* works again after ", text)


@pytest.mark.parametrize("is_made_anew", [False, True])
def test_the_state_folder_is_moved_while_records_wait(
    is_made_anew: bool,
    options: list[str],
    gate: Gate,
    postgresql: Any,
    tmp_path: Path,
    connect: Connect,
) -> None:
    """What waited is read from where it went, what comes is kept in a new one: all of it, once."""
    state = tmp_path / ".logd-state"
    with running(*options, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        log("plain record 1")
        until(lambda: len(numbers(postgresql)) == 1, "written")
        gate.shut()
        for number in range(2, 1001):
            log(f"plain record {number}")
        assert log.flush(PATIENCE_S)
        until(lambda: on_disk(tmp_path)["records"] >= 999, "on disk")
        state.rename(tmp_path / "elsewhere")
        if is_made_anew:
            state.mkdir()
        for number in range(1001, 2001):
            log(f"plain record {number}")
        assert log.flush(PATIENCE_S)
        daemon.wait_line("queue of output db.* was moved or removed")
        gate.open()
        until(lambda: len(numbers(postgresql)) >= 2000, "caught up")
        assert daemon.stop() == 0
    assert numbers(postgresql) == list(range(1, 2001))
    assert queue_folders(state) == queue_folders(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    "point", ["before_write", "before_sync", "after_sync", "before_remove", "after_remove"]
)
def test_kill_9_at_each_step_of_the_disk(
    point: str,
    options: list[str],
    gate: Gate,
    postgresql: Any,
    tmp_path: Path,
    connect: Connect,
) -> None:
    """Whatever step the daemon dies at, no acknowledged record is lost, and none is there twice."""
    gate.shut()
    kill = {"LOGD_FAILPOINTS": f"queue.{point}=kill@{1 if 'remove' in point else 3}"}
    daemon = DaemonProcess(*options, folder=tmp_path, environment=kill).wait_ready()
    with Successor(daemon, options, tmp_path) as again:
        log = connect(daemon.port)
        log("record 1 of ours")
        assert log.flush(PATIENCE_S)
        for number in range(2, 6):
            log(f"record {number} of ours")
            log.flush(0.3)
        gate.open()
        assert daemon.wait() == -signal.SIGKILL
        again.start(daemon.port)
        assert log.flush(PATIENCE_S)
        until(lambda: not queue_folders(tmp_path / ".logd-state"), "caught up")
        rows = postgresql.rows(f"{postgresql.prefix}_0", "id")
        texts = [row["msg"] for row in rows if "of ours" in row["msg"]]
        assert texts == [f"record {number} of ours" for number in range(1, 6)]


class Successor:
    """Daemons on one port, the first of which dies."""

    def __init__(self, first: DaemonProcess, options: list[str], folder: Path) -> None:
        self._daemons = [first]
        self._options, self._folder = options, folder

    def __enter__(self) -> Successor:
        return self

    def start(self, port: int) -> None:
        """Start it on the same port."""
        self._daemons.append(DaemonProcess(*self._options, folder=self._folder, port=port))
        self._daemons[-1].wait_ready()

    def __exit__(self, *_: object) -> None:
        for daemon in self._daemons:
            if daemon.process.poll() is None:
                daemon.kill()


def test_a_stop_with_the_output_away_takes_all_that_was_sent(
    options: list[str], gate: Gate, postgresql: Any, tmp_path: Path
) -> None:
    """With the disk queue full and senders paused a stop makes room first, and loses nothing."""
    limits = ("--queue-bytes", "1 MiB", "--connection-queue-bytes", "512 KiB")
    limits = (*limits, "--max-frame-bytes", "64 KiB", "--queue-disk-bytes", "1 MiB")
    with running(*options, *limits, folder=tmp_path) as daemon:
        app = Plain(daemon.port)
        gate.shut()
        until_full = threading.Event()

        def send() -> None:
            while not until_full.is_set() and app.sent < 20_000:
                app.send(10, "x" * 900)

        thread = threading.Thread(target=send)
        thread.start()
        daemon.wait_line("no room on disk")
        assert on_disk(tmp_path)["full_since"] is not None
        until_full.set()
        thread.join(PATIENCE_S)
        app.handler.close()
        started = time.monotonic()
        assert daemon.stop() == 0, daemon.output
        assert time.monotonic() - started < 20
        daemon.wait_line("wait in .* for the next start")
    gate.open()
    with running(*options, folder=tmp_path):
        until(lambda: on_disk(tmp_path)["records"] == 0, "all is written")
    assert numbers(postgresql) == list(range(1, app.sent + 1))


def test_what_is_left_of_an_output_is_told_and_sent_elsewhere(
    options: list[str], gate: Gate, tmp_path: Path, connect: Connect
) -> None:
    """A queue that no output of the settings has is named, exported, and sent to another log."""
    gate.shut()
    with running(*options, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for number in range(3):
            log(f"left behind {number}")
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0
    (queue,) = queue_folders(tmp_path / ".logd-state")
    with running("--file", "logs/b_%d.log", *options[-2:], folder=tmp_path) as daemon:
        daemon.wait_line("queue-db.*is left, and no output has that name")
        (left,) = status(tmp_path)["left_behind"]
        assert left["path"] == str(queue.relative_to(tmp_path))
        # With what the daemon says of its trouble.
        assert left["records"] > 3
        command = [sys.executable, "-m", "logd", "queue"]
        listed = subprocess.check_output([*command, "list", queue.parent], text=True)
        assert f"{left['records']} records" in listed
        exported = subprocess.check_output([*command, "export", queue], text=True)
        texts = [json.loads(line)["record"]["msg"] for line in exported.splitlines()]
        texts = [text for text in texts if "left behind" in text]
        assert texts == [f"left behind {number}" for number in range(3)]
        arguments = ["send", queue, "--remove", "--port", str(daemon.port)]
        assert "records sent" in subprocess.check_output([*command, *arguments], text=True)
        assert daemon.log_text("logs/b_*.log").count("left behind") == 3
        assert status(tmp_path)["left_behind"] == []


def test_an_output_away_at_the_start_gets_its_records_later(
    options: list[str], gate: Gate, postgresql: Any, tmp_path: Path
) -> None:
    """The daemon starts, keeps what comes, and writes it when the database is there."""
    gate.shut()
    with running(*options, folder=tmp_path) as daemon:
        daemon.wait_line("its records wait on disk until it is there")
        app = Plain(daemon.port)
        app.send(5)
        app.handler.close()
        until(lambda: on_disk(tmp_path)["records"] >= 5, "on disk")
        gate.open()
        until(lambda: status(tmp_path)["outputs"][-1]["written"] >= 5, "written")
        assert numbers(postgresql) == [1, 2, 3, 4, 5]
