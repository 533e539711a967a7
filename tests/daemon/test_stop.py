"""Stops, restarts and failed starts of the real daemon."""

from __future__ import annotations

import contextlib
import pickle
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import Connect
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import until


def frames(sender: int, count: int) -> bytes:
    """Records that say which sender and which of its records they are."""
    records = [
        (
            number,
            sender,
            1,
            "t",
            1700000000.0,
            f"sender {sender} record {number} ",
            "I",
            (),
            0,
            "",
            {},
        )
        for number in range(count)
    ]
    payloads = [pickle.dumps(record, 2) for record in records]
    return b"".join(struct.pack(">L", len(payload)) + payload for payload in payloads)


def written(daemon: DaemonProcess) -> list[tuple[int, int]]:
    """(sender, record) of every entry, in the order of the log."""
    found = []
    for line in daemon.log_text().splitlines():
        words = line.split("\t")[0].split(" ")
        with contextlib.suppress(ValueError):
            at = words.index("sender")
            found.append((int(words[at + 1]), int(words[at + 3])))
    return found


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_senders_that_hung_up_before_the_stop_lose_nothing(loop: str, tmp_path: Path) -> None:
    """1,000 senders write and hang up just before SIGTERM; all they wrote is in the log."""
    with running("--loop", loop, folder=tmp_path) as daemon:
        for sender in range(1000):
            with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
                sock.sendall(frames(sender, 3))
        assert daemon.stop() == 0, daemon.output
        assert sorted(written(daemon)) == [(s, r) for s in range(1000) for r in range(3)]


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_kernels_hold_of_a_sender_is_not_lost(
    loop: str, hangs_up: bool, tmp_path: Path
) -> None:
    """Megabytes that a sender was told are sent, but that wait in its own kernel for room."""
    one = len(frames(1, 1))
    waiting = memoryview(frames(1, 1) * 200_000)
    with running("--loop", loop, folder=tmp_path) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.sendall(waiting[:one])
            until(lambda: bool(daemon.log_text()), "the sender is served")
            daemon.signal(signal.SIGSTOP)
            sock.setblocking(False)
            sent = one
            with contextlib.suppress(BlockingIOError):
                while True:
                    sent += sock.send(waiting[sent:])
            if hangs_up:
                sock.close()
            daemon.signal(signal.SIGTERM)
            daemon.signal(signal.SIGCONT)
            assert daemon.wait() == 0, daemon.output
        assert sent > 1_000_000
        assert len(daemon.log_text().splitlines()) == sent // one


def test_connections_the_daemon_had_not_accepted_yet_are_served(tmp_path: Path) -> None:
    """What waits in the kernel's queue when the stop comes is accepted, read and written."""
    with running(folder=tmp_path) as daemon:
        daemon.signal(signal.SIGSTOP)
        socks = []
        for sender in range(200):
            sock = socket.create_connection(("127.0.0.1", daemon.port))
            sock.sendall(frames(sender, 50))
            socks.append(sock)
        for sock in socks[::2]:
            sock.close()
        daemon.signal(signal.SIGTERM)
        daemon.signal(signal.SIGCONT)
        assert daemon.wait() == 0, daemon.output
        for sock in socks:
            sock.close()
        assert sorted(written(daemon)) == [(s, r) for s in range(200) for r in range(50)]


def test_a_sender_that_never_pauses_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    """A stop ends in its time although a sender without acks goes on and on."""
    with running("--drain-s", "5", folder=tmp_path) as daemon:
        data = frames(1, 1000)
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:

            def go_on() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        sock.sendall(data)

            sender = threading.Thread(target=go_on)
            sender.start()
            daemon.wait_line("ready")
            assert daemon.stop(timeout=60) == 0, daemon.output
            sender.join(60)
        assert not sender.is_alive()


def test_both_signals_drain(tmp_path: Path, connect: Connect) -> None:
    """Ctrl-C ends the daemon as gracefully as SIGTERM does."""
    with running(folder=tmp_path) as daemon:
        log = connect(daemon.port)
        log("before the signal")
        assert log.close(60)
        daemon.signal(signal.SIGINT)
        assert daemon.wait() == 0
        assert "before the signal" in daemon.log_text()


