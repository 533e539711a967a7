"""What can go wrong between `log()` and the log, done for real, and judged by the oracle.

Each scenario starts daemons and senders in processes of their own, does its worst with the seed it
is given, lets all come to rest, and returns the oracle's verdict.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from logd.outputs.queuefolder import queue_folders
from tests.chaos import oracle
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import CuttingProxy
from tests.chaos.targets import TARGETS, Target, file_target, postgresql_target
from tests.daemon_process import DaemonProcess
from tests.ports import reserved_port

SENDER = Path(__file__).with_name("sender.py")

DONE_S = 150.0


class Senders:
    """Sender processes, all at full speed until `finish`.

    Attributes:
        slowest_call_ms: of all calls of all of them, once they have finished.
    """

    slowest_call_ms = 0.0

    def __init__(self, port: int, count: int, *options: str, base: int = 0) -> None:
        self._base = base
        self.processes = [
            subprocess.Popen(
                [sys.executable, SENDER, str(number), str(port), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number in range(base, base + count)
        ]

    def finish(self) -> Mapping[int, int]:
        """Tell them to stop, wait for their acknowledgements; sender -> records sent."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        sent: dict[int, int] = {}
        for number, process in enumerate(self.processes, self._base):
            output, errors = process.communicate(timeout=DONE_S)
            if process.returncode:
                raise AssertionError(f"sender {number} failed:\n{errors}")
            count, slowest_ms = output.split()
            sent[number] = int(count)
            self.slowest_call_ms = max(self.slowest_call_ms, float(slowest_ms))
        return sent

    def kill(self) -> None:
        """End those that are left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@contextlib.contextmanager
def senders(port: int, count: int, *options: str, base: int = 0) -> Iterator[Senders]:
    """Sender processes, numbered from `base`, that are gone when the block ends."""
    started = Senders(port, count, *options, base=base)
    try:
        yield started
    finally:
        started.kill()


class Restarted:
    """Daemons on one port, one after the other: killed and started again, as often as one likes.

    Attributes:
        port: of all of them.
    """

    def __init__(self, port: int, target: Target, folder: Path, *options: str) -> None:
        # So little that outputs which are too slow hold up the senders after all.
        self._options = [*target.options, "--queue-disk-bytes", "4 MiB", *options]
        self._folder = folder
        self._daemon: DaemonProcess | None = None
        self.port = port

    @property
    def daemon(self) -> DaemonProcess:
        """The running one, or the last one."""
        assert self._daemon is not None
        return self._daemon

    def _start(self, environment: dict[str, str] | None = None) -> DaemonProcess:
        return DaemonProcess(
            *self._options, folder=self._folder, port=self.port, environment=environment
        )

    def kill(self) -> None:
        """SIGKILL, and a new one at once."""
        self.daemon.kill()
        self.start()

    def start(self) -> None:
        """Start one; the last has ended."""
        self._daemon = self._start().wait_ready()

    def start_to_die(self, environment: dict[str, str]) -> int:
        """Start one that will not live long, perhaps not even till it is ready; its status."""
        self._daemon = self._start(environment)
        return self._daemon.wait()

    def wait_for_disk(self) -> None:
        """Return when no output has anything on disk any more."""
        deadline = time.monotonic() + DONE_S
        while folders := queue_folders(self._folder / ".logd-state"):
            assert time.monotonic() < deadline, f"{folders} are not empty:\n{self.daemon.output}"
            time.sleep(0.02)

    def stop(self, *, waits: bool = True) -> None:
        """End the last one gracefully; before, wait until the outputs have all that came."""
        if waits:
            self.wait_for_disk()
        status = self.daemon.stop()
        assert status == 0, f"status {status}:\n{self.daemon.output}"

    def close(self) -> None:
        """Be sure that it is gone."""
        if self._daemon is not None and self._daemon.process.poll() is None:
            self._daemon.kill()


@contextlib.contextmanager
def stopped(target: Target, folder: Path, *options: str) -> Iterator[Restarted]:
    """A daemon to be started, killed and restarted, gone when the block ends, with its tables."""
    with reserved_port() as port:
        daemons = Restarted(port, target, folder, *options)
        try:
            yield daemons
        finally:
            daemons.close()
            target.clean()


@contextlib.contextmanager
def restarted(target: Target, folder: Path, *options: str) -> Iterator[Restarted]:
    """The same, started already."""
    with stopped(target, folder, *options) as daemons:
        daemons.start()
        yield daemons


def kills(
    kind: str, folder: Path, seed: int, count: int, *, clients: int = 8, sync: str = "batch"
) -> oracle.Verdict:
    """SIGKILL the daemon `count` times at random moments under senders at full speed."""
    chance = random.Random(seed)
    target = TARGETS[kind](folder)
    with (
        restarted(target, folder, "--sync", sync) as daemons,
        # With little room each is held up by the daemon, not by all that it could put aside.
        senders(daemons.port, clients, "--buffer-bytes", str(1 << 18)) as sending,
    ):
        for _ in range(count):
            time.sleep(chance.uniform(0.0, 0.6))
            daemons.kill()
        sent = sending.finish()
        daemons.stop()
        return oracle.judge(target.messages(), sent)


def kills_at_changing_rates(folder: Path, seed: int, count: int) -> oracle.Verdict:
    """SIGKILL the daemon `count` times under apps as they are: slow, quick, and both in turn.

    Half of them have a spool. A daemon lives for some seconds, so that files of the spool fill up
    between two of its deaths.
    """
    chance = random.Random(seed)
    target = file_target(folder)
    with (
        restarted(target, folder) as daemons,
        senders(daemons.port, 4, "--rates-change") as plain,
        senders(
            daemons.port, 4, "--rates-change", "--spool", str(folder / "spool"), base=4
        ) as spooled,
    ):
        for _ in range(count):
            time.sleep(chance.uniform(0.3, 4.0))
            daemons.kill()
        sent = {**plain.finish(), **spooled.finish()}
        daemons.stop()
        return oracle.judge(target.messages(), sent)


FAIL_POINTS = {
    "files": (
        *("files.before_write", "files.after_write"),
        *("files.before_sync", "files.after_sync", "journal.before_write", "journal.after_write"),
        *("journal.before_sync", "journal.before_fresh", "journal.before_fresh_sync"),
        *("journal.before_rename", "journal.after_rename", "files.before_folder_sync"),
        *("rotation.before_way", "rotation.before_note", "rotation.before_create"),
        *("rotation.before_opened", "rotation.after", "ack.before_send", "ack.after_send"),
    ),
    "sqlite": (
        *("tables.before_insert", "tables.after_insert", "tables.before_commit"),
        *("tables.after_commit", "tables.before_rotate", "tables.after_rotate"),
    ),
}
"""Each step of the durable path that a SIGKILL can hit; see `logd.outputs.failpoints`. Steps that
only a full disk reaches are in `tests/outputs`."""

AT_START = ("journal.before_fresh", "journal.before_rename", "journal.after_rename")
"""Steps that a daemon takes at its start, and else only once in a long while."""


def fail_point(
    kind: str, name: str, folder: Path, seed: int, *, records: int = 1_200
) -> oracle.Verdict:
    """SIGKILL the daemon at one step of the durable path, at the first hit and a later one."""
    target = TARGETS[kind](folder)
    later = () if name.startswith(AT_START) else (random.Random(seed).randint(2, 4),)
    # The sender is kept waiting by each death: its records are there whenever a step is reached.
    sender = ("--records", str(records), "--flush-every", "100")
    with (
        stopped(target, folder, "--rotate-lines", "150") as daemons,
        senders(daemons.port, 1, *sender) as sending,
    ):
        for hit in (1, *later):
            status = daemons.start_to_die({"LOGD_FAILPOINTS": f"{name}=kill@{hit}"})
            assert status == -signal.SIGKILL, f"{name} not reached: {daemons.daemon.output}"
        daemons.start()
        sent = sending.finish()
        daemons.stop()
        return oracle.judge(target.messages(), sent)


def cuts(kind: str, folder: Path, seed: int, count: int, *, clients: int = 8) -> oracle.Verdict:
    """Cut connections at random bytes of both directions, acknowledgements included."""
    target = TARGETS[kind](folder)
    with restarted(target, folder) as daemons:
        proxy = CuttingProxy(daemons.port, seed)
        try:
            with senders(proxy.port, clients) as sending:
                deadline = time.monotonic() + DONE_S
                while proxy.cuts < count and time.monotonic() < deadline:
                    time.sleep(0.05)
                proxy.calm()
                sent = sending.finish()
        finally:
            proxy.close()
        daemons.stop()
        assert proxy.cuts >= count, f"only {proxy.cuts} cuts"
        return oracle.judge(target.messages(), sent)


def full_disk(folder: Path, seed: int, count: int, *, clients: int = 4) -> oracle.Verdict:
    """Fill the disk (`folder` is a small file system of its own) for a while, `count` times.

    Senders keep a pace: there are records to write at each time, and the log alone fills nothing.
    """
    chance = random.Random(seed)
    target = file_target(folder, lines=1_000_000)
    ballast = folder / "ballast"
    with (
        restarted(target, folder) as daemons,
        senders(daemons.port, clients, "--rate", "2000") as sending,
    ):
        for _ in range(count):
            _fill(ballast)
            daemons.daemon.wait_line("unavailable", timeout=60)
            time.sleep(chance.uniform(0.2, 1.0))
            ballast.unlink()
            daemons.daemon.wait_line("works again", timeout=60)
            daemons.daemon.lines.clear()
        sent = sending.finish()
        daemons.stop()
        return oracle.judge(target.messages(), sent)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65_536))


def dead_apps(folder: Path, seed: int, count: int) -> oracle.Verdict:
    """Kill apps in the middle of their work; the next one with their spool delivers the rest.

    Each kills itself right after its last log call, so it is known what it has passed to `log()`:
    all of that must be in the log, to the last record, whether the daemon was there or away.
    """
    chance = random.Random(seed)
    target = file_target(folder)
    spool = folder / "spool"
    sent = {number: chance.randrange(1, 20_000) for number in range(count)}
    with restarted(target, folder) as daemons:
        for number, records in sent.items():
            is_away = chance.random() < 0.5
            if is_away:
                # The spool is all there is.
                daemons.daemon.kill()
            status = _run_sender(number, daemons.port, spool, records, "--die")
            assert status == -signal.SIGKILL, f"sender {number} ended with {status}"
            if is_away:
                daemons.start()
        sent[count] = 1_000
        status = _run_sender(count, daemons.port, spool, sent[count], "--adopt")
        assert status == 0, f"the last sender ended with {status}"
        daemons.stop()
        return oracle.judge(target.messages(), sent)


def _run_sender(number: int, port: int, spool: Path, records: int, *options: str) -> int:
    arguments = [str(number), str(port), "--spool", str(spool), "--records", str(records)]
    return subprocess.run(
        [sys.executable, SENDER, *arguments, *options],
        check=False,
        timeout=DONE_S,
        stdout=subprocess.DEVNULL,
    ).returncode


def database_restarts(folder: Path, seed: int, count: int, *, clients: int = 4) -> oracle.Verdict:
    """Restart PostgreSQL under load, as an operator does and as a crash does, beside a file.

    The file goes on while the database is away; both hold everything in the end.
    """
    chance = random.Random(seed)
    with own_cluster() as server:
        target = postgresql_target(folder, server.url)
        files = file_target(folder)
        with (
            restarted(target, folder, *files.options[:2]) as daemons,
            senders(daemons.port, clients, "--buffer-bytes", str(1 << 18)) as sending,
        ):
            for _ in range(count):
                time.sleep(chance.uniform(0.2, 0.8))
                server.stop(chance.choice(["fast", "immediate"]))
                daemons.daemon.wait_line("unavailable", timeout=60)
                server.start()
                daemons.daemon.wait_line("works again", timeout=60)
                daemons.daemon.lines.clear()
            sent = sending.finish()
            daemons.stop()
            verdict = oracle.judge(target.messages(), sent)
            beside = oracle.judge(files.messages(), sent)
            if not beside.is_good:
                verdict.fault("missing", f"in the file beside: {beside}")
            return verdict


def stop_without_database(folder: Path, seed: int, records: int = 20_000) -> oracle.Verdict:
    """SIGTERM while the database is stopped: the rest is on disk, and written at the next start."""
    with own_cluster() as server:
        target = postgresql_target(folder, server.url)
        with restarted(target, folder, "--drain-s", "1") as daemons:
            with senders(daemons.port, 1, "--records", str(records)) as sending:
                sent = dict(sending.finish())
            server.stop()
            with senders(daemons.port, 2, "--records", str(records), "--first", "0") as sending:
                daemons.daemon.wait_line("unavailable", timeout=60)
                daemons.stop(waits=False)
                daemons.daemon.wait_line("wait in .* for the next start")
                server.start()
                daemons.start()
                sent = dict(sending.finish())
            daemons.stop()
            # Sender 0 of the second pair says again what the sender before the stop had said.
            messages = list(target.messages())
            again = [text for text in messages if text.startswith("sender 0 ")]
            others = [text for text in messages if not text.startswith("sender 0 ")]
            verdict = oracle.judge([*again[:records], *others], sent)
            if again[:records] != again[records:]:
                verdict.fault("missing", "sender 0 differs before and after the stop")
            return verdict


@contextlib.contextmanager
def own_cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of its own, started; gone when the block ends."""
    # Not in the folder of the test: the server's user can't enter those that pytest makes.
    with tempfile.TemporaryDirectory(prefix="logd-cluster-") as folder, reserved_port() as port:
        server = Cluster(Path(folder), port)
        server.start()
        try:
            yield server
        finally:
            if server.is_running():
                server.stop("immediate")
