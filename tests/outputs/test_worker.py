"""OutputWorker: retries, group commit, the queue on disk, and what is there from earlier runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

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


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A worker that syncs, not started."""
    return Bench(tmp_path)


def test_work_is_done_when_it_is_synced(bench: Bench) -> None:
    """An acknowledgement waits for the sync that began after the write."""
    bench.output.may_sync.clear()
    bench.outputs.start()
    works = [bench.submit(batch(str(number))) for number in range(5)]
    bench.wait(lambda: len(bench.output.written) == 5)
    assert bench.done == []
    bench.output.may_sync.set()
    bench.wait(lambda: bench.done == works)
    assert bench.output.synced == 5
    assert bench.output.syncs <= 5
    bench.outputs.stop()
    assert bench.output.is_closed


def test_a_sync_that_fails_is_tried_again(bench: Bench) -> None:
    """Work is not done before a sync has passed; the output's failing ends nothing."""
    bench.output.sync_refusals = [OutputUnavailable("no descriptors")] * 2
    bench.outputs.start()
    work = bench.submit(batch("a"))
    bench.wait(lambda: bench.done == [work])
    assert bench.output.syncs == 1
    assert bench.failures == []
    told = [problem.split(":")[0] for problem in bench.problems]
    assert told[0] == "output memory can't sync, retrying"
    assert told[1].startswith("output memory syncs again after")
    bench.outputs.stop()


def test_what_cannot_be_synced_by_the_end_is_kept_on_disk(bench: Bench, tmp_path: Path) -> None:
    """What is written and may not survive the machine is durable in the queue."""
    bench.output.sync_refusals = [OutputUnavailable("disk away")] * 1000
    bench.outputs.start()
    bench.submit(batch("a", first=1))
    bench.wait(lambda: len(bench.output.sync_refusals) < 1000)
    bench.outputs.give_up_at(time.monotonic())
    bench.outputs.stop()
    assert len(bench.done) == 1
    assert bench.failures == []
    assert kept(tmp_path) == ["a"]


def test_what_can_be_neither_written_nor_kept_is_no_good_end(bench: Bench, tmp_path: Path) -> None:
    """The daemon hears that records are lost with it, and their senders are not told otherwise."""
    bench.output.is_away = True
    (tmp_path / "queue-memory").write_bytes(b"")
    bench.outputs.start()
    bench.submit(batch("a", first=1))
    bench.wait(lambda: bench.worker.is_full)
    bench.outputs.give_up_at(time.monotonic())
    bench.outputs.stop()
    assert bench.done == []
    assert [str(failure).partition(": ")[2][:52] for failure in bench.failures] == [
        "1 records could be neither written nor kept on disk:"
    ]


def test_without_durability_work_is_done_when_written(tmp_path: Path) -> None:
    """With `sync = none` nobody waits for the disk."""
    bench = Bench(tmp_path, durable=False)
    bench.outputs.start()
    work = bench.submit(batch("a"))
    bench.wait(lambda: bench.done == [work])
    assert bench.output.syncs == 0
    bench.outputs.stop()


def test_what_was_written_before_a_failure_is_not_written_again(bench: Bench) -> None:
    """After a write that failed half-way, the rest is given again, to the record."""
    bench.output.refusals = [
        OutputUnavailable("first", batches_done=0, rows_done=2),
        OutputUnavailable("second", batches_done=1, rows_done=1),
        OutputUnavailable("third"),
    ]
    work = bench.submit(batch("a", "b", "c"), batch("d", "e"), batch("f"))
    bench.outputs.start()
    bench.wait(lambda: bench.done == [work])
    bench.outputs.stop()
    assert bench.output.written == list("abcdef")
    assert [text.split(" ")[2:4] for text in bench.problems] == [
        ["is", "unavailable,"],
        ["works", "again"],
    ]


