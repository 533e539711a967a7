"""Goal 7: memory while eight senders offer more than can be written, for as long as asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench.encoders import Load, session
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.processes import Server, free_port
from tests.bench.results import Row, Settings, at_most, compete
from tests.bench.senders import open_session, send_batches

CONNECTIONS = 8
QUEUE_BYTES = 64 * 2**20
"""What the daemon may hold, its default `queue_bytes`."""

SAMPLE_S = 0.1


@dataclass(frozen=True)
class Overload:
    """What became of the memory.

    Attributes:
        seconds: how long it lasted.
        records: how many were written and acknowledged meanwhile.
        idle_bytes: resident memory before the first record.
        samples: resident memory every 100 ms since.
    """

    seconds: float
    records: int
    idle_bytes: int
    samples: Sequence[int]

    @property
    def growth(self) -> float:
        """The peak over the idle size, as a multiple of the queue's limit."""
        return (max(self.samples) - self.idle_bytes) / QUEUE_BYTES

    @property
    def slope(self) -> float:
        """The peak of the last third by that of the second; 1 is flat."""
        third = len(self.samples) // 3
        return max(self.samples[-third:]) / max(self.samples[third:-third])


def overload(settings: Settings) -> Iterator[Row]:
    """Goal 7: flat, bounded by the configured queue; at most 60 MB when idle."""
    seconds = settings.soak_s or settings.pick(20, 3, 1)
    load = session(settings.pick(800_000, 200_000, 16_000), CONNECTIONS)
    contest = compete({"logd": partial(_run, load, seconds)}, 1)
    task = f"7 overload, {seconds} s"
    for reason in contest.absent.values():
        yield Row(task, "logd", (), "MB", reason)
    runs = contest.runs.get("logd", [])
    idle = [done.idle_bytes / 1e6 for done in runs]
    yield Row(task, "logd idle", idle, "MB", goal=at_most(60, "MB"))
    notes = "".join(f"{done.records / done.seconds:,.0f} records/s written" for done in runs)
    peak = [max(done.samples) / 1e6 for done in runs]
    yield Row(task, "logd peak", peak, "MB", notes)
    yield Row(task, "growth / queue_bytes", [done.growth for done in runs], "x", goal=at_most(1.5))
    slope = [done.slope for done in runs]
    yield Row(task, "peak of last / second third", slope, "x", goal=at_most(1.1))


def _run(load: Load, seconds: float) -> Overload:
    receiver = logd(session)
    port = free_port()
    with scratch_folder() as folder, receiver.start(folder, port) as server:
        server.connect(port).close()
        time.sleep(0.5)  # what the start leaves behind is no part of the question
        idle = server.rss_bytes()
        flood = _Flood(server, port, load)
        started = time.monotonic()
        samples = []
        while time.monotonic() < started + seconds:
            time.sleep(SAMPLE_S)
            server.check()
            samples.append(server.rss_bytes())
        records = flood.stop()
        return Overload(time.monotonic() - started, records, idle, samples)


class _Flood:
    """Sends the same load over and over, each time as a new session on each connection."""

    def __init__(self, server: Server, port: int, load: Load) -> None:
        self._is_stopping = False
        self._records: list[int] = []
        self._errors: list[BaseException] = []
        self._each = load.records // len(load.chunks)
        self._threads = [
            threading.Thread(target=self._run, args=(server, port, chunks), daemon=True)
            for chunks in load.chunks
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> int:
        """Let the passes under way end; how many records were acknowledged in all."""
        self._is_stopping = True
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return sum(self._records)

    def _run(self, server: Server, port: int, chunks: Sequence[bytes]) -> None:
        try:
            while not self._is_stopping:
                with server.connect(port) as connection:
                    send_batches(connection, open_session(connection), chunks, self._each)
                self._records.append(self._each)
        except BaseException as exc:  # handed to the thread that waits
            self._errors.append(exc)
