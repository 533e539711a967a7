from typing import Any

import pytest

from logd import LogServer, MsgJob, RotateLogWriter, RotateWriterFactory
from logd.records.batch import Batch
from logd.rotation.policy import Schedule
from logd.rotation.writers import check_drop, numbered_names
from tests.record_making import make_batch, make_job


class Single:
    """A writer of the reference's time: one record at a call."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.written: list[str] = []
        self.is_closed = False

    def writeNow(self, job: MsgJob) -> None:
        self.written.append(job.msg)

    def close(self) -> None:
        self.is_closed = True


class Many(Single):
    """A writer that takes batches and limits of size."""

    def write_batch(self, batch: Batch) -> None:
        self.written += batch.msg

    def write_part(self, batch: Batch, max_size: int) -> int:
        count = max(max_size - len(self.written), 0)
        self.write_batch(batch.part(0, count)) if count else None
        return min(count, len(batch))


def ring(
    count: int = 3, lines: int | None = 2, made: type[Single] = Single, **limits: Any
) -> RotateLogWriter:
    """A rotating writer over configs 0, 1, ..."""
    factory = RotateWriterFactory(list(range(count)), made)
    return RotateLogWriter(factory.nextWriter, lines, **limits)


def contents(rotating: RotateLogWriter) -> list[tuple[int, list[str]]]:
    """What is in the writers that still exist, oldest first."""
    return [(writer.config, writer.written) for writer in rotating.writers]


@pytest.mark.parametrize("made", [Single, Many])
@pytest.mark.parametrize("portions", [[1] * 7, [7], [3, 4], [2, 5], [1, 6]])
def test_rotates_exactly(made: type[Single], portions: list[int]) -> None:
    """rotateLineMin: "rotate when ~ lines are written", here exactly, in batches too."""
    rotating = ring(count=9, made=made)
    first = 0
    for size in portions:
        texts = [f"m{number}" for number in range(first, first + size)]
        first += size
        if size == 1:
            rotating.writeNow(make_job(texts[0]))
        else:
            rotating.write_batch(make_batch(size, msg=texts))
    assert contents(rotating) == [
        (0, ["m0", "m1"]),
        (1, ["m2", "m3"]),
        (2, ["m4", "m5"]),
        (3, ["m6"]),
    ]


def test_history_of_writers() -> None:
    """writers: "current at [-1], oldest at [0]", only those "not already overwritten"."""
    rotating = ring(count=3)
    assert [writer.config for writer in rotating.writers] == [0]
    rotating.write_batch(make_batch(7))
    assert [writer.config for writer in rotating.writers] == [1, 2, 0]
    assert [writer.is_closed for writer in rotating.writers] == [True, True, False]
    rotating.write_batch(make_batch(2))
    assert [writer.config for writer in rotating.writers] == [2, 0, 1]


def test_rotate() -> None:
    """_rotate: "A new writer is appended.. removes the oldest writer [0]"."""
    rotating = ring(count=2)
    first = rotating.writers[0]
    rotating._rotate()
    assert len(rotating.writers) == 2
    rotating._rotate()
    assert len(rotating.writers) == 2
    assert first not in rotating.writers
    assert first.is_closed


def test_ring_of_one() -> None:
    """With one file or table it is overwritten again and again."""
    rotating = ring(count=1)
    rotating.write_batch(make_batch(5))
    assert contents(rotating) == [(0, ["message 4"])]


def test_no_rotation() -> None:
    """rotateLineMin: "None to switch off rotation"."""
    rotating = ring(lines=None)
    rotating.write_batch(make_batch(50))
    assert len(rotating.writers) == 1


def test_next_writer() -> None:
    """nextWriter(history): "Invalid (expired) writers are removed!"; the caller keeps the new."""
    factory = RotateWriterFactory(("a", "b"), Single)
    history: list[Any] = []
    for _ in range(3):
        history.append(factory.nextWriter(history))
    assert [writer.config for writer in history] == ["b", "a"]
    with pytest.raises(ValueError, match="at least one"):
        RotateWriterFactory([], Single)


def test_get_next_writer_is_any_callable() -> None:
    """getNextWriter: "Callable that takes a list (history) of previous writers"."""
    seen: list[int] = []

    def next_writer(history: list[Any]) -> Single:
        seen.append(len(history))
        return Single(len(history))

    rotating = RotateLogWriter(getNextWriter=next_writer, rotateLineMin=1)
    for _ in range(3):
        rotating.writeNow(make_job())
    assert seen == [0, 1, 2]
    assert len(rotating.writers) == 3


def test_lines_that_exist_count() -> None:
    """A table that is appended to is full when it has rotateLineMin rows in all."""

    class Table(Single):
        def estimateLineCount(self) -> int:
            return 3 if self.config == 0 else 0

    rotating = ring(lines=4, made=Table)
    rotating.write_batch(make_batch(3))
    assert contents(rotating) == [(0, ["message 0"]), (1, ["message 1", "message 2"])]


def test_current_writer_is_reached_through_it() -> None:
    """Observers get the rotating writer and can use it as the specific one."""
    rotating = ring()
    assert rotating.config == 0
    rotating.write_batch(make_batch(3))
    assert rotating.config == 1
    with pytest.raises(AttributeError, match="nothing"):
        rotating.nothing  # noqa: B018


@pytest.mark.parametrize("wrong", [0, -1])
def test_limits_are_checked(wrong: int) -> None:
    """A limit of no lines or bytes is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        ring(lines=wrong)
    with pytest.raises(ValueError, match="at least 1"):
        ring(size=wrong)


