"""Ingest daemons, an engine of three servers, stores: and everything that can end, hang or fill.

Senders know both ingest daemons. Whatever happens, each record is once in the files of its
partition, and a sender's records are in their order.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.chaos.oracle import LINE, Verdict, judge
from tests.chaos.scenarios import senders
from tests.daemon_process import DaemonProcess
from tests.engine.engines import Engine, cluster_engine, wait_for
from tests.ports import reserved_port

PARTITIONS = 2
SENDERS = 4
RATE = 500
"""Records a second of each sender: there is always something under way, and time for faults."""

DRAINED_S = 120.0
HANG_S = 12.0
"""Longer than a client waits for an answer if it knows another daemon."""

BETWEEN_S = (0.3, 1.5)


class System:
    """All of it; every process can be ended and started again.

    Attributes:
        engine: three servers.
        ingests: two daemons that write to it.
        stores: two that read from it: one has the files, the other one waits for them.
    """

    def __init__(self, folder: Path, engine: Engine, ports: list[int], *options: str) -> None:
        self.engine = engine
        self._folder = folder
        self._ports = ports
        self._options = options
        self._output = engine.output(partitions=PARTITIONS)
        self.out = folder / "out"
        self.out.mkdir()
        self.ingests = [self._ingest(number) for number in range(2)]
        self.stores = [self._store(number) for number in range(2)]
        for daemon in (*self.ingests, *self.stores):
            daemon.wait_ready()

    @property
    def hosts(self) -> str:
        """For senders."""
        return ",".join(f"127.0.0.1:{port}" for port in self._ports)

    def _ingest(self, number: int) -> DaemonProcess:
        folder = self._folder / f"in{number}"
        folder.mkdir(exist_ok=True)
        options = ("--output", self._output, *self._options)
        return DaemonProcess(*options, folder=folder, port=self._ports[number])

    def _store(self, number: int) -> DaemonProcess:
        source = self.engine.source(partitions=f"0-{PARTITIONS - 1}")
        options = ("--source", source, "--file", "chaos_%p_%d.log", "--state-dir", f"s{number}")
        return DaemonProcess(*options, folder=self.out, port=None)

    def restart_ingest(self, number: int) -> None:
        """Kill one and start it again."""
        self.ingests[number].kill()
        self.ingests[number] = self._ingest(number)
        self.ingests[number].wait_ready()

    def restart_store(self, number: int) -> None:
        """Kill one and start it again; the other may have the files by then."""
        self.stores[number].kill()
        self.stores[number] = self._store(number)
        self.stores[number].wait_ready()

    def restart_node(self, number: int) -> None:
        """Kill one engine server and start it again."""
        self.engine.servers[number].kill()
        self.engine.servers[number].start()

    def messages(self) -> Iterator[str]:
        """The senders' records, partition by partition."""
        for path in sorted(self.out.glob("chaos_*_*.log")):
            with path.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    match = LINE.fullmatch(line.removesuffix("\n"))
                    if match is None or not line.endswith("\n"):
                        yield f"torn line in {path.name}: {line!r}"
                    elif match["msg"].startswith("sender "):
                        yield match["msg"]

    def judged(self, sent: Mapping[int, int]) -> Verdict:
        """Stop everything once all that was sent is there, or does not come; the verdict."""
        wanted = sum(sent.values())
        with contextlib.suppress(AssertionError):
            wait_for(lambda: sum(1 for _ in self.messages()) >= wanted, "all", DRAINED_S)
        for daemon in (*self.ingests, *self.stores):
            assert daemon.stop() == 0, daemon.output
        for daemon in self.stores:
            assert "are missing" not in daemon.output, daemon.output
        return judge(self.messages(), sent)

    def close(self) -> None:
        """End what is left."""
        for daemon in (*self.ingests, *self.stores):
            if daemon.process.poll() is None:
                daemon.signal(signal.SIGCONT)
                daemon.kill()


