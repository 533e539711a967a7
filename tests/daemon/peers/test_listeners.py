"""Who may connect, and over what: ports, Unix sockets, networks, tokens."""

from __future__ import annotations

import grp
import logging
import logging.handlers
import os
import pwd
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.daemon.peers.listeners import inherited, listen_tcp, listen_unix
from logd.errors import StartupError
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import GoodSender, Peer, opening, plain, until

TOKEN = "open sesame \N{KEY}"
TOKEN_REFUSED = 2


def write_token(folder: Path) -> None:
    """A token file as it should be: for its owner only."""
    path = folder / "token"
    path.touch(0o600)
    path.write_text(f"{TOKEN}\n")


# -- sockets --------------------------------------------------------------------------------


def test_the_first_port_that_is_free_is_used() -> None:
    """A port that is taken is passed over; where none is left the error names them."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (listener,) = listen_tcp(["127.0.0.1"], [port, 0])
        assert listener.sock.getsockname()[1] != port
        listener.close()
        with pytest.raises(StartupError, match=f"127.0.0.1:{port}: already in use .*another port"):
            listen_tcp(["127.0.0.1"], [port])


def test_an_address_of_another_machine() -> None:
    """An address that is not this machine's is named, without advice about ports."""
    with pytest.raises(StartupError) as caught:
        listen_tcp(["192.0.2.1"], [0])
    assert str(caught.value) == "can't listen on 192.0.2.1:0: Cannot assign requested address"


def test_several_hosts_share_a_port() -> None:
    """Every host listens on the same port, each address once."""
    listeners = listen_tcp(["127.0.0.1", "127.0.0.2", "127.0.0.1"], [0])
    names = [listener.sock.getsockname() for listener in listeners]
    assert [host for host, _ in names] == ["127.0.0.1", "127.0.0.2"]
    assert len({port for _, port in names}) == 1
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["::"], {"::", "0.0.0.0"}),
        (["::", "127.0.0.1"], {"::", "127.0.0.1"}),
        (["::1"], {"::1"}),
    ],
)
def test_all_addresses_are_those_of_ipv4_too(hosts: list[str], expected: set[str]) -> None:
    """The host "::" listens for IPv4, too, unless an address of IPv4 is named."""
    listeners = listen_tcp(hosts, [0])
    names = [listener.sock.getsockname() for listener in listeners]
    assert {name[0] for name in names} == expected
    assert len({name[1] for name in names}) == 1
    if "0.0.0.0" in expected:
        socket.create_connection(("127.0.0.1", names[0][1]), 5).close()
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "256.1.1.1"])
def test_a_host_that_does_not_exist_is_named(host: str) -> None:
    """A wrong host is an error of one line."""
    with pytest.raises(StartupError, match=f"host '{host}'"):
        listen_tcp([host], [0])


