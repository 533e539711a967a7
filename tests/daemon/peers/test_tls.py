"""TLS with real certificates, between real daemons and the client library."""

from __future__ import annotations

import datetime
import signal
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import GoodSender, Peer, opening, plain, until

DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates and keeps them as files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def issue(self, name: str, *identities: str, **options: Any) -> tuple[str, str]:
        """Write a certificate and its key; returns the paths."""
        cert = self.ca.issue_cert(*identities, **options)
        paths = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        cert.cert_chain_pems[0].write_to_path(paths[0])
        cert.private_key_pem.write_to_path(paths[1])
        return paths


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path / "authority")


@contextmanager
def serving(
    authority: Authority,
    folder: Path,
    *options: str,
    names: tuple[str, ...] = ("localhost",),
    **issue: Any,
) -> Iterator[tuple[DaemonProcess, int]]:
    """A daemon with a plain and a TLS port; gives it and the TLS port."""
    cert, key = authority.issue("server", *names, **issue)
    tls = ("--tls-port", "0", "--tls-cert", cert, "--tls-key", key)
    with running(*tls, "--log-level", "debug", *options, folder=folder) as daemon:
        address, *_ = [one for one in daemon.addresses if one.endswith(" (TLS)")]
        yield daemon, int(address.removesuffix(" (TLS)").rsplit(":", 1)[1])


class Problems(list[str]):
    """What the client tells people."""

    def handleException(self, e: BaseException) -> None:
        self.append(str(e))

    def first(self) -> str:
        """The first problem, as soon as there is one."""
        until(lambda: bool(self), "a problem is told")
        return self[0]


@contextmanager
def sending(port: int, **options: Any) -> Iterator[tuple[Any, Problems]]:
    """A log over TLS, and its problems."""
    problems = Problems()
    log = createClientLog("localhost", (port,), errorHandler=problems, exit_timeout_s=0, **options)
    try:
        yield log, problems
    finally:
        log.close()


