"""Stacks, exceptions and dictionaries are logged as one entry each."""

from __future__ import annotations

import pytest

from logd.contrib.richlog import RichLog1
from logd.server import LogServer
from logd_client import Log


class Writer:
    def __init__(self):
        self.jobs = []

    def writeNow(self, job):
        self.jobs.append(job)


@pytest.fixture
def writer():
    """Keeps the jobs."""
    return Writer()


@pytest.fixture
def rich(writer):
    """A rich log in this process."""
    return RichLog1(Log(LogServer(writer), name="rich"))


def test_trace(rich, writer):
    """trace() shows the stack of its call, innermost last, and stands where it was called."""
    assert rich.trace("where am I") == 1
    (job,) = writer.jobs
    first, *stack = job.msg.split("\n")
    assert first == "where am I"
    assert stack[-2].strip().startswith(f'File "{__file__}", line ')
    assert stack[-1].strip() == 'assert rich.trace("where am I") == 1'
    assert job.path[0][0].endswith("test_richlog.py")
    assert job.cfunc == "test_trace"


def test_trace_of_an_exception(rich, writer):
    """With use_ex it shows the exception being handled, or says that there is none."""
    try:
        raise ValueError("wrong price")
    except ValueError:
        rich.trace("order failed", use_ex=True, cat="E", special={"order": 812})
    rich.trace("nothing", True)
    failed, nothing = writer.jobs
    lines = failed.msg.split("\n")
    assert lines[:2] == ["order failed", "Traceback (most recent call last):"]
    assert lines[-1] == "ValueError: wrong price"
    assert (failed.cat, failed.special) == ("E", {"order": 812})
    assert nothing.msg == "nothing\n(no exception is being handled)"


def test_deep_stack(rich, writer):
    """Of a deep stack the innermost lines are shown."""

    def even(levels):
        if levels:
            odd(levels - 1)
        else:
            rich.trace("deep")

    def odd(levels):
        even(levels - 1)

    even(400)
    lines = writer.jobs[0].msg.split("\n")
    assert len(lines) < 250
    assert 'rich.trace("deep")' in lines[-1]


def test_dict(rich, writer):
    """dict() shows an item a line, in the dictionary's order."""
    assert rich.dict({"b": 1, "a": "x\ny", 3: None}, "the order", cat="D") == 1
    (job,) = writer.jobs
    assert job.msg == "the order\n'b': 1\n'a': 'x\\ny'\n3: None"
    assert (job.cat, job.cfunc) == ("D", "test_dict")


def test_awkward_dicts(rich, writer):
    """Values that are long, many or broken are cut or named; the app never fails for them."""

    class Broken:
        def __repr__(self):
            raise RuntimeError("no")

    rich.dict({"long": "x" * 5_000, "broken": Broken()}, "m")
    rich.dict(dict.fromkeys(range(1_500)), "m")
    rich.dict({}, "empty")
    first, second, third = (job.msg.split("\n") for job in writer.jobs)
    assert first[1].endswith("x... (4,002 characters left out)")
    assert first[2] == "'broken': <Broken whose repr failed: RuntimeError>"
    assert len(second) == 1_002
    assert second[-1] == "(500 items left out)"
    assert third == ["empty"]


def test_still_a_log(rich, writer):
    """It can be called as the log can, with the caller's place, and has its other methods."""
    assert rich("plain", "W", {"n": 1}) == 1
    (job,) = writer.jobs
    assert (job.msg, job.cat, job.special, job.cfunc) == (
        "plain",
        "W",
        {"n": 1},
        "test_still_a_log",
    )
    rich.off()
    assert rich.trace("x") is None
    rich.on()
    assert rich("y") == 2
