import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from logd import LogServer, MsgJob, ObserverAlreadyAdded
from logd.textwriter import tm_structconverter
from tests.record_making import MOMENT, make_batch, make_job, make_jobdata
from tests.server_parts import BatchWriter, Recorder, Writer, change, drop_odd, fail


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run in UTC, whatever the machine's zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# -- documented behaviour ---------------------------------------------------------------------


def test_constants() -> None:
    """CAT_INTERNALERROR = 'I', CFN_FULL = 2, CFN_SHORT = 1."""
    assert (LogServer.CAT_INTERNALERROR, LogServer.CFN_FULL, LogServer.CFN_SHORT) == ("I", 2, 1)


def test_log_writes_a_tuple_of_eleven() -> None:
    """log(jobdata): the record is written, with all that the client sent."""
    writer = Writer()
    server = LogServer(writer)
    server.log(make_jobdata(special={"user": "ann"}, path=[["a.py", 1]]))
    (job,) = writer.jobs
    assert (job.msgid, job.pid, job.tid, job.msg, job.cat) == (17, 4711, 9, "payment failed", "E")
    assert (job.path, job.tblen, job.special) == ((("a.py", 1),), 12, {"user": "ann"})
    assert (job.ts, job.time, job.formatter) == ("", MOMENT, server)


def test_log_refuses_other_tuples() -> None:
    """What has not 11 items is no record."""
    with pytest.raises(ValueError, match="11 items, got 2"):
        LogServer(Writer()).log((1, 2))


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("ts_format", "text"),
    [(None, ""), ("std1", "11:10.00;123"), ("std2", "11/22 11:10.00"), ("%S.%3N", "00.123")],
)
def test_timestamps(ts_format: str | None, text: str) -> None:
    """tsFormat: "use %3N for milliseconds", "None for no timestamps", "std1", "std2"."""
    writer = Writer()
    server = LogServer(writer, tsFormat=ts_format)
    server.log(make_jobdata())
    server.log_batch(make_batch())
    assert [job.ts for job in writer.jobs] == [text, text]


@pytest.mark.usefixtures("utc")
def test_time_str() -> None:
    """_timeStr(dt): "readable time info", for whatever can be meant by dt."""
    server = LogServer(None, tsFormat="%H:%M:%S.%3N")
    assert server._timeStr(MOMENT) == "11:10:00.123"
    assert server._timeStr(datetime.fromtimestamp(MOMENT, UTC)) == "11:10:00.123"
    assert server._timeStr(time.localtime(MOMENT)) == "11:10:00.000"
    assert server._timeStr(tm_structconverter(MOMENT)) == "11:10:00.123"


def test_file_names() -> None:
    """cfnMode: short is the "file name without directory path(=Default)", full is all of it.

    Short leaves out a final .py as well; CFN_NAME keeps it.
    """
    short, full = LogServer(None), LogServer(None, cfnMode=LogServer.CFN_FULL)
    assert short.format_fname("/srv/shop/views.py") == "views"
    assert short.format_fname("C:\\shop\\views.py") == "views"
    assert short.format_fname("/srv/views.py.pyc") == "views.py.pyc"
    assert short.format_fname("/srv/.py") == ".py"
    named = LogServer(None, cfnMode=LogServer.CFN_NAME)
    assert named.format_fname("/srv/shop/views.py") == "views.py"
    assert full.format_fname("/srv/shop/views.py") == "/srv/shop/views.py"
    assert short.format_fname(None) is full.format_fname(None) is None
    with pytest.raises(ValueError, match="cfnMode"):
        LogServer(None, cfnMode=3)


def test_path_as_str() -> None:
    """pathAsStr: "call path, formatted as str, Empty str if path is empty"; imin skips items."""
    server = LogServer(None)
    path = ((None, None), ("/a/b.py", 1), (None, None), (None, None), ("/c.py", 2), (None, None))
    assert server.pathAsStr(path) == "...<-b(1)<-...<-c(2)<-..."
    assert server.pathAsStr(path, imin=1) == "b(1)<-...<-c(2)<-..."
    assert server.pathAsStr(()) == server.pathAsStr(path, 6) == ""


