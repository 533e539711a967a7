"""All outputs of the daemon as one: every batch goes to each of them, each at its own pace.

This is the writer that the daemon gives to its `LogServer`; the pipeline hands it whole `Work`s
and need not wait, the documented writer methods wait until the record is written.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from logd.outputs.work import SESSION_NAME, Work
from logd.outputs.worker import OutputWorker

if TYPE_CHECKING:
    from logd.records.batch import Batch
    from logd.records.job import MsgJob


class Outputs:
    """Hands work to the workers of all outputs, and stops them together.

    Records that come by no session get one of the daemon's own, numbered through as long as it
    runs: an output's marks then tell of each record whether it is in, whatever was interrupted.

    Attributes:
        workers: one for each output. To exchange them, a new list is put in its place.
        is_quick: `submit` takes no time: no output looks at records to choose among them.
    """

    def __init__(self, workers: Sequence[OutputWorker]) -> None:
        self.workers = workers
        self._session = SESSION_NAME + secrets.token_bytes(16 - len(SESSION_NAME))
        self._last = 0
        # Reentrant: a thread that exchanges workers may have a last line to write.
        self._lock = threading.RLock()

    @property
    def workers(self) -> Sequence[OutputWorker]:
        """See above."""
        return self._workers

    @workers.setter
    def workers(self, workers: Sequence[OutputWorker]) -> None:
        self._workers = list(workers)
        self.is_quick = not any(worker.chooses for worker in workers)
        # With several, one that hangs would keep the others from writing.
        self._writes_here = len(workers) == 1 and workers[0].output.is_quick

    def start(self) -> None:
        """Start all workers."""
        for worker in self.workers:
            worker.start()

    def submit(self, work: Work) -> None:
        """Queue `work` at every output; its `on_done` is called when all of them have it."""
        self._queue(work, wakes=True)

    def line_up(self, work: Work) -> None:
        """As `submit`; `write_here` has to follow, which may spare waking a thread."""
        self._queue(work, wakes=not self._writes_here)

    def write_here(self) -> None:
        """Write in this thread what was lined up, if the output's own thread has nothing to do."""
        for worker in self._workers:
            worker.write_here()

    def _queue(self, work: Work, *, wakes: bool) -> None:
        with self._lock:
            self._number(work)
            work.expect(len(self._workers))
            for worker in self._workers:
                worker.submit(work, wakes=wakes)

    def _number(self, work: Work) -> None:
        """Make batches without a session the daemon's own."""
        for batch in work.batches:
            if batch.client is None:
                batch.number(self._session, self._last + 1)
                self._last += len(batch.msg)

    def relieve(self) -> None:
        """Senders wait: what an output has not got goes to its disk."""
        for worker in self.workers:
            worker.relieve()

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """While this lasts nobody else submits, so that nothing goes to a worker that stops."""
        with self._lock:
            yield

    def wait_written(self, work: Work) -> None:
        """Return once every output that works has written `work`."""
        for worker in self.workers:
            worker.wait_written(work)

    def call_each(self, method: Callable[[OutputWorker], Callable[[], None]]) -> None:
        """Run what `method` makes of each worker in that worker's thread, between two writes."""
        for worker in self.workers:
            worker.call(method(worker))

    def stuck_s(self) -> float:
        """The longest time, in seconds, that an output has been busy with one call."""
        return max((worker.stuck_s() for worker in self.workers), default=0.0)

    def give_up_at(self, deadline: float) -> None:
        """Set the end of the time to stop for all outputs; see `OutputWorker.give_up_at`."""
        for worker in self.workers:
            worker.give_up_at(deadline)

    def stop(self) -> None:
        """Stop all workers at the same time; returns when all have stopped."""
        stop_together(self.workers)

    # -- the documented writer interface, for filters and observers that use it --------------

    def write_batch(self, batch: Batch) -> None:
        """Write a batch of the daemon's own; queued before it returns, written soon after."""
        self.submit(_own_work(batch))

    def writeNow(self, job: MsgJob) -> None:
        """Write one job; returns once every output that works has it."""
        from logd.records.batch import Batch

        work = _own_work(Batch.from_jobs([job]))
        self.submit(work)
        self.wait_written(work)


def _own_work(batch: Batch) -> Work:
    """Work for a batch that came from no sender, whatever its records were made of.

    A filter may write a record of a session, or a copy, before those in front of it are written;
    with the session's mark it would make those look written, too.
    """
    return Work([batch.in_session(None)], {}, _ignore)


def stop_together(workers: Iterable[OutputWorker]) -> None:
    """Stop several workers at the same time; returns when all have stopped."""
    threads = [threading.Thread(target=worker.stop) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ignore(work: Work) -> None:
    """Nobody waits for the daemon's own records."""
