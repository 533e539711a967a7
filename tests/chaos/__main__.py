"""`python -m tests.chaos`: everything that can go wrong, for longer than a test suite may take.

Prints the seed first: `--seed` with it repeats the choices of a run (not the timing of processes).
Ends with status 1 where the oracle found a fault.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos import engine, readers, scenarios, shared
from tests.chaos.cluster import binaries
from tests.chaos.oracle import Verdict
from tests.chaos.powerloss.checking import PowerLoss, Tally
from tests.chaos.powerloss.disk import Order
from tests.chaos.powerloss.recording import Runner, compile_recorder, compiler
from tests.chaos.powerloss.workloads import WORKLOADS
from tests.engine.engines import find_server

Scenario = Callable[[Path, int], Verdict | Tally]

RECORDINGS = 5
MOMENTS = 60
"""Power is lost so often in each of the recorded runs."""


@contextmanager
def small_disk(folder: Path, size: str = "64m") -> Iterator[Path]:
    """A file system of its own, so small that it can be filled; needs root."""
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def _full_disk(count: int) -> Scenario:
    def run(folder: Path, seed: int) -> Verdict:
        with small_disk(folder) as disk:
            return scenarios.full_disk(disk, seed, count)

    return run


def _kills(kind: str, count: int, sync: str = "batch") -> Scenario:
    return lambda folder, seed: scenarios.kills(kind, folder, seed, count, sync=sync)


def _fail_point(kind: str, name: str) -> Scenario:
    return lambda folder, seed: scenarios.fail_point(kind, name, folder, seed)


def _power_loss(name: str, order: Order) -> Scenario:
    def run(folder: Path, seed: int) -> Tally:
        with Runner(compile_recorder(folder)) as runner:
            losses = PowerLoss(runner, WORKLOADS[name], folder, seed)
            for deaths in range(1, RECORDINGS + 1):
                losses.losses(MOMENTS, order, deaths=min(deaths, 3))
        return losses.tally

    return run


def _engine(act: engine.Act, plan: engine.Plan) -> Scenario:
    return lambda folder, seed: engine.run(folder, seed, act, plan)


def _shared(kind: str, kills: int) -> dict[str, Scenario]:
    """Two daemons with shared marks on one database."""

    def fail_point(name: str) -> Scenario:
        return lambda folder, seed: shared.fail_point(folder, name, seed, kind=kind)

    found: dict[str, Scenario] = {
        "kills": lambda folder, seed: shared.kills(folder, seed, kills // 2, kind=kind),
        "stopped": lambda folder, seed: shared.stops(folder, seed, kind=kind),
        "network": lambda folder, seed: shared.network(folder, seed, 12, kind=kind),
        "upgrade": lambda folder, seed: shared.rolling_upgrade(folder, seed, 3, kind=kind),
        **{name: fail_point(name) for name in shared.FAIL_POINTS},
    }
    if kind == "postgresql" and binaries() is not None:
        found["database restarted"] = lambda folder, seed: shared.database_restarts(folder, seed, 6)
    return {f"shared marks, {kind}: {name}": scenario for name, scenario in found.items()}


def plan(kills: int) -> dict[str, Scenario]:
    """All scenarios by name, in the order they are run."""
    found: dict[str, Scenario] = {
        f"{kills} kills, files": _kills("files", kills),
        f"{kills} kills, files, sync none": _kills("files", kills, "none"),
        f"{kills} kills, sqlite": _kills("sqlite", kills),
        f"{kills} kills, postgresql": _kills("postgresql", kills),
        "kills at changing rates": lambda folder, seed: scenarios.kills_at_changing_rates(
            folder, seed, kills // 4
        ),
        f"{kills * 3} cuts": lambda folder, seed: scenarios.cuts("files", folder, seed, kills * 3),
        "postgresql restarted": lambda folder, seed: scenarios.database_restarts(folder, seed, 3),
        "disk full": _full_disk(5),
        "stop without database": scenarios.stop_without_database,
        "dead apps": lambda folder, seed: scenarios.dead_apps(folder, seed, 20),
        "readers for a minute": lambda folder, seed: readers.follow(folder, 180_000, 3000.0, 25.0),
    }
    for kind in shared.SERVERS:
        found |= _shared(kind, kills)
    if find_server() is not None:
        for name, (act, special) in engine.plan(max(1, kills // 10)).items():
            found[name] = _engine(act, special)
    for kind, names in scenarios.FAIL_POINTS.items():
        found |= {f"{kind}: {name}": _fail_point(kind, name) for name in names}
    orders: tuple[Order, ...] = ("ext4", "posix")
    for name in WORKLOADS if compiler() else ():
        found |= {f"power loss, {order}: {name}": _power_loss(name, order) for order in orders}
    return found


def main() -> int:
    """Run the scenarios; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs for each output")
    parser.add_argument("--only", help="scenarios whose name contains this")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    faults = 0
    for name, scenario in plan(options.kills).items():
        if options.only and options.only not in name:
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="logd-chaos-") as folder:
            try:
                verdict = scenario(Path(folder), options.seed)
                is_good, text = verdict.is_good, str(verdict)
            except AssertionError as exc:
                # The others are to be seen, too.
                is_good, text = False, f"FAILED: {exc}"
        faults += not is_good
        print(f"{name} ({time.monotonic() - started:.0f} s): {text}", flush=True)
    print("all promises kept" if not faults else f"{faults} scenarios with faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
