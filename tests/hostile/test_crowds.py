"""Many peers, slow peers, greedy peers: beside them a good sender hardly notices."""

from __future__ import annotations

import os
import pickle
import resource
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from logd.query.controlclient import ControlClient
from logd_client import createClientLog
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import (
    MIB,
    WAIT_S,
    Doctor,
    GoodSender,
    Peer,
    batch,
    crowd,
    dribbling,
    frame,
    opening,
    plain,
    until,
)

RECORDS = 30_000


def send_good(port: int, records: int = RECORDS) -> None:
    """Be a good sender: returns once all records are acknowledged."""
    log = createClientLog("127.0.0.1", (port,), block_timeout_s=60.0)
    for _ in range(records):
        log("a good record", "I")
    assert log.close(60)


def cost(daemon: DaemonProcess, doctor: Doctor) -> float:
    """Seconds of processor time that a good sender costs the daemon, with what goes on beside."""
    before = doctor.cpu_s
    send_good(daemon.port)
    return doctor.cpu_s - before


def test_idle_and_slow_peers_hardly_slow_a_good_sender(tmp_path: Path) -> None:
    """2,000 idle and 500 dribbling connections cost little time and memory beside a good sender."""
    with running("--frame-timeout-s", "60", folder=tmp_path) as daemon:
        doctor = Doctor(daemon.pid)
        alone = min(cost(daemon, doctor) for _ in range(3))
        memory = doctor.memory

        def idle() -> Peer:
            return Peer(daemon.port).send(plain("idle from now on"))

        with crowd(2000, idle) as idlers, crowd(500, lambda: Peer(daemon.port)) as slow:
            with dribbling(slow, plain("x" * 5000)) as sent:
                beside = sum(cost(daemon, doctor) for _ in range(3)) / 3
            dribbled = sum(sent) / 3
            assert all(peer.is_open() for peer in [*idlers, *slow])
            assert doctor.memory - memory < 2500 * 15_000 + 16 * MIB
        # What 500 peers dribble is read, of course, a byte at a time: each costs as much as about
        # 70 records of the good sender. If it depended on their number it would be thousands.
        record_s = alone / RECORDS
        assert beside < 3 * alone + 500 * record_s * dribbled, (
            f"{beside:.2f} s of processor time, {alone:.2f} s alone, {dribbled:.0f} bytes dribbled"
        )
        assert daemon.stop() == 0


@pytest.mark.parametrize("first", [b"", plain("no token"), plain("half")[:30]])
def test_silent_strangers_do_not_keep_their_places(first: bytes, tmp_path: Path) -> None:
    """Without a good first frame a connection is closed in time, whether or not it says a thing."""
    with running(
        "--first-frame-timeout-s",
        "1",
        folder=tmp_path,
        environment={"LOGD_TOKEN": "a token that is long enough"},
    ) as daemon:
        with (
            Peer(daemon.port) as good,
            crowd(3, lambda: Peer(daemon.port).send(first)) as strangers,
        ):
            assert good.send(opening(token="a token that is long enough")).answer() == 0
            for peer in strangers:
                peer.wait_closed()
            # One that said what it came for may be quiet for as long as it likes.
            good.send(batch("later")).wait_acked(1)
        assert daemon.stop() == 0


def test_silent_connections_go_first(tmp_path: Path) -> None:
    """If places run short, a connection that says nothing makes room for the next one."""
    options = ("--max-connections", "10", "--first-frame-timeout-s", "0")
    with running(*options, folder=tmp_path) as daemon:
        with (
            Peer(daemon.port) as good,
            Peer(daemon.port) as slow,
            crowd(8, lambda: Peer(daemon.port, source="127.0.0.2")) as silent,
        ):
            assert good.send(opening(os.urandom(16))).answer() == 0

            def comes_in() -> bool:
                late.append(Peer(daemon.port).send(opening(os.urandom(16))))
                return late[-1].answer() == 0

            late: list[Peer] = []
            for _ in silent[:-1]:
                until(comes_in, "a place for one that speaks")
            for peer in silent[:-1]:
                peer.wait_closed()
            # The crowd's own went first, not the one that came before it.
            assert slow.send(opening(os.urandom(16))).answer() == 0
            until(comes_in, "the last one's place")
            silent[-1].wait_closed()
            with Peer(daemon.port) as surplus:
                surplus.wait_closed()
            good.send(batch("still here")).wait_acked(1)
            for peer in late:
                peer.close()
        assert daemon.stop() == 0
        assert "over 10 connections in all" in daemon.output


