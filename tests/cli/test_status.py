"""logd status: a real daemon's state, for people and as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from logd.cli.commands import logd
from logd.cli.statusscreen import clock, colored, duration, fitted, screen, size
from logd.settings.controlpath import candidates
from tests.cli.conftest import ENVIRONMENT, PATIENCE_S, Command, Daemon
from tests.clients import Connect

SNAPSHOT: dict[str, Any] = {
    "version": "1.0.0",
    "pid": 4711,
    "state": "running",
    "uptime_s": 93_784.0,
    "addresses": ["127.0.0.1:9801"],
    "records": 12_345_678,
    "received_bytes": 1 << 30,
    "records_per_s": {"1": 1234.5, "10": 1000.0, "60": 999.9},
    "bytes_per_s": {"1": 2048.0, "10": 0.0, "60": 0.0},
    "queue": {"bytes": 1 << 20, "limit_bytes": 64 << 20, "is_full": False, "overflow_bytes": 0},
    "connections": {
        "open": 2,
        "accepted": 3,
        "refused": 1,
        "sessions": 1,
        "top": [
            {
                "peer": "127.0.0.1:50312",
                "kind": "session",
                "records": 1000,
                "bytes": 10,
                "unacknowledged": 7,
                "open_s": 61.0,
            },
            {
                "peer": "unix pid 7",
                "kind": "plain",
                "records": 5,
                "bytes": 10,
                "unacknowledged": 0,
                "open_s": 1.0,
            },
        ],
    },
    "outputs": [
        {
            "name": "file logs/logd_%d.log",
            "current": "logs/logd_3.log",
            "lines": 345_678,
            "size": 40 << 20,
            "kept_size": 900 << 20,
            "kept_since": 1_700_000_000.0,
            "written": 12_345_000,
            "waiting_records": 678,
            "lag_s": 3.2,
            "failing_since": 1_700_000_000.0,
            "retries": 17,
            "last_error": {"text": "disk \x1b[31mfull", "time": 1_700_000_000.0},
            "disk": {
                "records": 54_321,
                "bytes": 7 << 20,
                "limit_bytes": 1 << 30,
                "oldest_at": 1_700_000_000.0,
                "full_since": 1_700_000_000.0,
                "records_per_s": 2_500.0,
                "left_s": 21.0,
            },
            "measures": {
                "ack_p50_seconds": 0.002,
                "ack_p99_seconds": 0.0083,
                "published_again": 4.0,
            },
        }
    ],
    "partitions": [
        {
            "number": 3,
            "ring": "file log_3_%d.log",
            "is_reading": True,
            "place": 4_321,
            "messages": 4_000,
            "records": 1_200_000,
            "left_messages": 55,
            "left_records": 16_500,
            "lag_s": 2.0,
            "repetitions": 7,
            "gaps": 1,
            "holes": 1,
            "hole_records": 9,
            "poison": 0,
        }
    ],
    "left_behind": [
        {"path": "state/queue-db_old.1", "output": "db:old", "records": 7, "bytes": 4096}
    ],
    "lost_by_clients": {
        "records": 5,
        "reports": 1,
        "last": {"time": 1_700_000_000.0, "peer": "", "pid": 9, "records": 5},
    },
    "faults": {
        "total": 2,
        "bad_frames": 1,
        "last": [{"time": 1_700_000_000.0, "peer": "10.0.0.9:1", "reason": "frame of 9 GB"}],
    },
    "reloads": {"total": 1, "last_succeeded": False},
}


def test_the_screen_tells_all_that_matters() -> None:
    """Numbers have thousands separated, sizes units; troubles stand beside what has them."""
    text = "\n".join(screen(SNAPSHOT))
    for part in (
        "logd 1.0.0  pid 4711  up 1 d 2 h  on 127.0.0.1:9801",
        "12,345,678",
        "1,234/s",
        "2.0 KiB/s",
        "1.0 MiB of 64.0 MiB (2%)",
        "2 open (1 with acknowledgements), 3 since the start, 1 refused",
        "5 records lost by clients, last 5 by pid 9 of this machine",
        "40.0 MiB",
        "900.0 MiB  2023-11-14",
        "tried 17 times: disk \\x1b[31mfull",
        "54,321 records wait on disk, 7.0 MiB of 1.0 GiB, the oldest since 2023-11-1",
        "written at 2,500/s, 21 s left",
        "state/queue-db_old.1, 4.0 KiB, is left for output db:old",
        "no room on disk since 2023-11-1",
        "2 faults of senders, 1 of them bad frames",
        "the last one failed",
        "acknowledged in 2.0 ms (p99 8.3 ms), 4 times published again",
        "3  to 4,321  1,200,000    55",
    ):
        assert part in text
    assert "\x1b" not in text


def test_columns_are_aligned() -> None:
    """Numbers of a column end where its heading ends."""
    lines = screen(SNAPSHOT)
    head = next(number for number, line in enumerate(lines) if line.startswith("peer"))
    for name, cells in (("records", ("1,000", "5")), ("unacknowledged", ("7", "-"))):
        end = lines[head].index(name) + len(name)
        for line, cell in zip(lines[head + 1 :], cells, strict=False):
            assert line[:end].endswith(f" {cell}")


def test_a_small_terminal_leaves_out_connections() -> None:
    """What does not fit is the list of connections; the rest stays."""
    all_lines = screen(SNAPSHOT)
    fewer = screen(SNAPSHOT, rows=len(all_lines) - 1)
    assert len(fewer) == len(all_lines) - 1
    assert "unix pid 7" not in "\n".join(fewer)
    assert "faults" in "\n".join(screen(SNAPSHOT, rows=5))


def test_colours_are_kept_apart_from_text() -> None:
    """With its colours taken out a coloured screen is the plain one."""
    text = "\n".join(screen(SNAPSHOT, colored))
    assert "\x1b[31m  failing since" in text
    for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m"):
        text = text.replace(code, "")
    assert text == "\n".join(screen(SNAPSHOT))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_are_short(value: int, shown: str) -> None:
    """A size has one decimal and a binary unit."""
    assert size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.4, "0 s"), (59.9, "59 s"), (125, "2:05 min"), (11_400, "3:10 h"), (1_051_200, "12 d 4 h")],
)
def test_durations_are_short(value: float, shown: str) -> None:
    """A duration has two units at most."""
    assert duration(value) == shown


def test_times_of_other_days_have_a_date() -> None:
    """Today's times are short, others say which day they were on."""
    assert len(clock(time.time())) == len("12:34:56")
    assert len(clock(1_700_000_000.0)) == len("2023-11-14 12:34:56")


