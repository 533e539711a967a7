"""The dearest short frames that `tests.fuzz.dearest` found so far."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from logd.wire import Decoder, Frames, WireError

ROWS = [line.split() for line in Path(__file__).with_name("dearest.txt").read_text().splitlines()]

# The promise for a frame under 1 KiB on an idle machine, and how far a test may tell: what is dear
# by its nature costs seconds, and where the stack of Python 3.11 goes on in another piece of memory
# a call may take seven times as long.
MAX_S = 0.005
MARGIN = 20
TRIES = 5

UNIT_S = 0.004
"""What `unit` takes on an idle machine."""


def unit() -> float:
    """Processor time of some plain Python, in seconds: beside others all of it is slower."""
    started = time.thread_time()
    sum(number % 7 for number in range(60_000))
    return time.thread_time() - started


def least_times(payload: bytes, client: bytes | None) -> tuple[float, float]:
    """The least that the frame takes, and the unit beside it."""
    decoder = Decoder()
    least = least_unit = 1.0
    for _ in range(TRIES):
        least_unit = min(least_unit, unit())
        started = time.thread_time()
        with contextlib.suppress(WireError):
            decoder.decode(Frames.of(payload), client=client, now=1.7e9)
        least = min(least, time.thread_time() - started)
    return least, least_unit


@pytest.mark.parametrize(
    ("kind", "digits"), ROWS, ids=[f"{number} {kind}" for number, (kind, _) in enumerate(ROWS)]
)
def test_short_frames_are_cheap(kind: str, digits: str) -> None:
    """A frame under 1 KiB is decoded or refused in a few milliseconds, whatever it shares."""
    payload = bytes.fromhex(digits)
    client = b"c" * 16 if kind == "batch" else None
    # In a thread, as in the daemon: its stack begins anew.
    with ThreadPoolExecutor(1) as pool:
        least, least_unit = pool.submit(least_times, payload, client).result()
    slowness = max(1.0, least_unit / UNIT_S)
    assert least < MAX_S * MARGIN * max(1.0, len(payload) / 1024) * slowness
