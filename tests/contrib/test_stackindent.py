"""Messages are indented by how deep in the program they were logged."""

from __future__ import annotations

import pytest

from logd.contrib.stackindent import StackIndentFilter, createPrintIndentLog


def logged(step, job):
    """The message after the filter."""
    step([job], None)
    return job.msg


def test_depth(make_job):
    """The first call is depth zero, deeper ones are indented, less deep ones are not."""
    step = StackIndentFilter()
    texts = [logged(step, make_job("x", tblen=depth)) for depth in (10, 11, 13, 10, 8, 11)]
    assert texts == ["x", " x", "   x", "x", "x", " x"]


def test_token_and_prefix(make_job):
    """Token and prefix are as given; a prefix may be made of the job."""
    step = StackIndentFilter("--", "> ")
    assert logged(step, make_job("x", tblen=1)) == "> x"
    assert logged(step, make_job("x", tblen=3)) == "----> x"
    step = StackIndentFilter(msgPrefix=lambda job: f"{job.cfunc}: ")
    assert logged(step, make_job("x", tblen=3)) == "charge: x"


def test_tara(make_job):
    """The special item stackindent_tara makes its call that deep, and is not logged itself."""
    step = StackIndentFilter()
    logged(step, make_job("x", tblen=10))
    job = make_job("x", tblen=15, special={"stackindent_tara": 2, "user": "ann"})
    assert logged(step, job) == "  x"
    assert job.special == {"user": "ann"}
    assert logged(step, make_job("x", tblen=16)) == "   x"
    assert logged(step, make_job("x", tblen=15, special={"stackindent_tara": 0})) == "x"


def test_lines(make_job):
    """Each line of a message is indented."""
    step = StackIndentFilter()
    logged(step, make_job(tblen=10))
    assert logged(step, make_job("a\nb\n", tblen=12)) == "  a\n  b\n  "


def test_threads(make_job):
    """Each thread of each sender has a ground of its own."""
    step = StackIndentFilter()
    for ground, sender in enumerate(({}, {"tid": 2}, {"pid": 2}, {"peer": "192.0.2.9"}), 10):
        assert logged(step, make_job("x", tblen=ground, **sender)) == "x"
        assert logged(step, make_job("x", tblen=ground + 1, **sender)) == " x"
    assert logged(step, make_job("x", tblen=11)) == " x"


def test_without_stack_and_far_too_deep(make_job):
    """Records without a stack are not indented, endless recursion is bounded."""
    step = StackIndentFilter()
    logged(step, make_job(tblen=1))
    assert logged(step, make_job("x", tblen=0)) == "x"
    assert logged(step, make_job("x", tblen=1_000_000)) == " " * 100 + "x"


def test_many_threads(make_job):
    """Of endless threads only the last ones are remembered."""
    step = StackIndentFilter()
    for tid in range(10_050):
        step([make_job(tid=tid, tblen=5)], None)
    assert len(step._ground) == 10_000
    assert logged(step, make_job("x", tid=10_049, tblen=6)) == " x"
    assert logged(step, make_job("x", tid=3, tblen=6)) == "x"


def order(log, number):
    """An app with calls in calls."""
    log(f"order {number}")
    check(log)


def check(log):
    """Called by the app."""
    log("checking", cat="D")
    log("ground again", special={"stackindent_tara": 0})


@pytest.mark.parametrize(("arguments", "token"), [({}, "  "), ({"token": "."}, ".")])
def test_print_log(capsys, arguments, token):
    """A local log prints the indented messages on stdout."""
    log = createPrintIndentLog(**arguments)
    log("start")
    order(log, 812)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" :::")[0] for line in lines] == [
        "start",
        f"{token}order 812",
        f"D {token * 2}checking",
        "ground again",
    ]


def test_print_log_arguments(capsys):
    """The other arguments are those of the printing log."""
    seen = []
    log = createPrintIndentLog(
        "  ",
        "* ",
        filters=[lambda jobhist, writer: seen.append(jobhist[-1].msg)],
        observers=[lambda jobhist, writer: seen.append(jobhist[-1].msg)],
        catsDisable=["D"],
        format_line=lambda job: f"{job.cat}|{job.msg}|{len(job.path)}",
        stackMax=2,
        name="indent",
    )
    log("a", "E")
    log("b", "D")
    assert capsys.readouterr().out == "E|* a|2\n"
    assert seen == ["a", "* a"]
    assert repr(log) == "indent(on)"
