"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 60.0


def wait_for(is_so: Callable[[], bool], what: str = "it", timeout_s: float = PATIENCE_S) -> None:
    """Return once something outside is so; it is looked at again and again."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.02)


def wait_stopped(pid: int) -> None:
    """Return once all threads of a process stand still after SIGSTOP.

    The signal stops them only when the one that gets it has a processor: on a busy machine the
    others go on for a while.
    """

    def is_stopped() -> bool:
        threads = Path(f"/proc/{pid}/task").glob("*/stat")
        return all(one.read_text().rpartition(")")[2].split()[0] == "T" for one in threads)

    wait_for(is_stopped, f"process {pid} to stand still")
