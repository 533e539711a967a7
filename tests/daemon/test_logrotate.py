"""Debian's logrotate beside a running daemon: `create` and `copytruncate`."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from logd.cli.commands import logd
from logd.query.files.source import FileSource
from tests.clients import Connect, logging_on
from tests.daemon_process import running

PATIENCE_S = 60.0
LOGROTATE = shutil.which("logrotate") or "/usr/sbin/logrotate"

pytestmark = pytest.mark.skipif(not Path(LOGROTATE).exists(), reason="logrotate is not installed")


def rotate(folder: Path, *directives: str, files: str = "app.log") -> None:
    """Run logrotate now, for the log in `folder`."""
    settings = folder / "logrotate.conf"
    body = "\n".join(f"    {line}" for line in ("rotate 9", "nomail", *directives))
    settings.write_text(f"{folder}/logs/{files} {{\n{body}\n}}\n")
    settings.chmod(0o644)
    for path in (folder, folder / "logs"):
        path.chmod(0o750)
    done = subprocess.run(
        [LOGROTATE, "--force", "--state", folder / "state", settings],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def numbers(*paths: Path) -> list[int]:
    """The numbers of all records in these files."""
    found = []
    for path in paths:
        found += [int(number) for number in re.findall(r" number (\d+)\t", path.read_text())]
    return found


OPTIONS = ("--file", "logs/app.log", "--rotate-lines", "off")


def test_create_loses_nothing_at_full_speed(tmp_path: Path, connect: Connect) -> None:
    """logrotate renames the file, makes a new one and sends SIGHUP: all records are there once."""
    with running(*OPTIONS, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        with logging_on(log, " number") as sent:
            for turn in range(1, 4):
                before = len(sent)
                while len(sent) < before + 1000:
                    log.flush(0.005)
                assert log.flush(PATIENCE_S)
                rotate(tmp_path, "create", "postrotate", f"    kill -HUP {daemon.pid}", "endscript")
                while len([line for line in daemon.lines if "reloaded; changed" in line]) < turn:
                    log.flush(0.005)
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0, daemon.output
        paths = sorted((tmp_path / "logs").glob("app.log*"))
        assert len(paths) == 4
        assert sorted(numbers(*paths)) == sent
        assert all(numbers(path) for path in paths[1:])


def test_copytruncate_goes_on_at_the_files_begin(tmp_path: Path, connect: Connect) -> None:
    """logrotate copies the file and empties it: the daemon writes on from its new beginning."""
    with running(*OPTIONS, folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for turn in range(3):
            for number in range(100):
                log(f" number {100 * turn + number}")
            assert log.flush(PATIENCE_S)
            rotate(tmp_path, "copytruncate")
        log(" number 300")
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0, daemon.output
        logs = tmp_path / "logs"
        assert numbers(logs / "app.log") == [300]
        assert b"\0" not in (logs / "app.log").read_bytes()
        for turn, path in enumerate(sorted(logs.glob("app.log.*"), reverse=True)):
            assert numbers(path) == list(range(100 * turn, 100 * turn + 100))
        assert len(list(logs.glob("app.log.*"))) == 3


def test_what_logrotate_moved_of_a_ring_is_found(tmp_path: Path, connect: Connect) -> None:
    """A query shows what stands in `app_0.log.1`, and `logd verify` finds nothing wrong."""
    with running("--file", "logs/app_%d.log", "--rotate-lines", "50", folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for turn in range(2):
            for number in range(30):
                log(f" number {30 * turn + number}")
            assert log.flush(PATIENCE_S)
            rotate(
                *(tmp_path, "create", "postrotate", f"    kill -HUP {daemon.pid}", "endscript"),
                files="app_0.log",
            )
            daemon.wait_line("reloaded; changed")
        log(" number 60")
        assert log.flush(PATIENCE_S)
        assert daemon.stop() == 0, daemon.output
    pattern = str(tmp_path / "logs/app_%d.log")
    found = [entry.msg for entry in FileSource(pattern, print).entries()]
    assert found == [f" number {number}" for number in range(61)]
    result = CliRunner().invoke(logd, ["verify", "--file", pattern])
    assert result.exit_code == 0, result.output


def test_signals_rotate_the_daemons_own_ring(tmp_path: Path, connect: Connect) -> None:
    """SIGUSR1 goes on to the next file now; an empty file stays the current one."""
    with running(folder=tmp_path) as daemon:
        log = connect(daemon.port)
        for number in range(3):
            log(f" number {number}")
            assert log.flush(PATIENCE_S)
            for _ in range(2):
                daemon.signal(signal.SIGUSR1)
            path = tmp_path / f"logs/logd_{number + 1}.log"
            while not path.exists():
                daemon.process.poll()
        assert daemon.stop() == 0
        files = [tmp_path / f"logs/logd_{number}.log" for number in range(4)]
        assert [numbers(path) for path in files] == [[0], [1], [2], []]
        assert not (tmp_path / "logs/logd_4.log").exists()