def test_an_output_that_is_away_is_tried_till_the_drain_time_is_over(
    bench: Bench, tmp_path: Path
) -> None:
    """What an output refuses then is on disk, and the next start writes it first."""
    bench.output.is_away = True
    bench.outputs.start()
    works = [bench.submit(batch("a", "b", first=1)), bench.submit(batch("c"))]
    bench.wait(lambda: bench.output.tries >= 2)
    bench.outputs.give_up_at(time.monotonic())
    bench.outputs.stop()
    assert bench.done == works
    again = Bench(tmp_path)
    again.submit(batch("d", first=3))
    again.outputs.start()
    again.wait(lambda: len(again.output.written) == 4)
    again.outputs.stop()
    assert again.output.written == ["a", "b", "c", "d"]
    assert not kept(tmp_path)


def test_a_queue_that_was_half_written_is_not_repeated(tmp_path: Path) -> None:
    """Marks of the output cut off what a run before wrote of what is on disk."""
    keep(tmp_path, batch("a", "b", "c", first=1))
    bench = Bench(tmp_path, marks={CLIENT: 2})
    bench.outputs.start()
    bench.outputs.stop()
    assert bench.output.written == ["c"]


def test_what_was_kept_and_is_sent_again_is_written_once(tmp_path: Path) -> None:
    """A client whose acks were lost with the stop sends again what waits on disk."""
    keep(tmp_path, batch("a", "b", "c", first=1))
    bench = Bench(tmp_path)
    bench.outputs.start()
    work = bench.submit(batch("b", "c", "d", first=2))
    bench.wait(lambda: bench.done == [work])
    bench.outputs.stop()
    assert bench.output.written == ["a", "b", "c", "d"]


def test_what_was_kept_twice_is_written_once(tmp_path: Path) -> None:
    """The output was away over a start, and the client sent again what was kept before."""
    keep(tmp_path, batch("a", "b", first=1), batch("b", "c", first=2))
    bench = Bench(tmp_path)
    bench.outputs.start()
    bench.outputs.stop()
    assert bench.output.written == ["a", "b", "c"]


def test_a_queue_stays_until_its_records_are_synced(tmp_path: Path) -> None:
    """A sync that fails while the queue is written out is tried again; the worker goes on."""
    keep(tmp_path, batch("a", first=1))
    bench = Bench(tmp_path)
    bench.output.sync_refusals = [OutputUnavailable("disk away")]
    bench.outputs.start()
    work = bench.submit(batch("b", first=2))
    bench.wait(lambda: bench.done == [work])
    bench.outputs.stop()
    assert bench.output.written == ["a", "b"]
    assert not kept(tmp_path)
    assert not bench.failures


def test_records_written_by_filters_belong_to_the_daemons_session(bench: Bench) -> None:
    """A mark of the app's would say that what stands before them in its session is written."""
    job = batch("a", "b", first=1).jobs()[1]
    seen: list[Batch] = []
    bench.worker.call(lambda: bench.worker.watch(lambda batches, _: seen.extend(batches)))
    bench.outputs.start()
    bench.outputs.writeNow(job)
    bench.outputs.write_batch(Batch.from_jobs([job]))
    bench.outputs.stop()
    (session,) = {one.client for one in seen}
    assert session is not None
    assert session.startswith(b"logd:")
    assert [(one.first, one.last, *one.msg) for one in seen] == [(1, 1, "b"), (2, 2, "b")]


def test_what_the_output_holds_from_earlier_runs_is_skipped(tmp_path: Path) -> None:
    """After a restart each output gets only what it lacks."""
    bench = Bench(tmp_path, marks={CLIENT: 2})
    bench.outputs.start()
    work = bench.submit(batch("a", "b", "c", first=1), batch("no session"))
    bench.wait(lambda: bench.done == [work])
    bench.outputs.stop()
    assert bench.output.written == ["c", "no session"]


def test_a_slow_output_does_not_hold_up_the_other(tmp_path: Path) -> None:
    """While one output is away the other writes; the work is done when the disk has it, too."""
    first, second = Bench(tmp_path / "1"), Bench(tmp_path / "2")
    outputs = Outputs([first.worker, second.worker])
    first.output.is_away = True
    outputs.start()
    done: list[Work] = []
    work = Work([batch("a")], {}, done.append)
    outputs.submit(work)
    second.wait(lambda: second.output.written == ["a"])
    outputs.wait_written(work)
    first.wait(lambda: done == [work])
    assert first.output.written == []
    first.output.is_away = False
    first.wait(lambda: first.output.written == ["a"])
    outputs.stop()
    assert kept(tmp_path / "1") == []


