"""Daemons that share their marks, in processes of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from logd.settings.checks import problems
from logd.settings.table import Config
from logd_client import createClientLog
from tests.conftest import Database
from tests.daemon_process import DaemonProcess, running

URL = "postgresql://h/logs"


def options(database: Database, name: str) -> tuple[str, ...]:
    """Of a daemon with a ring of its own."""
    pattern = database.pattern.replace("%d", f"{name}_%d")
    return ("--db", database.url, "--table-pattern", pattern, "--shared-marks")


def texts(logd: DaemonProcess, database: Database) -> list[str]:
    """What `logd query --db` shows of the whole database."""
    import subprocess
    import sys

    shown = subprocess.run(
        [sys.executable, "-m", "logd", "query", "--json", "--db", database.url],
        check=True,
        cwd=logd.folder,
        capture_output=True,
        text=True,
    )
    return [json.loads(line)["msg"] for line in shown.stdout.splitlines()]


def test_what_a_dead_daemon_stored_is_not_stored_again(
    postgresql: Database, tmp_path: Path
) -> None:
    """A daemon dies between write and acknowledgement; the other one knows what it wrote."""
    for name in "ab":
        (tmp_path / name).mkdir()
    dying = {"LOGD_FAILPOINTS": "ack.before_send=kill"}
    with (
        running(*options(postgresql, "a"), folder=tmp_path / "a", environment=dying) as one,
        running(*options(postgresql, "b"), folder=tmp_path / "b") as other,
    ):
        ports = (one.port, other.port)
        with createClientLog("127.0.0.1", ports, environ={}) as log:
            log("paid order 7")
            assert log.flush(60)
            assert log.server.connected_to == f"127.0.0.1:{other.port}"
            assert log("shipped", sync=60)
        assert one.wait() < 0
        assert texts(other, postgresql) == ["paid order 7", "shipped"]


def test_a_daemon_that_stops_keeps_nothing_of_clients(postgresql: Database, tmp_path: Path) -> None:
    """A stop leaves no record of a client on disk, acknowledged and unknown to the others."""
    with running(*options(postgresql, "a"), folder=tmp_path) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("m", sync=60)
        assert daemon.stop() == 0
    assert not list(tmp_path.rglob("*.queue"))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (Config(shared_marks=True), "needs one db"),
        (Config(shared_marks=True, db=("sqlite:///a.db",)), "needs one db"),
        (Config(shared_marks=True, db=(URL, URL + "2")), "needs one db"),
        (Config(shared_marks=True, db=(URL,), stdout=True), "can't be set with stdout"),
        (Config(shared_marks=True, db=(URL,), file=("a_%d",)), "can't be set with file"),
    ],
)
def test_marks_are_shared_in_one_database(config: Config, text: str) -> None:
    """With shared marks there is one output, whose database can have them."""
    assert any(text in problem.text for problem in problems(config))


def test_shared_marks_in_postgresql_are_right() -> None:
    """One PostgreSQL is what it takes."""
    assert problems(Config(shared_marks=True, db=(URL,))) == []
