"""The service's units: hardened, free of faults, and kept to by the daemon."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logd.settings.loading import load
from logd.settings.sources import Sources
from logd.settings.table import Config
from logd.settings.units import parse_duration
from logd_client import createClientLog
from logd_client.session import encode_opening
from tests import under_filter
from tests.daemon_process import running

UNITS = Path(__file__).parents[1] / "systemd"
PATIENCE_S = 60
MAX_EXPOSURE = 1.5


class Unit(configparser.RawConfigParser):
    """A unit file; of settings that may be repeated the last one counts."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, interpolation=None)
        self.read(UNITS / name, encoding="utf-8")

    def optionxform(self, optionstr: str) -> str:
        """Names are case-sensitive."""
        return optionstr


def tool(name: str) -> str:
    """The path of one of systemd's tools; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a command that exists on this machine."""
    folder = tmp_path / "units"
    shutil.copytree(UNITS, folder)
    for path in folder.glob("*.service"):
        text = path.read_text(encoding="utf-8").replace("/usr/local/bin/logd", "/bin/true")
        path.write_text(text, encoding="utf-8")
    (folder / "logd@.service").rename(folder / "logd@shop.service")
    return folder


@pytest.mark.parametrize("unit", ["logd.service", "logd-web.service", "logd@shop.service"])
def test_exposure_is_low(units: Path, unit: str) -> None:
    """systemd's own measure of what a service could do finds next to nothing."""
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", units / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(rf"Overall exposure level for {unit}: ([0-9.]+)", done.stdout)
    assert match is not None, done.stderr
    assert float(match[1]) <= MAX_EXPOSURE


def test_units_are_valid(units: Path) -> None:
    """systemd finds nothing to say of the units."""
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", *units.glob("logd*.s*")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_instances_are_services_like_the_one() -> None:
    """logd@.service has what logd.service has, with settings and folders of its own."""
    one, many = (
        (UNITS / name).read_text(encoding="utf-8").partition("[Service]\n")[2]
        for name in ("logd.service", "logd@.service")
    )
    for text, its in (
        ("/etc/logd/logd.toml", "/etc/logd/%i.toml"),
        ("Directory=logd\n", "Directory=logd/%i\n"),
        ("Directory=/var/log/logd\n", "Directory=/var/log/logd/%i\n"),
        ("ConfigurationDirectory=logd/%i\n", "ConfigurationDirectory=logd\n"),
        ("credentials/logd.service/", "credentials/logd@NAME.service/"),
        ("\nAlso=logd.socket\n", "\n"),
    ):
        one = one.replace(text, its)
    assert many == one


def test_user_and_folders_can_be_made(tmp_path: Path) -> None:
    """systemd-sysusers and systemd-tmpfiles make the user and the folders as they should be."""
    (tmp_path / "etc").mkdir()
    for command in (["systemd-sysusers", "sysusers.conf"], ["systemd-tmpfiles", "tmpfiles.conf"]):
        arguments = [tool(command[0]), f"--root={tmp_path}", str(UNITS / command[1])]
        if command[0] == "systemd-tmpfiles":
            arguments.append("--create")
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if "ermission denied" in done.stderr or "not permitted" in done.stderr:
            pytest.skip("users and folders can be made by root only")
        assert done.returncode == 0, done.stderr
    _, _, user, group, *_, shell = (tmp_path / "etc/passwd").read_text().strip().split(":")
    assert shell == "/usr/sbin/nologin"
    for folder, owner in (
        ("var/log/logd", int(user)),
        ("var/lib/logd", int(user)),
        ("etc/logd", 0),
    ):
        status = (tmp_path / folder).stat()
        assert (status.st_uid, status.st_gid) == (owner, int(group))
        assert status.st_mode & 0o777 == 0o750


def test_service_has_time_and_room_for_what_the_settings_promise() -> None:
    """The unit's limits are over those of the default settings: drain time, connections."""
    service = Unit("logd.service")["Service"]
    default = Config()
    assert parse_duration(service["TimeoutStopSec"]) > default.drain_s
    assert int(service["LimitNOFILE"]) > default.max_connections
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"


