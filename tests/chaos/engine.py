"""Ingest daemons, an engine of three servers, stores: and everything that can end, hang or fill.

Senders know both ingest daemons. Whatever happens, each record is once in the log of its partition,
and a sender's records are in their order. With a filter, at the ingest daemons or at the stores,
exactly what it lets through is there.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.oracle import LINE, Verdict, judge, postgresql_messages
from tests.chaos.proxy import Gate
from tests.chaos.scenarios import senders
from tests.chaos.sieve import keeps, left_of, unchanged
from tests.chaos.targets import POSTGRESQL, Target, drop_tables
from tests.daemon_process import DaemonProcess
from tests.engine.engines import Engine, cluster_engine
from tests.ports import reserved_port
from tests.waiting import wait_for

PARTITIONS = 2
SENDERS = 4
RATE = 500
"""Records a second of each sender: there is always something under way, and time for faults."""

DRAINED_S = 120.0
HANG_S = 12.0
"""Longer than a client waits for an answer if it knows another daemon."""

BETWEEN_S = (0.3, 1.5)


SIEVE = "tests.chaos.sieve:sift"
FINDS_SIEVE = {"PYTHONPATH": str(Path(__file__).parents[2])}


@dataclass(frozen=True)
class Plan:
    """What may be different from one system to the other.

    Attributes:
        sifts: where the filter runs, "ingest" or "store"; None for no filter.
        has_tables: stores write to PostgreSQL, not to files.
        has_pace: senders send `RATE` records a second, not all they can.
        output: options of the engine's URL for the ingest daemons.
        store: options of the stores.
    """

    sifts: str | None = None
    has_tables: bool = False
    has_pace: bool = True
    output: Mapping[str, str] = field(default_factory=dict)
    store: Sequence[str] = ()


def files_target(folder: Path) -> Target:
    """A log of files for each partition."""

    def messages() -> Iterator[str]:
        for path in sorted(folder.glob("chaos_*_*.log")):
            with path.open(encoding="utf-8", newline="\n") as lines:
                for line in lines:
                    match = LINE.fullmatch(line.removesuffix("\n"))
                    if match is None or not line.endswith("\n"):
                        yield f"torn line in {path.name}: {line!r}"
                    elif match["msg"].startswith("sender "):
                        yield match["msg"]

    return Target(["--file", "chaos_%p_%d.log"], messages)


def tables_target() -> Target:
    """Tables of PostgreSQL for each partition."""
    prefix = f"chaos_{uuid.uuid4().hex[:8]}"
    options = ["--db", POSTGRESQL.replace("postgresql:", "postgresql+psycopg:")]
    options += ["--table-pattern", f"{prefix}_%p_%d"]

    def messages() -> Iterator[str]:
        for partition in range(PARTITIONS):
            yield from postgresql_messages(POSTGRESQL, f"{prefix}_{partition}")

    return Target(options, messages, lambda: drop_tables(POSTGRESQL, prefix))


class System:
    """All of it; every process can be ended and started again.

    Args:
        folder: for all of it.
        engine: three servers.
        ports: of the ingest daemons.
        plan: what else is special about it.

    Attributes:
        engine: the same.
        ingests: two daemons that write to it.
        stores: two that read from it: one has the log, the other one waits for it.
        gates: what the first ingest daemon reaches each server of the engine by.
    """

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        ports: list[int],
        plan: Plan = Plan(),
    ) -> None:
        self.engine = engine
        self._folder = folder
        self._ports = ports
        self._plan = plan
        self.gates = [Gate(server.port) for server in engine.servers]
        self.out = folder / "out"
        self.out.mkdir()
        self._rings = tables_target() if plan.has_tables else files_target(self.out)
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
        output = self.engine.output(partitions=PARTITIONS, **self._plan.output)
        if number == 0:
            for server, gate in zip(self.engine.servers, self.gates, strict=True):
                output = output.replace(f"127.0.0.1:{server.port}", f"127.0.0.1:{gate.port}")
        filters = ("--filter", SIEVE) if self._plan.sifts == "ingest" else ()
        options = ("--output", output, *filters)
        port = self._ports[number]
        return DaemonProcess(*options, folder=folder, port=port, environment=FINDS_SIEVE)

    def _store(self, number: int) -> DaemonProcess:
        source = self.engine.source(partitions=f"0-{PARTITIONS - 1}")
        filters = ("--filter", SIEVE) if self._plan.sifts == "store" else ()
        options = ("--source", source, *self._rings.options, "--state-dir", f"s{number}")
        options = (*options, *filters, *self._plan.store)
        return DaemonProcess(*options, folder=self.out, port=None, environment=FINDS_SIEVE)

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
        """The senders' records, partition by partition, as they were sent."""
        for message in self._rings.messages():
            yield unchanged(message) if self._plan.sifts else message

    def judged(self, sent: Mapping[int, int]) -> Verdict:
        """Stop everything once all that was sent is there, or does not come; the verdict."""
        wanted = left_of(sent) if self._plan.sifts else sum(sent.values())
        with contextlib.suppress(AssertionError):
            wait_for(lambda: sum(1 for _ in self.messages()) >= wanted, "all", DRAINED_S)
        for daemon in (*self.ingests, *self.stores):
            assert daemon.stop() == 0, daemon.output
        for daemon in self.stores:
            assert "are missing" not in daemon.output, daemon.output
        messages = list(self.messages())
        return judge(messages, sent, keeps) if self._plan.sifts else judge(messages, sent)

    def close(self) -> None:
        """End what is left."""
        for daemon in (*self.ingests, *self.stores):
            if daemon.process.poll() is None:
                daemon.signal(signal.SIGCONT)
                daemon.kill()
        for gate in self.gates:
            gate.close()
        self._rings.clean()


