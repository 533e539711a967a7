"""Who lines work up may write it himself; the output's own thread is there if that fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from logd.outputs.base import OutputUnavailable
from logd.outputs.work import Work
from logd.records.batch import Batch
from tests.outputs.test_worker import TIMEOUT_S, Bench, MemoryOutput, batch


class QuickOutput(MemoryOutput):
    """Writes quickly, unless it is told to hang; knows which thread wrote what.

    Attributes:
        may_write: a write returns once this is set.
    """

    is_quick = True

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []
        self.is_writing = threading.Event()
        self.may_write = threading.Event()
        self.may_write.set()

    def write(self, batches: Sequence[Batch]) -> None:
        self.is_writing.set()
        assert self.may_write.wait(TIMEOUT_S)
        self.threads.append(threading.current_thread().name)
        super().write(batches)


@pytest.fixture
def output() -> QuickOutput:
    """An output that is quick."""
    return QuickOutput()


@pytest.fixture
def bench(tmp_path: Path, output: QuickOutput) -> Iterator[Bench]:
    """A worker that has started and waits."""
    bench = Bench(tmp_path, output=output)
    bench.outputs.start()
    bench.wait(lambda: bench.worker._feeder.is_waiting)
    yield bench
    output.may_write.set()
    bench.outputs.stop()


def lined_up(bench: Bench, *batches: Batch) -> Work:
    """Work in the line of which nobody was told."""
    work = Work(batches, {}, bench.done.append)
    bench.outputs.line_up(work)
    return work


def test_the_caller_writes(bench: Bench, output: QuickOutput) -> None:
    """It is written when the call returns, by the thread that called, and durable soon."""
    work = lined_up(bench, batch("a"), batch("b", first=1))
    assert output.written == []
    bench.outputs.write_here()
    assert output.written == ["a", "b"]
    assert output.threads == [threading.current_thread().name]
    bench.wait(lambda: bench.done == [work])
    bench.outputs.write_here()  # nothing is left
    bench.submit(batch("c"))
    bench.wait(lambda: output.written == ["a", "b", "c"])
    assert output.threads[1:] == [bench.worker._writing.name]


def test_what_fails_is_tried_again_by_the_output_s_thread(
    bench: Bench, output: QuickOutput
) -> None:
    """Each record is written once, whatever part of it was there when the write failed."""
    output.refusals = [OutputUnavailable("half", batches_done=1, rows_done=1)]
    work = lined_up(bench, batch("a"), batch("b", "c"), batch("d"))
    bench.outputs.write_here()
    bench.wait(lambda: bench.done == [work])
    assert output.written == ["a", "b", "c", "d"]
    assert output.threads == [threading.current_thread().name, bench.worker._writing.name]


def test_any_error_is_the_output_s_thread_s_to_handle(bench: Bench, output: QuickOutput) -> None:
    """The caller is not harmed by what the output raises, and the record is written."""
    output.refusals = [OSError("no")]  # type: ignore[list-item]
    output.refusals[0].batches_done = output.refusals[0].rows_done = 0
    lined_up(bench, batch("a"))
    bench.outputs.write_here()
    bench.wait(lambda: output.written == ["a"])


def test_while_one_writes_others_line_up(bench: Bench, output: QuickOutput) -> None:
    """A write that hangs keeps what comes in its order; the output's thread goes on with it."""
    output.may_write.clear()
    lined_up(bench, batch("a"))
    writer = threading.Thread(target=bench.outputs.write_here)
    writer.start()
    assert output.is_writing.wait(TIMEOUT_S)
    bench.submit(batch("b"))
    lined_up(bench, batch("c"))
    bench.outputs.write_here()  # another has it: returns at once
    assert bench.worker.stuck_s() > 0
    assert output.written == []
    output.may_write.set()
    writer.join(TIMEOUT_S)
    bench.wait(lambda: output.written == ["a", "b", "c"])
    assert output.threads[-1] == bench.worker._writing.name


def test_a_stop_waits_for_who_writes(bench: Bench, output: QuickOutput) -> None:
    """What is being written when the stop comes is written, and then all ends."""
    output.may_write.clear()
    work = lined_up(bench, batch("a"))
    writer = threading.Thread(target=bench.outputs.write_here)
    writer.start()
    assert output.is_writing.wait(TIMEOUT_S)
    stopper = threading.Thread(target=bench.outputs.stop)
    stopper.start()
    bench.wait(lambda: bench.worker._feeder._is_stopping)
    assert not output.is_closed
    output.may_write.set()
    for thread in (writer, stopper):
        thread.join(TIMEOUT_S)
    assert (output.written, bench.done, output.is_closed) == (["a"], [work], True)


def test_with_several_outputs_each_writes_for_itself(tmp_path: Path) -> None:
    """One that hangs must not keep another from writing."""
    first, second = QuickOutput(), QuickOutput()
    benches = [Bench(tmp_path / str(n), output=one) for n, one in enumerate((first, second))]
    outputs = benches[0].outputs
    outputs.workers = [bench.worker for bench in benches]
    outputs.start()
    first.may_write.clear()
    for bench in benches:
        bench.wait(lambda bench=bench: bench.worker._feeder.is_waiting)
    outputs.line_up(Work([batch("a")], {}, benches[0].done.append))
    benches[1].wait(lambda: second.written == ["a"])
    first.may_write.set()
    outputs.stop()
    assert first.written == ["a"]
