"""A `LogServer` whose filters, observers or writer fail, and one that threads share."""

import os
import threading
import time
from typing import Any

import pytest

from logd import LogServer, MsgJob
from logd.records.failures import PERIOD_S, FailureReports
from tests.record_making import from_threads, make_batch, make_jobdata
from tests.server_parts import BatchWriter, Recorder, Writer, change, fail


def test_failing_filter_harms_no_record() -> None:
    """A failing filter leaves the record; the failure is a record of CAT_INTERNALERROR."""
    writer = BatchWriter()
    server = LogServer(writer, filters=[fail, change("!")])
    server.log_batch(make_batch(100))
    reports = [job for job in writer.jobs if job.cat == "I"]
    records = [job.msg for job in writer.jobs if job.cat != "I"]
    assert records == [f"message {row}!" for row in range(100)]
    (report,) = reports
    assert report.msg.startswith(
        "filter tests.server_parts.fail failed: RuntimeError: on purpose\n"
    )
    assert "Traceback" in report.msg
    assert (report.pid, report.cfunc, report.cfn()) == (os.getpid(), "fail", "server_parts")


def test_failing_observer_harms_no_record() -> None:
    """A failing observer keeps neither records from the log nor other observers from their work."""
    writer, recorder = Writer(), Recorder()
    server = LogServer(writer, observers=[fail, recorder], tsFormat="%Y")
    server.log(make_jobdata(msg="a"))
    server.log(make_jobdata(msg="b"))
    report = "observer tests.server_parts.fail failed: RuntimeError: on purpose"
    assert writer.messages == ["a", report, "b"]
    assert [text.partition("\n")[0] for text in recorder.seen] == ["a", report, "b"]
    assert writer.jobs[1].ts == time.strftime("%Y")


def test_writers_error_reaches_the_caller() -> None:
    """A local log's caller learns that its record was not written; observers see nothing."""

    class Full(Writer):
        def writeNow(self, job: MsgJob) -> None:
            raise OSError(28, "No space left on device")

    recorder = Recorder()
    with pytest.raises(OSError, match="No space"):
        LogServer(Full(), observers=[recorder]).log(make_jobdata())
    assert recorder.seen == []


def test_report_that_cannot_be_written() -> None:
    """That a report can't be written is no failure of the record that came with it."""

    class NoReports(Writer):
        def writeNow(self, job: MsgJob) -> None:
            if job.cat == "I":
                raise OSError(28, "No space left on device")
            super().writeNow(job)

    writer = NoReports()
    LogServer(writer, observers=[fail]).log(make_jobdata(msg="a"))
    assert writer.messages == ["a"]


def test_failures_of_the_writer_beside_its_work() -> None:
    """What a writer reports by `take_failures` becomes a record."""

    class Closing(Writer):
        def take_failures(self) -> list[tuple[str, Exception]]:
            return [("closing a file", ValueError("zip"))] if len(self.jobs) == 1 else []

    writer = Closing()
    LogServer(writer).log(make_jobdata(msg="a"))
    assert writer.messages == ["a", "closing a file failed: ValueError: zip"]


def test_same_failure_is_counted() -> None:
    """The same failure is one record a minute, with the number of those in between."""
    now = 0.0
    reports = FailureReports("I", clock=lambda: now)
    assert reports.take() is None
    for _ in range(5):
        reports.add("filter x", ValueError("bad"))
        reports.add("filter y", ValueError("bad"))
    first = reports.take()
    assert first is not None
    assert [text.partition("\n")[0] for text in first.msg] == [
        "filter x failed: ValueError: bad",
        "filter y failed: ValueError: bad",
    ]
    assert reports.take() is None
    now = PERIOD_S
    again = reports.take()
    assert again is not None
    assert again.msg[0] == "filter x failed: ValueError: bad (4 more since the last report)"
    now = 2 * PERIOD_S
    assert reports.take() is None
    reports.add("filter x", ValueError("bad"))
    assert reports.take() is not None, "after a quiet minute it is a new failure"


def test_kinds_of_failures_are_bounded() -> None:
    """However many kinds of failures there are, memory and log stay bounded."""
    reports = FailureReports("I")
    for number in range(1000):
        reports.add(f"filter {number}", ValueError("bad"))
    batch = reports.take()
    assert batch is not None
    assert len(batch) == 257
    assert batch.msg[-1] == "further failures of other kinds"


def test_shared_by_threads() -> None:
    """A server may be shared by threads: filters, writer and observers see one record at a time."""
    writer, recorder = BatchWriter(), Recorder()
    server = LogServer(writer, [change("!")], [recorder], jobhistSize=5)

    def send(name: str) -> None:
        for number in range(200):
            server.log(make_jobdata(msg=f"{name}{number}"))
            server.log_batch(make_batch(2, msg=[f"{name}{number}a", f"{name}{number}b"]))

    from_threads("xyz", send)
    assert len(writer.jobs) == 1800
    assert writer.messages == recorder.seen
    assert max(recorder.sizes) == 5
    for name in "xyz":
        mine = [text for text in writer.messages if text.startswith(name)]
        assert mine == [
            f"{name}{number}{part}!" for number in range(200) for part in ("", "a", "b")
        ]


def test_observer_that_logs() -> None:
    """What an observer logs is written, and does not call the observer again."""
    writer, recorder = Writer(), Recorder()

    def echo(jobhist: list[MsgJob], _writer: Any) -> None:
        server.log(make_jobdata(msg=f"seen {jobhist[-1].msg}"))

    server = LogServer(writer, [change("!")], [echo, recorder])
    server.log(make_jobdata(msg="a"))
    assert writer.messages == ["a!", "seen a!"]
    assert recorder.seen == ["a!"]


def test_fork_while_a_thread_logs() -> None:
    """A child forked while another thread was writing can log."""
    is_writing, may_go_on = threading.Event(), threading.Event()

    class Slow(Writer):
        def writeNow(self, job: MsgJob) -> None:
            if job.msg == "slow":
                is_writing.set()
                may_go_on.wait(60)
            super().writeNow(job)

    writer = Slow()
    server = LogServer(writer)
    thread = threading.Thread(target=server.log, args=(make_jobdata(msg="slow"),))
    thread.start()
    assert is_writing.wait(60)
    child = os.fork()
    if child == 0:
        server.log(make_jobdata(msg="child"))
        os._exit(0 if writer.messages == ["child"] else 1)
    _, status = os.waitpid(child, 0)
    may_go_on.set()
    thread.join()
    assert status == 0