Act = Callable[[System, random.Random], None]


def run(folder: Path, seed: int, act: Act, *options: str) -> Verdict:
    """Let senders send while `act` does its worst; the verdict."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        engine = stack.enter_context(cluster_engine(folder))
        system = System(folder, engine, ports, *options)
        stack.callback(system.close)
        usual = ("--hosts", system.hosts, "--rate", str(RATE), "--flush-s", "150")
        with senders(1, SENDERS, *usual) as sending:
            act(system, random.Random(seed))
            sent = sending.finish()
        return system.judged(sent)


def _pause(chance: random.Random) -> None:
    time.sleep(chance.uniform(*BETWEEN_S))


def ingest_kills(count: int) -> Act:
    """Either ingest daemon dies, again and again."""

    def act(system: System, chance: random.Random) -> None:
        for _ in range(count):
            _pause(chance)
            system.restart_ingest(chance.randrange(2))

    return act


def store_kills(count: int) -> Act:
    """Either store dies, the one with the files or the one that waits."""

    def act(system: System, chance: random.Random) -> None:
        for _ in range(count):
            _pause(chance)
            system.restart_store(chance.randrange(2))

    return act


def node_kills(count: int) -> Act:
    """One engine server dies at a time, leaders too."""

    def act(system: System, chance: random.Random) -> None:
        for _ in range(count):
            _pause(chance)
            system.restart_node(chance.randrange(3))
            time.sleep(2.0)

    return act


def ingest_hangs(system: System, chance: random.Random) -> None:
    """One ingest daemon hangs, its clients move, and it publishes what it still had."""
    number = chance.randrange(2)
    _pause(chance)
    system.ingests[number].signal(signal.SIGSTOP)
    time.sleep(HANG_S)
    system.ingests[number].signal(signal.SIGCONT)
    _pause(chance)


def node_hangs(system: System, chance: random.Random) -> None:
    """Each engine server hangs for a while, one after the other."""
    for server in system.engine.servers:
        _pause(chance)
        server.send(signal.SIGSTOP)
        time.sleep(HANG_S / 2)
        server.send(signal.SIGCONT)


def no_quorum(system: System, chance: random.Random) -> None:
    """Two of three engine servers die: all wait, and it goes on once they are back."""
    _pause(chance)
    dead = chance.sample(range(3), 2)
    for number in dead:
        system.engine.servers[number].kill()
    time.sleep(HANG_S / 2)
    for number in dead:
        system.engine.servers[number].start()
    _pause(chance)


def all_down(system: System, chance: random.Random) -> None:
    """All engine servers die at once."""
    _pause(chance)
    for server in system.engine.servers:
        server.kill()
    time.sleep(2.0)
    for server in system.engine.servers:
        server.start()
    _pause(chance)


def anything(count: int) -> Act:
    """Any of the faults, at random."""

    def act(system: System, chance: random.Random) -> None:
        for _ in range(count):
            _pause(chance)
            match chance.randrange(4):
                case 0:
                    system.restart_ingest(chance.randrange(2))
                case 1:
                    system.restart_store(chance.randrange(2))
                case 2:
                    system.restart_node(chance.randrange(3))
                case _:
                    daemon = chance.choice(system.ingests)
                    daemon.signal(signal.SIGSTOP)
                    _pause(chance)
                    daemon.signal(signal.SIGCONT)

    return act


def plan(count: int) -> dict[str, Act]:
    """All scenarios by name; each with `count` faults if it has many."""
    return {
        f"engine: {count} ingest daemons killed": ingest_kills(count),
        f"engine: {count} stores killed": store_kills(count),
        f"engine: {count} servers killed": node_kills(count),
        "engine: an ingest daemon hangs": ingest_hangs,
        "engine: servers hang": node_hangs,
        "engine: no quorum": no_quorum,
        "engine: all servers killed": all_down,
        f"engine: {count} faults of any kind": anything(count),
    }