class TlsPeer(Peer):
    """A raw connection over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise

    def certificate(self) -> bytes:
        """What the server showed."""
        assert isinstance(self.sock, ssl.SSLSocket)
        shown = self.sock.getpeercert(binary_form=True)
        assert shown is not None
        return shown


def client_context(authority: Authority) -> ssl.SSLContext:
    """Trusts the authority."""
    return ssl.create_default_context(cafile=authority.file)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_plain_and_encrypted_side_by_side(loop: str, authority: Authority, tmp_path: Path) -> None:
    """Records come over both ports, encrypted ones from a client that checked the certificate."""
    with serving(authority, tmp_path, "--loop", loop) as (daemon, port):
        with sending(port, tls_ca=authority.file) as (log, problems):
            for number in range(20_000):
                log(f"encrypted {number}")
            log("x" * 1_000_000)
            assert log.flush(60)
            assert problems == []
        with Peer(daemon.port) as peer:
            peer.send(plain("in the clear")).end()
        with TlsPeer(port, client_context(authority)) as peer:
            peer.send(plain("without a session"))
        until(lambda: "without a session" in daemon.log_text(), "written")
        assert daemon.stop() == 0
        text = daemon.log_text()
        assert text.count("encrypted ") == 20_000
        assert "in the clear" in text


@pytest.mark.parametrize(
    ("names", "times", "reason"),
    [
        (("loghost.example",), (-1, 1), "Hostname mismatch, certificate is not valid for"),
        (("localhost",), (-2, -1), "certificate has expired"),
        (("localhost",), (1, 2), "certificate is not yet valid"),
    ],
)
def test_wrong_certificates_are_refused_with_the_reason(
    names: tuple[str, ...],
    times: tuple[int, int],
    reason: str,
    authority: Authority,
    tmp_path: Path,
) -> None:
    """The client sends nothing to a server whose certificate is not right, and says why."""
    now = datetime.datetime.now(datetime.UTC)
    validity = {"not_before": now + times[0] * DAY, "not_after": now + times[1] * DAY}
    with serving(authority, tmp_path, names=names, **validity) as (daemon, port):
        with sending(port, tls_ca=authority.file) as (log, problems):
            log("secret")
            text = problems.first()
        assert f"TLS to localhost:{port}: the server's certificate is not accepted" in text
        assert reason in text
        if names != ("localhost",):
            named = {"tls_ca": authority.file, "tls_server_name": names[0]}
            with sending(port, **named) as (log, problems):
                log("told the name", sync=60)
        assert daemon.stop() == 0
        assert "secret" not in daemon.log_text()


def test_unknown_authorities_are_refused(authority: Authority, tmp_path: Path) -> None:
    """Whoever signs for himself gets nothing, unless the client was told not to look."""
    other = Authority(tmp_path / "other")
    with serving(other, tmp_path) as (daemon, port):
        with sending(port, tls_ca=authority.file) as (log, problems):
            log("secret")
            assert "unable to get local issuer certificate" in problems.first()
        with sending(port, tls_verify=False) as (log, _):
            log("careless", sync=60)
        assert "tlsv1 alert unknown ca" in daemon.wait_line("TLS handshake failed")
        assert daemon.stop() == 0
        assert "secret" not in daemon.log_text()


def test_client_certificates_can_be_required(authority: Authority, tmp_path: Path) -> None:
    """Without a certificate of the right authority nobody comes in; the client says what to set."""
    other = Authority(tmp_path / "other")
    mine = authority.issue("client", "app.example")
    foreign = other.issue("client", "app.example")
    options = ("--tls-client-ca", authority.file, "--tls-client-certs", "required")
    with serving(authority, tmp_path, *options) as (daemon, port):
        with sending(port, tls_ca=authority.file) as (log, problems):
            log("without")
            assert "tls_cert" in problems.first()
        settings = {"tls_ca": authority.file, "tls_cert": foreign[0], "tls_key": foreign[1]}
        with sending(port, **settings) as (log, problems):
            log("foreign")
            told = problems.first()
            assert "not accept the client certificate" in told or "does not know the auth" in told
        settings |= {"tls_cert": mine[0], "tls_key": mine[1]}
        with sending(port, **settings) as (log, _):
            log("with", sync=60)
        assert daemon.stop() == 0
        texts = [line.split("\t")[0].rsplit(" ", 1)[1] for line in daemon.log_text().splitlines()]
        assert texts == ["with"]


def test_a_certificate_stands_for_the_token(authority: Authority, tmp_path: Path) -> None:
    """Where certificates are optional, those without one need the token, those with it don't."""
    cert, key = authority.issue("client", "app.example")
    (tmp_path / "token").write_text("sesame\n")
    options = ("--tls-client-ca", authority.file, "--tls-client-certs", "optional")
    with serving(authority, tmp_path, *options, "--token-file", str(tmp_path / "token")) as (
        daemon,
        port,
    ):
        with sending(port, tls_ca=authority.file) as (log, problems):
            log("neither")
            assert "token is missing or wrong" in problems.first()
        with sending(port, tls_ca=authority.file, token="sesame") as (log, _):
            log("by token", sync=60)
        with sending(port, tls_ca=authority.file, tls_cert=cert, tls_key=key) as (log, _):
            log("by certificate", sync=60)
        context = client_context(authority)
        with TlsPeer(port, context) as peer:
            peer.send(plain("plain without")).wait_closed()
        context.load_cert_chain(cert, key)
        with TlsPeer(port, context) as peer:
            peer.send(plain("plain by certificate"))
            until(lambda: "plain by certificate" in daemon.log_text(), "written")
        assert daemon.stop() == 0
        text = daemon.log_text()
        assert "by token" in text
        assert "by certificate" in text
        assert "neither" not in text
        assert "plain without" not in text