def test_a_second_signal_stops_at_once_and_says_what_is_left(tmp_path: Path) -> None:
    """While a sender's cut frame is waited for, a second signal ends the daemon with status 1."""
    with running("--drain-s", "30", folder=tmp_path) as daemon:
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.sendall(frames(1, 1)[:-5])
            daemon.signal(signal.SIGTERM)
            daemon.wait_line("draining")
            daemon.signal(signal.SIGTERM)
            assert daemon.wait() == 1
        daemon.wait_line(r"second signal .*stopping at once: .* not written")


def test_a_restart_goes_on_where_the_ring_stood(tmp_path: Path) -> None:
    """Files of earlier runs stay; line counts go on: five a file, whatever restarts."""
    for run in range(4):
        with running("--rotate-lines", "5", "--rotate-count", "10", folder=tmp_path) as daemon:
            with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
                sock.sendall(frames(run, 3))
            assert daemon.stop() == 0
    files = sorted((tmp_path / "logs").glob("logd_*.log"))
    assert [len(path.read_text().splitlines()) for path in files] == [5, 5, 2]
    assert written(daemon) == [(run, record) for run in range(4) for record in range(3)]


def test_after_kill_9_nothing_acknowledged_is_lost_or_twice(
    tmp_path: Path, connect: Connect, free_port: Callable[[], int]
) -> None:
    """A client goes on over kill -9 and restart; its records are in the log once, in order."""
    port = free_port()
    with running(folder=tmp_path, port=port) as daemon:
        log = connect(port)
        for number in range(2000):
            log(f"sender 1 record {number} ")
        daemon.kill()
    for number in range(2000, 4000):
        log(f"sender 1 record {number} ")
    again = DaemonProcess(folder=tmp_path, port=port)
    try:
        again.wait_ready()
        assert log.close(60)
        assert again.stop() == 0
        assert written(again) == [(1, number) for number in range(4000)]
    finally:
        if again.process.poll() is None:
            again.kill()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--file", "/proc/nowhere/log_%d"), r"/proc/nowhere"),
        (
            ("--db", "postgresql+psycopg://nobody@127.0.0.1:1/none", "--queue-disk-bytes", "0"),
            r"127\.0\.0\.1",
        ),
        (("--db", "postgresql+psycopg://root@127.0.0.1/nosuchdatabase"), r"nosuchdatabase"),
        (("--db", "nosuchdb://x/y"), r"nosuchdb"),
        (("--filter", "no.such.module:thing"), r"no\.such|there is no module"),
        (("--file", "log_%d_%d"), r"log_%d_%d"),
        (("--host", "no.such.host.invalid"), r"no\.such\.host"),
    ],
)
def test_a_failed_start_is_one_line(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """A start that can't be says what and where in one line and ends with a non-zero status."""
    daemon = DaemonProcess(*options, folder=tmp_path)
    assert daemon.wait() != 0
    assert len(daemon.lines) == 1, daemon.output
    daemon.wait_line(said)


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """Where the port is taken the line names it; where others are given, the next is used."""
    (tmp_path / "b").mkdir()
    with running(folder=tmp_path) as daemon:
        second = DaemonProcess("--port", str(daemon.port), folder=tmp_path / "b", port=None)
        assert second.wait() != 0
        assert len(second.lines) == 1, second.output
        second.wait_line(rf"{daemon.port}.*already in use")
        with running(
            "--port", str(daemon.port), "--port", "0", folder=tmp_path / "b", port=None
        ) as third:
            assert third.port not in (0, daemon.port)


def test_two_daemons_never_share_a_file(tmp_path: Path) -> None:
    """A second daemon on the same files refuses to start."""
    with running(folder=tmp_path) as daemon:
        second = DaemonProcess(folder=tmp_path)
        assert second.wait() != 0
        assert len(second.lines) == 1, second.output
        second.wait_line(rf"{daemon.pid}|in use")
