"""`logd serve` as a process: ready, refusing to start, stopping."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Serve = Callable[..., Any]


def test_ready_is_one_line(serve: Serve) -> None:
    """The line of readiness names address, output and pid."""
    daemon = serve()
    assert re.search(rf"ready on \S*:{daemon.port}\b", daemon.ready)
    assert "logs/logd_%d.log" in daemon.ready
    assert f"pid {daemon.process.pid}" in daemon.ready


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_clean(serve: Serve, loop: str, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end the daemon with status 0, on either loop."""
    daemon = serve("--loop", loop)
    daemon.process.send_signal(number)
    assert daemon.process.wait(60) == 0


def test_port_in_use(logd: Command) -> None:
    """A port that is taken is one line, with what to do, and status 1."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = logd("serve", "--host", "127.0.0.1", "--port", port)
    (line,) = done.stderr.splitlines()
    assert line.startswith("logd: ")
    assert f"127.0.0.1:{port}" in line
    assert "another port" in line
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--db", "nonsense://x"), "nonsense"),
        (
            ("--db", "postgresql://nobody:geheim@127.0.0.1:1/x", "--queue-disk-bytes", "0"),
            "127.0.0.1",
        ),
        (("--output", "kafak:x"), "kafak"),
        (("--filter", "no_such_module:x"), "no_such_module"),
        (("--file", "/proc/nowhere/x_%d.log"), "/proc/nowhere"),
        (("--file", "/sys/logd/x_%d.log", "--state-dir", "state"), "/sys/logd: "),
        (("--tls-port", "0", "--tls-cert", "no.pem", "--tls-key", "no.key"), "no.pem"),
    ],
)
def test_start_that_fails(logd: Command, arguments: tuple[str, ...], word: str) -> None:
    """What can't be used is named in one line without a password; nothing is half started."""
    done = logd("serve", "--host", "127.0.0.1", "--port", "0", *arguments)
    lines = [line for line in done.stderr.splitlines() if line.startswith("logd: ")]
    assert len(lines) == 1, done.stderr
    assert word in lines[0]
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr
    # Settings that can never work are a usage error.
    assert done.returncode == (2 if word in ("nonsense", "kafak") else 1)


def test_open_door_is_warned_about(serve: Serve, tmp_path: Path) -> None:
    """Listening beyond this machine without protection starts with a warning; a token ends it."""
    token = tmp_path / "token"
    token.write_text("geheim-und-lang-genug")
    token.chmod(0o600)
    outcomes = []
    for options in ((), ("--token-file", str(token))):
        daemon = serve("--host", "0.0.0.0", *options)
        daemon.process.send_signal(signal.SIGTERM)
        _, said = daemon.process.communicate(timeout=60)
        outcomes.append("anyone who can reach" in daemon.before + said)
    assert outcomes == [True, False]


def test_loop_without_uvloop(serve: Serve) -> None:
    """--no-uvloop serves on the standard loop."""
    daemon = serve("--no-uvloop")
    mapped = Path(f"/proc/{daemon.process.pid}/maps")
    if not os.access(mapped, os.R_OK):
        pytest.skip("no /proc to look into")
    assert "uvloop" not in mapped.read_text()