def test_silent_peers_are_closed_where_that_is_set(tmp_path: Path) -> None:
    """A connection that is idle for longer than the limit is closed, a busy one is not."""
    with running("--idle-timeout-s", "3", folder=tmp_path) as daemon:
        with (
            GoodSender(daemon.port) as good,
            Peer(daemon.port) as idle,
            Peer(daemon.port) as never,
        ):
            idle.send(plain("idle"))
            closed = threading.Event()

            def wait() -> None:
                idle.wait_closed()
                never.wait_closed()
                closed.set()

            threading.Thread(target=wait, daemon=True).start()
            until(lambda: good.send("busy") or closed.is_set(), "idle peers closed")
        assert daemon.stop() == 0
        assert "idle" in daemon.log_text()


def test_connections_are_limited_in_all_and_for_a_peer(tmp_path: Path) -> None:
    """One too many is closed at once; when another goes there is room again."""
    options = ("--max-connections", "20", "--max-connections-per-peer", "5")
    with running(*options, "--socket", "here", folder=tmp_path) as daemon:
        with crowd(5, lambda: Peer(daemon.port)) as peers:
            for peer in peers:
                peer.send(opening(os.urandom(16)))
                assert peer.answer() == 0
            with Peer(daemon.port) as surplus:
                surplus.wait_closed()
            with Peer(str(tmp_path / "here")) as other:
                # Whoever comes over the Unix socket is another peer.
                assert other.send(opening()).answer() == 0
            peers[0].close()

            def comes_in() -> bool:
                with Peer(daemon.port) as late:
                    return late.send(opening(os.urandom(16))).answer() == 0

            until(comes_in, "room for another")
        assert "over 5 connections of one peer" in daemon.wait_line("over 5")
        assert daemon.stop() == 0
    with running("--max-connections", "3", folder=tmp_path) as daemon:
        with crowd(3, lambda: Peer(daemon.port).send(opening(os.urandom(16)))) as peers:
            assert [peer.answer() for peer in peers] == [0] * 3
            with Peer(daemon.port) as surplus:
                surplus.wait_closed()
        assert daemon.stop() == 0


def test_a_greedy_sender_does_not_starve_others(tmp_path: Path) -> None:
    """While some send all they can, one that says little does not wait behind all of it."""
    with (
        running("--rotate-lines", "100000", folder=tmp_path) as daemon,
        ControlClient([tmp_path / "logs/.logd-state/control.sock"], WAIT_S) as control,
    ):

        def written() -> int:
            number = control.ask({"do": "status"})["outputs"][0]["written"]
            assert isinstance(number, int)
            return number

        flood = plain("greedy " * 20) * 1000
        stop = threading.Event()

        def send(peer: Peer) -> None:
            while not stop.is_set():
                peer.send(flood)

        with crowd(4, lambda: Peer(daemon.port)) as greedy:
            threads = [threading.Thread(target=send, args=(peer,)) for peer in greedy]
            for thread in threads:
                thread.start()
            with GoodSender(daemon.port) as good:
                good.send("the first")
                before_it = []
                for number in range(6):
                    before = written()
                    good.send(f"modest {number}")
                    before_it.append(written() - before)
                stop.set()
                for thread in threads:
                    thread.join()
        # The queue holds 64 MiB by default: a record behind all of it has all these before it.
        records_that_fit = 64 * MIB // len(flood) * 1000
        assert min(before_it) < records_that_fit / 2
        assert daemon.stop() == 0


def test_a_session_that_reads_no_acks_costs_little(tmp_path: Path) -> None:
    """What it is told is small and waits in the kernel; its records are in the log."""
    with (
        running("--sync", "none", folder=tmp_path) as daemon,
        Peer(daemon.port) as peer,
        GoodSender(daemon.port) as good,
    ):
        doctor = Doctor(daemon.pid)
        good.send("before")
        memory = doctor.memory
        peer.send(opening())
        for number in range(1, 20_001):
            peer.send(batch("unread", number))
        good.send("after")
        assert doctor.memory - memory < 48 * MIB
        peer.wait_acked(20_000)
        assert daemon.stop() == 0
        assert daemon.log_text().count("unread") == 20_000


def test_sessions_under_random_names_are_bounded(tmp_path: Path) -> None:
    """What is remembered of sessions stops growing, whatever ids a peer makes up."""
    with running("--sync", "none", folder=tmp_path) as daemon:
        doctor = Doctor(daemon.pid)
        with GoodSender(daemon.port) as good:
            good.send("before")

            def flood(count: int) -> None:
                for start in range(0, count, 500):
                    with crowd(min(500, count - start), lambda: Peer(daemon.port)) as peers:
                        for peer in peers:
                            peer.send(opening(os.urandom(16)), batch("once"))
                        for peer in peers:
                            peer.wait_acked(1)

            flood(2000)
            memory = doctor.memory
            flood(10_000)
            # An id is known in four places; less than 1.5 kB means that no connection stays.
            assert doctor.memory - memory < 10_000 * 1500 + 4 * MIB
            good.send("after")
        assert daemon.stop() == 0


