"""A sender in a process of its own: numbered records till its standard input closes.

At full speed, at a `--rate` of so many a second, or at rates that change each second or two
(`--rates-change`): lone records, batches of few and of many, bursts, and back.

Each record says which sender wrote it, its number, and a checksum of both with a text of varying
length, so that the oracle sees what is missing, repeated, out of order or changed by a byte.

    python sender.py NUMBER PORT [--spool DIR] [--records N] [--rate N | --rates-change] [--die]

When it is told to stop it waits until all is acknowledged and prints how many records it sent, and
how many milliseconds its slowest call took;
with `--die` it ends by SIGKILL right after its last log call instead. With `--adopt` it stays until
the spools of processes that died are delivered.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import select
import signal
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from logd_client import Log
from logd_client.socketclient import createClientLog

LOOK_EVERY = 50
RATES = (3, 20, 60, 150, 280, 320, 500, 900, 3000)
"""Records a second, on both sides of where the client goes another way."""

FILLER = "all work and no play makes a dull log "


def text_of(sender: int, number: int) -> str:
    """The text of a record."""
    body = f"sender {sender} record {number} {FILLER[: number * 7 % len(FILLER)]}"
    return f"{body}crc {zlib.crc32(body.encode()):08x}"


def is_told_to_stop() -> bool:
    """Whether standard input was closed."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def steadily(rate: float | None) -> Iterator[None]:
    """Each step is the time between two records, at full speed without a rate."""
    while True:
        yield from itertools.repeat(None, LOOK_EVERY)
        if rate is not None:
            time.sleep(LOOK_EVERY / rate)


def at_changing_rates(chance: random.Random) -> Iterator[None]:
    """Each step is the time between two records: one of the rates for a while, then a burst."""
    while True:
        rate = chance.choice(RATES)
        for _ in range(max(1, int(rate * chance.uniform(0.3, 2.0)))):
            time.sleep(1 / rate)
            yield
        yield from itertools.repeat(None, chance.choice((1, 5, 70, 700)))


def send(
    log: Log,
    sender: int,
    records: int | None,
    first: int,
    flush_every: int | None,
    pace: Iterator[None],
    look_every: int,
) -> tuple[int, float]:
    """Send till told to stop, or `records` of them.

    Returns:
        The number after the last one, and how many seconds the slowest call took.
    """
    slowest_s = 0.0
    for number in itertools.count(first):
        if number - first == records:
            return number, slowest_s
        next(pace)
        if records is None and number % look_every == 0 and is_told_to_stop():
            return number, slowest_s
        if flush_every is not None and number % flush_every == 0:
            log.flush(60.0)
        started = time.perf_counter()
        if log(text_of(sender, number), "EWID"[number % 4]) is None:
            raise SystemExit(f"record {number} of sender {sender} was not taken")
        slowest_s = max(slowest_s, time.perf_counter() - started)
    raise AssertionError("count() never ends")


def go_first() -> None:
    """Let nobody on this machine go before this process, if that is allowed.

    Else the time of a call is mostly that of other processes, which have the processors.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def wait_for_leftovers(spool: Path, timeout_s: float) -> None:
    """Return when no spool but that of this process is left."""
    deadline = time.monotonic() + timeout_s
    while len(list(spool.iterdir())) > 1:
        if time.monotonic() > deadline:
            raise SystemExit(f"spools are left: {sorted(spool.iterdir())}")
        time.sleep(0.01)


def main() -> None:
    """Send, wait, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("number", type=int)
    parser.add_argument("port", type=int)
    parser.add_argument("--spool")
    parser.add_argument("--records", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--rates-change", action="store_true")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--flush-every", type=int)
    parser.add_argument("--die", action="store_true")
    parser.add_argument("--adopt", action="store_true")
    parser.add_argument("--flush-s", type=float, default=90.0)
    parser.add_argument("--hosts")
    parser.add_argument("--failback-s", type=float, default=300.0)
    parser.add_argument("--buffer-bytes", type=int, default=8 << 20)
    parser.add_argument("--first-in-line", action="store_true")
    options = parser.parse_args()
    if options.first_in_line:
        go_first()
    place = {"port": options.port} if options.hosts is None else {}
    log = createClientLog(
        hosts=(options.hosts or "127.0.0.1").split(","),
        **place,
        failback_s=options.failback_s,
        stackMax=2,
        spool=options.spool,
        buffer_bytes=options.buffer_bytes,
        block_timeout_s=120.0,
    )
    end, slowest_s = send(
        log,
        options.number,
        options.records,
        options.first,
        options.flush_every,
        at_changing_rates(random.Random(options.number))
        if options.rates_change
        else steadily(options.rate),
        1 if options.rates_change else LOOK_EVERY,
    )
    if options.die:
        os.kill(os.getpid(), signal.SIGKILL)
    if options.adopt:
        wait_for_leftovers(Path(options.spool), options.flush_s)
    if not log.flush(options.flush_s):
        raise SystemExit(f"sender {options.number}: not all acknowledged in {options.flush_s} s")
    print(end, f"{slowest_s * 1e3:.3f}", flush=True)


if __name__ == "__main__":
    main()