Act = Callable[[System, random.Random], None]


def run(folder: Path, seed: int, act: Act, plan: Plan = Plan()) -> Verdict:
    """Let senders send while `act` does its worst; the verdict."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        engine = stack.enter_context(cluster_engine(folder))
        system = System(folder, engine, ports, plan)
        stack.callback(system.close)
        rate = ("--rate", str(RATE)) if plan.has_pace else ("--buffer-bytes", str(1 << 18))
        usual = ("--hosts", system.hosts, *rate, "--flush-s", "150")
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


def ingest_cut_off(system: System, chance: random.Random) -> None:
    """One ingest daemon is cut from the engine, without a word; it publishes late what it had."""
    _pause(chance)
    for is_cut in (True, False):
        for gate in system.gates:
            gate.is_held = is_cut
        time.sleep(HANG_S)


def full(system: System, chance: random.Random) -> None:
    """The stores are away until the engine takes no more; it goes on by itself."""
    _pause(chance)
    for daemon in system.stores:
        daemon.signal(signal.SIGSTOP)
    wait_for(
        lambda: any("maximum bytes exceeded" in one.output for one in system.ingests),
        "a full engine",
        DRAINED_S,
    )
    time.sleep(HANG_S)
    for daemon in system.stores:
        daemon.signal(signal.SIGCONT)
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


def plan(count: int) -> dict[str, tuple[Act, Plan]]:
    """All scenarios by name; each with `count` faults if it has many."""
    usual = Plan()
    small = Plan(has_pace=False, output={"max_bytes": "2560KiB"}, store=("--engine-keep-s", "0"))
    found = {
        f"{count} ingest daemons killed": (ingest_kills(count), usual),
        "an ingest daemon hangs": (ingest_hangs, usual),
        "an ingest daemon cut from the engine": (ingest_cut_off, usual),
        f"{count} stores killed": (store_kills(count), usual),
        f"{count} stores with tables killed": (store_kills(count), Plan(has_tables=True)),
        f"{count} servers killed": (node_kills(count), usual),
        "servers hang": (node_hangs, usual),
        "no quorum": (no_quorum, usual),
        "all servers killed": (all_down, usual),
        "full": (full, small),
        f"filter at ingest, {count} faults": (anything(count), Plan(sifts="ingest")),
        f"filter at stores, {count} faults": (anything(count), Plan(sifts="store")),
        f"{count} faults of any kind": (anything(count), usual),
    }
    return {f"engine: {name}": scenario for name, scenario in found.items()}