def test_a_fast_peer_is_slowed_down_and_loses_nothing(tmp_path: Path) -> None:
    """Over its rate a peer is read more slowly; everything arrives, and a stop does not wait."""
    # Little is read at a time, so that what was read before it was counted is little.
    sizes = ("--max-frame-bytes", "4 KiB", "--connection-queue-bytes", "16 KiB")
    with running("--peer-records-per-s", "100", *sizes, folder=tmp_path) as daemon:
        with Peer(daemon.port) as peer:
            started = time.monotonic()
            peer.send(plain("fast") * 300)
            peer.end()
            # The first hundred are free.
            assert time.monotonic() - started > 1.5
            with Peer(daemon.port) as other:
                other.send(plain("fast") * 5000)
        started = time.monotonic()
        assert daemon.stop() == 0
        # At their rate it would be 50 seconds.
        assert time.monotonic() - started < 30
        assert daemon.log_text().count("fast") == 5300


def test_lack_of_descriptors_harms_nobody_who_is_connected(tmp_path: Path) -> None:
    """Without a descriptor left accepting waits; then those who waited are served."""
    with running(folder=tmp_path) as daemon, GoodSender(daemon.port) as good:
        good.send("before")
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        none_left = Doctor(daemon.pid).descriptors
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (none_left, hard))
        with crowd(30, lambda: Peer(daemon.port).send(opening(os.urandom(16)))) as peers:
            daemon.wait_line(
                "new connections on .* wait: (Too many open files|no descriptors to spare)"
            )
            # It may have no descriptor for its own work either; nothing is lost by that.
            good.peer.send(batch("meanwhile", 2))
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard, hard))
            good.peer.wait_acked(2)
            assert [peer.answer() for peer in peers] == [0] * 30
        assert daemon.stop() == 0
        assert daemon.log_text().count("meanwhile") == 1
        assert not [line for line in daemon.lines if "Traceback" in line]


def test_descriptors_are_kept_for_the_log_itself(tmp_path: Path) -> None:
    """However many connect, the next file of the log can be opened."""
    with running("--rotate-lines", "10", folder=tmp_path) as daemon:
        with GoodSender(daemon.port) as good:
            good.send("before")
            _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (100, hard))
            with crowd(100, lambda: Peer(daemon.port).send(opening(os.urandom(16)))):
                daemon.wait_line("new connections on .* wait: no descriptors to spare")
                for number in range(50):
                    good.send(f"meanwhile {number}")
        assert daemon.stop() == 0
        assert len(list((tmp_path / "logs").glob("logd_*.log"))) == 6
        assert not [line for line in daemon.lines if "unavailable" in line]


def fill(peer: Peer, data: Iterable[bytes]) -> None:
    """Send until the daemon reads no more."""
    for piece in data:
        try:
            peer.sock.sendall(piece)
        except TimeoutError:
            return
    raise AssertionError("the daemon never stopped to read")


def test_tiny_frames_and_items_weigh_what_they_weigh(tmp_path: Path) -> None:
    """Floods of what is small on the wire and large in memory stop at the queue's limit too."""
    pipe = tmp_path / "stuck"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    process = DaemonProcess(
        "--stdout",
        *("--queue-bytes", "32 MiB", "--connection-queue-bytes", "32 MiB"),
        # Else the flood goes on to the disk, and the queue in memory never fills.
        *("--queue-disk-bytes", "0"),
        folder=tmp_path,
        stdout=writer,
    )
    os.close(writer)
    try:
        daemon = process.wait_ready()
        doctor = Doctor(daemon.pid)
        memory = doctor.memory
        rows = 8000
        items = tuple((number, "k", number) for number in range(rows))
        heavy = (((1, 2, "t", "E", (), 0, "f"),), b"", 1, bytes(8 * rows), "\0" * (rows - 1), items)
        with Peer(daemon.port) as tiny, Peer(daemon.port) as items_peer:
            tiny.sock.settimeout(3.0)
            items_peer.sock.settimeout(3.0)
            items_peer.send(opening())
            assert items_peer.answer() == 0
            fill(
                items_peer,
                (
                    frame(pickle.dumps(("batch", number * rows + 1, rows, *heavy), 4))
                    for number in range(1000)
                ),
            )
            fill(tiny, (frame(b'"ping"') * 100_000 for _ in range(1000)))
            # The queue four times over, and two portions on their way.
            assert doctor.memory - memory < 300 * MIB
    finally:
        os.close(reader)
        process.kill()


def test_the_daemon_raises_its_limit_of_descriptors(tmp_path: Path) -> None:
    """Most processes start with 1024; the daemon takes what the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with running(folder=tmp_path) as daemon:
            assert resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            assert daemon.stop() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
