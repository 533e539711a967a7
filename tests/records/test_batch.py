from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logd.records.batch import Batch
from logd.records.context import Context, ContextItems, Special
from logd.records.job import MsgJob
from logd.text.lines import LineFormat

CLIENT = b"0123456789abcdef"
HERE = Context(1, 2, "MainThread", "E", (("a.py", 3),), 4, "f")
THERE = HERE._replace(cat="I", path=())


def make_batch(count: int = 6, **changes: Any) -> Batch:
    """Six records of a session, from two places."""
    arguments: dict[str, Any] = {
        "contexts": (HERE, THERE),
        "index": bytes(row % 2 for row in range(count)),
        "msgid": range(100, 100 + count),
        "time": [float(row) for row in range(count)],
        "msg": [f"message {row}" for row in range(count)],
        "special": {1: {"n": 1}},
        "client": CLIENT,
        "first": 11,
    }
    return Batch(**{**arguments, **changes})


def rows(batch: Batch) -> list[tuple[Any, ...]]:
    """What the batch says of each record."""
    return [
        (
            batch.contexts[batch.index[row]],
            batch.msgid[row],
            batch.time[row],
            batch.msg[row],
            dict(batch.special.get(row, {})),
        )
        for row in range(len(batch))
    ]


def without(batch: Batch, *numbers: int) -> Batch:
    """The batch after a filter dropped records by their sequence numbers."""
    return Batch.from_jobs([job for job in batch.jobs() if job.sequence not in numbers], batch)


def test_jobs_show_every_column() -> None:
    """Each job has what its row has."""
    batch = make_batch(3, ts=["x", "y", "z"], peer="10.0.0.1")
    job = batch.jobs()[1]
    assert (job.msgid, job.ts, job.time, job.msg, job.special) == (
        101,
        "y",
        1.0,
        "message 1",
        {"n": 1},
    )
    assert (job.pid, job.tid, job.threadname, job.cat, job.path) == (1, 2, "MainThread", "I", ())
    assert (job.tblen, job.cfunc, job.peer, job.client, job.sequence) == (
        4, "f", "10.0.0.1", CLIENT, 12,
    )  # fmt: skip


def test_texts_of_times_are_made_when_they_are_asked_for() -> None:
    """Not before, and once; parts and remainders have them, too."""
    asked: list[int] = []

    def texts_of(times: Sequence[float]) -> list[str]:
        asked.append(len(times))
        return [f"{time:g}" for time in times]

    batch = make_batch()
    batch.make_ts(texts_of)
    rest, left, same = batch.after(14), batch.of_rows([1, 4]), batch.in_session(None)
    assert rest is not None
    assert not asked
    assert rest.ts == ["4", "5"]
    assert left.ts == ["1", "4"]
    assert same.ts == batch.ts == ["0", "1", "2", "3", "4", "5"]
    assert (batch.ts or ())[1] == batch.part(1, 3).jobs()[0].ts == "1"
    assert asked == [2, 2, 6, 6]
    batch.ts = ["x"] * 6
    assert batch.jobs()[0].ts == "x"


def test_jobs_and_back() -> None:
    """A batch taken apart and put together is the same batch."""
    batch = make_batch()
    again = Batch.from_jobs(batch.jobs(), batch)
    assert rows(again) == rows(batch)
    assert (again.client, again.first, again.last, again.sequence) == (CLIENT, 11, 16, None)


def test_jobs_without_session() -> None:
    """Records without a session have no sequence numbers, before and after."""
    batch = make_batch(client=None, first=0)
    again = Batch.from_jobs(batch.jobs(), batch)
    assert (again.client, again.first, again.last) == (None, 0, 0)
    assert again.after(3) is again


def test_dropped_records_stay_covered() -> None:
    """A batch that filters shortened covers the sequence numbers of the records left out."""
    shorter = without(make_batch(), 11, 13, 16)
    assert (shorter.first, shorter.last, len(shorter)) == (11, 16, 3)
    assert shorter.sequence == [12, 14, 15]
    assert [job.sequence for job in shorter.jobs()] == [12, 14, 15]


@given(st.sets(st.integers(11, 16), max_size=5), st.integers(0, 6), st.integers(0, 6), st.data())
def test_parts_of_shortened_batches(
    left_out: set[int], start: int, stop: int, data: st.DataObject
) -> None:
    """Parts and remainders of a shortened batch have the right records and cover what follows."""
    batch = without(make_batch(), *left_out)
    numbers = [number for number in range(11, 17) if number not in left_out]
    start, stop = sorted((min(start, len(batch)), min(stop, len(batch))))
    if start < stop:
        part = batch.part(start, stop)
        assert [job.sequence for job in part.jobs()] == numbers[start:stop]
        # Parts that follow each other cover all numbers: nothing between them looks lost.
        assert part.first == (11 if start == 0 else numbers[start - 1] + 1)
        assert part.last == (16 if stop == len(batch) else numbers[stop - 1])
    mark = data.draw(st.integers(0, 20))
    rest = batch.after(mark)
    left = [] if rest is None else [job.sequence for job in rest.jobs()]
    assert left == [number for number in numbers if number > mark]
    assert rest is None or rest.last == 16


