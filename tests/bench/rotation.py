"""Goal 9: what rotation, compression in the background and scans cost the intake.

Two questions: the longest that a sender with a steady rate waits for an acknowledgement, and the
rate that is left to senders that offer all they can.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.bench import encoders
from tests.bench.encoders import Load
from tests.bench.files import run, scratch_folder
from tests.bench.logd_receiver import logd
from tests.bench.peers import REPOSITORY, Receiver
from tests.bench.processes import free_port
from tests.bench.results import (
    Row,
    Run,
    Settings,
    at_least,
    at_most,
    compete,
    rate_rows,
    rates,
    ratio_row,
)
from tests.bench.senders import Answers, open_session

BATCH = 500
PERIOD_S = 0.005
"""A batch of 500 each 5 ms: 100,000 records a second, well below what can be written."""

ROTATING = ("--rotate-lines", "100000", "--rotate-count", "50")

TASK = "9 rotation"


def rotation(settings: Settings) -> Iterator[Row]:
    """Goal 9: a rotation stalls the intake for at most 20 ms and costs no throughput."""
    yield from _stalls(settings)
    yield from _throughput(settings)


def _stalls(settings: Settings) -> Iterator[Row]:
    load = encoders.small_batches(settings.pick(400_000, 150_000, 10_000), 1, BATCH)
    names = ("steady, no rotation", "steady, rotation", "steady, rotation and gzip")
    contest = compete(
        {
            names[0]: partial(_longest_wait, logd(encoders.session), load),
            names[1]: partial(_longest_wait, logd(encoders.session, *ROTATING), load),
            names[2]: partial(
                _longest_wait, logd(encoders.session, *ROTATING, "--compress", "gzip"), load
            ),
        },
        settings.rounds,
    )
    for name, waits in contest.runs.items():
        yield Row(TASK, name, waits, "ms", "longest wait for an ack")
    for name, reason in contest.absent.items():
        yield Row(TASK, name, (), "ms", reason)
    pairs = zip(contest.runs.get(names[2], ()), contest.runs.get(names[0], ()), strict=False)
    added = [max(0.0, rotating - plain) for rotating, plain in pairs]
    yield Row(TASK, "stall by rotation and gzip", added, "ms", goal=at_most(20, "ms"))


def _throughput(settings: Settings) -> Iterator[Row]:
    load = encoders.session(settings.pick(1_000_000, 200_000, 10_000), 8)
    plain, rotating, scanned = "no rotation", "rotation each 100,000", "no rotation, scans"
    with scratch_folder() as folder:
        old_log = folder / "old.log"
        old_log.write_bytes(b"".join(load.expected))
        contest = compete(
            {
                plain: partial(run, logd(encoders.session), load),
                rotating: partial(run, logd(encoders.session, *ROTATING), load),
                scanned: partial(_run_scanned, logd(encoders.session), load, old_log),
            },
            settings.rounds,
        )
    yield from rate_rows(TASK, contest, "records/s")
    for name in (rotating, scanned):
        yield ratio_row(TASK, name, plain, rates(contest), at_least(0.95))


def _longest_wait(receiver: Receiver, load: Load) -> float:
    """Send a batch each period; milliseconds of the longest way from due time to its ack."""
    port = free_port()
    chunks = load.chunks[0]
    with (
        scratch_folder() as folder,
        receiver.start(folder, port) as server,
        server.connect(port) as connection,
    ):
        answers = open_session(connection)
        due: deque[float] = deque()
        longest = [0.0]
        reading = threading.Thread(
            target=_read_answers, args=(answers, due, len(chunks), longest), daemon=True
        )
        reading.start()
        started = time.perf_counter() + PERIOD_S
        for number, chunk in enumerate(chunks):
            at = started + number * PERIOD_S
            time.sleep(max(0.0, at - time.perf_counter()))
            due.append(at)
            connection.sendall(chunk)
        reading.join(timeout=60)
        server.check()
    return longest[0] * 1000


def _read_answers(answers: Answers, due: deque[float], batches: int, longest: list[float]) -> None:
    for number in range(1, batches + 1):
        answers.await_number(number * BATCH)
        # An ack may cover several batches; the later ones were found in `highest` at once.
        while not due:
            time.sleep(0.0001)
        longest[0] = max(longest[0], time.perf_counter() - due.popleft())


def _run_scanned(receiver: Receiver, load: Load, old_log: Path) -> Run:
    with _scanning(old_log):
        return run(receiver, load)


@contextmanager
def _scanning(log: Path) -> Iterator[None]:
    """Run `logd query` on a log again and again, one at a time, as someone at a terminal would."""
    is_over = threading.Event()

    def scan() -> None:
        while not is_over.is_set():
            searched = "order [0-9]+ failed after 9. attempts"
            command = [sys.executable, "-m", "logd", "query", "--file", str(log)]
            subprocess.run(
                [*command, "--count", "--grep", searched],
                check=True,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.DEVNULL,
            )

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
