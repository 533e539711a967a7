"""A thread beside the pipeline starts late, works when it is due and ends in bounded time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from logd.observers.background import Background

TIMEOUT_S = 60.0


class Work:
    """Counts its steps and says what it was told to answer."""

    def __init__(self, *answers, close_at_exit_s=None):
        self.answers = list(answers)
        self.steps = 0
        self.idle = threading.Event()
        self.background = Background(
            "test work", self.step, after_fork=self.forked, close_at_exit_s=close_at_exit_s
        )

    def step(self):
        self.steps += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            self.idle.set()
        return answer

    def forked(self):
        self.steps = 0


def test_no_thread_before_work():
    """Before the first work there is no thread, and closing needs none."""
    before = threading.active_count()
    work = Work()
    assert threading.active_count() == before
    assert work.background.close(TIMEOUT_S)
    assert work.steps == 0


def test_steps_till_idle():
    """The step is called again after as many seconds as it says, until it wants no more."""
    work = Work(0.001, 0.0, None)
    work.background.wake()
    assert work.idle.wait(TIMEOUT_S)
    assert work.steps == 3
    assert work.background.close(TIMEOUT_S)


def test_wake_and_close():
    """Each wake is followed by a step, and so is closing, at once although the next is far off."""
    work = Work(3_600.0)
    work.background.wake()
    while work.steps < 1:
        threading.Event().wait(0.001)
    assert work.background.close(TIMEOUT_S)
    assert work.steps == 2
    assert not any(thread.name == "test work" for thread in threading.enumerate())


def test_close_gives_up():
    """Closing returns after its time although the step does not."""
    release = threading.Event()

    class Stuck(Work):
        def step(self):
            self.idle.set()
            release.wait(TIMEOUT_S)

    work = Stuck()
    work.background.wake()
    assert work.idle.wait(TIMEOUT_S)
    assert not work.background.close(0.05)
    assert work.background.time_left(30.0) == 0.0
    release.set()
    assert work.background.close(TIMEOUT_S)


def test_closing_twice_and_waking_after():
    """A second close does nothing, and waking what is closed starts no thread."""
    work = Work()
    assert work.background.close(TIMEOUT_S)
    assert work.background.close(TIMEOUT_S)
    work.background.wake()
    assert work.steps == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork():
    """A child process has a thread of its own, once it has work of its own."""
    work = Work()
    work.background.wake()
    assert work.idle.wait(TIMEOUT_S)
    pid = os.fork()
    if pid == 0:
        work.idle.clear()
        work.background.wake()
        os._exit(0 if work.idle.wait(TIMEOUT_S) and work.steps == 1 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert work.background.close(TIMEOUT_S)


@pytest.mark.parametrize(("close_at_exit_s", "output"), [("10.0", "done\n"), ("None", "")])
def test_end_of_the_process(close_at_exit_s, output):
    """The end of a process waits for the work if it is to, and never for a thread without work."""
    program = f"""
import time
from logd.observers.background import Background
class Work:
    def step(self):
        if not self.background.is_closing:
            return 3600.0
        print("done", flush=True)
    def forked(self): pass
work = Work()
work.background = Background("x", work.step, after_fork=work.forked,
                             close_at_exit_s={close_at_exit_s})
work.background.wake()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == (output, "")