def test_watchers_see_each_record_once_as_it_is_written(bench: Bench) -> None:
    """A watcher that begins between two writes sees all that is written after, nothing before."""
    seen: list[str] = []
    bench.outputs.start()
    before = bench.submit(batch("a"))
    bench.wait(lambda: before in bench.done)
    bench.output.refusals = [OutputUnavailable("half", batches_done=0, rows_done=1)]

    def watch(batches: Sequence[Batch], output: Output) -> None:
        assert output is bench.output
        seen.extend(text for one in batches for text in one.msg)

    bench.worker.call(lambda: bench.worker.watch(watch))
    bench.submit(batch("b", "c"))
    bench.wait(lambda: bench.output.written == list("abc") and not bench.worker.is_failing)
    bench.worker.unwatch(watch)
    last = bench.submit(batch("d"))
    bench.wait(lambda: last in bench.done)
    bench.outputs.stop()
    assert seen == ["b", "c"]


class LateOutput(MemoryOutput):
    """An output that can't be opened as often as `opens` says; it holds earlier records."""

    def __init__(self, opens: int) -> None:
        super().__init__()
        self.opens = opens

    def open(self) -> dict[bytes, int]:
        self.opens -= 1
        if self.opens >= 0:
            raise OutputUnavailable("starting up")
        return {CLIENT: 2}


def late_worker(folder: Path, output: Output, done: Callable[[], None]) -> tuple[Outputs, Work]:
    """A worker that gets its output closed, and three records for it."""
    queue = disk_queue(folder)
    queue.open()
    worker = OutputWorker(
        output,
        None,
        queue,
        durable=True,
        on_problem=lambda cat, text: None,
        on_fatal=lambda exc: None,
    )
    return Outputs([worker]), Work([batch("a", "b", "c", first=1)], {}, lambda work: done())


def test_a_closed_output_is_opened_however_long_that_takes(tmp_path: Path) -> None:
    """A worker given a closed output opens it first, and skips what it turns out to hold."""
    output, done = LateOutput(2), threading.Event()
    outputs, work = late_worker(tmp_path, output, done.set)
    outputs.start()
    outputs.submit(work)
    assert done.wait(TIMEOUT_S)
    outputs.stop()
    assert output.written == ["c"]
    assert output.is_closed


def test_an_output_that_never_opens_leaves_everything_on_disk(tmp_path: Path) -> None:
    """When the drain time is over, what a closed output could not take is on disk."""
    output, done = LateOutput(10**9), threading.Event()
    outputs, work = late_worker(tmp_path, output, done.set)
    outputs.start()
    outputs.submit(work)
    outputs.call_each(lambda worker: worker.output.sync)
    outputs.give_up_at(time.monotonic())
    outputs.stop()
    assert done.is_set()
    assert kept(tmp_path) == list("abc")


def test_what_comes_after_something_kept_is_kept_too(bench: Bench, tmp_path: Path) -> None:
    """An output that works again during a stop gets nothing that would hide what is on disk."""
    bench.output.is_away = True
    bench.outputs.start()
    bench.submit(batch("a", first=1))
    bench.wait(lambda: bench.worker.is_failing)
    bench.outputs.give_up_at(time.monotonic())
    bench.wait(lambda: len(bench.done) == 1)
    bench.output.is_away = False
    bench.submit(batch("b", first=2))
    bench.outputs.stop()
    assert bench.output.written == []
    assert kept(tmp_path) == ["a", "b"]


def test_health_counts_what_waits_and_how_long(bench: Bench) -> None:
    """What the output has not got makes the lag, in memory and on disk; else there is none."""
    bench.output.is_away = True
    bench.outputs.start()
    bench.submit(batch("a", "b"))
    bench.submit(batch("c"))
    bench.wait(lambda: bench.worker.is_failing)
    bench.wait(lambda: len(bench.done) == 2)
    health = bench.worker.health()
    assert (health.waiting_records, health.queue.records) == (3, 3)
    assert health.lag_s > 0
    assert health.failing_since is not None
    bench.output.is_away = False
    bench.wait(lambda: bench.worker.health().waiting_records == 0)
    assert bench.worker.health().lag_s == 0.0
    bench.outputs.stop()


