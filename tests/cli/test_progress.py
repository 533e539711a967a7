"""The bar for work that takes long."""

from __future__ import annotations

import io
import sys

import pytest

from logd.cli import progress
from logd.cli.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that progress goes by."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_bar(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It appears after a second, says how long it takes, and is taken away without a trace."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = Progress()
    bar(0.1)
    bar.clear()
    assert terminal.getvalue() == ""
    clock.now += 2
    bar(0.25)
    bar(0.26)
    assert terminal.getvalue().count("\r") == 1
    assert " 25% ####" in terminal.getvalue()
    assert terminal.getvalue().endswith(". 6 s left")
    bar.clear()
    bar.clear()
    assert terminal.getvalue().endswith("left\r\x1b[K")


def test_no_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere nothing is shown."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = Progress()
    clock.now += 10
    bar(0.5)
    bar.clear()
    assert stream.getvalue() == ""
