"""Goals of finding: `logd query` over 2 GB of files beside grep and ripgrep, in the same run; and
over 100 GB that only indexes tell of.

Each question is a process of its own, as a person at a terminal starts it; what it prints is read
and thrown away. The files are in the page cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import debian, find_ring
from tests.bench.peers import REPOSITORY
from tests.bench.processes import ContenderFailed
from tests.bench.results import (
    Contest,
    Goal,
    Row,
    Settings,
    at_least,
    at_most,
    compete,
    ratio_row,
)

TASK = "11 find"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Asked:
    """What one question cost.

    Attributes:
        seconds: from the start of the process to its end.
        first_s: until the first byte of the answer.
        cpu_s: of the process, all threads.
        rss_bytes: the most memory that it had when it answered.
        answer_bytes: how long the answer was.
    """

    seconds: float
    first_s: float
    cpu_s: float
    rss_bytes: int
    answer_bytes: int


@dataclass(frozen=True)
class Question:
    """One question to the log.

    Attributes:
        name: in the table.
        arguments: of `logd query`.
        goal: what it has to keep; None for nothing but to be seen, or for a ratio.
        figure: what the goal is about.
    """

    name: str
    arguments: tuple[str, ...]
    goal: Goal | None
    figure: Callable[[Asked], float] = lambda asked: asked.seconds


def find(settings: Settings) -> Iterator[Row]:
    """Each question to a ring of ten files with an index and, the newest one, without."""
    records = settings.pick(1_000_000, 1_000_000, 2_000)
    pattern = find_ring.ring(records)
    sparse = find_ring.sparse_ring(pattern, records)
    files = sorted(pattern.parent.glob("app_*.log"))
    megabytes = sum(file.stat().st_size for file in files) / 1e6
    asked_of = dict.fromkeys(_questions(settings, megabytes), pattern)
    if sparse is not None:
        asked_of |= dict.fromkeys(_counts("100 GB, ", at_most(2.0, "s")), sparse)
    contenders = {
        question.name: partial(ask, (*QUERY, "--file", str(log), *question.arguments))
        for question, log in asked_of.items()
    }
    contenders |= _peers(files)
    contest = compete(contenders, settings.rounds)
    for question in asked_of:
        yield _row(contest, question.name, question.figure, question.goal)
    yield _memory_row(contest, [question.name for question in asked_of])
    for name in _peers(files):
        yield _row(contest, name, lambda asked: asked.seconds, None)
    seconds = {name: [asked.seconds for asked in runs] for name, runs in contest.runs.items()}
    yield ratio_row(TASK, "rare text", "rg, rare text", seconds, at_most(3))


QUERY = (sys.executable, "-m", "logd", "query")
"""The command that answers, less its arguments."""


def _questions(settings: Settings, megabytes: float) -> Iterator[Question]:
    records = find_ring.FILES * settings.pick(1_000_000, 1_000_000, 2_000)
    since, until = map(
        find_ring.minute_text, (records // 2, records // 2 + 600 * find_ring.A_SECOND)
    )
    quick = at_most(0.3, "s")
    yield Question("10 minutes, listed", ("--since", since, "--until", until), quick)
    yield from _counts("", at_most(0.5, "s"))
    for field in ("pid", "thread"):
        yield Question(
            f"by {field}, a scan",
            ("--by", field),
            at_least(150, "MB/s"),
            lambda asked: megabytes / asked.seconds,
        )
    rare = f'"{find_ring.RARE}"'
    yield Question("rare text", (rare,), None)
    yield Question("rare text, newest", ("-r", "-n", "1", rare), quick, lambda asked: asked.first_s)
    yield Question("the last 5", ("-r", "-n", "5"), at_most(0.25, "s"))


def _counts(where: str, goal: Goal) -> Iterator[Question]:
    """What indexes tell alone."""
    fields = ("minute", "cat", "site", "host", "logger")
    for field in fields:
        yield Question(f"{where}by {field}", ("--by", field), goal)
    several = tuple(part for field in fields for part in ("--by", field))
    yield Question(f"{where}by minute and four fields", several, goal)


def _peers(files: Sequence[Path]) -> dict[str, Callable[[], Asked]]:
    names = [str(file) for file in files]
    return {
        "grep, rare text": partial(ask, ("grep", "-hF", find_ring.RARE, *names)),
        "rg, rare text": lambda: ask((_ripgrep(), "-INF", find_ring.RARE, *names)),
    }


def _ripgrep() -> str:
    return shutil.which("rg") or str(debian.unpacked("ripgrep") / "usr/bin/rg")


def ask(command: Sequence[str]) -> Asked:
    """Run a command to its end.

    Raises:
        ContenderFailed: it did not answer.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TZ": "UTC"},
    )
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    size, first_s, rss_bytes = 0, 0.0, 0
    while data := os.read(descriptor, _CHUNK_BYTES):
        first_s = first_s or time.perf_counter() - started
        size += len(data)
        rss_bytes = max(rss_bytes, _peak_bytes(process.pid))
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    process.stdout.close()
    if process.returncode or not size:
        raise ContenderFailed(f"{' '.join(command)}: status {process.returncode}, {size} bytes")
    return Asked(seconds, first_s, used.ru_utime + used.ru_stime, rss_bytes, size)


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has had by now; 0 if it has ended.

    What `wait4` tells includes that of the process which it was forked from.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(found[0]) * 1024 if found else 0


def _memory_row(contest: Contest[Asked], names: Sequence[str]) -> Row:
    """The most memory that a question took in each round."""
    rounds = zip(*(contest.runs[name] for name in names if name in contest.runs), strict=False)
    most = [max(asked.rss_bytes for asked in turn) / 2**20 for turn in rounds]
    return Row(TASK, "memory, the most of all of these", most, "MiB", "", at_most(150, "MiB"))


def _row(
    contest: Contest[Asked], name: str, figure: Callable[[Asked], float], goal: Goal | None
) -> Row:
    if name in contest.absent:
        return Row(TASK, name, (), "", contest.absent[name], goal)
    runs = contest.runs[name]
    cpu_s = sorted(asked.cpu_s for asked in runs)[len(runs) // 2]
    memory = max(asked.rss_bytes for asked in runs) / 2**20
    notes = f"CPU {cpu_s:.2f} s, {memory:.0f} MiB, {runs[0].answer_bytes:,} bytes"
    unit = goal.unit if goal is not None else "s"
    return Row(TASK, name, [figure(asked) for asked in runs], unit, notes, goal)
