"""Frames that are not complete: how long they may take, and how much room they may hold."""

from __future__ import annotations

import time
from pathlib import Path

from tests.daemon_process import running
from tests.hostile.attack import (
    MIB,
    Doctor,
    GoodSender,
    Peer,
    crowd,
    dribbling,
    plain,
)


def test_frames_that_take_too_long_are_given_up(tmp_path: Path) -> None:
    """Each byte in time does not help: a frame has to be complete within the time set."""
    with (
        running("--frame-timeout-s", "1", folder=tmp_path) as daemon,
        crowd(100, lambda: Peer(daemon.port)) as slow,
        Peer(daemon.port) as idle,
    ):
        idle.send(plain("idle"))
        with GoodSender(daemon.port) as good:
            with dribbling(slow, plain("x" * 5000)):
                for peer in slow:
                    peer.wait_closed()
            good.send("still here")
            assert idle.is_open()
            idle.close()
        assert daemon.stop() == 0
        told = [line for line in daemon.lines if "frame not complete in time" in line]
        assert len(told) == 1


def test_a_frame_may_be_slow_after_a_complete_one(tmp_path: Path) -> None:
    """The time of a frame begins with its own first byte."""
    with running("--frame-timeout-s", "3", folder=tmp_path) as daemon, Peer(daemon.port) as peer:
        data = plain("dribbled")
        started = time.monotonic()
        peer.send(data[:20])
        for _ in range(3):
            time.sleep(1.2)  # the subject of the test: a peer that takes its time
            peer.send(data[20:] + data[:20])
        assert time.monotonic() - started > 3.5
        peer.send(data[20:]).end()
        assert daemon.stop() == 0
        assert daemon.log_text().count("dribbled") == 4


def test_incomplete_frames_share_a_budget(tmp_path: Path) -> None:
    """Half frames of many peers together stay below the limit; the oldest have to go."""
    options = ("--queue-bytes", "4 MiB", "--connection-queue-bytes", "1 MiB")
    with running(*options, folder=tmp_path) as daemon:
        doctor = Doctor(daemon.pid)
        with GoodSender(daemon.port) as good:
            good.send("before")
            memory = doctor.memory
            half = plain("x" * (MIB - 1000))[:-1]
            with crowd(60, lambda: Peer(daemon.port).send(half)) as peers:
                for peer in peers[:-4]:
                    peer.wait_closed()
                good.send("between")
                assert doctor.memory - memory < 32 * MIB
                assert peers[-1].is_open()
                peers[-1].send(b".").end()
        assert daemon.stop() == 0
        assert "x" * 1000 in daemon.log_text()


def test_small_halves_do_not_keep_large_ones(tmp_path: Path) -> None:
    """However many tiny frames have begun before, large ones stay within the limit together."""
    options = ("--queue-bytes", "4 MiB", "--connection-queue-bytes", "1 MiB")
    with running(*options, folder=tmp_path) as daemon:
        doctor = Doctor(daemon.pid)
        half = plain("x" * (MIB - 1000))[:-1]
        with (
            Peer(daemon.port) as honest,
            crowd(100, lambda: Peer(daemon.port, source="127.0.0.2").send(half[:20])) as tiny,
        ):
            honest.send(half[:100_000])
            memory = doctor.memory
            with crowd(60, lambda: Peer(daemon.port, source="127.0.0.3").send(half)) as large:
                for peer in large[:-4]:
                    peer.wait_closed()
                assert doctor.memory - memory < 16 * MIB
                assert large[-1].is_open()
                # Nobody pays for what a greedier peer holds.
                assert honest.is_open()
                assert all(peer.is_open() for peer in tiny)
        assert daemon.stop() == 0
