"""What the tests of delivery share: texts, an error handler, a wait for what no event tells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOOPBACK = "127.0.0.1"


class Problems:
    """An error handler that keeps what it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.arrived = threading.Event()

    def handleException(self, e: BaseException) -> None:
        self.texts.append(str(e))
        self.arrived.set()


def wait_until(is_so: Callable[[], bool], timeout_s: float = 60) -> None:
    """Look until something is so that no event tells."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def numbers(count: int, start: int = 0) -> list[str]:
    """Texts to log."""
    return [str(n) for n in range(start, start + count)]
