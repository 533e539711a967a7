"""`python -m tests.chaos.failover`: how long clients take to leave a daemon that is gone.

Two daemons with shared marks on PostgreSQL; each client waits for each of its records. All are at
one daemon when that is killed, stopped (SIGSTOP), or cut off from them without a word; the figure
is the time from there to the first record that is acknowledged elsewhere. Records are counted at
the end.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from logd_client import createClientLog
from tests.chaos.oracle import Verdict
from tests.chaos.sender import text_of
from tests.chaos.shared import NAMES, Pair, two_daemons

PATIENCE_S = 60.0
BETWEEN_S = 0.01
SETTLED_S = 0.5

Fault = Callable[[Pair, str], None]


def killed(pair: Pair, name: str) -> None:
    """SIGKILL."""
    pair.daemons[name].process.kill()


def stopped(pair: Pair, name: str) -> None:
    """SIGSTOP: connections stay, nobody answers."""
    pair.daemons[name].signal(signal.SIGSTOP)


def cut(pair: Pair, name: str) -> None:
    """The network lets nothing through, and tells nobody."""
    pair.to_daemon[name].is_held = True


def mend(pair: Pair, name: str, fault: Fault) -> None:
    """Undo a fault."""
    if fault is killed:
        pair.daemons[name].wait()
        pair.begin_again(name)
    elif fault is stopped:
        pair.daemons[name].signal(signal.SIGCONT)
    else:
        pair.to_daemon[name].is_held = False


FAULTS: Mapping[str, Fault] = {"killed": killed, "stopped": stopped, "cut": cut}


class Client:
    """Logs one record after the other, each acknowledged before the next.

    Attributes:
        sent: how many were acknowledged.
        came: when the first record was acknowledged there where it is now, by the monotonic
            clock, and where that is.
    """

    def __init__(self, number: int, hosts: Sequence[str]) -> None:
        self.number = number
        self.sent = 0
        self.came: tuple[float, str] = (0.0, "")
        self.problem = ""
        self._is_ending = threading.Event()
        self._log = createClientLog(hosts=hosts, failback_s=0, environ={})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_ending.wait(BETWEEN_S):
            if not self._log(text_of(self.number, self.sent), sync=PATIENCE_S):
                self.problem = f"not acknowledged: {self._log.server.last_error}"
                return
            self.sent += 1
            place = str(self._log.server.connected_to)
            if place != self.came[1]:
                self.came = time.monotonic(), place

    def end(self) -> int:
        """Stop; returns how many records it sent."""
        self._is_ending.set()
        self._thread.join()
        assert not self.problem, self.problem
        self._log.close()
        return self.sent


def measured(folder: Path, fault: Fault, tries: int, clients: int) -> tuple[list[float], Verdict]:
    """Seconds that each client took in each try, and what the rings hold at the end."""
    found: list[float] = []
    with two_daemons("postgresql", folder) as pair:
        pair.begin_all()
        hosts = pair.hosts.split(",")
        crowd = [Client(number, hosts) for number in range(clients)]
        for _ in range(tries):
            _wait(lambda: all(client.came[1] in hosts for client in crowd))
            place = crowd[0].came[1]
            victim = NAMES[hosts.index(place)]
            there = [client for client in crowd if client.came[1] == place]
            began = time.monotonic()
            fault(pair, victim)
            for client in there:
                _wait(partial(_is_elsewhere, client, place))
            found += [client.came[0] - began for client in there]
            mend(pair, victim, fault)
            time.sleep(SETTLED_S)
        sent = {client.number: client.end() for client in crowd}
        for name in NAMES:
            assert pair.daemons[name].stop() == 0, pair.daemons[name].output
        return found, pair.judged(sent)


def _is_elsewhere(client: Client, place: str) -> bool:
    return client.came[1] != place


def _wait(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


def main() -> int:
    """Measure, and print a line for each kind of fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.failover", description=__doc__)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--only", choices=list(FAULTS))
    options = parser.parse_args()
    status = 0
    for name, fault in FAULTS.items():
        if options.only not in (None, name):
            continue
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="logd-failover-")))
            times, verdict = measured(folder, fault, options.tries, options.clients)
        times.sort()
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        print(
            f"{name}: {options.tries} tries, {len(times)} clients moved: p50 {p50:.2f} s, "
            f"p99 {p99:.2f} s, longest {times[-1]:.2f} s; {verdict}",
            flush=True,
        )
        status = status or not verdict.is_good
    return status


if __name__ == "__main__":
    sys.exit(main())
