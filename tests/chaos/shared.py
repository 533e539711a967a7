"""Two daemons with shared marks on one database, clients that know both, and what can go wrong.

Whatever happens, each record is in one of the two rings once, and no ring has a sender's records
out of order.
"""

from __future__ import annotations

import contextlib
import math
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from tests.chaos.oracle import Verdict, judge
from tests.chaos.proxy import Gate
from tests.chaos.scenarios import Senders, own_cluster, senders
from tests.daemon_process import DaemonProcess
from tests.ports import reserved_port

SERVERS = {
    "postgresql": ("postgresql+psycopg://postgres@127.0.0.1:{port}/", 5432, "postgres"),
    "mariadb": ("mysql+pymysql://root@127.0.0.1:{port}/", 3306, ""),
}
NAMES = ("a", "b")
FAIL_POINTS = (
    *("tables.before_lock", "tables.after_lock", "tables.before_insert", "tables.after_insert"),
    *("tables.before_commit", "tables.after_commit", "ack.before_send", "ack.after_send"),
)
"""The steps of a write, from the look at the marks to the acknowledgement."""

STOPPED_S = 15.0


class Pair:
    """Two daemons on a database of their own, through gates that can be shut.

    Attributes:
        daemons: by name.
        to_daemon: between clients and each daemon.
        to_database: between each daemon and the database.
    """

    def __init__(
        self, kind: str, folder: Path, ports: Mapping[str, int], server_port: int | None = None
    ) -> None:
        self._base, usual_port, admin = SERVERS[kind]
        self._server_port = server_port or usual_port
        self._database = f"chaos_shared_{uuid.uuid4().hex[:8]}"
        self._admin = self._base.format(port=self._server_port) + admin
        self._execute(f"CREATE DATABASE {self._database}")
        self._folder = folder
        self._ports = ports
        self.daemons: dict[str, DaemonProcess] = {}
        self.to_daemon = {name: Gate(ports[name]) for name in NAMES}
        self.to_database = {name: Gate(self._server_port) for name in NAMES}

    def _execute(self, statement: str) -> None:
        engine = create_engine(self._admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    @property
    def hosts(self) -> str:
        """Where clients find the two."""
        return ",".join(f"127.0.0.1:{gate.port}" for gate in self.to_daemon.values())

    def begin(self, name: str, environment: dict[str, str] | None = None) -> DaemonProcess:
        """Start a daemon."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        url = self._base.format(port=self.to_database[name].port) + self._database
        self.daemons[name] = DaemonProcess(
            *("--db", url, "--shared-marks", "--table-pattern", f"log_{name}_%d"),
            *("--rotate-lines", "20000", "--rotate-count", "100000"),
            folder=folder,
            port=self._ports[name],
            environment=environment,
        )
        return self.daemons[name]

    def begin_all(self) -> None:
        """Start both at the same moment."""
        for daemon in [self.begin(name) for name in NAMES]:
            daemon.wait_ready()

    def begin_again(self, name: str) -> None:
        """Start a daemon until its ring is free, for the database may not have seen it end."""
        deadline = time.monotonic() + 60
        while True:
            daemon = self.begin(name)
            try:
                daemon.wait_ready()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def judged(self, sent: Mapping[int, int]) -> Verdict:
        """Compare what the rings hold with what was sent."""
        rings = [list(self._messages(name)) for name in NAMES]
        numbers = [number_of(message) for ring in rings for message in ring]
        whole = sorted((message for ring in rings for message in ring), key=lambda m: number_of(m))
        verdict = judge(whole, sent)
        assert len(numbers) == len(whole)
        for ring in rings:
            last: dict[int, int] = {}
            for sender, number in map(number_of, ring):
                if number < last.get(sender, -1):
                    verdict.fault("disordered", f"sender {sender} record {number}")
                last[sender] = number
        return verdict

    def _messages(self, name: str) -> Iterator[str]:
        url = self._base.format(port=self._server_port) + self._database
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            tables = [
                t for t in inspect(connection).get_table_names() if t.startswith(f"log_{name}")
            ]
            for table in sorted(tables, key=lambda one: int(one.rsplit("_", 1)[1])):
                statement = text(f"SELECT msg FROM {table} ORDER BY id")
                for (msg,) in connection.execute(statement):
                    if msg.startswith("sender "):
                        yield msg

    def close(self) -> None:
        """End both, and drop the database."""
        for daemon in self.daemons.values():
            if daemon.process.poll() is None:
                daemon.signal(signal.SIGCONT)
                daemon.kill()
        for gate in (*self.to_daemon.values(), *self.to_database.values()):
            gate.close()
        force = " WITH (FORCE)" if "postgresql" in self._admin else ""
        self._execute(f"DROP DATABASE {self._database}{force}")


def number_of(message: str) -> tuple[int, int]:
    """Sender and number of a record."""
    words = message.split(" ", 4)
    return int(words[1]), int(words[3])


@contextlib.contextmanager
def two_daemons(kind: str, folder: Path, server_port: int | None = None) -> Iterator[Pair]:
    """Two daemons, not started; gone with all their tables when the block ends.

    Their database is on the server of this machine, or on another one's port.
    """
    with reserved_port() as one, reserved_port() as other:
        ports = dict(zip(NAMES, (one, other), strict=True))
        pair = Pair(kind, folder, ports, server_port)
        try:
            yield pair
        finally:
            pair.close()


def judged_after(
    act: Callable[[Pair, Senders], None],
    kind: str,
    folder: Path,
    *options: str,
    clients: int = 8,
    server_port: int | None = None,
    max_call_ms: float = math.inf,
) -> Verdict:
    """Let clients send at full speed while `act` does its worst; the verdict.

    Raises:
        AssertionError: a daemon did not stop in order, or a call took too long.
    """
    with two_daemons(kind, folder, server_port) as pair:
        pair.begin_all()
        # The port counts for nothing beside hosts.
        usual = ("--hosts", pair.hosts, "--buffer-bytes", str(1 << 18), *options)
        with senders(1, clients, *usual) as sending:
            act(pair, sending)
            sent = sending.finish()
        for name in NAMES:
            assert pair.daemons[name].stop() == 0, pair.daemons[name].output
        verdict = pair.judged(sent)
        if max_call_ms < math.inf:
            # Else they wait for room in their small buffers, as they are meant to.
            verdict.notes.append(f"slowest call {sending.slowest_call_ms:.1f} ms")
        assert sending.slowest_call_ms <= max_call_ms, str(verdict)
        return verdict


def kills(
    folder: Path, seed: int, count: int, *, kind: str = "postgresql", clients: int = 8
) -> Verdict:
    """SIGKILL one of the two at random moments, and start it again; clients go back soon."""
    chance = random.Random(seed)

    def act(pair: Pair, _: Senders) -> None:
        for _ in range(count):
            time.sleep(chance.uniform(0.0, 0.6))
            name = chance.choice(NAMES)
            pair.daemons[name].kill()
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0.0, 0.6))
            pair.begin_again(name)

    return judged_after(act, kind, folder, "--failback-s", "1", clients=clients)


def fail_point(
    folder: Path, name: str, seed: int, *, kind: str = "postgresql", clients: int = 2
) -> Verdict:
    """SIGKILL one of the two at a step of a write, twice; the other one takes its clients."""
    chance = random.Random(seed)

    def act(pair: Pair, _: Senders) -> None:
        for victim, other in (NAMES, NAMES[::-1]):
            pair.daemons[victim].stop()
            point = {"LOGD_FAILPOINTS": f"{name}=kill@{chance.randint(1, 4)}"}
            daemon = pair.begin(victim, point)
            daemon.wait_line("ready on|marks are shared")
            # Now all clients go to the one that will die.
            pair.daemons[other].stop()
            status = daemon.wait()
            assert status == -signal.SIGKILL, f"{name} not reached: {daemon.output}"
            pair.begin_again(other)
            pair.begin_again(victim)

    return judged_after(act, kind, folder, "--failback-s", "0.5", clients=clients)


def stops(
    folder: Path, seed: int, *, kind: str = "postgresql", stopped_s: float = STOPPED_S
) -> Verdict:
    """SIGSTOP each of the two for a while; it wakes up late and writes what it still has."""

    def act(pair: Pair, _: Senders) -> None:
        for daemon in pair.daemons.values():
            time.sleep(1.0)
            daemon.signal(signal.SIGSTOP)
            time.sleep(stopped_s)
            daemon.signal(signal.SIGCONT)
            time.sleep(1.0)

    return judged_after(act, kind, folder, "--failback-s", "1")


def network(folder: Path, seed: int, count: int, *, kind: str = "postgresql") -> Verdict:
    """Cut clients from a daemon, a daemon from the database, or both; by an end or by silence."""
    chance = random.Random(seed)

    def act(pair: Pair, _: Senders) -> None:
        for number in range(count):
            name = chance.choice(NAMES)
            both = [pair.to_daemon[name], pair.to_database[name]]
            gates = (both[:1], both[1:], both)[number % 3]
            time.sleep(chance.uniform(0.3, 1.0))
            is_silent = number % 2 == 0
            for gate in gates:
                gate.is_held = is_silent
                if not is_silent:
                    gate.shut()
            time.sleep(chance.uniform(0.5, 13.0 if is_silent else 2.0))
            for gate in gates:
                gate.is_held = False
                gate.open()

    return judged_after(act, kind, folder, "--failback-s", "1")


def database_restarts(folder: Path, seed: int, count: int) -> Verdict:
    """Restart PostgreSQL, as an operator does and as a crash does; clients hold what they have."""
    chance = random.Random(seed)
    with own_cluster() as server:

        def act(pair: Pair, _: Senders) -> None:
            for number in range(count):
                time.sleep(chance.uniform(0.3, 1.5))
                server.stop(("fast", "immediate")[number % 2])
                time.sleep(chance.uniform(0.0, 2.0))
                server.start()
            time.sleep(1.0)

        options = ("--failback-s", "1")
        return judged_after(act, "postgresql", folder, *options, server_port=server.port)


def rolling_upgrade(
    folder: Path, seed: int, count: int, *, kind: str = "postgresql", max_call_ms: float = 50.0
) -> Verdict:
    """Stop and start each of the two in turn, under load; no call of the apps takes 50 ms."""

    def act(pair: Pair, _: Senders) -> None:
        for _ in range(count):
            for name in NAMES:
                time.sleep(0.5)
                assert pair.daemons[name].stop() == 0, pair.daemons[name].output
                pair.begin_again(name)

    options = ("--rate", "1000", "--buffer-bytes", str(8 << 20), "--failback-s", "1")
    options += ("--first-in-line",)
    return judged_after(act, kind, folder, *options, clients=4, max_call_ms=max_call_ms)