def test_clients_are_numbered() -> None:
    """addClient: "unique id", also for threads that ask at the same time."""
    server = LogServer(None)
    ids: list[int] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(server.addClient() for _ in range(500)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 2001))


def test_filters_change_what_is_written() -> None:
    """filters: "When they modify the message, the change gets visible in the log"."""
    writer = BatchWriter()
    server = LogServer(writer, filters=[change("1"), change("2")])
    server.log(make_jobdata(msg="a"))
    server.log_batch(make_batch(2))
    assert writer.messages == ["a12", "message 012", "message 112"]


def test_observers_run_after_the_record_was_written() -> None:
    """observers: "Called each time after(!) a message was written", with jobhist and writer."""
    writer = Writer()
    written: list[list[str]] = []
    recorder = Recorder()
    server = LogServer(
        writer, observers=[lambda jobhist, writer: written.append(writer.messages), recorder]
    )
    server.log(make_jobdata(msg="a"))
    server.log(make_jobdata(msg="b"))
    assert written == [["a"], ["a", "b"]]
    assert recorder.seen == ["a", "b"]
    assert recorder.writers == [writer, writer]


def test_observers_change_jobs_for_later_observers_only() -> None:
    """observers: "modify job content for following observers, without affecting the log"."""
    writer = Writer()
    recorder = Recorder()
    LogServer(writer, observers=[change("!"), recorder]).log(make_jobdata(msg="a"))
    assert recorder.seen == ["a!"]
    # The writer of this test keeps the job itself; a real one has written its text by then.
    batch_writer = BatchWriter()
    LogServer(batch_writer, observers=[change("!")]).log_batch(make_batch())
    assert list(batch_writer.batches[0].msg) == ["message 0"]


def test_observe_method() -> None:
    """observers: "An observer can also have an observe() method. If available, this is used"."""

    class Old:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def observe(self, jobhist: list[MsgJob], writer: Any) -> None:
            self.seen.append(jobhist[-1].msg)

        def __call__(self, jobhist: list[MsgJob], writer: Any) -> None:
            raise AssertionError("not called")

    observer, one_filter = Old(), Old()
    LogServer(Writer(), filters=[one_filter], observers=[observer]).log(make_jobdata(msg="a"))
    assert observer.seen == one_filter.seen == ["a"]


def test_jobhist() -> None:
    """jobhist: "the N last message-jobs, with the latests at [-1]", limited by jobhistSize."""
    filters, observers = Recorder(), Recorder()
    server = LogServer(BatchWriter(), [filters], [observers], jobhistSize=3)
    server.log_batch(make_batch(5))
    server.log(make_jobdata(msg="last"))
    expected = [f"message {row}" for row in range(5)] + ["last"]
    assert filters.seen == observers.seen == expected
    assert filters.sizes == observers.sizes == [1, 2, 3, 3, 3, 3]
    with pytest.raises(ValueError, match="jobhistSize"):
        LogServer(None, jobhistSize=0)


def test_observers_twice_in_the_list() -> None:
    """Raises: "AssertionError - if an observer is >1 times in the list", filters likewise."""
    with pytest.raises(AssertionError, match=r"observer .*fail is in the list already"):
        LogServer(None, observers=[fail, fail])
    with pytest.raises(AssertionError, match="filter"):
        LogServer(None, filters=[fail, fail])


def test_add_observer() -> None:
    """addObserver "appends the observer at the end"; ObserverAlreadyAdded: "Attempt to add an
    observer twice".
    """
    first, second = Recorder(), Recorder()
    server = LogServer(Writer(), observers=[first])
    server.addObserver(second)
    server.log(make_jobdata())
    assert server.observers == [first, second]
    assert second.seen == ["payment failed"]
    with pytest.raises(ObserverAlreadyAdded):
        server.addObserver(first)


def test_lists_are_the_servers_own() -> None:
    """The caller's list of observers is not changed."""
    mine: list[Any] = []
    LogServer(None, observers=mine).addObserver(fail)
    assert mine == []


