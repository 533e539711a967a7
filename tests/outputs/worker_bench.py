"""A worker with an output in memory, for tests that say when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from logd.outputs.base import Output, OutputStatus, OutputUnavailable
from logd.outputs.diskqueue import DiskQueue
from logd.outputs.fanout import Outputs
from logd.outputs.work import Work
from logd.outputs.worker import OutputWorker
from logd.records.batch import Batch
from logd.records.context import Context

TIMEOUT_S = 60.0


CLIENT = b"c" * 16


class MemoryOutput(Output):
    """Keeps texts in memory; refuses and waits as told.

    Attributes:
        refusals: raised by the next writes, one each, after the part they say is written.
        may_sync: a sync returns once this is set.
    """

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.written: list[str] = []
        self.synced = 0
        self.syncs = 0
        self.refusals: list[OutputUnavailable] = []
        self.is_away = False
        self.is_closed = False
        self.tries = 0
        self.may_sync = threading.Event()
        self.may_sync.set()
        self.sync_refusals: list[OutputUnavailable] = []

    def open(self) -> Mapping[bytes, int]:
        return {}

    def write(self, batches: Sequence[Batch]) -> None:
        self.tries += 1
        if self.is_away:
            raise OutputUnavailable("away")
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is None:
            self._keep(batches)
            return
        self._keep(batches[: refusal.batches_done])
        if refusal.rows_done:
            self._keep([batches[refusal.batches_done].part(0, refusal.rows_done)])
        raise refusal

    def _keep(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self.written += batch.msg

    def sync(self) -> None:
        done = len(self.written)
        assert self.may_sync.wait(TIMEOUT_S)
        if self.sync_refusals:
            raise self.sync_refusals.pop(0)
        self.synced = done
        self.syncs += 1

    def forget(self, clients: Sequence[bytes]) -> None:
        pass

    def status(self) -> OutputStatus:
        return OutputStatus(self.name)

    def close(self) -> None:
        self.is_closed = True


def batch(*texts: str, first: int = 0) -> Batch:
    """Records of a session from number `first` on; of no session where it is 0."""
    context = Context(1, 1, "t", "I", (), 0, "")
    count = len(texts)
    client = CLIENT if first else None
    numbers = range(count)
    return Batch([context], [0] * count, numbers, [1.0] * count, texts, client=client, first=first)


def disk_queue(folder: Path, limit_bytes: int = 1 << 20) -> DiskQueue:
    """The queue of an output of these tests, not opened."""
    return DiskQueue(folder / "queue-memory", "memory", limit_bytes=limit_bytes)


def keep(folder: Path, *batches: Batch) -> None:
    """Leave batches on disk, one group each, as an earlier run does."""
    queue = disk_queue(folder)
    queue.open()
    for one in batches:
        queue.append([one])
    queue.close()


def kept(folder: Path) -> list[str]:
    """The texts that wait on disk."""
    queue = disk_queue(folder)
    queue.open()
    texts: list[str] = []
    while (portion := queue.read(1 << 20)) is not None:
        texts += [text for one in portion.batches for text in one.msg]
    queue.close()
    return texts


class Bench:
    """A worker with what it was told and what it told."""

    def __init__(
        self,
        folder: Path,
        *,
        marks: Mapping[bytes, int] | None = None,
        durable: bool = True,
        limit_bytes: int = 1 << 20,
        output: MemoryOutput | None = None,
    ) -> None:
        self.output = output or MemoryOutput()
        self.queue = disk_queue(folder, limit_bytes)
        self.queue.open()
        self.problems: list[str] = []
        self.failures: list[BaseException] = []
        self.done: list[Work] = []
        self.changed = threading.Condition()
        self.worker = OutputWorker(
            self.output,
            marks or {},
            self.queue,
            durable=durable,
            on_problem=lambda cat, text: self.problems.append(text),
            on_fatal=self.failures.append,
        )
        self.outputs = Outputs([self.worker])

    def submit(self, *batches: Batch) -> Work:
        work = Work(batches, {}, self._finished)
        self.outputs.submit(work)
        return work

    def _finished(self, work: Work) -> None:
        with self.changed:
            self.done.append(work)
            self.changed.notify_all()

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        with self.changed:
            while not condition():
                assert self.changed.wait(0.01) or time.monotonic() < deadline
