"""The daemon and its service manager: the messages of sd_notify(3), in their order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.daemon.notify import ServiceManager
from logd_client.session import encode_opening
from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import Peer, plain, until

PATIENCE_S = 60.0


class Manager:
    """systemd's end: a datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.seen: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind(self.path)

    def take(self) -> dict[str, str]:
        """The next message: its names and values."""
        text = self._socket.recv(65_536).decode()
        message = dict(line.split("=", 1) for line in text.split("\n"))
        self.seen.append(message)
        return message

    def wait_for(self, name: str) -> dict[str, str]:
        """The next message that has `name`."""
        deadline = time.monotonic() + PATIENCE_S
        while name not in (message := self.take()):
            assert time.monotonic() < deadline, self.seen
        return message

    def rest(self) -> list[dict[str, str]]:
        """The messages that have come and were not taken."""
        messages = []
        self._socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(self.take())
        self._socket.settimeout(PATIENCE_S)
        return messages

    def close(self) -> None:
        """End it."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A manager that listens."""
    made = Manager(tmp_path / "notify")
    yield made
    made.close()


def answers(port: int) -> bool:
    """Whether the daemon answers a session's opening."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as sock:
        sock.sendall(encode_opening(os.urandom(16), 1))
        return len(sock.recv(12, socket.MSG_WAITALL)) == 12


def test_the_life_of_a_service_is_told_in_order(manager: Manager, tmp_path: Path) -> None:
    """READY once it answers, RELOADING with its time and READY after it, STOPPING at the end."""
    with running(folder=tmp_path, environment={"NOTIFY_SOCKET": manager.path}) as daemon:
        ready = manager.take()
        assert (ready["READY"], ready["MAINPID"]) == ("1", str(daemon.pid))
        assert str(daemon.port) in ready["STATUS"]
        assert answers(daemon.port)
        before = time.monotonic_ns() // 1000
        daemon.signal(signal.SIGHUP)
        reloading = manager.wait_for("RELOADING")
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        assert manager.wait_for("READY")["STATUS"] == "reloaded"
        daemon.signal(signal.SIGTERM)
        assert manager.wait_for("STOPPING")["STATUS"] == "draining"
        assert daemon.wait() == 0
    assert [message for message in manager.seen if "WATCHDOG" in message] == []


def test_a_reload_that_fails_is_told_with_its_reason(manager: Manager, tmp_path: Path) -> None:
    """The manager learns that the service goes on, and that its settings are bad."""
    settings = tmp_path / "logd.toml"
    settings.write_text("rotate_lines = 5\n")
    environment = {"NOTIFY_SOCKET": manager.path}
    with running("--config", settings, folder=tmp_path, environment=environment) as daemon:
        manager.wait_for("READY")
        settings.write_text("rotate_lines = 0\n")
        daemon.signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        assert "rotate_lines" in manager.wait_for("READY")["STATUS"]


def test_a_start_that_fails_never_says_ready(manager: Manager, tmp_path: Path) -> None:
    """Nothing is told of a service that could not start."""
    daemon = DaemonProcess(
        "--file", "/proc/x_%d", folder=tmp_path, environment={"NOTIFY_SOCKET": manager.path}
    )
    assert daemon.wait() != 0
    assert manager.rest() == []


def test_a_stuck_pipeline_gets_no_sign_of_life(
    manager: Manager, tmp_path: Path, connect: Connect
) -> None:
    """While a filter hangs the watchdog is not fed; before that it is, also without records."""
    (tmp_path / "hanging.py").write_text(
        "import time\ndef hang(jobhist, writer):\n    time.sleep(3600)\n"
    )
    environment = {
        "NOTIFY_SOCKET": manager.path,
        "WATCHDOG_USEC": "400000",
        "PYTHONPATH": str(tmp_path),
    }
    with running("--filter", "hanging:hang", folder=tmp_path, environment=environment) as daemon:
        for _ in range(3):
            manager.wait_for("WATCHDOG")
        log = connect(daemon.port)
        log("never written")
        daemon.wait_line("the pipeline has been stuck for 1 s")
        manager.rest()
        daemon.wait_line("the pipeline has been stuck for 2 s")
        assert not any("WATCHDOG" in message for message in manager.rest())
        daemon.kill()
        log.close(0)


def test_a_stop_that_takes_long_asks_for_time(manager: Manager, tmp_path: Path) -> None:
    """The manager would end it when the unit's time is over, and lose what is still decoded."""
    environment = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    with (
        running(folder=tmp_path, environment=environment) as daemon,
        Peer(daemon.port) as sender,
    ):
        sender.send(plain("whole"), plain("not whole, which is waited for")[:20])
        until(lambda: "whole" in daemon.log_text(), "the first is written")
        daemon.signal(signal.SIGTERM)
        manager.wait_for("STOPPING")
        assert manager.wait_for("EXTEND_TIMEOUT_USEC") == {"EXTEND_TIMEOUT_USEC": "400000"}
        sender.end()
        assert daemon.wait() == 0


def test_abstract_addresses_and_other_processes() -> None:
    """An address with @ is abstract; a watchdog meant for another process is not ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0logd-test-" + str(os.getpid()))
        sock.settimeout(PATIENCE_S)
        name = "@logd-test-" + str(os.getpid())
        other = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"})
        assert other.watchdog_s == 0
        other.status("hello")
        assert sock.recv(100) == b"STATUS=hello"


def test_without_a_manager_nothing_is_sent() -> None:
    """Every call does nothing where no address is given, and a dead address harms nobody."""
    nobody = ServiceManager({})
    nobody.ready("x")
    dead = ServiceManager({"NOTIFY_SOCKET": "/nowhere/notify"})
    dead.stopping("x")