def test_a_socket_left_by_a_crash_is_replaced(tmp_path: Path) -> None:
    """A Unix socket that nobody serves is no obstacle; one that is served is, and so is a file."""
    path = str(tmp_path / "logd.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    listener = listen_unix(path, owner=None, group=None, mode=0o600)
    with pytest.raises(StartupError, match="another process serves it"):
        listen_unix(path, owner=None, group=None, mode=0o600)
    listener.close()
    assert not Path(path).exists()
    Path(path).write_text("precious")
    with pytest.raises(StartupError, match="something else is there"):
        listen_unix(path, owner=None, group=None, mode=0o600)
    assert Path(path).read_text() == "precious"


def test_a_link_in_the_place_of_the_socket_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link is something else, wherever it points."""
    target, path = tmp_path / "target.sock", tmp_path / "logd.sock"
    path.symlink_to(target)
    with pytest.raises(StartupError, match="something else is there"):
        listen_unix(str(path), owner=None, group=None, mode=0o600)
    assert not target.exists()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_owner_group_and_mode_of_a_socket(mode: int, tmp_path: Path) -> None:
    """The socket belongs to whom the settings say, whatever the umask is."""
    path = tmp_path / "logd.sock"
    is_root = os.geteuid() == 0
    owner = "daemon" if is_root else pwd.getpwuid(os.geteuid()).pw_name
    group = "mail" if is_root else grp.getgrgid(os.getegid()).gr_name
    before = os.umask(0o077)
    try:
        listener = listen_unix(str(path), owner=owner, group=group, mode=mode)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    state = path.lstat()
    assert stat.S_IMODE(state.st_mode) == mode
    assert (pwd.getpwuid(state.st_uid).pw_name, grp.getgrgid(state.st_gid).gr_name) == (
        owner,
        group,
    )
    listener.close()


def test_an_owner_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """A wrong user is told before anything is made."""
    path = tmp_path / "logd.sock"
    with pytest.raises(StartupError, match=r"no such user or group: .*nobody-here"):
        listen_unix(str(path), owner="nobody-here", group=None, mode=0o600)
    assert not path.exists()


def test_sockets_are_inherited_only_by_their_process() -> None:
    """What the environment says counts where it names this process."""
    assert inherited({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert inherited({}) == []


def test_the_unix_socket_serves_sessions_and_others(tmp_path: Path) -> None:
    """Everything that TCP serves, with the mode set; the file is gone after the stop."""
    path = tmp_path / "logd.sock"
    with running("--socket", path, "--socket-mode", "600", folder=tmp_path) as daemon:
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        with GoodSender(str(path)) as good:
            good.send("session")
        with Peer(str(path)) as peer:
            peer.send(plain("plain")).end()
        log = createClientLog(socket=str(path))
        log("client", sync=60)
        log.close()
        assert daemon.stop() == 0
        assert [word in daemon.log_text() for word in ("session", "plain", "client")] == [True] * 3
        assert not path.exists()


# -- networks -------------------------------------------------------------------------------


def test_only_allowed_networks_get_in(tmp_path: Path) -> None:
    """Others are hung up on before a byte of theirs is read; the Unix socket is not concerned."""
    options = ("--host", "127.0.0.1", "--allow", "127.0.0.2,10.0.0.0/8")
    with running(*options, "--socket", "here", folder=tmp_path) as daemon:
        with Peer(daemon.port) as peer:
            peer.send(plain("not allowed")).wait_closed()
        assert "not in the allow-list" in daemon.wait_line("refused")
        sock = socket.create_connection(("127.0.0.1", daemon.port), source_address=("127.0.0.2", 0))
        with sock:
            sock.sendall(plain("from a good network"))
        with GoodSender(str(tmp_path / "here")) as good:
            good.send("by socket")
        until(lambda: "from a good network" in daemon.log_text(), "written")
        assert daemon.stop() == 0
        assert "not allowed" not in daemon.log_text()


@pytest.mark.parametrize(
    ("options", "is_warned"),
    [
        (("--host", "127.0.0.1"), False),
        (("--host", "0.0.0.0"), True),
        (("--host", "0.0.0.0", "--allow", "10.0.0.0/8"), False),
        (("--host", "0.0.0.0", "--token-file", "token"), False),
    ],
    ids=["loopback", "open to all", "allow-list", "token"],
)
def test_an_open_door_is_warned_of(
    options: tuple[str, ...], is_warned: bool, tmp_path: Path
) -> None:
    """Plain TCP beyond this machine, for everyone, starts with one line that says so."""
    write_token(tmp_path)
    with running(*options, folder=tmp_path) as daemon:
        warnings = [line for line in daemon.lines if " WARNING " in line]
        assert sum("anyone who can reach" in line for line in warnings) == is_warned
        assert any("in plain text" in line for line in warnings) == ("--token-file" in options)
        assert daemon.stop() == 0


# -- token ----------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that wants a token, and tells everything it thinks."""
    write_token(tmp_path)
    options = ("--token-file", "token", "--log-level", "debug", "--socket", "here")
    with running(*options, folder=tmp_path) as daemon:
        yield daemon


@pytest.mark.parametrize(
    "token",
    [None, "", "wrong", TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "\ud800", "\0", "x" * 512],
    ids=repr,
)
def test_a_wrong_token_is_refused(token: str | None, guarded: DaemonProcess) -> None:
    """Anything but the token is refused as such, in one short line that does not show it."""
    with Peer(guarded.port) as peer:
        peer.send(opening(token=token))
        assert peer.wait_refused() == TOKEN_REFUSED
    line = guarded.wait_line("refused: ")
    assert line.endswith("no token" if token is None else "wrong token")
    with GoodSender(guarded.port, token=TOKEN) as good:
        good.send("with the token")
    assert guarded.stop() == 0
    assert "Traceback" not in guarded.output


def test_without_a_token_only_the_unix_socket_serves(guarded: DaemonProcess) -> None:
    """SocketHandler and the reference's clients know no token: over TCP they are hung up on."""
    handler = logging.handlers.SocketHandler("127.0.0.1", guarded.port)
    handler.handle(logging.makeLogRecord({"msg": "standard"}))
    handler.close()
    with Peer(guarded.port) as peer:
        peer.send(plain("plain")).wait_closed()
    with Peer(guarded.port) as peer:
        # A session that comes after a record is too late.
        peer.send(plain("plain"), opening(token=TOKEN)).wait_closed()
    with Peer(str(guarded.folder / "here")) as peer:
        peer.send(plain("by socket")).end()
    assert guarded.stop() == 0
    text = guarded.log_text()
    assert "by socket" in text
    assert "plain" not in text
    assert "standard" not in text


def test_the_token_is_shown_nowhere(guarded: DaemonProcess) -> None:
    """Neither the process list nor any log has the token, whatever is done with it."""
    for token in (TOKEN, TOKEN + "x"):
        with Peer(guarded.port) as peer:
            peer.send(opening(token=token)).answer()
    listing = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    assert "--token-file token" in listing
    assert guarded.stop() == 0
    for text in (listing, guarded.output, guarded.log_text()):
        assert "sesame" not in text


def test_a_token_from_the_environment(tmp_path: Path) -> None:
    """LOGD_TOKEN holds the token itself."""
    with running(folder=tmp_path, environment={"LOGD_TOKEN": TOKEN}) as daemon:
        with GoodSender(daemon.port, token=TOKEN) as good:
            good.send("with the token")
        with Peer(daemon.port) as peer:
            assert peer.send(opening()).wait_refused() == TOKEN_REFUSED
        assert daemon.stop() == 0


def test_who_has_not_shown_the_token_gets_little_room(guarded: DaemonProcess) -> None:
    """Before its opening a stranger may send no more than an opening needs."""
    with Peer(guarded.port) as peer:
        peer.send(plain("x" * 100_000)[:-1])
        peer.wait_closed()
    with GoodSender(guarded.port, token=TOKEN) as good:
        good.send("x" * 100_000)
    assert guarded.stop() == 0
