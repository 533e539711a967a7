"""`python -m tests.chaos.outage`: a database that is away, slow, or away for longer than the disk.

SocketHandler processes log at a pace into a daemon that writes to PostgreSQL through a gate. For a
while the gate is shut. Then it is counted what is in the table: nothing lost, nothing twice. Also
measured: the slowest call in any app, the daemon's memory, the rate of catching up beside the rate
that the same output has without the disk.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import oracle
from tests.chaos.ownrate import own_rate, wait_written, written
from tests.chaos.proxy import Gate
from tests.chaos.targets import postgresql_target
from tests.daemon_process import DaemonProcess, running

SENDER = Path(__file__).with_name("plain_sender.py")
SERVER = "postgresql://postgres@127.0.0.1:{port}/test"


@dataclass
class Outcome:
    """What a run showed.

    Attributes:
        verdict: the oracle's.
        slowest_call_s: of all calls in all apps.
        slowest_running_s: the same less the time in which an app waited for a processor.
        memory_before, memory_after: the daemon's, in MiB, before the outage and at its end.
        kept: records that waited on disk at the end of the outage.
        catching_up_per_s: records a second that the output took once it was back.
        own_per_s: the same that it takes from memory, see `own_rate`.
    """

    verdict: oracle.Verdict
    slowest_call_s: float
    slowest_running_s: float
    memory_before: float
    memory_after: float
    kept: int
    catching_up_per_s: float
    own_per_s: float

    def __str__(self) -> str:
        return (
            f"{self.verdict}; slowest call {self.slowest_call_s * 1000:.0f} ms, "
            f"{self.slowest_running_s * 1000:.0f} ms without waiting for a processor; memory "
            f"{self.memory_before:.0f} MiB, at the end of the outage {self.memory_after:.0f} MiB; "
            f"{self.kept:,} records on disk, taken back at {self.catching_up_per_s:,.0f} a second, "
            f"{self.catching_up_per_s / self.own_per_s:.2f} of {self.own_per_s:,.0f} from memory"
        )


def outage(
    folder: Path,
    *,
    senders: int,
    rate: float,
    away_s: float,
    slow: float | None = None,
    options: tuple[str, ...] = (),
) -> Outcome:
    """Run one outage of `away_s` seconds under `senders` apps with `rate` records a second each.

    With `slow` the database is not away, but takes so many bytes a second.
    """
    gate = Gate(5432)
    server = SERVER.format(port=gate.port)
    own_folder = folder / "own"
    own_folder.mkdir()
    target = postgresql_target(folder, server)
    try:
        own_per_s = own_rate(own_folder, postgresql_target(own_folder, server))
        with running(*target.options, *options, folder=folder, has_own_share=True) as daemon:
            records = int(rate * (away_s + 4))
            command = [sys.executable, SENDER, str(daemon.port), str(records), str(rate)]
            apps = [
                subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True)
                for number in range(senders)
            ]
            time.sleep(3)
            before = memory(daemon)
            if slow is None:
                gate.shut()
            gate.bytes_per_s = slow
            time.sleep(away_s)
            after = memory(daemon)
            kept = waiting(folder)
            said = [app.communicate(timeout=away_s + 60)[0].split() for app in apps]
            before_open = written(folder)
            gate.bytes_per_s = None
            gate.open()
            if slow is None:
                daemon.wait_line("works again")
            started = time.monotonic()
            wait_written(folder, senders * records, away_s * 4 + 60)
            took_s = time.monotonic() - started
            assert daemon.stop() == 0, daemon.output
        verdict = oracle.judge(target.messages(), dict.fromkeys(range(senders), records))
        slowest, on_processor = (max(map(float, column)) for column in zip(*said, strict=True))
        taken_per_s = (senders * records - before_open) / took_s
        return Outcome(verdict, slowest, on_processor, before, after, kept, taken_per_s, own_per_s)
    finally:
        gate.open()
        target.clean()
        gate.close()


def memory(daemon: DaemonProcess) -> float:
    """The daemon's resident memory, in MiB."""
    text = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def waiting(folder: Path) -> int:
    """How many records wait on disk."""
    from logd.outputs.leftbehind import queues

    return sum(one.records or 0 for one in queues(folder / ".logd-state"))


def main() -> int:
    """Run one outage and print what it showed; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.outage", description=__doc__)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1000.0, help="records/s of each")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="how long the database is away"
    )
    parser.add_argument("--slow", type=float, help="not away: takes so many bytes a second")
    parser.add_argument("--disk", default="4 GiB", help="queue_disk_bytes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="logd-outage-") as folder:
        outcome = outage(
            Path(folder),
            senders=options.senders,
            rate=options.rate,
            away_s=options.seconds,
            slow=options.slow,
            options=("--queue-disk-bytes", options.disk),
        )
    print(outcome)
    return 0 if outcome.verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
