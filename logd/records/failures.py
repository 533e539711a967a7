"""Failures of the log itself as records of the log, each at a bearable rate.

A failing filter fails for every record; what readers need is the first report, with its traceback,
and from time to time a count. Owned by a `LogServer`, which writes what `take` returns.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from types import TracebackType

from logd.records.batch import Batch
from logd.records.callpath import Path
from logd.records.context import Context

PERIOD_S = 60.0
"""The same failure becomes at most one record in this many seconds."""

_MAX_KINDS = 256
_TRACEBACK_LENGTH = 8192


class _Failure:
    """One kind of failure, from its first report until it has not come for a whole period."""

    def __init__(self, text: str, context: Context, quiet_till: float) -> None:
        self.text = text
        self.context = context
        self.quiet_till = quiet_till
        self.unreported = 0


class FailureReports:
    """Collects failures of any thread; the first of a kind is reported at once, then counted.

    Args:
        category: `cat` of the records.
        clock: seconds, only ever growing.
    """

    def __init__(self, category: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._category = category
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[object, _Failure] = {}
        self._pending: list[tuple[Context, str]] = []

    def add(self, what: str, error: BaseException) -> None:
        """Report that `what` (e.g. "filter shop.Redact") raised `error`."""
        path, function = _origin(error.__traceback__)
        text = f"{what} failed: {type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error))[-_TRACEBACK_LENGTH:]
        self.note((what, type(error), path[:1]), text, details, path=path, function=function)

    def note(
        self,
        key: object,
        text: str,
        details: str = "",
        *,
        path: Path = (),
        function: str = "",
        category: str | None = None,
    ) -> None:
        """Report a failure; those of equal `key` are one kind.

        Args:
            key: hashable; must not grow without bound with what peers send.
            text: one line for people.
            details: further lines, only in the first report of the kind.
            path: where in the program; empty if that says nothing.
            function: in which function.
            category: `cat` of this record, if not that of all.
        """
        now = self._clock()
        with self._lock:
            if key not in self._failures and len(self._failures) >= _MAX_KINDS:
                key, text, details = None, "further failures of other kinds", ""
            failure = self._failures.get(key)
            if failure is not None:
                failure.text = text
                failure.unreported += 1
                return
            thread = threading.current_thread()
            cat = self._category if category is None else category
            context = Context(os.getpid(), thread.ident or 0, thread.name, cat, path, 0, function)
            self._failures[key] = _Failure(text, context, now + PERIOD_S)
            self._pending.append((context, f"{text}\n{details}".rstrip("\n")))

    def take(self) -> Batch | None:
        """The records that are due now, each returned once; None if there are none."""
        if not self._failures:
            return None
        now = self._clock()
        with self._lock:
            for key, failure in list(self._failures.items()):
                if now < failure.quiet_till:
                    continue
                if not failure.unreported:
                    del self._failures[key]
                    continue
                text = f"{failure.text} ({failure.unreported} more since the last report)"
                self._pending.append((failure.context, text))
                failure.unreported = 0
                failure.quiet_till = now + PERIOD_S
            pending, self._pending = self._pending, []
        if not pending:
            return None
        count = len(pending)
        return Batch(
            [context for context, _ in pending],
            range(count),
            [0] * count,
            [time.time()] * count,
            [text for _, text in pending],
        )


def _origin(trace: TracebackType | None) -> tuple[Path, str]:
    """Where an exception was raised: the innermost frame first."""
    frames = traceback.extract_tb(trace)
    path = tuple((frame.filename, frame.lineno) for frame in reversed(frames))
    return path[:5], frames[-1].name if frames else ""
