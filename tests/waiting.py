"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def wait_for(is_so: Callable[[], bool], what: str = "it", timeout_s: float = PATIENCE_S) -> None:
    """Return once something outside is so; it is looked at again and again."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"waited {timeout_s:g} s for {what}"
        time.sleep(0.02)
