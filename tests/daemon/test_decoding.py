"""Frames that can't be decoded cost themselves only; what is hostile costs the connection."""

from __future__ import annotations

import logging
import logging.handlers
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from logd.daemon.peers.badframes import MAX_BAD_FRAMES
from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import MIB, Doctor, Peer, frame, opening, plain

BAD = frame(b"\x80\x04}\x94\xff.")
RUNS = frame(pickle.dumps(print, 1)[:-1] + b"(X\x02\x00\x00\x00hitR.")


def record(**attributes: object) -> bytes:
    """A frame of `SocketHandler`."""
    made = logging.makeLogRecord({"name": "app", "levelno": 40, **attributes})
    return logging.handlers.SocketHandler("localhost", 1).makePickle(made)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon that tells everything it thinks."""
    with running("--log-level", "debug", folder=tmp_path) as process:
        yield process


def messages(daemon: DaemonProcess) -> list[str]:
    """The text of each entry, once the daemon has written all."""
    assert daemon.stop() == 0
    lines = [line for line in daemon.log_text().splitlines() if line[0] != " "]
    return [line.split("\t")[0].split(" ", 3)[-1] for line in lines]


def test_a_bad_frame_is_dropped_alone(daemon: DaemonProcess) -> None:
    """The records around bad frames are written; one entry of the log tells of them, with why."""
    with Peer(daemon.port) as peer:
        peer.send(record(msg="first"), BAD, record(msg="second"), BAD, plain("third"))
        peer.send(record(msg="fourth"))
        daemon.wait_line(r"frame dropped: not a pickle: no opcode 0xff")
        peer.end()
    got = messages(daemon)
    told = [one for one in got if "dropped" in one]
    assert [one for one in got if one not in told] == ["first", "second", "third", "fourth"]
    assert len(told) == 1
    assert re.fullmatch(
        r"a frame from 127\.0\.0\.1:\d+ was dropped: not a pickle: no opcode 0xff", told[0]
    )


def test_a_flood_of_bad_frames_ends_its_connection(daemon: DaemonProcess) -> None:
    """More bad frames than an honest sender has close the connection, with the good ones kept."""
    with Peer(daemon.port) as peer:
        peer.send(record(msg="before"), BAD * (MAX_BAD_FRAMES + 1), record(msg="behind"))
        peer.wait_closed()
        daemon.wait_line(f"refused: more than {MAX_BAD_FRAMES} bad frames, the last: not a pickle")
    assert [one for one in messages(daemon) if "dropped" not in one] == ["before"]


def test_a_call_in_the_place_of_a_record_ends_its_connection(daemon: DaemonProcess) -> None:
    """What would run code is no record of an honest sender."""
    with Peer(daemon.port) as peer:
        peer.send(record(msg="before"), RUNS, record(msg="behind"))
        peer.wait_closed()
        daemon.wait_line(r"refused: record expected, got Made")
    assert messages(daemon) == ["before"]


def test_a_record_that_is_too_long_is_skipped(daemon: DaemonProcess) -> None:
    """Its beginning stands in its place with a word; the connection and the memory stay."""
    doctor = Doctor(daemon.pid)
    long = record(msg="long " + "x" * 20 * MIB, levelno=50)
    with Peer(daemon.port) as peer:
        peer.send(record(msg="warm up"))
        daemon.wait_line("ready")
        doctor.forget_peak()
        memory = doctor.memory
        peer.send(long, record(msg="behind"))
        peer.send(record(msg="short", blob="y" * 2 * MIB), record(msg="last"))
        peer.end()
    assert doctor.peak - memory < 8 * MIB
    assert daemon.stop() == 0
    text = daemon.log_text()
    assert re.search(r"long x{60000,66000}\t", text)
    size = len(long) - 4
    assert f"[... frame of {size} bytes, at most {MIB} allowed: skipped the rest]" in text
    assert f"frame_bytes={size}" in text
    order = [text.index(word) for word in ("warm up", "long x", "behind", "short", "last")]
    assert order == sorted(order)


def test_a_session_is_refused_a_frame_that_is_too_long(daemon: DaemonProcess) -> None:
    """Clients of ours never send one: its numbers would have a gap."""
    with Peer(daemon.port) as peer:
        peer.send(opening(os.urandom(16)))
        assert peer.answer() == 0
        peer.send(record(msg="x" * 2 * MIB))
        assert peer.wait_refused() == 4


def test_a_stranger_gets_no_record_skipped(tmp_path: Path) -> None:
    """Who has to show a token is hung up on within the first long frame."""
    token = tmp_path / "token"
    token.write_text("sesame-open-the-door")
    token.chmod(0o600)
    with (
        running("--token-file", token, folder=tmp_path) as daemon,
        Peer(daemon.port) as peer,
    ):
        peer.send(record(msg="x" * 2 * MIB)[:MIB])
        peer.wait_closed()
        assert daemon.stop() == 0
        assert "xxx" not in daemon.log_text()
