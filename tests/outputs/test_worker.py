"""OutputWorker: retries, group commit, the queue on disk, and what is there from earlier runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from logd.outputs.base import Output, OutputUnavailable
from logd.outputs.fanout import Outputs
from logd.outputs.work import Work
from logd.outputs.worker import OutputWorker
from logd.records.batch import Batch
from tests.outputs.worker_bench import (
    CLIENT,
    TIMEOUT_S,
    Bench,
    MemoryOutput,
    batch,
    disk_queue,
    kept,
)


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
