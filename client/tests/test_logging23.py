"""The standard `logging` through a `Log`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from logd_client import Log, logging23


class ListServer:
    def __init__(self) -> None:
        self.jobs: list[tuple[Any, ...]] = []

    def addClient(self) -> None:
        pass

    def log(self, jobdata: tuple[Any, ...]) -> None:
        self.jobs.append(jobdata)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own that takes all levels."""
    made = logging.getLogger("logging23.test")
    made.propagate = False
    made.setLevel(1)
    yield made
    made.handlers.clear()


def test_records_pass_with_the_place_of_the_call(logger: logging.Logger) -> None:
    """The path begins at the app's logging call, without frames of `logging`."""
    server = ListServer()
    handler = Log(server, stackMax=1).logging23_handler()
    logger.addHandler(handler)
    logger.warning("n=%d", 5)
    line = sys._getframe().f_lineno - 1
    job = server.jobs[0]
    assert (job[5], job[6]) == ("n=5", "W")
    assert job[7] == ((__file__, line),)
    assert job[9] == "test_records_pass_with_the_place_of_the_call"
    handler.flush()


def test_exceptions_and_stacks_follow_the_message(logger: logging.Logger) -> None:
    """What `exc_info` and `stack_info` ask for is in the text."""
    server = ListServer()
    logger.addHandler(Log(server).logging23_handler())
    try:
        raise KeyError("gone")
    except KeyError:
        logger.exception("failed", stack_info=True)
    text = server.jobs[0][5]
    assert text.startswith("failed\nTraceback")
    assert "KeyError: 'gone'" in text
    assert "Stack (most recent call last)" in text


def test_levels_become_categories(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard levels map as documented, others as the next lower one; users may change it."""
    server = ListServer()
    logger.addHandler(Log(server).logging23_handler())
    for level in (50, 40, 30, 20, 10, 35, 5, 99):
        logger.log(level, "m")
    assert [job[6] for job in server.jobs] == ["C", "E", "W", "I", "D", "W", "", "C"]
    monkeypatch.setitem(logging23.LEVELMAP, logging.ERROR, "x")
    logger.error("m")
    assert server.jobs[-1][6] == "x"


def test_logging_files_can_be_hidden() -> None:
    """`seFilesExclude` is true for the logging package only."""
    assert logging23.seFilesExclude(logging.__file__)
    assert not logging23.seFilesExclude(__file__)


def test_errors_do_not_reach_the_app(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failing log is reported the way `logging` does it."""

    class Broken(ListServer):
        def log(self, jobdata: tuple[Any, ...]) -> None:
            raise OSError("broken")

    logger.addHandler(Log(Broken()).logging23_handler())
    logger.error("m")
    assert "broken" in capsys.readouterr().err
