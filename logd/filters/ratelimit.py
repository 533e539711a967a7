"""Limits how often one place in a program may log, and says how much it left out."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from logd.records.batch import Batch
from logd.records.categories import category_set

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["RateLimit"]

logger = logging.getLogger(__name__)

_Site = tuple[str, str, object, object]


class _Window:
    """What one call site logged since the first record of the window.

    Attributes:
        ends: on the filter's clock.
        passed: records let through.
        dropped: records left out since the last word about them.
        last: the record left out last, emptied of its text and items: those may be large, and
            filters that come later have not seen them.
        text_hash: of the text let through last, None once a text left out is another one.
    """

    __slots__ = ("dropped", "ends", "last", "passed", "text_hash")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.passed = 0
        self.dropped = 0
        self.last: MsgJob | None = None
        self.text_hash: int | None = None

    def let_through(self, job: MsgJob) -> None:
        self.passed += 1
        self.text_hash = hash(job.msg)

    def leave_out(self, job: MsgJob) -> None:
        if self.text_hash != hash(job.msg):
            self.text_hash = None
        self.dropped += 1
        self.last = job.copy_update({"msg": "", "special": {}})


class RateLimit:
    """Lets at most `limit` records of one call site through in `interval_s`, and drops the rest.

    A call site is a line of a file on one peer; for records without a call path it is function,
    category and message together. What was dropped is told by a record of the same call site: "last
    message repeated 4,211 times" or, if the messages differed, "4,211 more messages from here were
    left out". It has the special item `left_out=4211` and the time of the last dropped record. It
    is written when the first record of any sender comes after the interval; during a long flood
    that is once in each interval. It passes no filters and no observers, so it quotes no message.
    If no record comes any more, `close` tells the daemon's own log.

    Args:
        limit: at most this many pass in each interval.
        interval_s: length of the interval, which begins with a site's first record.
        cats: only records of these categories are limited; None: any.
        max_sites: call sites that are watched at once; beyond that the one watched longest is
            let go, its interval ending early.
        clock: seconds that only go forward.

    Attributes:
        dropped: how many records were dropped so far.

    Raises:
        ValueError: limit, interval_s or max_sites not above zero.
        TypeError: a plain string for cats.
    """

    def __init__(
        self,
        limit: int = 10,
        interval_s: float = 60.0,
        cats: Sequence[str] | None = None,
        *,
        max_sites: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("limit", limit), ("interval_s", interval_s), ("max_sites", max_sites)):
            if value <= 0:
                raise ValueError(f"{name}: expected more than 0, got {value}")
        self._limit = limit
        self._interval_s = interval_s
        self._cats = category_set(cats)
        self._max_sites = max_sites
        self._clock = clock
        self.dropped = 0
        # All windows are equally long, so the one that began first, the first here, ends first.
        self._windows: OrderedDict[_Site, _Window] = OrderedDict()

    def __call__(self, jobhist: Sequence[MsgJob], writer: Any) -> None:
        """Drop the current record if its call site is over the limit."""
        job = jobhist[-1]
        now = self._clock()
        self._end_windows(now, writer)
        if self._cats is not None and job.cat not in self._cats:
            return
        site = _site_of(job)
        window = self._windows.get(site)
        if window is None:
            window = self._windows[site] = _Window(now + self._interval_s)
        if window.passed < self._limit:
            window.let_through(job)
        else:
            window.leave_out(job)
            self.dropped += 1
            job.drop()

    def close(self, timeout_s: float = 0.0) -> bool:
        """Tell the daemon's own log what was dropped and not told yet; never takes long."""
        for window in self._windows.values():
            if window.last is not None:
                logger.warning("%r: %s", window.last, _word_about(window, window.last).msg)
        self._windows.clear()
        return True

    def _end_windows(self, now: float, writer: Any) -> None:
        """Write the word about the windows that are over."""
        while self._windows:
            site = next(iter(self._windows))
            window = self._windows[site]
            if window.ends > now and len(self._windows) < self._max_sites:
                return
            if window.last is not None:
                _write(_word_about(window, window.last), writer)
            del self._windows[site]


def _write(word: MsgJob, writer: Any) -> None:
    # The daemon's writer takes a batch without waiting until it is written.
    if hasattr(writer, "write_batch"):
        writer.write_batch(Batch.from_jobs([word]))
    else:
        writer.writeNow(word)


def _site_of(job: MsgJob) -> _Site:
    if job.path and job.path[0][0] is not None:
        return (job.peer, "", *job.path[0])
    return (job.peer, job.cfunc, job.cat, hash(job.msg))


def _word_about(window: _Window, last: MsgJob) -> MsgJob:
    if window.text_hash is not None:
        times = "once" if window.dropped == 1 else f"{window.dropped:,} times"
        text = f"last message repeated {times}"
    else:
        text = f"{window.dropped:,} more messages from here were left out"
    changes = {"msg": text, "special": {"left_out": window.dropped}}
    # It is no record of its sender's session: no sequence number stands for it.
    return last.copy_update({**changes, "client": None, "sequence": 0})
