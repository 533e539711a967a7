"""What a stop still reads, what it no longer does, and whom it does not wait for."""

from __future__ import annotations

import errno
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.peers.test_tls import Authority, TlsPeer, client_context, serving
from tests.daemon_process import DaemonProcess
from tests.hostile.attack import Peer, batch, opening, plain, until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path / "authority")


@contextmanager
def writing_to_a_pipe(authority: Authority, folder: Path, loop: str) -> Iterator[DaemonProcess]:
    """A daemon with a TLS port and a small queue, whose standard output the test reads."""
    cert, key = authority.issue("server", "localhost")
    tls = ("--tls-port", "0", "--tls-cert", cert, "--tls-key", key)
    queue = ("--connection-queue-bytes", "64 KiB", "--max-frame-bytes", "16 KiB")
    options = ("--stdout", "--loop", loop, *tls, *queue)
    daemon = DaemonProcess(*options, folder=folder, stdout=subprocess.PIPE)
    try:
        yield daemon.wait_ready()
    finally:
        if daemon.process.poll() is None:
            daemon.kill()


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_tls_has_taken_from_the_kernel_is_written(
    loop: str, authority: Authority, tmp_path: Path
) -> None:
    """Records wait decrypted behind a full queue, where the kernel no longer knows of them."""
    with writing_to_a_pipe(authority, tmp_path, loop) as daemon:
        address, *_ = [one for one in daemon.addresses if one.endswith(" (TLS)")]
        port = int(address.removesuffix(" (TLS)").rsplit(":", 1)[1])
        with TlsPeer(port, client_context(authority)) as peer:
            for number in range(600):
                peer.send(plain(f"record {number} " + "x" * 400))
            daemon.wait_line("stdout is unavailable")
            daemon.signal(signal.SIGTERM)
            daemon.wait_line("draining")
            assert daemon.process.stdout is not None
            with daemon.process.stdout as reader:
                text = reader.read()
        assert daemon.wait() == 0, daemon.output
        assert re.findall(r"record (\d+) ", text) == [str(number) for number in range(600)]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_peer_that_ignores_the_farewell_holds_nobody_up(
    loop: str, authority: Authority, tmp_path: Path
) -> None:
    """TLS peers are to answer when a connection is closed; one that does not is cut off."""
    with (
        serving(authority, tmp_path, "--loop", loop) as (daemon, port),
        TlsPeer(port, client_context(authority)) as peer,
    ):
        peer.send(plain("hello"))
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.output
        drained = re.search(r"drained in ([0-9.]+) s", daemon.wait_line("drained in"))
        assert drained is not None
        # By then all is over, whoever was waited for: the default of drain_s is 30.
        assert float(drained[1]) < 25
        assert "hello" in daemon.log_text()


def is_refused(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_session_opened_during_a_stop_is_not_read(authority: Authority, tmp_path: Path) -> None:
    """Its client keeps what it has and sends it to the next daemon; reading it might never end."""
    with (
        serving(authority, tmp_path) as (daemon, tls_port),
        Peer(daemon.port) as late,
        Peer(daemon.port) as slow,
    ):
        # Both have begun a frame, which is waited for a moment.
        late.send(opening()[:20])
        slow.send(plain("cut off")[:20])
        with Peer(daemon.port) as third:
            third.send(plain("first")).end()
        daemon.signal(signal.SIGTERM)
        until(lambda: is_refused(daemon.port) and is_refused(tls_port), "no more is accepted")
        late.send(opening()[20:])
        assert late.answer() == 0
        late.send(batch("not now"))
        assert late.answer() is None
        assert daemon.wait() == 0, daemon.output
        assert "not now" not in daemon.log_text()