def test_rotates_by_size() -> None:
    """A batch is divided where the writer says that no more fits."""
    rotating = ring(lines=None, made=Many, size=3, count=9)
    rotating.write_batch(make_batch(7))
    rotating.writeNow(make_job("one"))
    assert [len(written) for _, written in contents(rotating)] == [3, 3, 2]


def test_size_and_lines() -> None:
    """Whichever limit comes first rotates."""
    rotating = ring(lines=2, made=Many, size=3, count=9)
    rotating.write_batch(make_batch(5))
    assert [len(written) for _, written in contents(rotating)] == [2, 2, 1]


def test_rotates_by_time() -> None:
    """At the times of the schedule it goes on, unless nothing was written since."""
    now = 10.0 * 86_400 + 5
    rotating = ring(lines=None, schedule=Schedule.parse("daily 00:00", utc=True), clock=lambda: now)
    rotating.writeNow(make_job("a"))
    now += 86_394
    rotating.writeNow(make_job("b"))
    now += 1
    rotating.write_batch(make_batch(1, msg=["c"]))
    now += 5 * 86_400
    rotating.writeNow(make_job("d"))
    now += 1
    rotating.writeNow(make_job("e"))
    assert contents(rotating) == [(0, ["a", "b"]), (1, ["c"]), (2, ["d", "e"])]


def test_failing_close_loses_no_record() -> None:
    """What closing a full writer fails with is reported as a record; the others are written."""

    class Failing(Single):
        def close(self) -> None:
            raise OSError("zip failed")

    rotating = ring(lines=2, made=Failing)
    server = LogServer(rotating)
    for number in range(3):
        server.logJob(make_job(f"m{number}"))
    (_, first), (_, second) = contents(rotating)
    assert first == ["m0", "m1"]
    assert second[0] == "m2"
    assert second[1].startswith("closing a full log failed: OSError: zip failed\n")


def test_next_writer_that_fails_is_tried_again() -> None:
    """Where the next writer can't be made the record is refused, and the next one tries again."""
    fails = False

    def make(config: int) -> Single:
        if fails:
            raise OSError("no permission")
        return Single(config)

    rotating = RotateLogWriter(RotateWriterFactory([0], make).nextWriter, 1)
    rotating.writeNow(make_job("a"))
    fails = True
    with pytest.raises(OSError, match="no permission"):
        rotating.writeNow(make_job("b"))
    fails = False
    rotating.writeNow(make_job("b"))
    assert contents(rotating) == [(0, ["b"])]


def test_closed() -> None:
    """close closes the current writer, once; records after it are refused."""
    rotating = ring()
    rotating.close()
    rotating.close()
    assert rotating.writers[-1].is_closed
    with pytest.raises(ValueError, match="close"):
        rotating.writeNow(make_job())


def test_names_of_a_ring() -> None:
    """A pattern has one place for the number; a ring of one may do without."""
    assert numbered_names("log_%s", 3) == ["log_0", "log_1", "log_2"]
    assert numbered_names("a%02d.txt", 2) == ["a00.txt", "a01.txt"]
    assert numbered_names("plain", 1) == ["plain"]
    assert numbered_names("one%d", 1) == ["one0"]


@pytest.mark.parametrize(
    ("pattern", "count", "problem"),
    [
        ("plain", 2, "one %d or %s"),
        ("%d%d", 2, "one %d or %s"),
        ("%", 1, "one %d or %s"),
        ("%.0s", 2, "different names"),
        ("a%d", 0, "at least 1"),
    ],
)
def test_bad_patterns(pattern: str, count: int, problem: str) -> None:
    """A pattern that does not make as many names is refused, with the reason."""
    with pytest.raises(ValueError, match=problem):
        numbered_names(pattern, count)


def test_appending_to_a_ring() -> None:
    """drop: "append to an existing one (this is possible with rotateCount==1 only)"."""
    check_drop(False, 1)
    check_drop(True, 5)
    with pytest.raises(AssertionError, match="rotateCount=1 only, got 5"):
        check_drop(False, 5)
