"""Fail-points do what the environment variable says, and nothing without it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest

from logd.outputs.failpoints import VARIABLE, Failpoints, failpoint


def run(text: str, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process that was started with these fail-points."""
    return subprocess.run(
        [sys.executable, "-c", f"from logd.outputs.failpoints import failpoint\n{program}"],
        env={**os.environ, VARIABLE: text},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_happens_without_the_variable() -> None:
    """A point costs a call that does nothing."""
    assert failpoint.__name__ == "_nothing"
    failpoint("anything")


def test_kill_at_the_third_time() -> None:
    """The process gets SIGKILL when the point is reached for the third time."""
    program = "for i in range(5): print(i, flush=True); failpoint('here'); failpoint('there')"
    done = run("here=kill@3", program)
    assert done.returncode == -9
    assert done.stdout.split() == ["0", "1", "2"]


def test_wrong_text_stops_the_start() -> None:
    """A misspelt action is an error that names it, not a test that tests nothing."""
    done = run("here=kil", "")
    assert done.returncode == 1
    assert "expected name=action or name=action@N, got 'here=kil'" in done.stderr


def test_errors_from_first_to_last() -> None:
    """A range of times makes the disk fail for a while; points count for themselves."""
    points = Failpoints("a=enospc@2-3, b=eio")
    points.hit("a")
    for _ in range(2):
        with pytest.raises(OSError, match="a") as caught:
            points.hit("a")
        assert caught.value.errno == errno.ENOSPC
    points.hit("a")
    with pytest.raises(OSError, match="b") as caught:
        points.hit("b")
    assert caught.value.errno == errno.EIO


def test_pause() -> None:
    """A point can take its time."""
    began = time.monotonic()
    Failpoints("a=sleep:0.05@1").hit("a")
    assert time.monotonic() - began >= 0.05