@given(st.integers(0, 6), st.integers(0, 6))
def test_parts_together_are_the_whole(one: int, other: int) -> None:
    """Parts have the rows between their ends, special items and numbers included."""
    batch = make_batch()
    start, stop = sorted((one, other))
    if start < stop:
        part = batch.part(start, stop)
        assert rows(part) == rows(batch)[start:stop]
        assert (part.first, part.last) == (11 + start, 10 + stop)


def test_after_a_mark() -> None:
    """What a mark holds is cut off; nothing is left where it holds all."""
    batch = make_batch()
    assert batch.after(10) is batch
    rest = batch.after(13)
    assert rest is not None
    assert rows(rest) == rows(batch)[3:]
    assert batch.after(16) is None


def test_equal_contexts_are_kept_once() -> None:
    """Jobs from the same place share a context."""
    batch = Batch.from_jobs(make_batch(300).jobs())
    assert batch.contexts == (HERE, THERE)
    assert isinstance(batch.index, bytes)


def test_many_contexts() -> None:
    """More than 256 contexts fit."""
    jobs = [job.copy_update({"pid": number}) for number, job in enumerate(make_batch(300).jobs())]
    batch = Batch.from_jobs(jobs)
    assert [batch.contexts[position].pid for position in batch.index] == list(range(300))


@pytest.mark.parametrize("wrong", [None, 5, b"bytes", ["list"], object(), float("nan"), 1e400])
@pytest.mark.parametrize(
    "name", ["msgid", "pid", "threadname", "ts", "msg", "cat", "tblen", "cfunc", "time"]
)
def test_anything_a_filter_leaves_fits(name: str, wrong: object) -> None:
    """A filter that leaves the wrong type in a record does not break its batch."""
    job = make_batch(1).jobs()[0]
    setattr(job, name, wrong)
    batch = Batch.from_jobs([job])
    assert isinstance(batch.msg[0], str)
    assert isinstance(batch.msgid[0], int)
    assert 0 <= batch.time[0] < 1e12
    assert list(map(type, batch.contexts[0])) == [int, int, str, str, tuple, int, str]


@pytest.mark.parametrize("path", [[["a.py", 1]], (["a.py", 1],), [("a.py", "1")]])
def test_paths_of_lists_fit(path: Any) -> None:
    """A path of lists becomes one of tuples."""
    job = make_batch(1).jobs()[0]
    job.path = path
    assert Batch.from_jobs([job]).contexts[0].path == (("a.py", 1),)


def test_job_made_by_hand() -> None:
    """A job without a server and session makes a batch too."""
    job = MsgJob(1, 2, 3, "t", "now", "text", "", (), 0, "", None, None, time=7.0)
    batch = Batch.from_jobs([job])
    assert (batch.ts, list(batch.msg), batch.client, batch.last) == (["now"], ["text"], None, 0)


def items_of_records(fewest: int) -> st.SearchStrategy[dict[str, Any]]:
    """Special items of a record, at least so many."""
    values = st.integers(0, 9) | st.text("xy\n", max_size=3)
    return st.dictionaries(st.sampled_from("abc"), values, min_size=fewest)


@given(st.data(), st.integers(1, 6))
def test_items_of_contexts_are_items_of_their_records(data: st.DataObject, count: int) -> None:
    """Items that records share by their place look and are written as if each had them itself."""
    shared: list[Special] = [data.draw(items_of_records(0)), {}]
    own_rows = data.draw(st.sets(st.sampled_from(range(count)))) - {0}
    own = {row: data.draw(items_of_records(1)) for row in own_rows}
    index = bytes(row in own_rows for row in range(count))
    contexts = (HERE, THERE) if own else (HERE,)
    made = ContextItems(shared[: len(contexts)], index, own)
    each = {row: own[row] if row in own else shared[0] for row in range(count)}
    plain = {row: items for row, items in each.items() if items}
    assert made == plain
    assert bool(made) == bool(plain)
    assert list(made) == list(made.keys()) == list(plain)
    assert [made.get(row) for row in range(count)] == [plain.get(row) for row in range(count)]
    by_context, by_record = (
        make_batch(count, contexts=contexts, index=index, special=special)
        for special in (made, plain)
    )
    assert LineFormat().encode_batch(by_context) == LineFormat().encode_batch(by_record)
    assert rows(by_context.part(1, count)) == rows(by_record.part(1, count))
    assert [job.special for job in by_context.jobs()] == [job.special for job in by_record.jobs()]
