"""The control socket of a real daemon: who may ask, what is answered, and what it survives."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import signal
import socket
import stat
import tempfile
import time
from pathlib import Path

import pytest

from logd.daemon.control import MAX_CONNECTIONS, MAX_REQUEST_BYTES
from logd.errors import LogdError
from logd.query.controlclient import ControlClient
from logd.settings.controlpath import short_address
from tests.clients import Connect
from tests.daemon.test_stop import frames
from tests.daemon_process import DaemonProcess, running

PATIENCE_S = 60.0
PLACE = "logs/.logd-state/control.sock"


def client(folder: Path, place: str = PLACE) -> ControlClient:
    """A connection to the daemon in `folder`."""
    return ControlClient([folder / place], PATIENCE_S)


def raw(folder: Path) -> socket.socket:
    """The same without a client."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(PATIENCE_S)
    with short_address(folder / PLACE) as address:
        sock.connect(address)
    return sock


def test_only_the_daemons_user_may_ask(tmp_path: Path) -> None:
    """The socket has mode 0600, stands in the state folder and goes with the daemon."""
    with running(folder=tmp_path) as daemon:
        path = tmp_path / PLACE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert daemon.stop() == 0
        assert not path.exists()


def test_a_group_may_ask(tmp_path: Path) -> None:
    """control_group gets the socket, which is open to it unless control_mode says otherwise."""
    group = grp.getgrgid(os.getgid()).gr_name
    path = tmp_path / PLACE
    with running("--control-group", group, folder=tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == os.getgid()
    with running("--control-mode", "0640", folder=tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize(("mode", "group"), [(0o600, ""), (0o660, ", or join its group daemon")])
def test_who_may_not_ask_learns_whom_to_become(mode: int, group: str) -> None:
    """A socket that this user may not use: the error names the user, and the group if it may."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        path = Path(folder) / "control.sock"
        sock.bind(str(path))
        sock.listen()
        path.chmod(mode)
        os.chown(path, pwd.getpwnam("root").pw_uid, grp.getgrnam("daemon").gr_gid)
        Path(folder).chmod(0o755)
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
        try:
            with pytest.raises(LogdError, match="Permission denied") as caught:
                ControlClient([path])
            text = f"{path} (Permission denied: become its user, sudo -u root{group})"
            assert text in str(caught.value)
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_status_counts_what_was_sent(loop: str, tmp_path: Path, connect: Connect) -> None:
    """One connection asks many times; senders of both kinds are told apart."""
    with running("--loop", loop, folder=tmp_path) as daemon, client(tmp_path) as control:
        log = connect(daemon.port)
        for _ in range(100):
            log("hello")
        assert log.flush(PATIENCE_S)
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.sendall(frames(1, 7))
            deadline = time.monotonic() + PATIENCE_S
            while True:
                status = control.ask({"do": "status"})
                if status["outputs"][0]["written"] == 107 and not status["queue"]["bytes"]:
                    break
                assert time.monotonic() < deadline
        assert status["records"] == 107
        kinds = {one["kind"]: one["records"] for one in status["connections"]["top"]}
        assert kinds == {"session": 100, "plain": 7}
        assert status["connections"]["sessions"] == 1
        assert status["received_bytes"] > 1000
        few = control.ask({"do": "status", "connections": 1})
        assert [one["records"] for one in few["connections"]["top"]] == [100]


def test_losses_and_faults_are_shown(tmp_path: Path, connect: Connect) -> None:
    """What a real client had to drop, and who sent nonsense, is in the status."""
    with running(folder=tmp_path) as daemon, client(tmp_path) as control:
        daemon.signal(signal.SIGSTOP)  # so that records pile up in the client
        log = connect(daemon.port, buffer_bytes=20_000, when_full="drop")
        for _ in range(2000):
            log("x" * 100)
        daemon.signal(signal.SIGCONT)
        assert log.flush(PATIENCE_S) is not None
        log("after the gap")
        assert log.flush(PATIENCE_S)
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.settimeout(PATIENCE_S)
            sock.sendall(b"\x00\x50\x00\x00[]")
            assert sock.recv(1) == b""
        status = control.ask({"do": "status"})
        assert status["lost_by_clients"]["records"] == log.server.lost > 0
        assert status["faults"]["bad_frames"] == 1
        assert "frame of" in status["faults"]["last"][0]["reason"]


def test_rotate_answers_when_it_is_done(tmp_path: Path, connect: Connect) -> None:
    """After the answer the next record goes to the next file."""
    with running(folder=tmp_path) as daemon, client(tmp_path) as control:
        log = connect(daemon.port)
        for number in range(3):
            log(f"record {number}")
            assert log.flush(PATIENCE_S)
            answer = control.ask({"do": "rotate"})
            assert answer == {"rotated": ["file logs/logd_%d.log"], "problems": []}
        names = sorted(path.name for path in (tmp_path / "logs").glob("*.log"))
        assert names == [f"logd_{number}.log" for number in range(4)]


@pytest.mark.parametrize(
    ("request_line", "said"),
    [
        (b"hello\n", "not a request"),
        (b'{"do": 5}\n', "not a request"),
        (b'{"do": "explode"}\n', 'unknown request "explode"'),
        (b"\xff\xfe\n", "not a request"),
        (b'{"do": "follow", "output": "none"}\n', "there is no output none"),
        (b"x" * (2 * MAX_REQUEST_BYTES), "over"),
    ],
)
def test_nonsense_is_answered_with_an_error(
    request_line: bytes, said: str, shared: DaemonProcess
) -> None:
    """What is no request gets one line with the reason, and harms nobody."""
    with raw(shared.folder) as sock:
        sock.sendall(request_line)
        answer = json.loads(sock.makefile("rb").readline())
        assert said in answer["error"]
    with client(shared.folder) as control:
        assert control.ask({"do": "status"})["state"] == "running"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """One daemon for several tests."""
    with running(folder=tmp_path_factory.mktemp("shared")) as daemon:
        yield daemon


def test_connections_are_bounded(shared: DaemonProcess) -> None:
    """Beyond the limit a connection is refused with the reason; when others go, it is served."""
    held = [raw(shared.folder) for _ in range(MAX_CONNECTIONS)]
    try:
        for sock in held:
            sock.sendall(b'{"do": "status"}\n')
            assert sock.recv(1)
        with raw(shared.folder) as sock:
            answer = json.loads(sock.makefile("rb").readline())
        assert "over 64 connections" in answer["error"]
    finally:
        for sock in held:
            sock.close()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with client(shared.folder) as control:
                assert control.ask({"do": "status"})["pid"] == shared.pid
            return
        except LogdError:
            assert time.monotonic() < deadline


def test_a_client_that_reads_nothing_hurts_nobody(shared: DaemonProcess) -> None:
    """Many answers that nobody reads neither grow without end nor stop other clients."""
    with raw(shared.folder) as sock:
        sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError, BrokenPipeError):
            while True:
                sock.sendall(b'{"do": "status", "connections": 1000}\n' * 1000)
        with client(shared.folder) as control:
            assert control.ask({"do": "status"})["state"] == "running"


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    """After kill -9 the socket's file is left behind; the next daemon answers in its place."""
    with running(folder=tmp_path) as daemon:
        daemon.kill()
    assert (tmp_path / PLACE).exists()
    with pytest.raises(LogdError, match="no daemon answers"):
        client(tmp_path)
    with running(folder=tmp_path) as daemon, client(tmp_path) as control:
        assert control.ask({"do": "status"})["pid"] == daemon.pid


def test_two_daemons_of_one_folder(tmp_path: Path) -> None:
    """The first keeps the default socket, the second says so and goes without, or has its own."""
    with running(folder=tmp_path) as first:
        with running("--file", "logs/b_%d.log", folder=tmp_path) as second:
            second.wait_line("another process serves it")
        options = ("--file", "logs/b_%d.log", "--control", "b.sock")
        with (
            running(*options, folder=tmp_path) as second,
            client(tmp_path) as control,
            client(tmp_path, "b.sock") as other,
        ):
            assert control.ask({"do": "status"})["pid"] == first.pid
            assert other.ask({"do": "status"})["pid"] == second.pid


def test_a_place_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """A control socket that the settings name has to be there: one line says why it is not."""
    (tmp_path / "file").write_text("")
    daemon = DaemonProcess("--control", "file", folder=tmp_path)
    assert daemon.wait() != 0
    assert len(daemon.lines) == 1
    daemon.wait_line("control: .*something else is there")


def test_paths_may_be_longer_than_an_address(tmp_path: Path) -> None:
    """A Unix address has 107 bytes; the socket's path may be longer."""
    folder = tmp_path / ("long" * 20) / ("path" * 20)
    folder.mkdir(parents=True)
    with running("--control", folder / "c.sock", folder=tmp_path) as daemon:
        with client(folder, "c.sock") as control:
            assert control.ask({"do": "status"})["pid"] == daemon.pid
        assert daemon.stop() == 0
    assert not (folder / "c.sock").exists()