def test_settings_of_the_service_are_right() -> None:
    """The settings installed with the service are valid and name its own folders."""
    service = Unit("logd.service")["Service"]
    assert "--config /etc/logd/logd.toml" in service["ExecStart"]
    config = load(Sources(file=UNITS / "logd.toml")).config
    assert config.file[0].startswith(f"/var/log/{service['LogsDirectory']}/")
    assert config.state_dir == f"/var/lib/{service['StateDirectory']}"
    assert tomllib.loads((UNITS / "logd.toml").read_text(encoding="utf-8"))


def test_socket_is_the_default_address() -> None:
    """The socket unit listens where the daemon and its clients do by default."""
    address = Unit("logd.socket")["Socket"]["ListenStream"]
    assert address == f"127.0.0.1:{Config().port[0]}"


@contextmanager
def process(*command: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A process with its standard error piped; killed at the end where it still runs."""
    environment = {**os.environ, **variables}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


class Manager:
    """systemd's side of sd_notify(3): a datagram socket that the service tells of itself."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind(self.path)

    def wait_for(self, line: str) -> str:
        """The next message that has `line`; others may come for ever, so the time is bounded."""
        deadline = time.monotonic() + PATIENCE_S
        seen = []
        while time.monotonic() < deadline:
            message = self._socket.recv(65536).decode()
            if line in message.split("\n"):
                return message
            seen.append(message)
        raise AssertionError(f"no {line} within {PATIENCE_S} s, only {set(seen)}")

    def close(self) -> None:
        """End the manager."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A manager that listens."""
    made = Manager(tmp_path)
    yield made
    made.close()


def answers(address: tuple[str, int]) -> bool:
    """Whether a daemon answers a session's opening on this address."""
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.sendall(encode_opening(os.urandom(16), 1))
        return sock.recv(12, socket.MSG_WAITALL) == b"\0\0\0\x08" + bytes(8)


SERVE = (sys.executable, "-m", "logd", "serve", "--host", "127.0.0.1")


def test_daemon_tells_the_manager_how_it_does(manager: Manager, tmp_path: Path) -> None:
    """READY comes when it answers, WATCHDOG while it lives, STOPPING before it drains."""
    variables = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}
    with process(*SERVE, "--port", "0", folder=tmp_path, **variables) as daemon:
        ready = manager.wait_for("READY=1")
        address = re.search(r"127\.0\.0\.1:(\d+)", ready)
        assert address is not None
        assert answers(("127.0.0.1", int(address[1])))
        manager.wait_for("WATCHDOG=1")
        daemon.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert daemon.wait(PATIENCE_S) == 0


@pytest.mark.skipif(not under_filter.is_possible(), reason="no systemd-analyze or libseccomp")
def test_daemon_lives_with_the_units_system_calls(tmp_path: Path) -> None:
    """Under the unit's filter all parts work: commands, the web page, indexes at a low priority."""
    filtered = ("-m", "tests.under_filter", str(UNITS / "logd.service"), sys.executable)
    options = ("--file", "app_%d.log", "--rotate-lines", "30000", "--state-dir", "state")
    with running(
        *options,
        "--web",
        "127.0.0.1:0",
        folder=tmp_path,
        environment={"PYTHONPATH": str(UNITS.parent)},
        python_options=filtered,
    ) as daemon:
        log = createClientLog("127.0.0.1", (daemon.port,))
        for number in range(40_000):
            log(f"record {number} " + "x" * 150)
        assert log.close(PATIENCE_S)
        index = tmp_path / ".app_0.log.idx"
        deadline = time.monotonic() + PATIENCE_S
        while not index.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert index.exists()
        control = tmp_path / "state/control.sock"
        command = [sys.executable, "-m", "logd", "status", "--control", control, "--json"]
        answer = subprocess.run(command, capture_output=True, check=True).stdout
        assert json.loads(answer)["records"] == 40_000
        assert daemon.stop() == 0
        refused = [line for line in daemon.lines if "not permitted" in line]
        assert refused == []


def test_connections_wait_while_the_daemon_is_down(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """With socket activation, a connection made before the daemon runs is served once it does."""
    port = free_port()
    activate = (tool("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "--fdname=logd")
    with process(*activate, *SERVE, folder=tmp_path) as daemon:
        assert daemon.stderr is not None
        assert "Listening on" in daemon.stderr.readline()
        # The daemon is started by this very connection.
        assert answers(("127.0.0.1", port))
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE_S) == 0
