"""What a log of JSON lines or logfmt costs beside one of the default layout.

The same batches into files of each layout, in turn: the CPU of the whole daemon for them
(decoding, formatting, journal, writing), then that of commands which read the log.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import encoders
from tests.bench.encoders import Load
from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.peers import LOG_PATTERN, REPOSITORY
from tests.bench.processes import ContenderFailed, free_port
from tests.bench.results import Goal, Row, Settings, at_most, compete, ratio_row
from tests.bench.senders import Senders

TASK = "layouts"
TEXT = "default"
LAYOUTS = {TEXT: (), "json": ("--line-format", "json"), "logfmt": ("--line-format", "logfmt")}

READS = {
    "finds a text": ("query", "--count", "--grep", "delivery of webhook 77"),
    "counts by place": ("query", "--by", "site"),
    "shows the last": ("tail", "-n", "20000"),
    "shows as JSON": ("query", "--json", "--limit", "50000"),
}
"""Command lines of logd, with what they do."""

GOALS: dict[str, Goal] = {"json": at_most(1.3)}
"""Of the CPU to write, beside the default layout."""


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU.

    Attributes:
        writing: of the daemon for a million records.
        reading: of each command, for all of the log.
    """

    writing: float
    reading: dict[str, float]


def layouts(settings: Settings) -> Iterator[Row]:
    """JSON lines cost at most 1.3 of the default layout, and are read as fast."""
    load = encoders.session(settings.pick(600_000, 150_000, 4_000), 2)
    contest = compete(
        {name: partial(_cost, load, options) for name, options in LAYOUTS.items()},
        settings.rounds,
    )
    for name, reason in contest.absent.items():
        yield Row(TASK, name, (), "s/million", reason)
    writing = {name: [cost.writing for cost in costs] for name, costs in contest.runs.items()}
    for name, samples in writing.items():
        yield Row(TASK, f"{name}, written", samples, "s/million", "CPU of the daemon")
    for name in list(LAYOUTS)[1:]:
        yield ratio_row(f"{TASK}, written", name, TEXT, writing, GOALS.get(name))
    for what in READS:
        reading = {
            name: [cost.reading[what] for cost in costs] for name, costs in contest.runs.items()
        }
        yield Row(TASK, f"{TEXT}, {what}", reading.get(TEXT, ()), "s", "CPU of the command")
        for name in list(LAYOUTS)[1:]:
            yield ratio_row(f"{TASK}, {what}", name, TEXT, reading, None)


def _cost(load: Load, options: tuple[str, ...]) -> Cost:
    """Let a daemon write the load, and commands read it.

    Raises:
        ContenderFailed: records are missing, or a command failed.
    """
    receiver = logd(encoders.session, *options)
    port = free_port()
    with scratch_folder() as folder:
        with receiver.start(folder, port) as server:
            senders = Senders(server, port, load)
            before = server.cpu_s()
            senders.go()
            senders.join()
            writing = server.cpu_s() - before
            server.stop()
        lines = sum(file.read_bytes().count(b"\n") for file in folder.glob(LOG_PATTERN))
        if lines != load.records:
            raise ContenderFailed(f"{lines} of {load.records} lines")
        reading = {what: _cpu_s(folder, command) for what, command in READS.items()}
    return Cost(writing / load.records * 1e6, reading)


def _cpu_s(folder: Path, command: tuple[str, ...]) -> float:
    """The CPU that a command takes, its children's too, less that of its start."""
    name, *options = command
    file = ["--file", str(folder / "out_%d.log")]
    return _ended(folder, name, *file, *options) - _ended(folder, name, "--help")


def _ended(folder: Path, *arguments: str) -> float:
    process = subprocess.Popen(
        [sys.executable, "-m", "logd", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # notes of what --limit left out
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ContenderFailed(f"logd {' '.join(arguments)}: status {process.returncode}")
    return usage.ru_utime + usage.ru_stime
