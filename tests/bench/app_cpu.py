"""Goal 12: what a record costs the app at modest rates, above a handler that discards it.

Three processes log the same at the same moments, each by another handler: noise hits all alike.
Their whole CPU counts, that of other threads, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.files import scratch_folder
from tests.bench.logd_receiver import logd_server
from tests.bench.peers import LOG_PATTERN, REPOSITORY
from tests.bench.processes import ContenderFailed, free_port
from tests.bench.results import Row, Settings, at_most, progress, ratio_row

RATES = (50, 500, 2_000)

DISCARDED = "null"
SENDERS = {"SocketHandler": "socket", "LogdHandler": "logd"}


def app_cpu(settings: Settings) -> Iterator[Row]:
    """The app's CPU for a record of one process, at most what `SocketHandler` takes."""
    seconds = settings.pick(6, 2, 1)
    for rate in RATES:
        task = f"12 the app's CPU, {rate:,}/s"
        samples: dict[str, list[float]] = {name: [] for name in SENDERS}
        try:
            for turn in range(settings.rounds):
                progress(f"round {turn + 1} of {settings.rounds}: {rate} records a second")
                costs = _together(rate, seconds)
                for name, kind in SENDERS.items():
                    samples[name].append(costs[kind] - costs[DISCARDED])
        except ContenderFailed as exc:
            yield Row(task, "LogdHandler", (), "us CPU a record", f"failed: {exc}", at_most(1.0))
            continue
        for name in SENDERS:
            yield Row(task, name, samples[name], "us CPU a record")
        yield ratio_row(task, "LogdHandler", "SocketHandler", samples, at_most(1.0))


def _together(rate: int, seconds: int) -> Mapping[str, float]:
    """Run all three at once; the CPU for a record of each, in microseconds."""
    port = free_port()
    with scratch_folder() as folder:
        with logd_server(folder, port, "--file", f"{folder}/out_%d.log") as server:
            server.connect(port).close()
            running = {
                kind: _program(kind, port, rate, seconds) for kind in (DISCARDED, *SENDERS.values())
            }
            said = {kind: one.communicate(timeout=120)[0].split() for kind, one in running.items()}
            server.check()
        lines = sum(file.read_bytes().count(b"\n") for file in folder.glob(LOG_PATTERN))
    if not all(said.values()):
        raise ContenderFailed("a program failed")
    sent = sum(int(said[kind][0]) for kind in SENDERS.values())
    if lines != sent:
        raise ContenderFailed(f"{sent} records logged, {lines} lines written")
    return {kind: float(words[1]) for kind, words in said.items()}


def _program(kind: str, port: int, rate: int, seconds: int) -> subprocess.Popen[str]:
    program = Path(__file__).with_name("modest_app.py")
    return subprocess.Popen(
        [sys.executable, str(program), kind, str(port), str(rate), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "client")},
        stdout=subprocess.PIPE,
        text=True,
    )
