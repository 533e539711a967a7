"""What an output can't take goes to disk, and from there to the output, once."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable
from logd.records.batch import Batch
from tests.outputs.worker_bench import (
    CLIENT,
    TIMEOUT_S,
    Bench,
    MemoryOutput,
    batch,
    keep,
    kept,
)


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
