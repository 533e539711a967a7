from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from logd.wire import FrameError, FrameSplitter
from tests.wire.hostile import HOSTILE, STRANGERS

ROOT = Path(__file__).parents[2]

MAX_BYTES = 64 << 20
# The documented limit is 100 ms of the usual machine when it is idle; how near the dearest rows
# come to it is printed by measure.py. A test can't be as exact, for processor time varies with what
# else a machine does: it finds what is dear by its nature, which costs seconds.
MAX_SECONDS = 0.1
MARGIN = 3


def test_names_are_unique() -> None:
    """Each row of the table can be found by its name."""
    names = [row.name for row in HOSTILE]
    assert len(set(names)) == len(names)


def test_every_row_is_harmless() -> None:
    """No hostile frame runs code, ends its process or raises anything but the documented error.

    It is refused or taken as the table says, in a session and without one, and never costs more
    than 64 MiB and about 100 ms of an idle machine's time. Each is decoded in a process apart.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.wire.measure"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    is_refused = {row.name: row.is_refused for row in HOSTILE}
    assert len(rows) == 2 * len(is_refused)
    taken = {name for name, _, outcome, *_ in rows if outcome != "refused"}
    assert taken == {name for name in is_refused if not is_refused[name]}
    strange, large, slow = [], [], []
    for name, kind, outcome, size, seconds, idle_s in rows:
        if outcome not in ("records", "refused"):
            strange.append((name, kind, outcome))
        if size > MAX_BYTES:
            large.append((name, kind, size))
        if idle_s > MAX_SECONDS * MARGIN:
            slow.append((name, kind, seconds, idle_s))
    assert (strange, large, slow) == ([], [], [])


@pytest.mark.parametrize(("name", "data"), STRANGERS, ids=[name for name, _ in STRANGERS])
def test_other_protocols_end_at_the_first_four_bytes(name: str, data: bytes) -> None:
    """What other protocols send first is over the limit when it is read as a length."""
    with pytest.raises(FrameError, match="at most 1048576 allowed"):
        FrameSplitter().feed(data[:4])