def test_old_versions_of_tls_are_refused(authority: Authority, tmp_path: Path) -> None:
    """TLS 1.1 is not spoken; 1.2 is not either where the settings say so."""

    def connect(port: int, version: ssl.TLSVersion) -> str | None:
        context = client_context(authority)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        with TlsPeer(port, context) as peer:
            assert isinstance(peer.sock, ssl.SSLSocket)
            return peer.sock.version()

    with serving(authority, tmp_path) as (daemon, port):
        with pytest.raises(ssl.SSLError):
            connect(port, ssl.TLSVersion.TLSv1_1)
        assert connect(port, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert connect(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert "unsupported protocol" in daemon.wait_line("TLS handshake failed")
        assert daemon.stop() == 0
    with serving(authority, tmp_path, "--tls-min-version", "1.3") as (daemon, port):
        with pytest.raises(ssl.SSLError):
            connect(port, ssl.TLSVersion.TLSv1_2)
        assert connect(port, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        assert daemon.stop() == 0


def test_certificates_are_renewed_without_dropping_anyone(
    authority: Authority, tmp_path: Path
) -> None:
    """After SIGHUP new connections see the new certificate, old ones go on.

    Bad files change nothing.
    """
    with serving(authority, tmp_path) as (daemon, port):
        context = client_context(authority)
        with TlsPeer(port, context) as old, sending(port, tls_ca=authority.file) as (log, _):
            log("before", sync=60)
            assert old.send(opening()).answer() == 0
            cert, _ = authority.issue("server", "localhost")
            daemon.signal(signal.SIGHUP)

            def shown() -> bytes:
                with TlsPeer(port, context) as peer:
                    return peer.certificate()

            until(lambda: shown() != old.certificate(), "the new certificate is shown")
            renewed = shown()
            Path(cert).write_text("no certificate")
            seen = len(daemon.lines)
            daemon.signal(signal.SIGHUP)
            until(
                lambda: any("tls_cert" in line for line in daemon.lines[seen:]),
                "the mistake is told",
            )
            assert shown() == renewed
            log("after", sync=60)
            assert log.server.reconnects == 0
            assert old.is_open()
        assert daemon.stop() == 0
        assert daemon.log_text().count("\n") == 2


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.2p1\r\n", plain("plain"), b"", b"\x16\x03\x01"],
    ids=["HTTP", "SSH", "a plain sender", "nothing", "half a handshake"],
)
def test_strangers_on_the_tls_port_are_a_debug_word(
    data: bytes, loop: str, authority: Authority, tmp_path: Path
) -> None:
    """What does not speak TLS is sent away without a line of note, and without harm."""
    with serving(authority, tmp_path, "--loop", loop) as (daemon, port):
        seen = len(daemon.lines)
        with Peer(port) as peer:
            peer.send(data)
            if data:
                peer.sock.shutdown(socket.SHUT_WR)
                while peer.sock.recv(4096):
                    pass
        daemon.wait_line("refused: TLS handshake failed")
        assert [line for line in daemon.lines[seen:] if " DEBUG " not in line] == []
        with sending(port, tls_ca=authority.file) as (log, _):
            log("good", sync=60)
        assert daemon.stop() == 0


def test_slow_handshakes_disturb_nobody(authority: Authority, tmp_path: Path) -> None:
    """Peers that never finish their handshake count as connections, and a stop does not wait."""
    with serving(authority, tmp_path, "--max-connections", "100") as (daemon, port):
        peers = [Peer(port).send(b"\x16\x03\x01") for _ in range(99)]
        with GoodSender(daemon.port) as good:
            good.send("good")
            with Peer(daemon.port) as surplus:
                surplus.wait_closed()
        assert daemon.stop(10) == 0
        for peer in peers:
            peer.close()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_cut_connection_ends_as_any_other(
    loop: str, authority: Authority, tmp_path: Path
) -> None:
    """A reset in the midst of TLS leaves no traceback in the daemon's log."""
    with serving(authority, tmp_path, "--loop", loop) as (daemon, port):
        context = client_context(authority)
        threads = []
        for cut in (b"", plain("half")[:-1], plain("whole")):
            peer = TlsPeer(port, context)
            peer.send(cut)
            raw = socket.socket(fileno=peer.sock.detach())
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            threads.append(threading.Thread(target=raw.close))
            threads[-1].start()
        for thread in threads:
            thread.join()
        until(lambda: daemon.output.count("closed after") >= 3, "closed")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.output
        assert not [line for line in daemon.lines if " ERROR " in line]