def test_an_output_that_breaks_is_fatal(bench: Bench, tmp_path: Path) -> None:
    """What is no OutputUnavailable can't be mended by trying again: the daemon is told to stop."""
    bench.output.open()

    def broken(batches: Sequence[Batch]) -> None:
        raise ZeroDivisionError("a bug")

    bench.output.write = broken  # type: ignore[method-assign]
    bench.outputs.start()
    bench.submit(batch("a"))
    bench.outputs.stop()
    assert [type(exc) for exc in bench.failures] == [ZeroDivisionError]
    assert kept(tmp_path) == ["a"]


class StuckOutput(MemoryOutput):
    """An output whose write does not return until it may; then it has written."""

    def __init__(self) -> None:
        super().__init__()
        self.may_return = threading.Event()
        self.is_stuck = threading.Event()

    def write(self, batches: Sequence[Batch]) -> None:
        self.is_stuck.set()
        assert self.may_return.wait(TIMEOUT_S)
        super().write(batches)


def test_senders_are_relieved_of_a_write_that_does_not_return(tmp_path: Path) -> None:
    """What is in hand and what waits go to disk; what is written after all is written once."""
    bench = Bench(tmp_path, output=StuckOutput())
    bench.outputs.start()
    first = bench.submit(batch("a"), batch("b", first=1))
    assert isinstance(bench.output, StuckOutput)
    assert bench.output.is_stuck.wait(TIMEOUT_S)
    second = bench.submit(batch("c", first=2), batch("d"))
    bench.outputs.relieve()
    bench.wait(lambda: bench.done == [first, second])
    bench.output.may_return.set()
    bench.wait(lambda: len(bench.output.written) == 4)
    third = bench.submit(batch("e", first=3))
    bench.wait(lambda: third in bench.done)
    bench.outputs.stop()
    assert bench.output.written == list("abcde")
    assert kept(tmp_path) == []


def test_a_stop_leaves_a_write_that_does_not_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is on disk, so nobody needs to wait for it."""
    monkeypatch.setattr("logd.outputs.worker.STUCK_S", 0.1)
    bench = Bench(tmp_path, output=StuckOutput())
    bench.outputs.start()
    bench.submit(batch("a", first=1))
    assert isinstance(bench.output, StuckOutput)
    assert bench.output.is_stuck.wait(TIMEOUT_S)
    bench.submit(batch("b", first=2))
    bench.outputs.give_up_at(time.monotonic())
    bench.outputs.stop()
    bench.output.may_return.set()
    assert len(bench.done) == 2
    assert kept(tmp_path) == ["a", "b"]


def test_without_room_on_disk_senders_wait(tmp_path: Path) -> None:
    """At the limit work is not done, loudly, until the output has made room; order is kept."""
    bench = Bench(tmp_path, limit_bytes=2000)
    bench.output.is_away = True
    bench.outputs.start()
    works = [bench.submit(batch("x" * 400, first=number)) for number in range(1, 9)]
    bench.wait(lambda: bench.worker.is_full)
    done = len(bench.done)
    assert done < len(works)
    assert bench.worker.health().queue_full_since is not None
    assert any("no room on disk" in problem for problem in bench.problems)
    bench.output.is_away = False
    bench.wait(lambda: len(bench.done) == len(works))
    bench.wait(lambda: len(bench.output.written) == len(works))
    bench.outputs.stop()
    assert [work for work in bench.done if work in works] == works


def test_a_queue_that_is_switched_off_keeps_only_at_the_end(tmp_path: Path) -> None:
    """With `queue_disk_bytes` 0 senders wait for the output; a stop loses nothing all the same."""
    bench = Bench(tmp_path, limit_bytes=0)
    bench.output.is_away = True
    bench.outputs.start()
    bench.submit(batch("a"))
    bench.wait(lambda: bench.output.tries >= 2)
    assert bench.done == []
    bench.outputs.give_up_at(time.monotonic())
    bench.outputs.stop()
    assert len(bench.done) == 1
    assert kept(tmp_path) == ["a"]
