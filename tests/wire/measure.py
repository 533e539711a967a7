"""Decodes each row of the table of hostile frames in a process apart and says what it cost.

Run as a program; prints a JSON list of `[name, kind, outcome, bytes, seconds, idle_seconds]`, one
line a row. `outcome` is "records", "refused" or how the process ended; `bytes` is the peak above
what the process had before; `seconds` is CPU time; `idle_seconds` what that would be on the usual
machine when it is idle, as told by `unit_of_work_s` right before and after.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

from logd.wire import Decoder, Frames, WireError, read_opening
from tests.wire.hostile import HOSTILE

KINDS = ("plain", "session")
TRIES_WHEN_SLOW = 3
SLOW_S = 0.1

# What `unit_of_work_s` takes on the usual machine, idle.
UNIT_S = 0.025

# What is this short costs little and is measured many to a process.
SMALL_BYTES = 4096
SMALL_ROWS = 40


def decode(payload: bytes, kind: str) -> str:
    """What the daemon does with a frame, as the first of a connection or within a session."""
    if kind == "plain":
        read_opening(payload)
    client = b"c" * 16 if kind == "session" else None
    try:
        Decoder().decode(Frames.of(payload), client=client, now=1.7e9)
    except WireError as exc:
        # A reason is one line for a person.
        return "refused" if len(str(exc)) < 400 else "refused with a long story"
    return "records"


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name} in /proc/self/status")


def unit_of_work_s() -> float:
    """CPU time of a fixed piece of work: tells how slow this machine is just now."""
    started = time.process_time()
    total = 0
    for number in range(500_000):
        total += number
    return time.process_time() - started


Cost = tuple[str, int, float, float]
"""Outcome, bytes, seconds, seconds if the machine were idle."""


def cost(payload: bytes, kind: str, *, is_scaled: bool) -> Cost:
    """What decoding costs here and now; unscaled, the machine is taken for an idle one."""
    unit_s = unit_of_work_s() if is_scaled else UNIT_S
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = status("VmRSS")
    started = time.process_time()
    outcome = decode(payload, kind)
    seconds = time.process_time() - started
    size = status("VmHWM") - before
    if is_scaled:
        unit_s = max(unit_s, unit_of_work_s())
    return outcome, size, seconds, seconds / max(1.0, unit_s / UNIT_S)


def in_child(payloads: list[bytes], *, is_scaled: bool = False) -> list[list[Cost]]:
    """The costs of frames, for each one a kind each, in a new process for all of them.

    Where that process ends before it is done, each frame gets one of its own.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        with os.fdopen(write_end, "w") as pipe:
            json.dump(
                [[cost(one, kind, is_scaled=is_scaled) for kind in KINDS] for one in payloads], pipe
            )
            pipe.flush()
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read()
    _, ended = os.waitpid(child, 0)
    if not ended and answer:
        costs: list[list[Cost]] = json.loads(answer)
        return costs
    if len(payloads) > 1:
        return [in_child([payload], is_scaled=is_scaled)[0] for payload in payloads]
    return [[(f"ended with {ended}", 0, 0.0, 0.0)] * len(KINDS)]


def best(one: Cost, other: Cost) -> Cost:
    """Of two tries the shorter times."""
    outcome, size, seconds, idle_s = one
    return outcome, size, min(seconds, other[2]), min(idle_s, other[3])


def main() -> None:
    """Measure all rows, slow ones again: the machine may have been busy."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    small = [row for row in HOSTILE if len(row.payload) <= SMALL_BYTES]
    groups = [small[at : at + SMALL_ROWS] for at in range(0, len(small), SMALL_ROWS)]
    groups += [[row] for row in HOSTILE if len(row.payload) > SMALL_BYTES]
    for group in groups:
        payloads = [row.payload for row in group]
        costs = in_child(payloads)
        for _ in range(TRIES_WHEN_SLOW):
            if any(idle_s > SLOW_S for row in costs for *_, idle_s in row):
                costs = [
                    [best(*tries) for tries in zip(*pair, strict=True)]
                    for pair in zip(costs, in_child(payloads, is_scaled=True), strict=True)
                ]
        for row, of_row in zip(group, costs, strict=True):
            for kind, measured in zip(KINDS, of_row, strict=True):
                sys.stdout.write(json.dumps([row.name, kind, *measured]) + "\n")


if __name__ == "__main__":
    main()
