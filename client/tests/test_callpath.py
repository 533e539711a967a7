"""The call path of a record: its lines, its depth, what it hides."""

from __future__ import annotations

import random
import sys
import threading
import traceback
from typing import Any

import pytest
from listserver import make

from logd_client import Log
from logd_client.callpath import CallSites


def test_stack_lines_up_to_the_maximum() -> None:
    """`stackMax` limits the path; 0 leaves it empty but names the calling function."""

    def inner(log: Log) -> None:
        log("m")

    def outer(log: Log) -> None:
        inner(log)

    log, server = make(stackMax=2)
    outer(log)
    assert [name for name, _ in server.last["path"]] == [__file__] * 2
    assert server.last["cfunc"] == "inner"
    log, server = make(stackMax=0)
    outer(log)
    assert server.last["path"] == ()
    assert server.last["cfunc"] == "inner"
    log, server = make(stackMax=1000)
    outer(log)
    assert len(server.last["path"]) == server.last["tblen"] > 10


def test_path_is_right_at_every_repetition() -> None:
    """Cached places differ by line, by caller and by depth of the stack."""
    log, server = make(stackMax=2)

    def leaf() -> None:
        log("a")
        log("b")

    def middle(depth: int) -> None:
        if depth:
            middle(depth - 1)
        else:
            leaf()

    for _ in range(3):
        seen = []
        for depth in (0, 3, 1, 0):
            middle(depth)
            seen.append([(job[7], job[8]) for job in server.jobs[-2:]])
        (path_a, depth_a), (path_b, depth_b) = seen[0]
        assert depth_a == depth_b
        assert path_b[0] == (__file__, path_a[0][1] + 1)
        assert path_b[1] == path_a[1]
        assert [s[0][1] - depth_a for s in seen] == [0, 3, 1, 0]
        assert seen[1][0][0] == path_a
        assert seen[3] == seen[0]


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_path_is_right_from_any_caller(levels: int) -> None:
    """One place that is reached by many ways, in any order, has the path of its own way."""
    log, server = make(stackMax=levels)
    ways = random.Random(levels)

    def leaf() -> list[tuple[str, int]]:
        frames = traceback.walk_stack(sys._getframe())
        found = [(frame.f_code.co_filename, line) for frame, line in frames]
        log("m")
        return [(found[0][0], found[0][1] + 1), *found[1:]]

    def left(depth: int) -> list[tuple[str, int]]:
        return step(depth)

    def right(depth: int) -> list[tuple[str, int]]:
        return step(depth)

    def step(depth: int) -> list[tuple[str, int]]:
        if not depth:
            return leaf()
        return left(depth - 1) if ways.random() < 0.5 else right(depth - 1)

    for _ in range(300):
        stack = step(ways.randrange(5))
        assert server.last["path"] == tuple(stack[:levels])
        assert server.last["tblen"] == len(stack)


def test_code_that_is_gone_never_lends_its_place() -> None:
    """Functions made and dropped one after the other keep their own lines in the path."""
    log, server = make(stackMax=1)
    for n in range(200):
        namespace: dict[str, Any] = {"log": log}
        exec(compile("\n" * n + "def f(): log('m')", f"file{n}", "exec"), namespace)
        namespace["f"]()
        assert server.last["path"] == ((f"file{n}", n + 1),)


def test_many_places_do_not_grow_memory() -> None:
    """The places known per thread are bounded."""
    sites = CallSites(1)
    for n in range(10000):
        sites.find(0, str(n))
    assert len(sites._local.here.sites) <= 4096


def test_trace_depth_and_offset_skip_callers() -> None:
    """A wrapper hides itself by `traceDepth`, all calls by `traceOffset`."""

    def wrapper(log: Log, depth: int) -> None:
        log("m", traceDepth=depth)

    log, server = make()
    wrapper(log, 2)
    line = sys._getframe().f_lineno - 1
    assert server.last["path"] == ((__file__, line),)
    assert server.last["cfunc"] == "test_trace_depth_and_offset_skip_callers"
    wrapper(log, 1)
    assert server.last["cfunc"] == "wrapper"
    wrapper(log, 0)
    assert server.last["cfunc"] == "wrapper"
    log, server = make(traceOffset=1)
    wrapper(log, 1)
    assert server.last["cfunc"] == "test_trace_depth_and_offset_skip_callers"


@pytest.mark.parametrize("depth", [200, 10**6])
def test_too_high_trace_depth_is_adjusted(depth: int) -> None:
    """A depth beyond the stack gives the outermost caller, never an error."""
    log, server = make(stackMax=3)
    assert log("m", traceDepth=depth) == 1
    assert len(server.last["path"]) == 1
    log, server = make(traceOffset=depth)
    assert log("m") == 1


def test_excluded_files_are_hidden() -> None:
    """Where `seFilesExclude` is true, (None, None) stands in the path."""
    log, server = make(stackMax=3, seFilesExclude=lambda name: name == __file__)
    log("m")
    assert server.last["path"][0] == (None, None)
    assert server.last["path"][1][0] is not None


def test_without_stack_nothing_is_read() -> None:
    """`extractStack=False` gives an empty path, depth 0 and no function."""
    log, server = make(extractStack=False, stackMax=5)
    log("m", "E", traceDepth=50)
    job = server.last
    assert (job["path"], job["tblen"], job["cfunc"], job["cat"]) == ((), 0, "", "E")


@pytest.mark.parametrize("extract", [True, False])
def test_thread_names_follow(extract: bool) -> None:
    """Each thread logs under its own name, also after the name was changed."""
    log, server = make(extractStack=extract)

    def work() -> None:
        for name in ("first", "second", "first"):
            threading.current_thread().name = name
            log("m")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    log("m")
    assert [job[3] for job in server.jobs[:3]] == ["first", "second", "first"]
    assert server.last["threadname"] != "first"
    assert server.jobs[0][2] != server.last["tid"]
