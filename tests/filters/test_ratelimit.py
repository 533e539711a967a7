"""A flood from one place in a program becomes a few records and a count."""

from __future__ import annotations

import pytest

from logd.filewriter import FileConfig, FileLogWriter
from logd.filters import RateLimit
from logd.server import LogServer


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    """Time that stands still."""
    return Clock()


class Pipeline:
    """A real server whose writer keeps the records."""

    def __init__(self, step):
        self.jobs = []
        self.server = LogServer(self, filters=[step])

    def writeNow(self, job):
        self.jobs.append(job)

    def log(self, job):
        """Log a record; returns the records that were written because of it."""
        before = len(self.jobs)
        self.server.logJob(job)
        return self.jobs[before:]


def test_limit_and_word(clock, make_job):
    """The first few pass; the count of the others is written when the interval is over."""
    step = RateLimit(3, 60, clock=clock)
    pipeline = Pipeline(step)
    for _ in range(4_214):
        pipeline.log(make_job("disk full"))
    assert len(pipeline.jobs) == 3
    assert step.dropped == 4_211
    clock.now += 59.9
    assert pipeline.log(make_job("disk full")) == []
    clock.now += 0.1
    word, job = pipeline.log(make_job("disk full", msgid=99))
    assert (word.msg, word.special) == (
        "last message repeated 4,212 times",
        {"left_out": 4_212},
    )
    assert job.msgid == 99


def test_word_comes_with_any_record(clock, make_job):
    """A record from elsewhere brings the word about a flood that has stopped, once."""
    pipeline = Pipeline(RateLimit(1, 60, clock=clock))
    for time in (1.0, 2.0):
        pipeline.log(make_job("disk full", pid=7, time=time, client=b"c" * 16, sequence=5))
    clock.now += 60
    word, _ = pipeline.log(make_job("fine", path=(("/app/other.py", 1),), cat="I"))
    assert word.msg == "last message repeated once"
    assert (word.pid, word.cat, word.path, word.time) == (7, "E", make_job().path, 2.0)
    assert (word.client, word.sequence) == (None, 0)
    assert len(pipeline.log(make_job("fine"))) == 1


def test_word_comes_with_a_dropped_record(clock, make_job):
    """A record that is dropped itself still brings the word."""
    pipeline = Pipeline(RateLimit(1, 60, clock=clock))
    other = {"path": (("/app/other.py", 1),)}
    pipeline.log(make_job("a"))
    pipeline.log(make_job("a"))
    clock.now += 30
    pipeline.log(make_job("b", **other))
    clock.now += 30
    (word,) = pipeline.log(make_job("b", **other))
    assert word.msg == "last message repeated once"


def test_different_messages(clock, make_job):
    """Where the messages differ the word tells how many; it quotes none of them."""
    pipeline = Pipeline(RateLimit(1, 60, clock=clock))
    for number in range(5):
        pipeline.log(make_job(f"order {number}, password=hunter2"))
    clock.now += 60
    word, _ = pipeline.log(make_job())
    assert word.msg == "4 more messages from here were left out"
    assert word.special == {"left_out": 4}


def test_another_message_repeated(clock, make_job):
    """Only repeats of the message that was written last are called so."""
    pipeline = Pipeline(RateLimit(1, 60, clock=clock))
    for text in ("a", "b", "b"):
        pipeline.log(make_job(text))
    clock.now += 60
    assert pipeline.log(make_job())[0].msg == "2 more messages from here were left out"


def test_sites(clock, make_job, run):
    """Call sites are told apart by peer, file and line; without a path by function and text."""
    step = RateLimit(1, 60, clock=clock)
    sites = [
        {},
        {"peer": "192.0.2.8"},
        {"path": (("/app/views.py", 43),)},
        {"path": (("/app/models.py", 42),)},
        {"path": ()},
        {"path": (), "cfunc": "pay"},
        {"path": (), "msg": "other"},
        {"path": ((None, None),), "cat": "W"},
    ]
    assert [run(step, make_job(**site)).dropped for site in sites] == [False] * 8
    assert [run(step, make_job(**site)).dropped for site in sites] == [True] * 8
    assert run(step, make_job("another text, another process", pid=1)).dropped


def test_other_categories(clock, make_job, run):
    """Other categories are not limited."""
    step = RateLimit(1, 60, cats=("D",), clock=clock)
    assert not any(run(step, make_job()).dropped for _ in range(10))


def test_bounded_sites(clock, make_job):
    """Beyond max_sites the one watched longest is let go, with a word about it."""
    pipeline = Pipeline(RateLimit(1, 60, max_sites=10, clock=clock))
    pipeline.log(make_job("flood"))
    pipeline.log(make_job("flood"))
    for line in range(100):
        pipeline.log(make_job("x", path=(("/app/f.py", line),)))
    words = [job.msg for job in pipeline.jobs if job.msg not in ("x", "flood")]
    assert words == ["last message repeated once"]


def test_word_goes_to_files(clock, make_job, tmp_path):
    """A writer of batches gets the word as a batch of its own, before the record it came with."""
    log = tmp_path / "log.txt"
    writer = FileLogWriter(FileConfig(str(log)))
    server = LogServer(writer, filters=[RateLimit(1, 60, clock=clock)])
    for _ in range(3):
        server.logJob(make_job("disk full"))
    clock.now += 60
    server.logJob(make_job("disk full"))
    writer.close()
    texts = [
        line.split("\t")[0].partition(" E 4711@192.0.2.7#17 ")[2]
        for line in log.read_text().splitlines()
    ]
    assert texts == ["disk full", "last message repeated 2 times", "disk full"]


def test_close_tells_the_rest(clock, make_job, run, caplog):
    """What no record told any more is told by the daemon's own log at the end."""
    step = RateLimit(1, 60, clock=clock)
    run(step, make_job("a"))
    run(step, make_job("a"))
    assert step.close(60.0)
    assert "last message repeated once" in caplog.text
    assert step.close(60.0)
    assert caplog.text.count("repeated") == 1


def test_errors():
    """Limits that make no sense are refused."""
    for arguments in ({"limit": 0}, {"interval_s": 0}, {"max_sites": 0}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            RateLimit(**arguments)
    with pytest.raises(TypeError, match="cats"):
        RateLimit(cats="D")
