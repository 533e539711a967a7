"""Daemons that share their marks, in processes of their own."""

from __future__ import annotations

import json
import logging
import logging.handlers
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from logd.settings.checks import problems
from logd.settings.table import Config
from logd_client import createClientLog
from tests.chaos.proxy import Gate
from tests.conftest import Database
from tests.daemon_process import DaemonProcess, running
from tests.waiting import wait_for

URL = "postgresql://h/logs"


@dataclass
class Shared:
    """A database that nobody has used before, and daemons that write to it.

    Attributes:
        url: of the database.
        folder: daemons have folders of their own there.
    """

    url: str
    folder: Path

    def options(self, name: str, url: str | None = None) -> tuple[str, ...]:
        """Of a daemon with a ring of its own."""
        return ("--db", url or self.url, "--table-pattern", f"log_{name}_%d", "--shared-marks")

    def own(self, name: str) -> Path:
        """The folder of a daemon."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def begin(self, name: str, *options: str, **more: dict[str, str]) -> DaemonProcess:
        """Start a daemon; the caller ends it."""
        return DaemonProcess(*self.options(name), *options, folder=self.own(name), **more)  # type: ignore[arg-type]

    def texts(self) -> list[str]:
        """What `logd query --db` shows of the whole database, without the daemons' own words."""
        shown = subprocess.run(
            [sys.executable, "-m", "logd", "query", "--json", "--db", self.url],
            check=True,
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        found = [json.loads(line)["msg"] for line in shown.stdout.splitlines()]
        return [text for text in found if not text.startswith("output ")]


@pytest.fixture(params=["postgresql", "mariadb"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shared]:
    """A fresh database on each kind of server."""
    # The server's own check skips the test if it is not there.
    database: Database = request.getfixturevalue(request.param)
    name = f"logd_shared_{uuid.uuid4().hex[:10]}"
    engine = create_engine(database.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        url = make_url(database.url).set(database=name).render_as_string(hide_password=False)
        yield Shared(url, tmp_path)
    finally:
        # Of a daemon that was killed the server may not know yet.
        how = " WITH (FORCE)" if request.param == "postgresql" else ""
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}{how}")


def test_what_a_dead_daemon_stored_is_not_stored_again(shared: Shared) -> None:
    """A daemon dies between write and acknowledgement; the other one knows what it wrote."""
    dying = {"LOGD_FAILPOINTS": "ack.before_send=kill"}
    with (
        running(*shared.options("a"), folder=shared.own("a"), environment=dying) as one,
        running(*shared.options("b"), folder=shared.own("b")) as other,
    ):
        ports = (one.port, other.port)
        with createClientLog("127.0.0.1", ports, environ={}) as log:
            log("paid order 7")
            assert log.flush(60)
            assert log.server.connected_to == f"127.0.0.1:{other.port}"
            assert log("shipped", sync=60)
        assert one.wait() < 0
        assert shared.texts() == ["paid order 7", "shipped"]


def test_a_daemon_that_stops_keeps_nothing_of_clients(shared: Shared) -> None:
    """A stop leaves no record of a client on disk, acknowledged and unknown to the others."""
    with running(*shared.options("a"), folder=shared.own("a")) as daemon:
        with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
            assert log("m", sync=60)
        assert daemon.stop() == 0
    assert not list(shared.folder.rglob("*.queue"))


def test_many_daemons_start_at_once_on_a_fresh_database(shared: Shared) -> None:
    """Eight of them, two without shared marks: each starts, and has a part in one log."""
    with ExitStack() as stack:
        daemons = []
        for number in range(8):
            name = f"r{number}"
            options = shared.options(name)[: None if number < 6 else -1]
            daemons.append(DaemonProcess(*options, folder=shared.own(name)))
            stack.callback(daemons[-1].kill)
        for number, daemon in enumerate(daemons):
            daemon.wait_ready()
            with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
                assert log(f"record {number}", sync=60)
        assert shared.texts() == [f"record {number}" for number in range(8)]
        # A session goes to one that shares its marks after the other, as each of them ends.
        hosts = [f"127.0.0.1:{daemon.port}" for daemon in daemons[:6]]
        with createClientLog(hosts=hosts, environ={}) as log:
            for number in range(6):
                assert log(f"moved {number}", sync=60)
                if number < 5:
                    daemons[hosts.index(str(log.server.connected_to))].kill()
        assert shared.texts()[8:] == [f"moved {number}" for number in range(6)]


def test_it_starts_while_the_database_is_away(shared: Shared) -> None:
    """Clients hold their records, those of plain senders wait on disk, and all are stored once."""
    gate = Gate(make_url(shared.url).port or 0)
    gate.shut()
    url = make_url(shared.url).set(port=gate.port).render_as_string(hide_password=False)
    try:
        with running(*shared.options("a", url), folder=shared.own("a")) as daemon:
            daemon.wait_line("its records wait with the clients until it is there")
            handler = logging.handlers.SocketHandler("127.0.0.1", daemon.port)
            handler.emit(logging.makeLogRecord({"msg": "from a plain sender", "name": "shop"}))
            with createClientLog("127.0.0.1", daemon.port, environ={}) as log:
                log("from a client")
                wait_for(lambda: has_on_disk(shared.folder, b"from a plain sender"))
                assert not log.flush(0.3)
                assert not has_on_disk(shared.folder, b"from a client")
                gate.open()
                assert log.flush(60)
                wait_for(lambda: len(shared.texts()) >= 2)
                gate.shut()
                handler.emit(logging.makeLogRecord({"msg": "for the next start", "name": "shop"}))
                daemon.wait_line("is unavailable, retrying")
            handler.close()
            assert daemon.stop() == 0
        assert has_on_disk(shared.folder, b"for the next start")
        with running(*shared.options("a", url), folder=shared.own("a")):
            gate.open()
            wait_for(lambda: len(shared.texts()) >= 3)
    finally:
        gate.close()
    assert sorted(shared.texts()) == ["for the next start", "from a client", "from a plain sender"]


def has_on_disk(folder: Path, text: bytes) -> bool:
    """Whether a queue on disk has it."""
    return any(text in file.read_bytes() for file in folder.rglob("*.queue"))


def test_a_database_that_can_never_work_ends_the_start(shared: Shared) -> None:
    """One line says why, as without shared marks."""
    url = make_url(shared.url).set(database="logd_no_such").render_as_string(hide_password=False)
    daemon = DaemonProcess(*shared.options("a", url), folder=shared.own("a"))
    assert daemon.wait() == 1
    assert "logd_no_such" in daemon.lines[-1]


def test_all_rings_are_followed(shared: Shared) -> None:
    """`logd tail -f --db` shows what comes to any of the daemons."""
    with (
        running(*shared.options("a"), folder=shared.own("a")) as one,
        running(*shared.options("b"), folder=shared.own("b")) as other,
        ExitStack() as stack,
    ):
        logs = [
            stack.enter_context(createClientLog("127.0.0.1", daemon.port, environ={}))
            for daemon in (one, other)
        ]
        for log in logs:
            assert log("before", sync=60)
        command = [sys.executable, "-m", "logd", "tail", "-f", "-n", "2", "--json"]
        tail = stack.enter_context(
            subprocess.Popen(
                [*command, "--db", shared.url], cwd=shared.folder, stdout=subprocess.PIPE, text=True
            )
        )
        stack.callback(tail.terminate)
        assert tail.stdout is not None
        assert [json.loads(tail.stdout.readline())["msg"] for _ in range(2)] == ["before"] * 2
        for number in range(6):
            assert logs[number % 2](f"record {number}", sync=60)
            assert json.loads(tail.stdout.readline())["msg"] == f"record {number}"


APP = """
import os, signal, sys
from logd_client import createClientLog
log = createClientLog(hosts=sys.argv[2].split(","), spool=sys.argv[1], environ={})
for number in range(int(sys.argv[3]), int(sys.argv[4])):
    log(f"record {number}")
if sys.argv[5] == "die":
    log.flush(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
log.flush(60)
log.close(60)
"""


def test_what_dead_apps_left_goes_to_a_daemon_that_lives(shared: Shared) -> None:
    """A daemon dies with records stored and not acknowledged, another hangs, the app dies, too.

    The next app delivers what its spool holds to the third one, where each record is once.
    """
    spool = shared.folder / "spool"
    dying = {"LOGD_FAILPOINTS": "ack.before_send=kill"}
    with (
        running(*shared.options("a"), folder=shared.own("a"), environment=dying) as one,
        running(*shared.options("b"), folder=shared.own("b")) as hanging,
        running(*shared.options("c"), folder=shared.own("c")) as last,
    ):

        def run(hosts: list[DaemonProcess], *arguments: str) -> int:
            places = ",".join(f"127.0.0.1:{daemon.port}" for daemon in hosts)
            command = [sys.executable, "-c", APP, str(spool), places, *arguments]
            return subprocess.run(command, check=False, timeout=120).returncode

        assert run([one], "0", "100", "die") == -signal.SIGKILL
        assert one.wait() < 0
        hanging.signal(signal.SIGSTOP)
        try:
            assert run([one, hanging, last], "100", "110", "live") == 0
        finally:
            hanging.signal(signal.SIGCONT)
        assert not list(spool.iterdir())
        assert sorted(shared.texts(), key=_number) == [f"record {n}" for n in range(110)]


def _number(text: str) -> int:
    return int(text.removeprefix("record "))


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