# -- batches ----------------------------------------------------------------------------------


def test_batch_is_written_whole() -> None:
    """A batch reaches a writer with `write_batch` as a batch, with its texts of times and names."""
    writer = BatchWriter()
    server = LogServer(writer, tsFormat="%3N")
    written = server.log_batch(make_batch(3))
    assert writer.batches == [written]
    assert written is not None
    assert written.ts == ["123"] * 3
    assert written.formatter is server


def test_writer_of_single_records_gets_batches_too() -> None:
    """A writer that has only `writeNow` gets the records of a batch one by one."""
    writer = Writer()
    LogServer(writer).log_batch(make_batch(3))
    assert writer.messages == ["message 0", "message 1", "message 2"]


def test_write_now_of_a_subclass_sees_every_record() -> None:
    """What a subclass adds in `writeNow` happens to each record, though its base takes batches."""

    class Shouting(BatchWriter):
        def writeNow(self, job: MsgJob) -> None:
            super().writeNow(job.copy_update({"msg": job.msg.upper()}))

    writer = Shouting()
    LogServer(writer).log_batch(make_batch(2))
    assert writer.messages == ["MESSAGE 0", "MESSAGE 1"]


def test_dropped_records_are_not_written() -> None:
    """What a filter drops is neither written nor observed nor seen by later filters."""
    writer, later, observer = BatchWriter(), Recorder(), Recorder()
    server = LogServer(writer, [drop_odd, later], [observer])
    batch = make_batch(5, client=b"c" * 16, first=21)
    written = server.log_batch(batch)
    server.log(make_jobdata(number=7))
    assert written is not None
    assert writer.messages == later.seen == observer.seen == ["message 1", "message 3"]
    assert (written.first, written.last, written.sequence) == (21, 25, [22, 24])


def test_batch_of_which_nothing_is_left() -> None:
    """Where filters drop all, nothing is written."""
    writer = BatchWriter()
    assert LogServer(writer, [drop_odd]).log_batch(make_batch(1)) is None
    assert writer.batches == []


def test_prepare_makes_jobs_only_for_someone() -> None:
    """Records become objects only where filters or observers want them."""
    plain = LogServer(None).prepare(make_batch(3))
    assert plain.batch is not None
    assert plain.jobs is None
    filtered = LogServer(None, filters=[change("!")]).prepare(make_batch(3))
    assert filtered.batch is not None
    assert list(filtered.batch.msg) == ["message 0!", "message 1!", "message 2!"]
    assert filtered.jobs is None
    observed = LogServer(None, observers=[change("!")]).prepare(make_batch(3))
    assert observed.jobs is not None
    assert [job.msg for job in observed.jobs] == ["message 0", "message 1", "message 2"]


def test_job_made_by_the_app() -> None:
    """logJob passes a job through the same pipeline."""
    writer, observer = Writer(), Recorder()
    LogServer(writer, [change("!")], [observer]).logJob(make_job("a"))
    assert writer.messages == observer.seen == ["a!"]


# -- what a filter returns --------------------------------------------------------------------


def test_a_filter_that_returns_false_drops_the_record() -> None:
    """As with `logging`; what else is falsy leaves it, and later filters don't see it."""
    writer = Writer()
    seen: list[list[str]] = []

    def choose(jobhist: list[MsgJob], writer: object) -> object:
        return {"one": False, "two": None, "three": 0}[jobhist[-1].msg]

    def see(jobhist: list[MsgJob], writer: object) -> None:
        seen.append([job.msg for job in jobhist])

    server = LogServer(writer, filters=[choose, see])
    for msg in ("two", "one", "three"):
        server.logJob(make_job(msg))
    assert writer.messages == ["two", "three"]
    assert seen == [["two"], ["two", "three"]]


# -- names ------------------------------------------------------------------------------------


def test_the_writer_in_force_by_its_older_name() -> None:
    """Subclasses of the reference's class read and replace the writer as `_writer`."""
    first, second = Writer(), Writer()
    server = LogServer(first)
    assert server._writer is first
    server._writer = second
    assert server.writer is second
