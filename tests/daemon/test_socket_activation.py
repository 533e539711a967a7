"""Socket activation: the service manager holds the listening socket, daemons come and go."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients import Connect
from tests.daemon.test_stop import frames

PATIENCE_S = 60.0

START = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "logd", "serve"])
"""
"""Turns into a daemon that finds the socket as systemd hands it over: as descriptor 3."""


class Holder:
    """systemd's part: it holds a listening socket and starts daemons that inherit it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self.socket.getsockname()[1]

    @contextlib.contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[str]]:
        """A daemon that got the socket as descriptor 3; it is ready."""
        with subprocess.Popen(
            [sys.executable, "-c", START, str(self.socket.fileno())],
            cwd=self.folder,
            env={**os.environ, "LISTEN_FDS": "1"},
            pass_fds=[self.socket.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    if "ready on" in line:
                        assert f"127.0.0.1:{self.port}" in line
                        break
                drain = threading.Thread(target=process.stderr.read, daemon=True)
                drain.start()
                yield process
                drain.join(PATIENCE_S)
            finally:
                if process.poll() is None:
                    process.kill()

    def log_text(self) -> str:
        """What all daemons wrote."""
        paths = sorted((self.folder / "logs").glob("logd_*.log"))
        return "".join(path.read_text() for path in paths)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[Holder]:
    """A socket that stays open."""
    made = Holder(tmp_path)
    yield made
    made.socket.close()


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a daemon in order."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_connections_made_while_no_daemon_runs_are_served(holder: Holder) -> None:
    """Before the start and between two daemons senders connect, send and hang up: all is there."""
    senders = iter(range(1000))

    def send_some() -> None:
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", holder.port), PATIENCE_S) as sock:
                sock.sendall(frames(next(senders), 3))

    for _ in range(3):
        send_some()
        with holder.daemon() as process:
            send_some()
            stop(process)
    send_some()
    with holder.daemon() as process:
        stop(process)
    found = re.findall(r"sender (\d+) record (\d+)", holder.log_text())
    assert sorted((int(s), int(r)) for s, r in found) == [
        (sender, record) for sender in range(next(senders)) for record in range(3)
    ]


def test_a_restart_refuses_no_connection(holder: Holder, connect: Connect) -> None:
    """Senders connect again and again through restarts: not one connection is refused or cut."""
    sent = 0
    failures: list[OSError] = []
    must_stop = threading.Event()

    def go_on() -> None:
        nonlocal sent
        # At this pace the kernel has room for what comes while no daemon runs: 4,096 connections.
        while not must_stop.wait(0.005):
            try:
                with socket.create_connection(("127.0.0.1", holder.port), PATIENCE_S) as sock:
                    sock.sendall(frames(sent, 1))
                sent += 1
            except OSError as exc:
                failures.append(exc)

    sender = threading.Thread(target=go_on)
    log = connect(holder.port)
    for turn in range(3):
        with holder.daemon() as process:
            if not turn:
                sender.start()
            before = sent
            log(f"session in turn {turn}")
            while sent < before + 100:
                sender.join(0.005)
            stop(process)
    must_stop.set()
    sender.join(PATIENCE_S)
    with holder.daemon() as process:
        assert log.flush(PATIENCE_S)
        stop(process)
    text = holder.log_text()
    assert failures == []
    assert sorted(map(int, re.findall(r"sender (\d+) record 0", text))) == list(range(sent))
    assert re.findall(r"session in turn (\d)", text) == ["0", "1", "2"]


def test_systemds_own_tool_starts_the_daemon(
    tmp_path: Path, connect: Connect, free_port: Callable[[], int]
) -> None:
    """systemd-socket-activate listens; the first connection starts the daemon and is served."""
    tool = shutil.which("systemd-socket-activate")
    if tool is None:
        pytest.skip("systemd-socket-activate is not installed")
    port = free_port()
    with subprocess.Popen(
        [tool, "-l", f"127.0.0.1:{port}", "--fdname=logd", sys.executable, "-m", "logd", "serve"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert "Listening on" in process.stderr.readline()
            log = connect(port)
            log("woke it up")
            assert log.flush(PATIENCE_S)
            stop(process)
        finally:
            if process.poll() is None:
                process.kill()
    assert "woke it up" in (tmp_path / "logs/logd_0.log").read_text()


def test_a_tls_socket_without_a_certificate_ends_the_start(tmp_path: Path) -> None:
    """A socket unit for TLS is never served in plain text: the start fails in one line."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        done = subprocess.run(
            [sys.executable, "-c", START, str(sock.fileno())],
            cwd=tmp_path,
            env={**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "tls"},
            pass_fds=[sock.fileno()],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert "tls_cert" in line