def test_the_socket_is_found_as_the_daemon_places_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--control counts alone, then settings; the system's settings only where nothing is named."""
    for name in [name for name in os.environ if name.startswith("LOGD_")]:
        monkeypatch.delenv(name)
    system = tmp_path / "system.toml"
    system.write_text('state_dir = "/var/lib/logd"\n')
    own = tmp_path / "own.toml"
    own.write_text('file = "log/a_%d"\n')
    system_socket = Path("/var/lib/logd/control.sock")
    default = Path("logs/.logd-state/control.sock")
    assert candidates(system_config=system) == [default, system_socket]
    assert candidates(system_config=tmp_path / "none") == [default]
    assert candidates("x.sock", str(own), system_config=system) == [Path("x.sock")]
    own_socket = tmp_path / "log/.logd-state/control.sock"
    assert candidates(None, str(own), system_config=system) == [own_socket]
    monkeypatch.setenv("LOGD_CONFIG", str(own))
    assert candidates(system_config=system) == [own_socket]
    monkeypatch.setenv("LOGD_CONTROL", "/run/logd/control")
    assert candidates(system_config=system) == [Path("/run/logd/control")]


def test_json_has_all_of_it(logd: Command, serve: Callable[..., Daemon], connect: Connect) -> None:
    """--json prints the snapshot; what was sent and acknowledged is in it."""
    daemon = serve()
    log = connect(daemon.port)
    for _ in range(10):
        log("hello")
    assert log.flush(PATIENCE_S)
    done = logd("status", "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["pid"] == daemon.process.pid
    assert status["records"] == 10
    (output,) = status["outputs"]
    assert (output["written"], output["lines"], output["waiting_records"]) == (10, 10, 0)
    (connection,) = status["connections"]["top"]
    assert (connection["kind"], connection["records"]) == ("session", 10)
    assert connection["unacknowledged"] == 0
    assert documented_keys() == set(_keys(status))
    text = logd("status").stdout
    assert f"pid {daemon.process.pid}" in text
    assert "\x1b" not in text


def test_without_a_daemon_one_line_says_what_to_do(logd: Command, tmp_path: Path) -> None:
    """Exit status 1, the socket that was tried, how to name another."""
    done = logd("status", "--control", "nowhere.sock")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "nowhere.sock" in line
    assert "--control" in line
    (tmp_path / "bad.toml").write_text("file = 5\n")
    done = logd("status", "--config", "bad.toml")
    assert done.returncode == 2
    assert "bad.toml" in done.stderr


@contextlib.contextmanager
def on_a_terminal(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`logd ARGUMENTS` on a terminal of its own, and the other end of that."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        os.close(ours)


def read_till(descriptor: int, wanted: bytes, count: int) -> bytes:
    """What comes, till it has `wanted` so often."""
    data = b""
    deadline = time.monotonic() + PATIENCE_S
    while data.count(wanted) < count:
        assert select.select([descriptor], [], [], deadline - time.monotonic())[0], data
        data += os.read(descriptor, 65536)
    return data


def test_watch_shows_it_again_in_place_and_ends_quietly(
    serve: Callable[..., Daemon], tmp_path: Path
) -> None:
    """On a terminal the screen is drawn over itself in colours; Ctrl-C ends it without a word."""
    serve()
    with on_a_terminal(tmp_path, "status", "--watch") as (process, terminal):
        data = read_till(terminal, b"\x1b[H", 2)
        assert b"\x1b[1mlogd" in data
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(PATIENCE_S) == 0


UNNAMED = ("records_per_s", "bytes_per_s", "outputs[].details", "outputs[].measures")
"""Objects whose keys are no names: numbers of seconds, an output's own words."""


def _keys(value: Any, place: str = "") -> Iterator[str]:
    """The dotted keys of a status; what is a list of plain values has no more."""
    if isinstance(value, dict) and place not in UNNAMED:
        for name, inner in value.items():
            yield from _keys(inner, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from _keys(value[0], f"{place}[]")
    else:
        yield place


def documented_keys() -> set[str]:
    """The keys in the table of `logd/README.md`."""
    text = (Path(__file__).parents[2] / "logd" / "README.md").read_text(encoding="utf-8")
    table = text.partition("## The JSON of `logd status --json`")[2].partition("\n## ")[0]
    first_cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    return {key for cell in first_cells for key in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_it_fits_the_terminal(columns: int) -> None:
    """No line is wider than the terminal, and no word is lost; colours stay."""
    lines = screen(SNAPSHOT)
    narrow = fitted(lines, columns)
    assert max(map(len, narrow)) <= columns
    assert "".join(narrow).replace(" ", "") == "".join(lines).replace(" ", "")
    painted = fitted(screen(SNAPSHOT, colored), columns)
    assert [re.sub(r"\x1b\[[0-9]*m", "", line) for line in painted] == narrow


@pytest.mark.parametrize(
    "command", [["status", "--control"], ["tail", "-f", "--control"], ["ping", "--socket"]]
)
def test_who_may_not_use_a_socket_is_told_by_the_attempt(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options take sockets that this user may not read: what the daemon says of it is better."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("its.sock")
        done = CliRunner().invoke(logd, [*command, "its.sock"])
    assert "not readable" not in done.output
    assert done.exit_code == 1, done.output
