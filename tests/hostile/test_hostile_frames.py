"""Every row of the table of hostile frames against a living daemon, and other protocols too."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon_process import DaemonProcess, running
from tests.hostile.attack import (
    MIB,
    Doctor,
    GoodSender,
    Peer,
    frame,
    opening,
    plain,
    unit_of_work_s,
)
from tests.wire.hostile import HOSTILE, STRANGERS, Hostile

MAX_BYTES = 64 * MIB
# The documented limit, and how far a test may tell: see `tests/wire/test_hostile.py`.
MAX_SECONDS = 0.1
MARGIN = 3
# What `unit_of_work_s` takes on the machine that MAX_SECONDS is meant for, idle.
UNIT_S = 0.025
TRIES = 4

TOLD = re.compile(r" logd\.daemon\.peers\.\w+: .*(refused|frame dropped): ")
CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class Cost:
    """What one frame cost the daemon: peak of memory above before, processor time."""

    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor
        doctor.forget_peak()
        self._memory = doctor.memory
        self._cpu_s = doctor.cpu_s

    def read(self) -> tuple[int, float]:
        """Bytes and seconds since this was made."""
        return self._doctor.peak - self._memory, self._doctor.cpu_s - self._cpu_s


def attack(daemon: DaemonProcess, row: Hostile, kind: str) -> int | None:
    """Send a row as the first frame or within a session; returns how a session was refused."""
    with Peer(daemon.port) as peer:
        if kind == "plain":
            peer.send(frame(row.payload)).end()
            return None
        peer.send(opening(os.urandom(16)))
        assert peer.answer() == 0
        if not row.payload:
            return 4  # a keep-alive
        peer.send(frame(row.payload))
        answer = peer.answer()
        return None if answer is None or answer < 1 << 63 else answer - (1 << 63)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("kind", ["plain", "session"])
def test_no_frame_harms_the_daemon(kind: str, loop: str, tmp_path: Path) -> None:
    """Each row is refused or taken; the daemon lives, at 64 MiB and about 100 ms for a frame."""
    rows = HOSTILE if loop == "uvloop" else HOSTILE[:: len(HOSTILE) // 50]
    dear: list[str] = []
    may_be_late = False
    with (
        running("--loop", loop, "--log-level", "debug", folder=tmp_path) as daemon,
        GoodSender(daemon.port) as good,
    ):
        doctor = Doctor(daemon.pid)
        good.send("first")
        log = tmp_path / "logs/logd_0.log"
        for row in rows:
            memory, seconds = 0, math.inf
            for number in range(TRIES):
                # The first try is judged as if the machine were idle: few rows need a second one.
                unit_s = unit_of_work_s() if number else UNIT_S
                cost = Cost(doctor)
                size = log.stat().st_size
                code = attack(daemon, row, kind)
                good.send("alive")
                memory, once_s = cost.read()
                if number:
                    unit_s = max(unit_s, unit_of_work_s())
                seconds = min(seconds, once_s / max(1.0, unit_s / UNIT_S))
                if memory <= MAX_BYTES and seconds <= MAX_SECONDS:
                    break
            if memory > MAX_BYTES or seconds > MAX_SECONDS * MARGIN:
                dear.append(f"{row.name}: {memory / MIB:.0f} MiB, {seconds * 1000:.0f} ms")
            with log.open("rb") as file:
                file.seek(size)
                written = file.read().decode()
            if row.is_refused:
                lines = [one for one in written.splitlines() if " was dropped: " not in one]
                entries = [line.split("\t")[0][-7:] for line in lines]
                # What the row before sent without a session may be written only now.
                assert entries.count("7 alive") == 1, f"{row.name}: {entries[:3]}"
                assert len(entries) <= 1 + may_be_late, f"{row.name}: {entries[:3]}"
                assert kind == "plain" or code == 4, f"{row.name}: answered with {code}"
            may_be_late = kind == "plain" and not row.is_refused
            assert not CONTROL.search(written), row.name
            assert all(line.count("\t") == 5 for line in written.splitlines() if line[0] != " ")
        assert dear == []
        assert daemon.process.poll() is None
        assert daemon.stop() == 0
        assert not [line for line in daemon.lines if " ERROR " in line or "Traceback" in line]
        assert not CONTROL.search(daemon.output)
        told = [line for line in daemon.lines if TOLD.search(line)]
        assert len(told) >= len([row for row in rows if row.is_refused and row.payload])
        assert max(map(len, told)) < 300
        # A word of note about the first, whatever the number; the rest is a count for the minute.
        assert len([line for line in told if " INFO " in line]) == 1


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon that tells everything it thinks."""
    with running("--log-level", "debug", folder=tmp_path_factory.mktemp("strangers")) as process:
        yield process


@pytest.mark.parametrize(("name", "data"), STRANGERS, ids=[name for name, _ in STRANGERS])
def test_strangers_are_sent_away_with_a_debug_word(
    daemon: DaemonProcess, name: str, data: bytes
) -> None:
    """What other protocols say first ends their connection at once, without a line of note."""
    with Peer(daemon.port) as peer:
        host, port = peer.sock.getsockname()
        peer.send(data)
        peer.wait_closed()
        line = daemon.wait_line(rf"{host}:{port} refused: ")
        assert " DEBUG " in line or name == "a length just over the limit"


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\0"])
def test_scanners_that_say_nothing_leave_no_line(data: bytes, tmp_path: Path) -> None:
    """Connecting and hanging up is worth a debug word at most."""
    with running("--log-level", "debug", folder=tmp_path) as daemon:
        seen = len(daemon.lines)
        with Peer(daemon.port) as peer:
            host, port = peer.sock.getsockname()
            peer.send(data)
        daemon.wait_line(rf"{host}:{port} closed after ")
        assert [line for line in daemon.lines[seen:] if " DEBUG " not in line] == []


def test_a_frame_too_long_of_a_known_sender_is_reported(daemon: DaemonProcess) -> None:
    """A sender that sent records before is no stranger: what was wrong is told at info."""
    with Peer(daemon.port) as peer:
        host, port = peer.sock.getsockname()
        peer.send(plain("good"), b"GET / HTTP/1.1\r\n")
        peer.wait_closed()
        daemon.wait_line(rf"{host}:{port} refused: frame of \d+ bytes.*an HTTP request")
