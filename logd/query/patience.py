"""Ends a comparison that takes too long: some regular expressions need years for a short text.

Threads and budgets can't interrupt an expression while it is matched; only a signal can. So this
works in the main thread; a process that answers others is killed by its parent.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType

from logd.errors import LogdError
from logd.records.entry import Entry

LIMIT_S = 5.0
"""How long the comparison of one entry may take."""


class TooSlow(LogdError):
    """A comparison took too long."""


class Patience:
    """Bounds comparisons while it is entered.

    Args:
        limit_s: how long each may take, in seconds; None: `LIMIT_S`.
    """

    def __init__(self, limit_s: float | None = None) -> None:
        self._limit_s = LIMIT_S if limit_s is None else limit_s
        self._since: float | None = None
        self._entry: Entry | None = None
        self._before: object = None
        self._is_on = False

    def __enter__(self) -> Patience:
        self._is_on = threading.current_thread() is threading.main_thread()
        if self._is_on:
            self._before = signal.signal(signal.SIGALRM, self._look)
            signal.setitimer(signal.ITIMER_REAL, self._limit_s / 4, self._limit_s / 4)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_on:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)  # type: ignore[arg-type]

    def compare(self, compare: Callable[[Entry], bool], entry: Entry) -> bool:
        """The answer of a comparison.

        Raises:
            TooSlow: it takes too long.
        """
        self._entry = entry
        self._since = time.monotonic()
        try:
            return compare(entry)
        finally:
            self._since = None

    def _look(self, _number: int, _frame: object) -> None:
        entry, since = self._entry, self._since
        if entry is None or since is None or time.monotonic() - since < self._limit_s:
            return
        when = f" of {entry.ts}" if entry.ts else ""
        raise TooSlow(
            f"the regular expression takes more than {self._limit_s:g} s for the entry{when} with "
            f"{len(entry.msg):,} characters: try a text, or an expression with fewer repetitions "
            "within repetitions"
        )
