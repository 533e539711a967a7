"""The dearest short frames that `tests.fuzz.dearest` found so far."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from logd.wire import Decoder, Frames, WireError

ROWS = [line.split() for line in Path(__file__).with_name("dearest.txt").read_text().splitlines()]

# The promise for a frame under 1 KiB on an idle machine, and how far a test may tell: what is dear
# by its nature costs seconds.
MAX_S = 0.005
MARGIN = 5
TRIES = 5

UNIT_S = 0.004
"""What `unit` takes on an idle machine."""


def unit() -> float:
    """Processor time of some plain Python, in seconds: beside others all of it is slower."""
    started = time.process_time()
    sum(number % 7 for number in range(60_000))
    return time.process_time() - started


@pytest.mark.parametrize(
    ("kind", "digits"), ROWS, ids=[f"{number} {kind}" for number, (kind, _) in enumerate(ROWS)]
)
def test_short_frames_are_cheap(kind: str, digits: str) -> None:
    """A frame under 1 KiB is decoded or refused in a few milliseconds, whatever it shares."""
    payload = bytes.fromhex(digits)
    decoder = Decoder()
    client = b"c" * 16 if kind == "batch" else None
    least, least_unit = 1.0, 1.0
    for _ in range(TRIES):
        least_unit = min(least_unit, unit())
        started = time.process_time()
        try:
            decoder.decode(Frames.of(payload), client=client, now=1.7e9)
        except WireError:
            pass
        least = min(least, time.process_time() - started)
    slowness = max(1.0, least_unit / UNIT_S)
    assert least < MAX_S * MARGIN * max(1.0, len(payload) / 1024) * slowness
